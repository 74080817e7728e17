// How long a stream lives: until a moment, or for a while after its last use.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const json = { 'content-type': 'application/json' }

async function lasting(t, headers, body = '["a"]') {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  const made = await w.http('PUT', path, { headers: { ...json, ...headers }, body })
  assert.equal(made.status, 201, made.text)
  // HEAD is no use of a stream, so it may ask.
  const lives = async () => {
    const { status } = await w.head(path)
    assert.ok([200, 404].includes(status), `${status}`)
    return status === 200
  }
  return { w, path, lives, made }
}

const iso = (ms) => new Date(ms).toISOString()
const minute = { 'stream-ttl': '60' }
const closing = { 'stream-closed': 'true' }
const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }

// A window that slides.

test('a stream that nobody uses ends when its window is over', async (t) => {
  const { w, lives } = await lasting(t, minute)
  await w.advance(59_999)
  assert.equal(await lives(), true)
  await w.advance(1_001)
  assert.equal(await lives(), false)
})

const uses = {
  'a read': (w, path) => w.get(path),
  'a read at the tail': (w, path) => w.get(`${path}?offset=now`),
  'a read that changes nothing': async (w, path) => {
    const { etag } = (await w.get(path)).headers
    return w.get(path, { headers: { 'if-none-match': etag } })
  },
  'a long-poll that finds something': (w, path) => w.get(`${path}?offset=-1&live=long-poll`),
  'a long-poll that waits': (w, path) => void w.get(`${path}?offset=now&live=long-poll`, { timeout: 60_000 }).catch(() => {}),
  'an event stream': async (w, path) => {
    const reader = await w.follow(`${path}?offset=-1&live=sse`)
    await reader.next()
    reader.close()
  },
  'an append': (w, path) => w.post(path, '["b"]'),
  'an append of a producer': (w, path) => w.post(path, '["b"]', { headers: producer }),
  'a close': (w, path) => w.http('POST', path, { headers: closing }),
  'a close with an append': (w, path) => w.post(path, '["b"]', { headers: closing }),
  'a close of a producer': (w, path) => w.http('POST', path, { headers: { ...closing, ...producer } }),
}
for (const [what, use] of Object.entries(uses)) {
  test(`the window begins again with ${what}`, async (t) => {
    const { w, path, lives } = await lasting(t, minute)
    await w.advance(50_000)
    await use(w, path)
    await w.settle()
    await w.advance(59_000)
    assert.equal(await lives(), true)
    await w.advance(62_000)
    assert.equal(await lives(), false)
  })
}

test('neither HEAD nor a PUT that finds it there is a use', async (t) => {
  const { w, path, lives } = await lasting(t, minute)
  for (let n = 0; n < 6; n++) {
    await w.advance(9_990)
    assert.equal((await w.head(path)).status, 200)
    assert.equal((await w.http('PUT', path, { headers: { ...json, ...minute } })).status, 200)
  }
  await w.advance(1_100)
  assert.equal(await lives(), false)
})

test('a stream in use lives on, however often it is used', async (t) => {
  const { w, path, lives } = await lasting(t, { 'stream-ttl': '2' })
  for (let n = 0; n < 20; n++) {
    await w.advance(1_900)
    assert.equal((await w.get(path)).status, 200)
  }
  await w.advance(2_100)
  assert.equal(await lives(), false)
})

test('a window of nothing is over at once', async (t) => {
  const { w, path, made } = await lasting(t, { 'stream-ttl': '0' })
  assert.ok(made.headers['stream-next-offset'] > START)
  assert.equal((await w.get(path)).status, 404)
  assert.equal((await w.post(path, '[1]')).status, 404)
  assert.equal((await w.put(path, '["anew"]')).status, 201)
  assert.deepEqual(await w.read(path), ['anew'])
})

// A moment.

