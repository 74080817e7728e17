// A message wakes an agent outside the process: a signed webhook, with all that the agent needs to know.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, OFFSET, WAKE_ID } from '../harness/like.mjs'
import { parseSignature, sha16, signatureProblem } from '../harness/signature.mjs'
import { world } from '../harness/world.mjs'

test('a webhook carries the entity, its principal and the way back', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, args: { n: 1 }, tags: { a: 'b' } }, { as: 'user:alice' })
  await w.send(url, 'hello')
  const { body, delivery } = await w.woken(hook)
  assert.equal(delivery.method, 'POST')
  assert.equal(delivery.path, new URL(hook.url).pathname)
  assert.match(delivery.headers['content-type'], /^application\/json/)
  const subscription = `webhook:${sha16(hook.url)}:${sha16(url)}`
  like(body, {
    subscription_id: subscription,
    wake_id: WAKE_ID,
    generation: 1,
    streams: [{ path: `${url}/main`, offset: await w.tail(`${url}/main`) }],
    callback_url: (text) => new URL(text).pathname.endsWith(`/__ds/subscriptions/${encodeURIComponent(subscription)}/callback`),
    callback_token: String,
    entity: {
      type: w.name,
      status: 'idle',
      url,
      streams: { main: `${url}/main` },
      tags: { a: 'b' },
      spawnArgs: { n: 1 },
      createdBy: '/principal/user%3Aalice',
    },
    principal: { url: '/principal/user%3Aalice', key: 'user:alice', kind: 'user', id: 'alice' },
    triggerEvent: 'inbox',
    callback: (text) => new URL(text).pathname === `/_electric/wake-callbacks/${body.wake_id}`,
    consumerId: body.wake_id,
    epoch: 1,
    wakeId: body.wake_id,
    streamPath: `${url}/main`,
    claimToken: body.callback_token,
  })
  like(body.streams[0].offset, OFFSET)
})

test('a webhook is signed with a published key, at the time of sending', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 1 })
  const delivery = await hook.next()
  const header = delivery.headers['webhook-signature']
  const jwks = (await w.get('/__ds/jwks.json')).json
  const now = await w.now()
  assert.equal(signatureProblem({ header, body: delivery.text, jwks, now, tolerance: 0 }), undefined)
  assert.equal(signatureProblem({ header, body: `${delivery.text} `, jwks }), 'Invalid webhook signature')
  assert.equal(parseSignature(header).kid, jwks.keys[0].kid)
})

test('an explicit subscription id is scoped to the entity', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const policy = { targets: [{ type: 'webhook', url: hook.url, subscription_id: 'webhook:mine' }] }
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: policy, initialMessage: 1 })
  assert.equal((await w.woken(hook)).body.subscription_id, `webhook:mine:${sha16(url)}`)
})

test('a spawn wakes nobody, its first message does', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  await w.spawn(w.name, 'quiet', { dispatch_policy: hook.policy })
  const loud = await w.spawn(w.name, 'loud', { dispatch_policy: hook.policy, initialMessage: 1 })
  assert.equal((await w.woken(hook)).entity, loud.url)
  assert.deepEqual(hook.untaken, [])
})

test('entities behind one URL are woken each on its own', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const urls = []
  for (const id of ['a', 'b', 'c']) urls.push((await w.spawn(w.name, id, { dispatch_policy: hook.policy, initialMessage: 1 })).url)
  const wakes = [await w.woken(hook), await w.woken(hook), await w.woken(hook)]
  assert.deepEqual(wakes.map((wake) => wake.entity).sort(), urls)
  assert.equal(new Set(wakes.map((wake) => wake.body.wakeId)).size, 3)
})

test('an entity takes the policy that its type has by the time of the send', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e')
  await w.send(url, 'nobody hears')
  await w.type({ name: w.name, default_dispatch_policy: hook.policy })
  await w.send(url, 'somebody does')
  assert.equal((await w.woken(hook)).entity, url)
  assert.deepEqual((await w.entity(url)).dispatch_policy, hook.policy)
})
