// A dispatch policy says who runs an entity: one webhook or one runner. What it may look like, where it comes from, and
// which subscription it stands for.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { sha16 } from '../harness/signature.mjs'
import { world } from '../harness/world.mjs'

const url = 'http://127.0.0.1:9/x'
const targets = (...list) => ({ targets: list })
const webhook = (more) => targets({ type: 'webhook', url, ...more })
const runner = (more) => targets({ type: 'runner', runnerId: 'r', ...more })

// What is wrong with a policy: where, and in which words.
const malformed = [
  [null, '', 'must be object'],
  ['webhook', '', 'must be object'],
  [[], '', 'must be object'],
  [{}, '', "must have required property 'targets'"],
  [{ ...webhook(), priority: 1 }, '', 'must NOT have additional properties'],
  [{ targets: null }, '/targets', 'must be array'],
  [{ targets: {} }, '/targets', 'must be array'],
  [targets(), '/targets', 'must NOT have fewer than 1 items'],
  [targets(...webhook().targets, ...runner().targets), '/targets', 'must NOT have more than 1 items'],
  [targets(null), '/targets/0', 'must be object'],
  [targets(url), '/targets/0', 'must be object'],
  [targets({}), '/targets/0', 'must match a schema in anyOf'],
  [targets({ url }), '/targets/0', 'must match a schema in anyOf'],
  [webhook({ type: 'Webhook' }), '/targets/0', 'must match a schema in anyOf'],
  [webhook({ type: 1 }), '/targets/0', 'must match a schema in anyOf'],
  [webhook({ url: undefined }), '/targets/0', "must have required property 'url'"],
  [webhook({ url: '' }), '/targets/0/url', 'must NOT have fewer than 1 characters'],
  [webhook({ url: [url] }), '/targets/0/url', 'must be string'],
  [webhook({ runnerId: 'r' }), '/targets/0', 'must NOT have additional properties'],
  [webhook({ subscriptionId: 's' }), '/targets/0', 'must NOT have additional properties'],
  [webhook({ subscription_id: '' }), '/targets/0/subscription_id', 'must NOT have fewer than 1 characters'],
  [webhook({ subscription_id: 5 }), '/targets/0/subscription_id', 'must be string'],
  [runner({ runnerId: undefined }), '/targets/0', "must have required property 'runnerId'"],
  [runner({ runnerId: undefined, runner_id: 'r' }), '/targets/0', "must have required property 'runnerId'"],
  [runner({ runnerId: '' }), '/targets/0/runnerId', 'must NOT have fewer than 1 characters'],
  [runner({ runnerId: null }), '/targets/0/runnerId', 'must be string'],
  [runner({ url }), '/targets/0', 'must NOT have additional properties'],
  [runner({ subscription_id: '' }), '/targets/0/subscription_id', 'must NOT have fewer than 1 characters'],
]
for (const [policy, where, message] of malformed) {
  test(`no policy: ${JSON.stringify(policy)}`, async (t) => {
    const w = await world(t)
    await w.type()
    const refuses = (answer, member) => {
      assert.equal(answer.status, 400, answer.text)
      assert.deepEqual(answer.json.error, {
        code: 'INVALID_REQUEST',
        message: 'Request body does not match API schema',
        details: [{ path: `/${member}${where}`, message }],
      })
    }
    refuses(await w.put(`/_electric/entities/${w.name}/e`, { dispatch_policy: policy }), 'dispatch_policy')
    assert.equal((await w.get(`/_electric/entities/${w.name}/e`)).status, 404)

    const again = { name: w.name, description: 'another', default_dispatch_policy: policy }
    refuses(await w.post('/_electric/entity-types', again), 'default_dispatch_policy')
    assert.equal((await w.get(`/_electric/entity-types/${w.name}`)).json.description, 'a test type')
  })
}

test('what a serve endpoint says of its policy is checked in the same way, in words of its own', async (t) => {
  const w = await world(t)
  const hook = await w.hook()
  for (const [policy, where, message] of malformed) {
    hook.answerOnce({ status: 200, body: { name: w.name, description: 'served', default_dispatch_policy: policy } })
    const answer = await w.post('/_electric/entity-types', { name: w.name, serve_endpoint: hook.url })
    assert.equal(answer.status, 400, answer.text)
    assert.deepEqual(answer.json.error, {
      code: 'INVALID_REQUEST',
      message: `default_dispatch_policy does not match dispatch policy schema: ${where || '/'} ${message}`,
    })
  }
  assert.equal((await w.get(`/_electric/entity-types/${w.name}`)).status, 404)
})

// Whose runner it is.

