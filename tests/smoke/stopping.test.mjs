// A server that stops starts nothing new: what would have been delivered is delivered by who comes next. And no stream
// server calls us, so its webhooks are for nobody.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'

import { hostName, startHost } from '../harness/host.mjs'
import { world } from '../harness/world.mjs'

const path = '/_electric/subscription-webhooks'

for (const method of ['POST', 'GET', 'PUT', 'PATCH', 'DELETE']) {
  test(`${method} of a subscription’s webhook: there is none`, async (t) => {
    const w = await world(t)
    for (const below of ['x', 'webhook%3Ax%3A0123456789abcdef', 'x/y']) {
      const answer = await w.http(method, `${path}/${below}`, { body: method === 'GET' ? undefined : { wake_id: 'w' } })
      assert.equal(answer.status, 404, below)
      assert.deepEqual(answer.json, { error: { code: 'SUBSCRIPTION_NOT_FOUND', message: 'Unknown webhook subscription' } })
    }
    // Nor does it matter who calls, or with what.
    assert.equal((await w.http(method, `${path}/x`, { as: 'user:nobody', body: method === 'GET' ? undefined : '{' })).status, 404)
  })
}

/** A request whose head has arrived; `finish` sends its body and gives the answer. */
async function begun(w, method, path, body) {
  const text = JSON.stringify(body)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), 'reveille-test-id': w.testId }
  const req = http.request(w.url, { method, path, headers, agent: false })
  const answer = new Promise((resolve, reject) => {
    req.on('error', reject)
    req.on('response', async (res) => {
      const chunks = []
      for await (const chunk of res) chunks.push(chunk)
      const text = Buffer.concat(chunks).toString()
      resolve({ status: res.statusCode, headers: res.headers, text, json: text && JSON.parse(text) })
    })
  })
  answer.catch(() => {})
  req.write(text.slice(0, 1))
  await w.settle()
  return { finish: () => (req.end(text.slice(1)), answer) }
}

/** A server of the test's own that has been asked to stop, and cannot yet because of what was begun. */
async function stopping(t, prepare) {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  const request = await prepare(w, url)
  host.child.kill('SIGTERM')
  await new Promise((resolve) => setTimeout(resolve, 150))
  return {
    w,
    hook,
    url,
    request,
    ended: () => host.exited,
    async restart() {
      await host.exited
      await host.restart()
      w.testId += ' after the restart'
    },
  }
}

// workerd does not tell its workers that it stops: it drops what is under way.
const skip = hostName === 'worker' && 'workerd tells nobody that it stops'

test('while the server stops, that is what it answers to a webhook', { skip }, async (t) => {
  const { request, restart } = await stopping(t, (w) => begun(w, 'POST', `${path}/x`, { wake_id: 'w' }))
  const answer = await request.finish()
  assert.equal(answer.status, 503, answer.text)
  assert.deepEqual(answer.json, { error: { code: 'SERVER_STOPPING', message: 'Server is shutting down' } })
  assert.equal(answer.headers['access-control-allow-origin'], '*', 'a browser may read it')
  await restart()
})

test('a server that stops takes a message and leaves its delivery to the next, or refuses it', { skip }, async (t) => {
  const send = (w, url) => begun(w, 'POST', `/_electric/entities${url}/send`, { payload: 'last' })
  const { w, hook, url, request, ended, restart } = await stopping(t, send)
  const answer = await request.finish()
  await ended()
  assert.deepEqual(hook.all, [], 'nothing was delivered by the server that stopped')
  await restart()
  const inbox = (await w.events(url, 'inbox')).map((event) => event.value.payload)
  if (answer.status === 503) {
    assert.equal(answer.json.error.code, 'SERVER_STOPPING')
    assert.equal(answer.headers['access-control-allow-origin'], '*')
    assert.deepEqual(inbox, [])
    return
  }
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(inbox, ['last'])
  const wake = await w.advanceUntil(w.woken(hook), { step: 1_000 })
  assert.equal(wake.body.generation, 1)
  await wake.claim()
  assert.equal((await wake.done()).json.next_wake, false)
  assert.equal(hook.all.length, 1)
})

test('a delivery that was under way when the server stopped comes again, as the same wake', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const hook = await w.hook()
  let answers
  hook.answerOnce(() => new Promise((resolve) => (answers = () => resolve({ status: 200, body: { ok: true } }))))
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 'go' })
  await w.eventually(() => assert.equal(hook.all.length, 1))
  await host.stop()
  answers() // It hears nobody any more.
  await host.restart()
  const first = await w.woken(hook)
  w.testId += ' after the restart'
  const again = await w.advanceUntil(w.woken(hook), { step: 1_000 })
  assert.equal(again.entity, url)
  assert.equal(again.body.wakeId, first.body.wakeId)
  assert.equal(again.body.generation, 1)
  await again.claim()
  assert.equal((await again.done()).json.next_wake, false)
})
