// A fork begins with what another stream holds, without copying it, and then goes its own way.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const json = { 'content-type': 'application/json' }

/** A world with a JSON stream `source`, and the offsets after each append. */
async function forks(t, appends = [], headers = {}) {
  const w = await world(t)
  const at = (name) => `/plain/${w.name}/${name}`
  const made = await w.http('PUT', at('source'), { headers: { ...json, ...headers } })
  assert.equal(made.status, 201, made.text)
  const offsets = [START]
  for (const body of appends) offsets.push((await w.post(at('source'), body)).headers['stream-next-offset'])
  return {
    w,
    at,
    offsets,
    /** PUT of `name` as a fork of `source`. */
    fork: (name, { of = 'source', offset, sub, headers, body } = {}) =>
      w.http('PUT', at(name), { headers: { ...branch(at(of), offset, sub), ...headers }, body }),
    text: async (name, from = '-1') => (await w.get(`${at(name)}?offset=${from}`)).text,
    status: async (name) => (await w.get(at(name))).status,
  }
}

function branch(source, offset, sub) {
  const headers = { 'stream-forked-from': source }
  if (offset !== undefined) headers['stream-fork-offset'] = offset
  if (sub !== undefined) headers['stream-fork-sub-offset'] = String(sub)
  return headers
}

// Creating.

test('a fork begins where its source ends, and neither sees what the other appends', async (t) => {
  const { w, at, offsets, fork, text } = await forks(t, ['[1]', '[2]'])
  const made = await fork('fork')
  assert.equal(made.status, 201)
  assert.equal(made.headers['stream-next-offset'], offsets[2])
  assert.equal(made.headers['content-type'], 'application/json')
  assert.ok(made.headers.location.endsWith(at('fork')))
  assert.deepEqual(Object.keys(made.headers).filter((name) => name.startsWith('stream-fork')), [])
  await w.post(at('source'), '["theirs"]')
  await w.post(at('fork'), '["mine"]')
  assert.equal(await text('source'), '[1,2,"theirs"]')
  assert.equal(await text('fork'), '[1,2,"mine"]')
})

test('a fork may begin at any offset of its source, the start included', async (t) => {
  const { offsets, fork, text } = await forks(t, ['[1]', '[2]'])
  for (const [n, whole] of ['[]', '[1]', '[1,2]'].entries()) {
    assert.equal((await fork(`fork${n}`, { offset: offsets[n] })).headers['stream-next-offset'], offsets[n])
    assert.equal(await text(`fork${n}`), whole)
  }
})

test('the body of the request follows what is inherited', async (t) => {
  const { offsets, fork, text } = await forks(t, ['[1]', '[2]'])
  await fork('fork', { offset: offsets[1], body: '["own"]', headers: json })
  assert.equal(await text('fork'), '[1,"own"]')
})

test('a fork of a closed stream is open', async (t) => {
  const { w, at, fork, text } = await forks(t, ['[1]'])
  await w.http('POST', at('source'), { headers: { 'stream-closed': 'true' } })
  assert.equal((await fork('fork')).headers['stream-closed'], undefined)
  await w.post(at('fork'), '[2]')
  assert.equal(await text('fork'), '[1,2]')
})

const inherited = [
  ['its content type', {}, {}],
  ['a window', { 'stream-ttl': '60' }, {}],
  ['a moment', { 'stream-expires-at': '2100-01-01T00:00:00Z' }, {}],
  ['a window, which the request names too', { 'stream-ttl': '60' }, { 'stream-ttl': '60' }],
  ['a content type with parameters', { 'content-type': 'application/json; charset=utf-8' }, {}],
]
for (const [what, source, own] of inherited) {
  test(`a fork that inherits ${what} is confirmed when it is asked for again`, async (t) => {
    const { fork } = await forks(t, ['[1]'], source)
    assert.equal((await fork('fork', { headers: own })).status, 201)
    const again = await fork('fork', { headers: own })
    assert.equal(again.status, 200, again.text)
    assert.equal(again.headers.location, undefined)
  })
}

