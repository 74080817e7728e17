// Catch-up reads: everything after an offset, the same bytes for everybody.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

async function stream(t, messages = []) {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
  const offsets = []
  for (const message of messages) offsets.push((await w.post(path, [message])).headers['stream-next-offset'])
  return [w, path, offsets]
}

test('a read begins after its offset and says where it ended', async (t) => {
  const [w, path, [first, second]] = await stream(t, ['a', 'b'])
  const reads = [
    ['', ['a', 'b']],
    ['?offset=-1', ['a', 'b']],
    [`?offset=${START}`, ['a', 'b']],
    [`?offset=${first}`, ['b']],
    [`?offset=${second}`, []],
    ['?offset=now', []],
    ['?offset=9999999999999999_9999999999999999', []],
    [`?offset=${first}&anything=else`, ['b']],
  ]
  for (const [query, messages] of reads) {
    const answer = await w.get(path + query)
    assert.equal(answer.status, 200, query)
    assert.deepEqual(answer.json, messages, query)
    assert.equal(answer.headers['stream-next-offset'], second, query)
    assert.equal(answer.headers['stream-up-to-date'], 'true', query)
    assert.equal(answer.headers['stream-closed'], undefined, query)
    assert.equal(answer.headers['content-type'], 'application/json', query)
    assert.equal(answer.headers['x-content-type-options'], 'nosniff', query)
    assert.equal(answer.headers['cross-origin-resource-policy'], 'cross-origin', query)
  }
})

test('an empty stream reads as an empty array at the start', async (t) => {
  const [w, path] = await stream(t)
  const answer = await w.get(`${path}?offset=-1`)
  assert.equal(answer.text, '[]')
  assert.equal(answer.headers['stream-next-offset'], START)
})

for (const query of [
  'offset=', 'offset=x', 'offset=1', 'offset=-2', 'offset=1_', 'offset=a_b', 'offset=0000000000000000_000000000000000x',
  'offset=0,1', 'offset=%20', 'offset=..', 'offset=%00', 'offset=%0d%0a', 'offset=-1&offset=-1', 'live=long-poll', 'live=sse',
]) {
  test(`a read with ?${query} is refused`, async (t) => {
    const [w, path] = await stream(t, ['a'])
    assert.equal((await w.get(`${path}?${query}`)).status, 400)
  })
}

test('a read of no stream is a 404', async (t) => {
  const [w, path] = await stream(t)
  assert.equal((await w.get(`${path}x?offset=-1`)).status, 404)
  assert.equal((await w.get(`${path}x?offset=-1&live=long-poll`)).status, 404)
  assert.equal((await w.get(`${path}x?offset=-1&live=sse`)).status, 404)
})

test('a reader with the right tag is told that nothing changed', async (t) => {
  const [w, path] = await stream(t, ['a'])
  const { etag } = (await w.get(`${path}?offset=-1`)).headers
  const again = await w.get(`${path}?offset=-1`, { headers: { 'if-none-match': etag } })
  assert.equal(again.status, 304)
  assert.equal(again.text, '')
  assert.equal(again.headers.etag, etag)
  await w.post(path, ['b'])
  const changed = await w.get(`${path}?offset=-1`, { headers: { 'if-none-match': etag } })
  assert.equal(changed.status, 200)
  await w.http('POST', path, { headers: { 'stream-closed': 'true' } })
  const closed = await w.get(`${path}?offset=-1`, { headers: { 'if-none-match': changed.headers.etag } })
  assert.equal(closed.status, 200)
})

for (const [shape, same] of [['"x", TAG', true], ['W/TAG', true], ['*', true], ['"x"', false], ['x', false]]) {
  test(`a tag may be given as ${shape}`, async (t) => {
    const [w, path] = await stream(t, ['a'])
    const { etag } = (await w.get(`${path}?offset=-1`)).headers
    const answer = await w.get(`${path}?offset=-1`, { headers: { 'if-none-match': shape.replace('TAG', etag) } })
    assert.equal(answer.status, same ? 304 : 200)
  })
}

test('what has been written may be cached, what is asked of now may not', async (t) => {
  const [w, path, [first]] = await stream(t, ['a', 'b'])
  for (const offset of ['-1', first]) {
    const { headers } = await w.get(`${path}?offset=${offset}`)
    assert.equal(headers['cache-control'], 'private, max-age=60, stale-while-revalidate=300')
    assert.match(headers.etag, /^"[^"]+"$/)
  }
  const { headers } = await w.get(`${path}?offset=now`)
  assert.deepEqual([headers['cache-control'], headers.etag], ['no-store', undefined])
})

test('following the offsets reads a long stream whole, in order', async (t) => {
  const long = Array.from({ length: 40 }, (_, n) => ({ n, pad: 'x'.repeat(50_000) }))
  const [w, path] = await stream(t, long)
  const seen = []
  let offset = '-1'
  for (let reads = 0; ; reads++) {
    assert.ok(reads < 100)
    const answer = await w.get(`${path}?offset=${offset}`)
    seen.push(...answer.json.map((message) => message.n))
    assert.ok(offset === '-1' || answer.headers['stream-next-offset'] >= offset)
    offset = answer.headers['stream-next-offset']
    if (answer.headers['stream-up-to-date'] && answer.json.length === 0) break
  }
  assert.deepEqual(seen, long.map(({ n }) => n))
})
