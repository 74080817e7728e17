// Server-Sent Events: data and control in turn, from catch-up to the end.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

async function stream(t, type = 'application/json') {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': type } })
  return [w, path]
}

test('a follower catches up, is told so, and gets what comes', async (t) => {
  const [w, path] = await stream(t)
  await w.post(path, [{ n: 1 }])
  await w.post(path, [{ n: 2 }])
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  assert.equal(reader.status, 200)
  assert.equal(reader.headers['content-type'], 'text/event-stream')
  assert.equal(reader.headers['cache-control'], 'no-cache')
  assert.equal(reader.headers['content-length'], undefined)
  assert.equal(reader.headers['stream-sse-data-encoding'], undefined)

  const caught = await take(reader, 2)
  assert.deepEqual(caught.data, [{ n: 1 }, { n: 2 }])
  assert.equal(caught.control.streamNextOffset, await w.tail(path))
  assert.equal(caught.control.upToDate, true)
  assert.match(caught.control.streamCursor, /^\d+$/)

  const { headers } = await w.post(path, [{ n: 3 }, { n: 4 }])
  const next = await take(reader, 2)
  assert.deepEqual(next.data, [{ n: 3 }, { n: 4 }])
  assert.equal(next.control.streamNextOffset, headers['stream-next-offset'])
  reader.close()
})

for (const from of ['-1', START, 'now']) {
  test(`a follower of an empty stream from ${from} is told at once that it is at the start`, async (t) => {
    const [w, path] = await stream(t)
    const reader = await w.follow(`${path}?offset=${from}&live=sse`)
    const first = await reader.next()
    assert.equal(first.event, 'control')
    assert.equal(first.data.streamNextOffset, START)
    assert.equal(first.data.upToDate, true)
  })
}

test('a follower hears of the end after the last data, and the response ends', async (t) => {
  const [w, path] = await stream(t)
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  assert.equal((await reader.next()).event, 'control')
  await w.post(path, ['last'], { headers: { 'stream-closed': 'true' } })
  const end = await take(reader, 1)
  assert.deepEqual(end.data, ['last'])
  assert.equal(end.control.streamClosed, true)
  assert.equal(end.control.streamCursor, undefined)
  assert.equal(await reader.next(), undefined)
})

test('a closed stream is read to its end and over', async (t) => {
  const [w, path] = await stream(t)
  await w.post(path, ['only'], { headers: { 'stream-closed': 'true' } })
  for (const [from, data] of [['-1', ['only']], ['now', undefined]]) {
    const reader = await w.follow(`${path}?offset=${from}&live=sse`)
    const end = await take(reader, data ? 1 : 0)
    assert.deepEqual(end.data, data)
    assert.equal(end.control.streamClosed, true)
    assert.equal(await reader.next(), undefined)
  }
})

test('text is split into lines', async (t) => {
  const [w, path] = await stream(t, 'text/plain')
  await w.post(path, 'one\ntwo\r\n three\rfour', { headers: { 'content-type': 'text/plain' } })
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  assert.equal((await reader.next()).text, 'one\ntwo\n three\nfour')
})

test('octets go as base64', async (t) => {
  const [w, path] = await stream(t, 'application/octet-stream')
  const bytes = Buffer.from([0, 1, 254, 255])
  await w.post(path, bytes, { headers: { 'content-type': 'application/octet-stream' } })
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  assert.equal(reader.headers['stream-sse-data-encoding'], 'base64')
  assert.deepEqual(Buffer.from((await reader.next()).text, 'base64'), bytes)
})

test('an idle follower is let go in the end, at the offset where it stands', async (t) => {
  const [w, path] = await stream(t)
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  const ended = (async () => {
    for (let last; ; ) {
      const event = await reader.next(60_000)
      if (!event) return last
      last = event
    }
  })()
  const last = await w.advanceUntil(ended, { step: 15_000, steps: 20 })
  assert.equal(last.data.streamNextOffset, START)
})

// Reads until so many messages and the control event after them have come: however they are cut into events, each
// data event is followed by one control event, and their offsets never go back.
async function take(reader, messages) {
  let data
  for (let offset = ''; ; ) {
    let event = await reader.next()
    if (event?.event === 'data') {
      data = [...(data ?? []), ...event.data]
      event = await reader.next()
    }
    assert.equal(event?.event, 'control')
    assert.ok(event.data.streamNextOffset >= offset)
    offset = event.data.streamNextOffset
    if ((data?.length ?? 0) >= messages) return { data, control: event.data }
  }
}