test('a fork is confirmed though its source has moved on, was closed or deleted', async (t) => {
  const { w, at, offsets, fork } = await forks(t, ['[1]', '[2,3]'])
  const asked = { offset: offsets[1], sub: 1 }
  assert.equal((await fork('fork', asked)).status, 201)
  await w.post(at('source'), '[4]')
  assert.equal((await fork('fork', asked)).status, 200)
  await w.http('POST', at('source'), { headers: { 'stream-closed': 'true' } })
  assert.equal((await fork('fork', asked)).status, 200)
  await w.delete(at('source'))
  assert.equal((await fork('fork', asked)).status, 200)
})

test('a fork is not confirmed as another', async (t) => {
  const { w, at, offsets, fork } = await forks(t, ['[1]', '[2,3]'])
  await w.put(at('other'), '[1]')
  await fork('fork', { offset: offsets[1], sub: 1 })
  for (const [what, asked] of Object.entries({
    offset: { offset: offsets[2], sub: 1 },
    'sub-offset': { offset: offsets[1], sub: 2 },
    'no sub-offset': { offset: offsets[1] },
    source: { of: 'other', offset: offsets[1], sub: 1 },
    lifetime: { offset: offsets[1], sub: 1, headers: { 'stream-ttl': '60' } },
    state: { offset: offsets[1], sub: 1, headers: { 'stream-closed': 'true' } },
    'content type': { offset: offsets[1], sub: 1, headers: { 'content-type': 'text/plain' } },
  })) {
    assert.equal((await fork('fork', asked)).status, 409, what)
  }
  assert.equal((await fork('source', { of: 'other' })).status, 409, 'what is no fork')
})

test('a sub-offset of 0 is as none', async (t) => {
  const { offsets, fork } = await forks(t, ['[1]', '[2]'])
  assert.equal((await fork('fork', { offset: offsets[1], sub: 0 })).status, 201)
  assert.equal((await fork('fork', { offset: offsets[1] })).status, 200)
})