test('a moment comes, however much the stream is used', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { ...json, 'stream-expires-at': iso((await w.now()) + 60_000) } })
  await w.advance(59_999)
  for (const answer of [await w.get(path), await w.post(path, '[1]'), await w.head(path)]) assert.ok(answer.status < 300)
  await w.advance(1)
  for (const answer of [await w.get(path), await w.post(path, '[1]'), await w.head(path), await w.delete(path)]) {
    assert.equal(answer.status, 404)
  }
})

test('a moment that has passed already is over at once', async (t) => {
  const { lives } = await lasting(t, { 'stream-expires-at': '2001-01-01T00:00:00Z' })
  assert.equal(await lives(), false)
})

// What HEAD tells.

const told = [
  [{}, {}],
  [{ 'stream-ttl': '3600' }, { 'stream-ttl': '3600' }],
  [{ 'stream-expires-at': '2100-01-01T00:00:00.5+02:00' }, { 'stream-expires-at': '2100-01-01T00:00:00.5+02:00' }],
  [{ 'stream-expires-at': '9999-12-31T23:59:59.999Z' }, { 'stream-expires-at': '9999-12-31T23:59:59.999Z' }],
]
for (const [asked, tells] of told) {
  test(`HEAD tells the lifetime as it was asked for: ${JSON.stringify(asked)}`, async (t) => {
    const { w, path } = await lasting(t, asked)
    await w.advance(100_000)
    const { headers } = await w.head(path)
    for (const name of ['stream-ttl', 'stream-expires-at']) assert.equal(headers[name], tells[name], name)
  })
}

// Asking again.

const same = [
  [minute, minute, 200],
  [minute, {}, 409],
  [minute, { 'stream-ttl': '61' }, 409],
  [{}, minute, 409],
  [{ 'stream-expires-at': '2100-01-01T00:00:00Z' }, { 'stream-expires-at': '2100-01-01T00:00:00Z' }, 200],
  [{ 'stream-expires-at': '2100-01-01T00:00:00Z' }, { 'stream-expires-at': '2100-01-01T00:00:01Z' }, 409],
  [{ 'stream-expires-at': '2100-01-01T00:00:00Z' }, minute, 409],
]
for (const [first, second, status] of same) {
  test(`a stream with ${JSON.stringify(first)}, asked for with ${JSON.stringify(second)}: ${status}`, async (t) => {
    const { w, path } = await lasting(t, first)
    await w.advance(10_000)
    assert.equal((await w.http('PUT', path, { headers: { ...json, ...second } })).status, status)
  })
}

const malformed = [
  ...['', '00060', '+60', '-1', '60.5', '1e3', 'abc', '1 2', '0x10', '99999999999999999999'].map((ttl) => ({ 'stream-ttl': ttl })),
  ...['', 'not-a-timestamp', '2100-01-01', '2100-01-01T00:00:00', '2100-13-01T00:00:00Z', '2100-02-30T00:00:00Z', '2100-01-01T00:00:00+24:00', '4102444800']
    .map((at) => ({ 'stream-expires-at': at })),
  { 'stream-ttl': '60', 'stream-expires-at': '2100-01-01T00:00:00Z' },
]
for (const headers of malformed) {
  test(`a lifetime is refused: ${JSON.stringify(headers)}`, async (t) => {
    const w = await world(t)
    const path = `/plain/${w.name}/s`
    assert.equal((await w.http('PUT', path, { headers: { ...json, ...headers } })).status, 400)
    assert.equal((await w.head(path)).status, 404)
  })
}

// The end.

