// An idempotent producer's append is accepted once, whatever is repeated, and gaps and zombies are refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

// Each row is one append after those above it: epoch, seq → status, and the producer headers of the answer.
const life = [
  [0, 1, 409, { expected: '0', received: '1' }, 'an unknown producer must begin at 0'],
  [0, 0, 200, { epoch: '0', seq: '0' }, 'the first'],
  [0, 0, 204, { epoch: '0', seq: '0' }, 'the first again'],
  [0, 1, 200, { epoch: '0', seq: '1' }, 'the next'],
  [0, 2, 200, { epoch: '0', seq: '2' }, 'and the next'],
  [0, 0, 204, { epoch: '0', seq: '2' }, 'an old one again: the highest is named'],
  [0, 4, 409, { expected: '3', received: '4' }, 'a gap'],
  [2, 1, 400, {}, 'a new epoch must begin at 0'],
  [2, 0, 200, { epoch: '2', seq: '0' }, 'a new epoch'],
  [1, 0, 403, { epoch: '2' }, 'a zombie is told who is current'],
  [0, 3, 403, { epoch: '2' }, 'an older zombie too'],
  ['02', '01', 200, { epoch: '2', seq: '1' }, 'leading zeros are numbers'],
]

test('a producer’s life', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
  const accepted = []
  for (const [epoch, seq, status, expected, why] of life) {
    const answer = await w.post(path, [why], { headers: producer('p', epoch, seq) })
    assert.equal(answer.status, status, `${why}: ${answer.text}`)
    assert.equal(answer.headers['producer-epoch'], expected.epoch, why)
    assert.equal(answer.headers['producer-seq'], expected.seq, why)
    assert.equal(answer.headers['producer-expected-seq'], expected.expected, why)
    assert.equal(answer.headers['producer-received-seq'], expected.received, why)
    if (status === 200) accepted.push(why)
    if (status === 200) assert.equal(answer.headers['stream-next-offset'], await w.tail(path))
  }
  assert.deepEqual(await w.read(path), accepted)
})

test('producers do not know each other, nor the same name on another stream', async (t) => {
  const w = await world(t)
  for (const path of [`/plain/${w.name}/a`, `/plain/${w.name}/b`]) {
    await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
    for (const id of ['p', 'q']) {
      assert.equal((await w.post(path, [id], { headers: producer(id, 0, 0) })).status, 200)
    }
    assert.deepEqual(await w.read(path), ['p', 'q'])
  }
})

test('an append that was refused does not use up its number', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
  assert.equal((await w.post(path, '{"a":', { headers: producer('p', 0, 0) })).status, 400)
  assert.equal((await w.post(path, '[1]', { headers: producer('p', 0, 0) })).status, 200)
})

const malformed = [
  [{ 'producer-id': 'p' }, 'only an id'],
  [{ 'producer-id': 'p', 'producer-epoch': '0' }, 'no seq'],
  [producer('', 0, 0), 'an empty id'],
  [producer('p', '1abc', 0), 'an epoch that is no number'],
  [producer('p', 0, '-1'), 'a negative seq'],
  [producer('p', 0, '1e3'), 'a seq in scientific notation'],
  [producer('p', 0, '9007199254740992'), 'a seq past 2^53'],
]
for (const [headers, what] of malformed) {
  test(`producer headers are refused: ${what}`, async (t) => {
    const w = await world(t)
    const path = `/plain/${w.name}/s`
    await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
    assert.equal((await w.post(path, [1], { headers })).status, 400)
    assert.deepEqual(await w.read(path), [])
  })
}

test('of the same append sent many times at once one is stored', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => w.post(path, ['once'], { headers: producer('p', 0, 0) })),
  )
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(9).fill(204)])
  assert.deepEqual(await w.read(path), ['once'])
})

function producer(id, epoch, seq) {
  return { 'producer-id': id, 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
}
