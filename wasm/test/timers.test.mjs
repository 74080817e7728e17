// Time and the outside world: timers fire by themselves, also those that an earlier process armed; fetches are made.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'

import { eventually, pause, read, reveille } from './fixture.mjs'

async function task(w) {
  assert.equal((await w.ask('POST', '/_electric/entity-types', { name: 'task', description: 'a task' })).status, 201)
  assert.equal((await w.ask('PUT', '/_electric/entities/task/a', {})).status, 201)
  return async () => (await read(w, '/task/a/main')).filter(({ type }) => type === 'inbox').length
}

const send = (w, afterMs) => w.ask('POST', '/_electric/entities/task/a/send', { payload: 'hello', afterMs })

test('a delayed send arrives by itself', async (t) => {
  const w = reveille(t)
  const arrived = await task(w)
  await send(w, 40)
  assert.equal(await arrived(), 0)
  await eventually(async () => assert.equal(await arrived(), 1))
})

test('what fell due while nobody ran arrives when the tenant is opened', async (t) => {
  const first = reveille(t)
  await task(first)
  await send(first, 30)
  await send(first, 60)
  await first.router.close()
  await pause(35)
  const second = reveille(t, { dir: first.dir })
  await second.router.open()
  await eventually(async () => assert.equal((await read(second, '/task/a/main')).filter(({ type }) => type === 'inbox').length, 2))
})

test('a virtual clock stands still', async (t) => {
  const w = reveille(t, { virtual: true })
  const arrived = await task(w)
  await send(w, 1)
  await pause(30)
  assert.equal(await arrived(), 0)
  await w.ask('POST', '/_reveille/dev/clock', { advance_ms: 1 })
  assert.equal(await arrived(), 1)
})

test('a webhook is delivered, and its redirects are not followed', async (t) => {
  const seen = []
  const server = http.createServer((request, response) => {
    seen.push([request.method, request.url])
    request.resume()
    if (request.url === '/hook') response.writeHead(302, { location: '/elsewhere' }).end()
    else response.end('{}')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const w = reveille(t, { publicUrl: 'http://reveille.test' })
  await task(w)
  const policy = { targets: [{ type: 'webhook', url: `http://127.0.0.1:${server.address().port}/hook` }] }
  const spawned = await w.ask('PUT', '/_electric/entities/task/b', { dispatch_policy: policy, initialMessage: 'go' })
  assert.equal(spawned.status, 201, await spawned.text())
  await eventually(() => assert.ok(seen.length >= 1))
  await pause(30)
  assert.deepEqual(seen, [['POST', '/hook']])
})

test('a fetch is held to its size', async (t) => {
  const { readAtMost } = await import('../npm/body.js')
  assert.equal((await readAtMost(new Response('0123456789'), 4)).length, 4)
  assert.equal((await readAtMost(new Response('0123'), 4)).length, 4)
  assert.equal((await readAtMost(new Response(null), 4)).length, 0)
})
