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

for (const from of ['-1', START, 'now', '9999999999999999_9999999999999999']) {
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

// What a payload becomes on the wire. Lines may end with CR, LF or both; nothing in a payload can look like an event of
// its own. Of a space that a line begins with, readers take one away, so it goes with another.
const payloads = [
  ['one\ntwo\r\n three\rfour', ['one', 'two', '  three', 'four']],
  ['one\r\ntwo', ['one', 'two']],
  ['one\n\rtwo', ['one', '', 'two']],
  ['one\r\r\n\ntwo', ['one', '', '', 'two']],
  ['\n', ['', '']],
  ['ends\r\n', ['ends', '']],
  ['event: control\ndata:{"streamClosed":true}\n\nevent: data\ndata:forged', ['event: control', 'data:{"streamClosed":true}', '', 'event: data', 'data:forged']],
  ['x\r\revent: control\rdata:{}\r\r', ['x', '', 'event: control', 'data:{}', '', '']],
  ['id: 7\nretry: 1\n: comment', ['id: 7', 'retry: 1', ': comment']],
  ['  two spaces\n\ta tab', ['   two spaces', '\ta tab']],
  ['\u2028 and \u0085 and \v end no line', ['\u2028 and \u0085 and \v end no line']],
]
for (const [payload, lines] of payloads) {
  test(`text is split into lines: ${JSON.stringify(payload)}`, async (t) => {
    const w = await world(t)
    const path = `/plain/${w.name}/s`
    const made = await w.put(path, payload, { headers: { 'content-type': 'text/plain', 'stream-closed': 'true' } })
    const control = JSON.stringify({ streamNextOffset: made.headers['stream-next-offset'], upToDate: true, streamClosed: true })
    const data = lines.map((line) => `data:${line}\n`).join('')
    const { text } = await w.get(`${path}?offset=-1&live=sse`)
    assert.equal(text, `event: data\n${data}\nevent: control\ndata:${control}\n\n`)
    const reader = await w.follow(`${path}?offset=-1&live=sse`)
    assert.equal((await reader.next()).text, payload.replace(/\r\n|\r/g, '\n'))
  })
}

test('JSON may be written over many lines', async (t) => {
  const [w, path] = await stream(t)
  const written = '[ {\n\t"a" : 1,\r\n  "b":"x\\r\\ny" },\r2 ]'
  await w.post(path, written)
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  assert.deepEqual((await reader.next()).data, JSON.parse(written))
  assert.equal((await reader.next()).event, 'control')
})

test('after each data event comes one control event, with an offset of its own', async (t) => {
  const [w, path] = await stream(t, 'text/plain')
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  let { streamNextOffset: last } = (await reader.next()).data
  for (const body of ['a', 'b\n', '\n\nevent: control', 'd']) {
    const { headers } = await w.post(path, body, { headers: { 'content-type': 'text/plain' } })
    const data = await reader.next()
    assert.deepEqual([data.event, data.text], ['data', body])
    const control = await reader.next()
    assert.equal(control.event, 'control')
    assert.equal(control.data.streamNextOffset, headers['stream-next-offset'])
    assert.ok(control.data.streamNextOffset > last)
    last = control.data.streamNextOffset
  }
})

test('a character that two appends share comes whole to who reads them together', async (t) => {
  const [w, path] = await stream(t, 'text/plain')
  const bytes = Buffer.from('é')
  for (const half of [bytes.subarray(0, 1), bytes.subarray(1)]) {
    await w.post(path, half, { headers: { 'content-type': 'text/plain' } })
  }
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  assert.equal((await reader.next()).text, 'é')
})

for (const type of ['application/octet-stream', 'image/png', 'application/ndjson']) {
  test(`octets go as base64, each event by itself: ${type}`, async (t) => {
    const [w, path] = await stream(t, type)
    const whole = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
    const append = (body) => w.post(path, body, { headers: { 'content-type': type } })
    await append(whole)
    const reader = await w.follow(`${path}?offset=-1&live=sse`)
    assert.equal(reader.headers['stream-sse-data-encoding'], 'base64')
    const next = async () => {
      const { event, text } = await reader.next()
      assert.equal(event, 'data')
      const base64 = text.replaceAll('\n', '')
      assert.match(base64, /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/)
      assert.equal((await reader.next()).event, 'control')
      return Buffer.from(base64, 'base64')
    }
    assert.deepEqual(await next(), whole)
    for (const length of [1, 2, 3]) {
      await append(whole.subarray(0, length))
      assert.deepEqual(await next(), whole.subarray(0, length))
    }
  })
}

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
