// Node's HTTP around the router: what web objects would lose on the way.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'

import { listener } from '../npm/node-http.js'

async function server(t, answer) {
  const made = http.createServer(listener(answer))
  await new Promise((resolve) => made.listen(0, '127.0.0.1', resolve))
  t.after(() => (made.closeAllConnections(), made.close()))
  return made.address().port
}

function raw(port, bytes) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.on('data', (chunk) => (text += chunk)).on('close', () => resolve(text)).on('error', reject)
  })
}

const get = (path, host = 'h') => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`

test('a path is as it was sent', async (t) => {
  const port = await server(t, (request) => new Response(request.url, { headers: { 'content-length': String(request.url.length) } }))
  for (const [sent, url] of [
    ['/a%2Fb?x=%zz', 'http://h/a%2Fb?x=%zz'],
    ['//double//slash', 'http://h//double//slash'],
    ['/a/../b', 'http://h/b'],
    ['http://other/absolute', 'http://other/absolute'],
  ]) {
    assert.ok((await raw(port, get(sent))).endsWith(`\r\n\r\n${url}`), sent)
  }
  assert.match(await raw(port, get('/x', 'not a host')), /http:\/\/localhost\/x$/)
})

test('what no web request can say is refused, and ends nothing', async (t) => {
  t.mock.method(console, 'error', () => {})
  const port = await server(t, async (request) => {
    if (request.url.endsWith('/broken')) throw new Error('broken')
    return new Response(null, { status: 204 })
  })
  assert.match(await raw(port, get('/x').replace('GET', 'TRACE')), /^HTTP\/1.1 405 /)
  assert.match(await raw(port, get('/broken')), /^HTTP\/1.1 500 /)
  assert.match(await raw(port, 'nonsense\r\n\r\n'), /^HTTP\/1.1 400 /)
  assert.match(await raw(port, get('/x')), /^HTTP\/1.1 204 /)
})

test('a whole answer has a length, a stream is flushed piece by piece and ends its connection', async (t) => {
  let push
  const port = await server(t, (request) => {
    if (request.url.endsWith('/whole')) return new Response('whole', { headers: { 'content-length': '5' } })
    return new Response(new ReadableStream({ start: (stream) => (push = stream) }))
  })
  assert.match(await raw(port, get('/whole')), /content-length: 5\r\n[^]*\r\n\r\nwhole$/)
  const streamed = new Promise((resolve, reject) => http.get({ port, path: '/stream' }, resolve).on('error', reject))
  const response = await streamed
  assert.equal(response.headers.connection, 'close')
  const pieces = response[Symbol.asyncIterator]()
  for (const piece of ['one', 'two']) {
    push.enqueue(new TextEncoder().encode(piece))
    assert.equal(String((await pieces.next()).value), piece)
  }
  push.close()
  assert.equal((await pieces.next()).done, true)
})

test('a client that goes away cancels its stream and aborts its request', async (t) => {
  let cancelled, signal
  const gone = new Promise((resolve) => (cancelled = resolve))
  const port = await server(t, (request) => {
    signal = request.signal
    return new Response(new ReadableStream({ start: (stream) => stream.enqueue(new Uint8Array(1)), cancel: cancelled }))
  })
  const client = http.get({ port }, (response) => response.once('data', () => client.destroy()))
  client.on('error', () => {})
  await gone
  assert.equal(signal.aborted, true)
})

test('an answer reaches a client that is still sending', async (t) => {
  const port = await server(t, async (request) => {
    await request.body.cancel()
    return new Response('enough', { status: 413, headers: { 'content-length': '6' } })
  })
  const status = await new Promise((resolve, reject) => {
    const request = http.request({ port, method: 'POST' }, (response) => resolve(response.statusCode))
    request.on('error', reject)
    for (let n = 0; n < 10; n++) request.write(Buffer.alloc(1 << 20))
    request.end()
  })
  assert.equal(status, 413)
})