test('a runner target is for the runner’s owner alone, wherever the policy comes from', async (t) => {
  const w = await world(t)
  const { policy } = await w.runner(w.name, { as: 'user:alice' })
  const plain = await w.type()
  const byDefault = await w.type({ default_dispatch_policy: policy })
  const spawns = [
    ['explicit', plain, { dispatch_policy: policy }],
    ['by-default', byDefault, {}],
  ]
  for (const [id, type, body] of spawns) {
    const spawn = (as) => w.put(`/_electric/entities/${type}/${id}`, body, { as })
    for (const as of ['user:bob', 'agent:alice', 'system:framework']) {
      const answer = await spawn(as)
      assert.equal(answer.status, 403, answer.text)
      assert.deepEqual(answer.json.error, { code: 'UNAUTHORIZED', message: 'Runner dispatch requires the authenticated owner' })
    }
    const { dispatch_policy } = await w.spawn(type, id, body, { as: 'user:alice' })
    assert.deepEqual(dispatch_policy, policy)
  }
  // A child would inherit it.
  const parent = `/${plain}/explicit`
  const child = await w.put(`/_electric/entities/${plain}/child`, { parent }, { as: 'system:framework' })
  assert.equal(child.status, 403, child.text)
  assert.equal(child.json.error.message, 'Runner dispatch requires the authenticated owner')
  await w.spawn(plain, 'child', { parent }, { as: 'user:alice' })
})

test('a runner that nobody has registered is not found, wherever the policy comes from', async (t) => {
  const w = await world(t)
  const policy = runner({ runnerId: `${w.name}-none` })
  const message = `Runner "${w.name}-none" not found`
  const type = await w.type({ default_dispatch_policy: policy })
  const missing = (answer) => {
    assert.equal(answer.status, 404, answer.text)
    assert.deepEqual(answer.json.error, { code: 'NOT_FOUND', message })
  }
  missing(await w.put(`/_electric/entities/${type}/e`, {}))
  missing(await w.put(`/_electric/entities/${await w.type()}/e`, { dispatch_policy: policy }))
  await w.runner(`${w.name}-none`)
  assert.deepEqual((await w.spawn(type, 'e')).dispatch_policy, policy)
})

test('a policy that is taken with a send is checked like one of a spawn, for the entity’s creator', async (t) => {
  const w = await world(t)
  const { policy } = await w.runner(w.name, { as: 'user:alice' })
  await w.type()
  const bobs = await w.spawn(w.name, 'bobs', {}, { as: 'user:bob' })
  const alices = await w.spawn(w.name, 'alices', {}, { as: 'user:alice' })
  await w.type({ name: w.name, default_dispatch_policy: policy })
  const refused = await w.post(`/_electric/entities${bobs.url}/send`, { payload: 1 }, { as: 'user:bob' })
  assert.equal(refused.status, 403, refused.text)
  assert.equal(refused.json.error.message, 'Runner dispatch requires the authenticated owner')
  assert.deepEqual(await w.events(bobs.url, 'inbox'), [])
  assert.equal((await w.entity(bobs.url)).dispatch_policy, undefined)
  // Who sends does not matter; whose entity it is does.
  await w.send(alices.url, 1)
  assert.deepEqual((await w.entity(alices.url)).dispatch_policy, policy)
})

test('a subscription id that names another runner gives that one nothing', async (t) => {
  const w = await world(t)
  await w.type()
  const [mine, other] = [await w.runner(`${w.name}-mine`), await w.runner(`${w.name}-other`)]
  const policy = targets({ type: 'runner', runnerId: mine.id, subscription_id: `runner:${other.id}` })
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: policy, initialMessage: 'go' })
  const [event] = await mine.tail()
  assert.equal(event.subscription_id, `runner:${other.id}:${sha16(url)}`)
  assert.deepEqual(await w.read(`/runners/${other.id}/wake`), [])
  const refused = await other.tryClaim(event)
  assert.equal(refused.status, 400, refused.text)
  assert.equal(refused.json.error.message, 'Wake event subscription_id does not match runner')
  assert.equal((await mine.claim(event)).entity, url)
})

// Which policy it is: where the wake goes says so.

/** Webhooks by name, and a function that tells which of them was called for an entity, and under which id. */
async function places(t) {
  const w = await world(t)
  const hook = await w.hook()
  const at = (name, subscription_id) => webhook({ url: `${hook.url}/${name}`, ...(subscription_id && { subscription_id }) })
  async function woken(url) {
    const { body, delivery } = await w.woken(hook, ({ entity }) => entity.url === url)
    const name = delivery.path.split('/').at(-1)
    const none = `webhook:${sha16(`${hook.url}/${name}`)}`
    const [id] = body.subscription_id.split(`:${sha16(url)}`)
    return [name, id === none ? '' : id]
  }
  return { w, at, woken }
}