test('a stream that has expired is gone: its path is free for one that shares nothing with it', async (t) => {
  const { w, path } = await lasting(t, minute)
  await w.post(path, '["b"]', { headers: { ...producer, 'stream-seq': 'z' } })
  const { etag } = (await w.get(`${path}?offset=-1`)).headers
  await w.advance(62_000)
  assert.equal((await w.delete(path)).status, 404)
  assert.equal((await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })).status, 201)
  assert.deepEqual(await w.read(path), [])
  const { headers } = await w.head(path)
  assert.equal(headers['stream-next-offset'], START)
  assert.equal(headers['stream-ttl'], undefined)
  assert.equal((await w.post(path, '["b"]', { headers: { ...producer, 'stream-seq': 'a' } })).status, 200)
  assert.equal((await w.get(`${path}?offset=-1`, { headers: { 'if-none-match': etag } })).status, 200)
})

test('subscriptions let go of a stream that has expired', async (t) => {
  const { w, path } = await lasting(t, minute)
  const subscription = `/__ds/subscriptions/${w.name}`
  const made = await w.put(subscription, { type: 'pull-wake', streams: [path], wake_stream: `/plain/${w.name}/wakes` })
  assert.equal(made.json.streams.length, 1)
  await w.advance(62_000)
  assert.deepEqual((await w.get(subscription)).json.streams, [])
})

for (const live of ['long-poll', 'sse']) {
  test(`who follows by ${live} hears that the stream has expired`, async (t) => {
    const { w, path } = await lasting(t, { 'stream-ttl': '5' })
    const following = `${path}?offset=now&live=${live}`
    if (live === 'sse') {
      const reader = await w.follow(following)
      assert.equal((await reader.next()).event, 'control')
      await w.advance(6_000)
      assert.equal(await reader.next(), undefined)
    } else {
      const waiting = w.get(following)
      await w.settle()
      await w.advance(6_000)
      assert.equal((await waiting).status, 404)
    }
  })
}

test('a source that has expired is kept for its forks', async (t) => {
  const { w, path } = await lasting(t, minute)
  const fork = { 'stream-forked-from': path, 'stream-ttl': '600' }
  assert.equal((await w.http('PUT', `${path}-fork`, { headers: fork })).status, 201)
  await w.advance(62_000)
  for (const method of ['GET', 'HEAD', 'DELETE']) assert.equal((await w.http(method, path)).status, 410, method)
  assert.equal((await w.post(path, '["b"]')).status, 410)
  assert.equal((await w.put(path, '["anew"]')).status, 409)
  assert.deepEqual(await w.read(`${path}-fork`), ['a'])
  await w.delete(`${path}-fork`)
  assert.equal((await w.put(path, '["anew"]')).status, 201)
})

test('a fork has a window of its own: its source’s size, begun anew, and slid by its own uses', async (t) => {
  const { w, path, lives } = await lasting(t, minute)
  await w.advance(50_000)
  assert.equal((await w.http('PUT', `${path}-fork`, { headers: { 'stream-forked-from': path } })).status, 201)
  assert.equal((await w.head(`${path}-fork`)).headers['stream-ttl'], '60')
  await w.advance(50_000)
  assert.equal((await w.head(path)).status, 410)
  assert.deepEqual(await w.read(`${path}-fork`), ['a'])
  await w.advance(50_000)
  assert.deepEqual(await w.read(`${path}-fork`), ['a'])
  await w.advance(62_000)
  assert.equal((await w.head(`${path}-fork`)).status, 404)
  assert.equal(await lives(), false)
})

test('a fork may outlive the moment that its source names', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  const at = iso((await w.now()) + 60_000)
  await w.http('PUT', path, { headers: { ...json, 'stream-expires-at': at }, body: '["a"]' })
  await w.http('PUT', `${path}-like`, { headers: { 'stream-forked-from': path } })
  await w.http('PUT', `${path}-longer`, { headers: { 'stream-forked-from': path, 'stream-expires-at': iso((await w.now()) + 120_000) } })
  assert.equal((await w.head(`${path}-like`)).headers['stream-expires-at'], at)
  await w.advance(60_000)
  assert.equal((await w.head(`${path}-like`)).status, 404)
  assert.deepEqual(await w.read(`${path}-longer`), ['a'])
})
