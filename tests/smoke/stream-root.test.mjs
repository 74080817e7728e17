// Streams may stand under a root of their own: then there are streams and their subscriptions there, and no control plane.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { START } from '../harness/like.mjs'
import { signatureProblem } from '../harness/signature.mjs'
import { world } from '../harness/world.mjs'

const root = '/v1/stream'
const json = { 'content-type': 'application/json' }

test('with a root of their own, streams stand there and nowhere else', async (t) => {
  const w = await world(t, { host: await startHost({ args: ['--stream-root', root] }) })

  await t.test('a stream is created, located, forked, read and deleted below the root', async () => {
    const made = await w.put(`${root}/a/b`, [1])
    assert.equal(made.status, 201)
    assert.equal(made.headers.location, `${w.url}${root}/a/b`)
    assert.equal((await w.post(`${root}/a/b`, [2])).status, 204)
    const fork = { 'stream-forked-from': `${root}/a/b`, 'stream-fork-offset': START, 'stream-fork-sub-offset': '1' }
    assert.equal((await w.http('PUT', `${root}/fork`, { headers: fork })).status, 201)
    assert.equal((await w.http('PUT', `${root}/fork2`, { headers: { 'stream-forked-from': '/a/b' } })).status, 400)
    assert.deepEqual(await w.read(`${root}/a/b`), [1, 2])
    assert.deepEqual(await w.read(`${root}/fork`), [1])
    assert.equal((await w.delete(`${root}/fork`)).status, 204)
  })

  for (const path of ['/_electric/x', '/_reveille/x', '/runners/x/wake', '/task/x/main']) {
    await t.test(`no path below the root is anybody’s: ${path}`, async () => {
      assert.equal((await w.put(root + path, [1])).status, 201)
      assert.deepEqual(await w.read(root + path), [1])
    })
  }

  const nowhere = [
    ['PUT', '/a/b'],
    ['GET', '/a/b'],
    ['PUT', '/v1/streams/a'],
    ['PUT', '/v1'],
    ['PUT', root],
    ['PUT', `${root}/`],
    ['GET', '/_electric/entities'],
    ['POST', '/_electric/entity-types'],
    ['PUT', '/_electric/entities/task/x'],
    ['POST', '/_electric/wake'],
    ['POST', '/_electric/runners'],
    ['PUT', '/__ds/subscriptions/x'],
    ['GET', '/__ds/jwks.json'],
    ['GET', `${root}/__ds`],
  ]
  for (const [method, path] of nowhere) {
    await t.test(`there is nothing at ${method} ${path}`, async () => {
      assert.equal((await w.http(method, path, { headers: json })).status, 404)
    })
  }

  await t.test('subscriptions and keys stand below the root, and say so', async (t) => {
    const hook = await w.hook()
    const path = `${root}/__ds/subscriptions/s`
    const made = await w.put(path, { type: 'webhook', pattern: 'told/*', webhook: { url: hook.url } })
    assert.equal(made.status, 201, made.text)
    assert.equal(made.json.webhook.signing.jwks_url, `${w.url}${root}/__ds/jwks.json`)
    await w.put(`${root}/told/x`, [1])
    const { json: body, headers, text } = await hook.next()
    assert.deepEqual(body.streams.map((stream) => stream.path), ['told/x'])
    assert.equal(body.callback_url, `${w.url}${path}/callback`)
    const jwks = (await w.get(`${root}/__ds/jwks.json`)).json
    assert.equal(signatureProblem({ header: headers['webhook-signature'], body: text, jwks }), undefined)
    const proof = { wake_id: body.wake_id, generation: 1, acks: [{ stream: 'told/x', offset: body.streams[0].tail_offset }], done: true }
    const done = await w.post(`${path}/callback`, proof, { headers: { authorization: `Bearer ${body.callback_token}` } })
    assert.deepEqual(done.json, { ok: true, next_wake: false })
  })

  await t.test('what is the server’s own stays where it is', async () => {
    assert.equal((await w.get('/')).status, 200)
    assert.equal((await w.get('/_reveille/signing-keys')).status, 200)
    assert.equal(typeof (await w.now()), 'number')
    const preflight = await w.http('OPTIONS', `${root}/a/b`, { headers: { origin: 'http://a.example', 'access-control-request-method': 'PUT' } })
    assert.ok([200, 204].includes(preflight.status))
  })
})
