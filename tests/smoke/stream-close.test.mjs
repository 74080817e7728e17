// A closed stream takes no more, and says so to everyone.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const closing = { 'stream-closed': 'true' }

async function stream(t) {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.put(path, ['a'])
  return [w, path]
}

test('closing twice is closing once', async (t) => {
  const [w, path] = await stream(t)
  const tail = await w.tail(path)
  for (let n = 0; n < 2; n++) {
    const answer = await w.http('POST', path, { headers: closing })
    assert.equal(answer.status, 204)
    assert.equal(answer.headers['stream-closed'], 'true')
    assert.equal(answer.headers['stream-next-offset'], tail)
  }
  assert.equal((await w.head(path)).headers['stream-closed'], 'true')
})

test('an append to a closed stream is refused, with the final offset', async (t) => {
  const [w, path] = await stream(t)
  const last = await w.post(path, ['b'], { headers: closing })
  assert.equal(last.status, 204)
  assert.equal(last.headers['stream-closed'], 'true')
  for (const type of ['application/json', 'text/plain']) {
    const late = await w.post(path, '["c"]', { headers: { 'content-type': type } })
    assert.equal(late.status, 409)
    assert.equal(late.headers['stream-closed'], 'true')
    assert.equal(late.headers['stream-next-offset'], last.headers['stream-next-offset'])
  }
  const whole = await w.get(`${path}?offset=-1`)
  assert.deepEqual(whole.json, ['a', 'b'])
  assert.equal(whole.headers['stream-closed'], 'true')
  assert.deepEqual((await w.get(`${path}?offset=${last.headers['stream-next-offset']}`)).headers['stream-closed'], 'true')
})

test('a stream can be closed as it is created', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  const made = await w.put(path, ['all'], { headers: closing })
  assert.equal(made.status, 201)
  assert.equal(made.headers['stream-closed'], 'true')
  assert.equal((await w.post(path, ['more'])).status, 409)
})

test('a producer’s closing append may be repeated, another’s may not', async (t) => {
  const [w, path] = await stream(t)
  const producer = (seq) => ({ 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': String(seq), ...closing })
  const first = await w.post(path, ['b'], { headers: producer(0) })
  assert.equal(first.status, 200)
  assert.equal(first.headers['stream-closed'], 'true')
  const again = await w.post(path, ['b'], { headers: producer(0) })
  assert.equal(again.status, 204)
  assert.equal(again.headers['stream-closed'], 'true')
  const other = await w.post(path, ['c'], { headers: producer(1) })
  assert.equal(other.status, 409)
  assert.equal(other.headers['stream-closed'], 'true')
  assert.deepEqual(await w.read(path), ['a', 'b'])
})

for (const value of ['false', '1', 'yes', '']) {
  test(`stream-closed: "${value}" closes nothing`, async (t) => {
    const [w, path] = await stream(t)
    const answer = await w.post(path, ['b'], { headers: { 'stream-closed': value } })
    assert.equal(answer.status, 204)
    assert.equal(answer.headers['stream-closed'], undefined)
    assert.equal((await w.post(path, ['c'])).status, 204)
  })
}

for (const value of ['TRUE', 'True']) {
  test(`stream-closed: "${value}" closes`, async (t) => {
    const [w, path] = await stream(t)
    assert.equal((await w.http('POST', path, { headers: { 'stream-closed': value } })).headers['stream-closed'], 'true')
    assert.equal((await w.put(`${path}2`, ['all'], { headers: { 'stream-closed': value } })).headers['stream-closed'], 'true')
  })
}

test('a close takes a number of its producer; with one that was used it closes nothing, and says so', async (t) => {
  const [w, path] = await stream(t)
  const producer = (seq) => ({ 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': String(seq) })
  for (let n = 0; n < 3; n++) await w.post(path, [n], { headers: producer(n) })
  const late = await w.http('POST', path, { headers: { ...producer(1), ...closing } })
  assert.deepEqual([late.status, late.headers['stream-closed'], late.headers['producer-seq']], [204, undefined, '2'])
  assert.equal((await w.http('POST', path, { headers: { ...producer(4), ...closing } })).status, 409)
  assert.equal((await w.head(path)).headers['stream-closed'], undefined)
  for (let n = 0; n < 2; n++) {
    const closed = await w.http('POST', path, { headers: { ...producer(3), ...closing } })
    assert.deepEqual([closed.status, closed.headers['stream-closed'], closed.headers['producer-seq']], [204, 'true', '3'])
  }
})