test('neither Stream-Seq nor producers are inherited', async (t) => {
  const { w, at, fork, text } = await forks(t)
  const headers = { 'stream-seq': 'b', 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
  assert.equal((await w.post(at('source'), '[1]', { headers })).status, 200)
  await fork('fork')
  assert.equal((await w.post(at('fork'), '[2]', { headers })).status, 200)
  assert.equal(await text('fork'), '[1,2]')
})

// Sub-offsets.

test('a sub-offset counts the messages of a JSON append, not its commas', async (t) => {
  const messages = ['{"a":1,"b":[2,{"c":3}]}', '"x,y"', '{"d":{"e":4,"f":5}}', '[6,7]']
  const { offsets, fork, text } = await forks(t, ['[0]', `[${messages.join(' , ')}]`])
  for (let n = 0; n <= messages.length; n++) {
    assert.equal((await fork(`fork${n}`, { offset: offsets[1], sub: n })).status, 201)
    assert.equal(await text(`fork${n}`), `[${['0', ...messages.slice(0, n)].join(',')}]`)
  }
})

test('a sub-offset counts the bytes of what is not JSON', async (t) => {
  const { w, at, fork, text } = await forks(t)
  const headers = { 'content-type': 'text/plain' }
  const { headers: made } = await w.http('PUT', at('words'), { headers, body: 'one' })
  await w.http('POST', at('words'), { headers, body: 'two' })
  for (const [sub, whole] of ['one', 'onet', 'onetw', 'onetwo'].entries()) {
    assert.equal((await fork(`fork${sub}`, { of: 'words', offset: made['stream-next-offset'], sub })).status, 201)
    assert.equal(await text(`fork${sub}`), whole)
  }
})

test('what a fork copies is its own, past the offset that it named', async (t) => {
  const { w, at, offsets, fork, text } = await forks(t, ['[1]', '[2,3]'])
  const made = await fork('fork', { offset: offsets[1], sub: 1 })
  const tail = made.headers['stream-next-offset']
  assert.ok(tail > offsets[1])
  assert.equal(await text('fork', offsets[1]), '[2]')
  assert.equal(await text('fork', tail), '[]')
  await w.post(at('fork'), '["own"]')
  assert.equal(await text('fork', tail), '["own"]')
})

test('forks by sub-offset of such forks compose', async (t) => {
  const { offsets, fork, text } = await forks(t, ['[1,2,3,4]'])
  await fork('three', { offset: START, sub: 3 })
  assert.equal(await text('three'), '[1,2,3]')
  await fork('two', { of: 'three', offset: START, sub: 2 })
  assert.equal(await text('two'), '[1,2]')
  assert.equal((await fork('more', { of: 'three', offset: START, sub: 4 })).status, 400)
  assert.equal(await text('source', offsets[0]), '[1,2,3,4]')
})

// What is refused.

const refused = [
  ['a sub-offset past the next append', (o) => ({ offset: o[1], sub: 3 })],
  ['a sub-offset that reaches into the append after the next', (o) => ({ offset: o[0], sub: 2 })],
  ['a sub-offset at the tail', () => ({ sub: 1 })],
  ['a sub-offset past the tail', (o) => ({ offset: o[2], sub: 1 })],
  ['an offset beyond the tail', () => ({ offset: '9999999999999999_9999999999999999' })],
  ['an offset just beyond the tail', (o) => ({ offset: o[2].replace(/..$/, '99') })],
  ...['-1', 'now', '', 'x', '1'].map((offset) => [`the offset "${offset}"`, () => ({ offset })]),
  ...['', '-1', '+1', '01', '1.5', 'abc', '99999999999999999999'].map((sub) => [`the sub-offset "${sub}"`, (o) => ({ offset: o[0], sub })]),
]
for (const [what, asked] of refused) {
  test(`a fork is refused and nothing made: ${what}`, async (t) => {
    const { w, at, offsets, fork, status } = await forks(t, ['[1]', '[2,3]'])
    assert.equal((await fork('fork', asked(offsets))).status, 400)
    assert.equal(await status('fork'), 404)
    // Nor does the source keep anything for it.
    await w.delete(at('source'))
    assert.equal(await status('source'), 404)
  })
}

test('the headers of a fork without its source are refused', async (t) => {
  const { w, at, offsets } = await forks(t, ['[1]'])
  for (const headers of [{ 'stream-fork-offset': offsets[1] }, { 'stream-fork-sub-offset': '0' }]) {
    assert.equal((await w.http('PUT', at('fork'), { headers: { ...json, ...headers } })).status, 400)
  }
})

test('a fork of nothing is a 404, of what is no path a 400', async (t) => {
  const { w, at, fork } = await forks(t)
  assert.equal((await fork('fork', { of: 'none' })).status, 404)
  for (const source of ['', 'plain', '/']) {
    assert.equal((await w.http('PUT', at('fork'), { headers: branch(source) })).status, 400, source)
  }
})

test('a fork that is refused for its body or its type holds on to nothing', async (t) => {
  const { w, at, fork, status } = await forks(t, ['[1]'])
  assert.equal((await fork('fork', { headers: { 'content-type': 'text/plain' } })).status, 409)
  assert.equal((await fork('fork', { headers: json, body: '{' })).status, 400)
  assert.equal(await status('fork'), 404)
  await w.delete(at('source'))
  assert.equal(await status('source'), 404)
})

test('who may not read the source may not fork it', async (t) => {
  const { w, at } = await forks(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', { initialMessage: 'secret' }, { as: 'user:alice' })
  const fork = (name, as) => w.http('PUT', at(name), { as, headers: branch(`${url}/main`) })
  const answer = await fork('hers', 'user:bob')
  assert.equal(answer.status, 401)
  assert.equal(answer.json.error.code, 'UNAUTHORIZED')
  assert.equal((await fork('hers', 'user:alice')).status, 201)
  assert.equal((await w.read(at('hers'))).length, 2)
})

test('forks of forks go 64 deep, and no deeper', async (t) => {
  const { w, at, fork, text } = await forks(t, ['[0]'])
  for (let n = 1; n <= 64; n++) {
    const made = await fork(`fork${n}`, { of: n === 1 ? 'source' : `fork${n - 1}` })
    assert.equal(made.status, 201, `${n}: ${made.text}`)
    await w.post(at(`fork${n}`), `[${n}]`)
  }
  assert.equal(await text('fork64'), JSON.stringify(Array.from({ length: 65 }, (_, n) => n)))
  const answer = await fork('fork65', { of: 'fork64' })
  assert.equal(answer.status, 400)
  assert.match(answer.text, /fork 64 deep/)
})

test('of the same fork asked for many times at once one is made', async (t) => {
  const { w, at, fork, status } = await forks(t, ['[1]'])
  const answers = await Promise.all(Array.from({ length: 10 }, () => fork('fork')))
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [...Array(9).fill(200), 201])
  await w.delete(at('source'))
  await w.delete(at('fork'))
  assert.equal(await status('source'), 404)
})

test('the path of the source is read as that of a request is', async (t) => {
  const { w, at, offsets } = await forks(t, ['[1]'])
  for (const [n, source] of [at('./source'), at('x/../source'), at('%2e/source'), at('x\\..\\source')].entries()) {
    assert.equal((await w.http('PUT', at(`fork${n}`), { headers: branch(source, offsets[1]) })).status, 201, source)
    assert.equal((await w.http('PUT', at(`fork${n}`), { headers: branch(at('source'), offsets[1]) })).status, 200, source)
  }
  for (const source of [at('s%6Furce'), at('source/'), `http://x${at('source')}`]) {
    assert.notEqual((await w.http('PUT', at('other'), { headers: branch(source) })).status, 201, source)
  }
})

// Reading.

test('a fork of a fork may begin before the first', async (t) => {
  const { w, at, offsets, fork, text } = await forks(t, ['[1]', '[2]', '[3]'])
  await fork('fork', { offset: offsets[2] })
  await w.post(at('fork'), '["own"]')
  await fork('early', { of: 'fork', offset: offsets[1] })
  assert.equal(await text('early'), '[1]')
  await w.post(at('early'), '["late"]')
  assert.equal(await text('early'), '[1,"late"]')
  assert.equal(await text('fork'), '[1,2,"own"]')
})

test('every offset means the same in a fork as in its source', async (t) => {
  const { w, at, offsets, fork } = await forks(t, ['[1]', '[2]', '[3]'])
  await fork('fork')
  await w.post(at('fork'), '["own"]')
  for (const [n, offset] of offsets.entries()) {
    const answer = await w.get(`${at('fork')}?offset=${offset}`)
    assert.deepEqual(answer.json, [1, 2, 3, 'own'].slice(n))
    assert.equal(answer.headers['stream-next-offset'], await w.tail(at('fork')))
  }
})

test('big numbers are inherited and copied as they were written', async (t) => {
  const { offsets, fork, text } = await forks(t, ['[12345678901234567890]', '[{"n":-0.10},1E+2]'])
  await fork('fork', { offset: offsets[1], sub: 1 })
  assert.equal(await text('fork'), '[12345678901234567890,{"n":-0.10}]')
})

test('headers.offset is that of the source in what is inherited, and of the fork in what is copied', async (t) => {
  const event = (n) => ({ n, headers: { operation: 'insert' } })
  const { w, at, offsets, fork } = await forks(t, [[event(1)], [event(2), event(3)]])
  const made = await fork('fork', { offset: offsets[1], sub: 1 })
  const own = await w.post(at('fork'), [event('own')])
  assert.deepEqual((await w.read(at('fork'))).map(({ headers }) => headers.offset), [
    offsets[1],
    made.headers['stream-next-offset'],
    own.headers['stream-next-offset'],
  ])
})

for (const live of ['long-poll', 'sse']) {
  test(`who follows a fork by ${live} hears nothing of its source`, async (t) => {
    const { w, at, fork } = await forks(t, ['[1]'])
    await fork('fork')
    const path = `${at('fork')}?offset=now&live=${live}`
    const reader = live === 'sse' ? await w.follow(path) : undefined
    if (reader) assert.equal((await reader.next()).event, 'control')
    const heard = reader ? reader.next() : w.get(path)
    await w.settle()
    await w.post(at('source'), '["theirs"]')
    await w.settle()
    const { headers } = await w.post(at('fork'), '["mine"]')
    const first = await heard
    assert.deepEqual(reader ? first.data : first.json, ['mine'])
    const next = reader ? (await reader.next()).data.streamNextOffset : first.headers['stream-next-offset']
    assert.equal(next, headers['stream-next-offset'])
  })
}

test('a long-poll at an inherited offset answers at once', async (t) => {
  const { w, at, offsets, fork } = await forks(t, ['[1]', '[2]'])
  await fork('fork')
  assert.deepEqual((await w.get(`${at('fork')}?offset=${offsets[1]}&live=long-poll`)).json, [2])
})

// Deleting.

test('a source that is deleted is gone for all but its forks', async (t) => {
  const { w, at, fork, text, status } = await forks(t, ['[1]'])
  await fork('fork')
  assert.equal((await w.delete(at('source'))).status, 204)
  for (const method of ['GET', 'HEAD', 'DELETE']) assert.equal((await w.http(method, at('source'))).status, 410, method)
  assert.equal((await w.post(at('source'), '[2]')).status, 410)
  assert.equal((await w.put(at('source'), '[2]')).status, 409)
  assert.equal((await fork('late')).status, 409)
  assert.equal(await text('fork'), '[1]')

  await w.delete(at('fork'))
  assert.equal(await status('source'), 404)
  assert.equal((await w.put(at('source'), '["anew"]')).status, 201)
  assert.equal(await text('source'), '["anew"]')
})

test('a source is kept until the last of its forks is deleted', async (t) => {
  const { w, at, fork, text, status } = await forks(t, ['[1]'])
  await fork('a')
  await fork('b')
  await w.delete(at('source'))
  await w.delete(at('a'))
  assert.equal(await status('source'), 410)
  assert.equal(await text('b'), '[1]')
  await w.delete(at('b'))
  assert.equal(await status('source'), 404)
})

test('a source that was not deleted outlives its forks', async (t) => {
  const { w, at, fork, text } = await forks(t, ['[1]'])
  await fork('fork')
  await w.delete(at('fork'))
  assert.equal(await text('source'), '[1]')
  assert.equal((await w.delete(at('source'))).status, 204)
  assert.equal((await w.get(at('source'))).status, 404)
})

test('the middle of a chain may be deleted', async (t) => {
  const { w, at, fork, text, status } = await forks(t, ['[1]'])
  await fork('middle')
  await w.post(at('middle'), '[2]')
  await fork('end', { of: 'middle' })
  await w.post(at('end'), '[3]')
  await w.delete(at('middle'))
  await w.delete(at('source'))
  assert.equal(await text('end'), '[1,2,3]')
  await w.delete(at('end'))
  for (const name of ['source', 'middle', 'end']) assert.equal(await status(name), 404, name)
})

test('a fork that expires lets go of its source', async (t) => {
  const { w, at, fork, status } = await forks(t, ['[1]'])
  await fork('fork', { headers: { 'stream-ttl': '10' } })
  await w.delete(at('source'))
  assert.equal(await status('source'), 410)
  await w.advance(12_000)
  assert.equal(await status('fork'), 404)
  assert.equal(await status('source'), 404)
})
