// A plain stream is created, described, deleted and created anew.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const json = { headers: { 'content-type': 'application/json' } }

test('a stream is created once, and again by the same request', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  const made = await w.http('PUT', path, json)
  assert.equal(made.status, 201)
  assert.equal(made.text, '')
  assert.equal(made.headers['content-type'], 'application/json')
  assert.equal(made.headers['stream-next-offset'], START)
  assert.match(made.headers.location, /^https?:\/\//)
  assert.ok(made.headers.location.endsWith(path))
  assert.equal(made.headers['x-content-type-options'], 'nosniff')
  const again = await w.http('PUT', path, { headers: { 'content-type': 'Application/JSON; charset=utf-8' } })
  assert.equal(again.status, 200)
  assert.equal((await w.http('PUT', path, { headers: { 'content-type': 'text/plain' } })).status, 409)
  assert.equal((await w.http('PUT', path, { headers: { ...json.headers, 'stream-closed': 'true' } })).status, 409)
})

for (const type of [undefined, '', ' ', 'nonsense', '/json', 'text/']) {
  test(`a stream without a content type is octets: ${JSON.stringify(type)}`, async (t) => {
    const w = await world(t)
    const headers = type === undefined ? {} : { 'content-type': type }
    const answer = await w.http('PUT', `/plain/${w.name}/s`, { headers })
    assert.equal(answer.status, 201)
    assert.equal(answer.headers['content-type'], 'application/octet-stream')
  })
}

test('a body is ignored when the stream exists', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.put(path, [1])
  for (const body of ['[2]', '{']) assert.equal((await w.put(path, body)).status, 200)
  assert.deepEqual(await w.read(path), [1])
})

test('a stream can begin with content', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  const made = await w.put(path, [{ n: 1 }, { n: 2 }])
  assert.equal(made.status, 201)
  assert.deepEqual(await w.read(path), [{ n: 1 }, { n: 2 }])
  assert.equal(made.headers['stream-next-offset'], await w.tail(path))
  assert.equal((await w.put(`${path}2`, [])).headers['stream-next-offset'], START)
})

test('a stream that begins with nonsense is not created', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  assert.equal((await w.put(path, '{"a":')).status, 400)
  assert.equal((await w.head(path)).status, 404)
  assert.equal((await w.http('PUT', path, json)).status, 201)
})

test('HEAD describes a stream', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.put(path, [1])
  const answer = await w.head(path)
  assert.equal(answer.status, 200)
  assert.equal(answer.text, '')
  assert.equal(answer.headers['content-type'], 'application/json')
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.ok(answer.headers['stream-next-offset'] > START)
  assert.equal(answer.headers['stream-closed'], undefined)
})

test('a deleted stream is gone, and its path is free', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.put(path, ['old'])
  const { etag } = (await w.get(`${path}?offset=-1`)).headers
  assert.equal((await w.delete(path)).status, 204)
  assert.equal((await w.get(path)).status, 404)
  assert.equal((await w.head(path)).status, 404)
  assert.equal((await w.post(path, ['x'])).status, 404)
  assert.equal((await w.delete(path)).status, 404)
  assert.equal((await w.put(path, ['new'])).status, 201)
  assert.deepEqual(await w.read(path), ['new'])
  // The new stream is no copy of the old one, though it looks the same from outside.
  assert.equal((await w.get(`${path}?offset=-1`, { headers: { 'if-none-match': etag } })).status, 200)
})

test('other methods are not allowed', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, json)
  assert.equal((await w.http('PATCH', path, { body: '[]' })).status, 405)
})

test('text and octets are kept as they are', async (t) => {
  const w = await world(t)
  for (const [type, parts] of [['text/plain', ['one\r\n', ' two']], ['application/octet-stream', [Buffer.from([0, 255]), Buffer.from([13, 10])]]]) {
    const path = `/plain/${w.name}/${type.length}`
    const headers = { 'content-type': type }
    await w.http('PUT', path, { headers })
    for (const body of parts) assert.equal((await w.post(path, body, { headers })).status, 204)
    const answer = await w.get(`${path}?offset=-1`)
    assert.equal(answer.headers['content-type'], type)
    assert.deepEqual(answer.bytes, Buffer.concat(parts.map((part) => Buffer.from(part))))
  }
})

test('a path is what the URL standard makes of it, and is kept so', async (t) => {
  const w = await world(t)
  const at = (rest) => `/plain/${w.name}/${rest}`
  // Each of them is one stream, by whichever name.
  const streams = [
    ['a', './a', 'x/../a', '%2E/a', 'x/%2e%2e/a', 'x\\..\\a'],
    ['%61'],
    ['a%20b', 'x/../a%20b'],
    ['a%2Fb'],
    ['a/b', 'a\\b'],
    ['a//b'],
    ['a/'],
    ['A'],
    ["~!$&'()*+,;=:@"],
  ]
  for (const [first] of streams) assert.equal((await w.put(at(first), [first])).status, 201, first)
  for (const names of streams) {
    for (const name of names) assert.deepEqual(await w.read(at(name)), [names[0]], name)
  }
})

test('what a long stream leaves behind does not come back, nor is what follows taken for it', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  const headers = { 'content-type': 'text/plain' }
  for (let round = 0; round < 3; round++) {
    assert.equal((await w.http('PUT', path, { headers })).status, 201)
    for (let n = 0; n < 3; n++) await w.post(path, `${round}`.repeat(2_500_000), { headers })
    assert.equal((await w.delete(path)).status, 204)
    assert.equal((await w.get(path)).status, 404)
  }
  assert.equal((await w.put(path, 'anew', { headers })).status, 201)
  await w.advance(60_000)
  assert.equal((await w.get(path)).text, 'anew')
})