// The type's default, the parent's policy, the request's; where the child's first message goes, and under which id.
const effective = [
  ['the type’s, when nothing else is said', ['type'], undefined, undefined, ['type', '']],
  ['the type’s, with its subscription id', ['type', 's'], undefined, undefined, ['type', 's']],
  ['the parent’s before the type’s', ['type'], ['parent'], undefined, ['parent', '']],
  ['the parent’s, with its subscription id', ['type', 's'], ['parent', 'p'], undefined, ['parent', 'p']],
  ['the parent’s where the type has none', undefined, ['parent', 'p'], undefined, ['parent', 'p']],
  ['the request’s before all others', ['type', 's'], ['parent', 'p'], ['own', 'o'], ['own', 'o']],
  ['the request’s as it is, though the type names its target with an id', ['own', 's'], ['parent', 'p'], ['own'], ['own', '']],
  ['the parent’s, scoped to the type', ['parent', 's'], ['parent'], undefined, ['parent', 's']],
  ['the parent’s, scoped to another type than the parent’s', ['parent', 's'], ['parent', 'p'], undefined, ['parent', 's']],
  ['the parent’s, not scoped by a type without an id', ['parent'], ['parent', 'p'], undefined, ['parent', 'p']],
]
for (const [what, byType, byParent, byRequest, expected] of effective) {
  test(`the policy of a child is ${what}`, async (t) => {
    const { w, at, woken } = await places(t)
    const policy = (place) => place && at(...place)
    const kind = await w.type({ default_dispatch_policy: policy(byType) })
    const parent = await w.spawn(await w.type(), 'parent', { dispatch_policy: policy(byParent) })
    const { url, dispatch_policy } = await w.spawn(kind, 'child', { parent: parent.url, dispatch_policy: policy(byRequest), initialMessage: 'go' })
    assert.deepEqual(dispatch_policy, at(expected[0], expected[1] || undefined))
    assert.deepEqual(await woken(url), expected)
  })
}

test('runner targets are scoped to the type too', async (t) => {
  const w = await world(t)
  const runner = await w.runner()
  const [target] = runner.policy.targets
  const kind = await w.type({ default_dispatch_policy: targets({ ...target, subscription_id: `runner:${w.name}:kind` }) })
  const parent = await w.spawn(await w.type(), 'parent', { dispatch_policy: runner.policy })
  const { url } = await w.spawn(kind, 'child', { parent: parent.url, initialMessage: 'go' })
  const [event] = await runner.tail()
  assert.equal(event.subscription_id, `runner:${w.name}:kind:${sha16(url)}`)
  assert.equal((await runner.claim(event)).entity, url)
})

test('a send gives an entity without a policy the type’s, for good', async (t) => {
  const { w, at, woken } = await places(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const policy = async () => (await w.entity(url)).dispatch_policy
  const become = (name) => w.type({ name: w.name, default_dispatch_policy: at(name, `to-${name}`) })

  await become('first')
  assert.equal(await policy(), undefined, 'registering the type changes no entity')
  await w.send(url, 1)
  assert.deepEqual(await woken(url), ['first', 'to-first'])
  assert.deepEqual(await policy(), at('first', 'to-first'))

  await become('second')
  await w.send(url, 2)
  assert.deepEqual(await policy(), at('first', 'to-first'))
  const fresh = await w.spawn(w.name, 'fresh', { initialMessage: 1 })
  assert.deepEqual(await woken(fresh.url), ['second', 'to-second'])
})

test('who had a policy, or a parent with one, is not given the type’s', async (t) => {
  const { w, at, woken } = await places(t)
  await w.type()
  const own = await w.spawn(w.name, 'own', { dispatch_policy: at('own') })
  const child = await w.spawn(w.name, 'child', { parent: own.url })
  await w.type({ name: w.name, default_dispatch_policy: at('type') })
  for (const { url } of [own, child]) {
    await w.send(url, 1)
    assert.deepEqual(await woken(url), ['own', ''])
  }
})

test('an entity that nobody runs keeps its messages for who runs it later', async (t) => {
  const { w, at, woken } = await places(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', { initialMessage: 'before' })
  await w.send(url, 'again')
  await w.type({ name: w.name, default_dispatch_policy: at('late') })
  await w.send(url, 'now')
  assert.deepEqual(await woken(url), ['late', ''])
  assert.deepEqual((await w.events(url, 'inbox')).map((event) => event.value.payload), ['before', 'again', 'now'])
})

// The subscription it stands for, with the names that the protocol gives as examples; so on a server of its own.
test('the subscription ids of the protocol', async (t) => {
  const w = await world(t, { host: await startHost() })
  const runner = await w.runner('runner-1')
  await w.type({ name: 'horton' })
  const { url } = await w.spawn('horton', 'demo', { dispatch_policy: runner.policy, initialMessage: 'go' })
  assert.equal(url, '/horton/demo')
  const [event] = await runner.tail()
  assert.equal(event.subscription_id, 'runner:runner-1:04aa69b7ce9cf04c')

  await w.type({ name: 'horton-2' })
  const hook = await w.hook()
  const own = targets({ type: 'webhook', url: hook.url, subscription_id: 'webhook:horton' })
  await w.spawn('horton-2', 'demo', { dispatch_policy: own, initialMessage: 'go' })
  assert.equal((await w.woken(hook)).body.subscription_id, `webhook:horton:${sha16('/horton-2/demo')}`)

  // Without an id of its own, ours is the entity's besides.
  const plain = await w.spawn('horton-2', 'plain', { dispatch_policy: webhook({ url: 'http://localhost:3000/electric-agents' }) })
  assert.equal((await w.explain(plain.url)).dispatch.subscription, `webhook:1f2fbc4572158ce9:${sha16(plain.url)}`)
})
