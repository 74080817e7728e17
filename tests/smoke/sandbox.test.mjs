// The sandbox that an entity runs in: chosen when it is spawned, from what the runners offer.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { refuses } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const INVALID = 'INVALID_REQUEST'
const SCHEMA = 'Request body does not match API schema'
const webhook = { targets: [{ type: 'webhook', url: 'http://127.0.0.1:9/agent' }] }
const onRunner = (runnerId) => ({ targets: [{ type: 'runner', runnerId }] })
const shared =
  'a shared sandbox (sandbox.key / sandbox.inherit) requires the entity to be pinned to a single runner via dispatch_policy, so all collaborators share one host.'

/** Two runners: `one` offers a local and a remote profile, `two` the local one as a remote, too, and one of its own. */
async function offering(t) {
  const w = await world(t)
  await w.type()
  const [local, remote, mixed] = ['local', 'remote', 'mixed'].map((kind) => `${w.name}-${kind}`)
  const [one, two] = [`${w.name}-one`, `${w.name}-two`]
  const register = async (id, sandbox_profiles) => {
    const answer = await w.post('/_electric/runners', { id, label: id, sandbox_profiles })
    assert.equal(answer.status, 201, answer.text)
    return answer.json
  }
  await register(one, [{ name: local, label: 'Local' }, { name: remote, remote: true }, { name: mixed, remote: true }])
  await register(two, [{ name: mixed, label: 'Mixed', description: 'here', remote: false }])
  let made = 0
  const spawn = (sandbox, body = {}) => w.put(`/_electric/entities/${w.name}/${made++}`, { sandbox, ...body })
  const spawned = async (sandbox, body) => {
    const answer = await spawn(sandbox, body)
    assert.equal(answer.status, 201, answer.text)
    assert.deepEqual((await w.entity(answer.json.url)).sandbox, answer.json.sandbox)
    return answer.json
  }
  return { w, local, remote, mixed, one, two, register, spawn, spawned }
}

test('what is chosen is what the entity has, wherever it is shown', async (t) => {
  const { w, local, one, spawned } = await offering(t)
  const sandbox = { profile: local, scope: 'wake', persistent: true }
  const { url } = await spawned(sandbox, { dispatch_policy: onRunner(one), tags: { w: w.name } })
  const [listed] = (await w.get(`/_electric/entities?type=${w.name}`)).json
  assert.deepEqual(listed.sandbox, sandbox)
  const ensured = await w.post('/_electric/observations/entities/ensure-stream', { tags: { w: w.name } })
  assert.equal(ensured.status, 200, ensured.text)
  const member = await w.eventually(async () => {
    await w.advance(0) // Where there are many entities they are gone through a chunk at a time.
    const [member] = await w.read(ensured.json.streamUrl)
    assert.ok(member)
    return member
  })
  assert.deepEqual(member.value.sandbox, sandbox)
  await w.send(url, 'go')
  const [event] = await w.read(`/runners/${one}/wake`)
  const claim = await w.post(`/_electric/runners/${one}/claim`, event)
  assert.equal(claim.status, 200, claim.text)
  assert.deepEqual(claim.json.entity.sandbox, sandbox)
})

test('an entity without a choice has no sandbox', async (t) => {
  const { w, one, spawned } = await offering(t)
  const hook = await w.hook()
  const { url } = await spawned(undefined, { dispatch_policy: hook.policy, initialMessage: 'go' })
  assert.ok(!('sandbox' in (await w.entity(url))))
  assert.ok(!('sandbox' in (await w.woken(hook)).body.entity))
  assert.ok(!('sandbox' in (await spawned(undefined, { dispatch_policy: onRunner(one) }))))
})

test('what a choice comes to', async (t) => {
  const { local, remote, mixed, one, two, spawned } = await offering(t)
  const none = {}
  const pinned = { dispatch_policy: onRunner(one) }
  for (const [sandbox, body, want] of [
    [{ profile: local }, none, { profile: local }],
    [{ profile: local }, { dispatch_policy: webhook }, { profile: local }],
    [{ profile: local, unknown: 1, inherit: false }, pinned, { profile: local }],
    [{ profile: local, scope: 'entity', persistent: false, owner: true }, none, { profile: local, scope: 'entity', persistent: false }],
    [{ profile: local, owner: false }, none, { profile: local, owner: false }],
    [{ profile: local, key: 'k', scope: 'wake', persistent: true }, pinned, { profile: local, key: 'k', persistent: true }],
    [{ profile: local, key: '', scope: 'wake' }, none, { profile: local, scope: 'wake' }],
    [{ profile: remote, key: 'k' }, none, { profile: remote, key: 'k' }],
    [{ profile: remote, key: 'k' }, { dispatch_policy: webhook }, { profile: remote, key: 'k' }],
    [{ profile: mixed, key: 'k' }, pinned, { profile: mixed, key: 'k' }],
    [{ profile: mixed, key: 'k' }, { dispatch_policy: onRunner(two) }, { profile: mixed, key: 'k' }],
  ]) {
    assert.deepEqual((await spawned(sandbox, body)).sandbox, want, JSON.stringify([sandbox, body]))
  }
})

test('a child has a share in what its parent shares, and in nothing else', async (t) => {
  const { local, remote, one, spawned } = await offering(t)
  const parent = await spawned({ profile: local, key: 'k', persistent: true }, { dispatch_policy: onRunner(one) })
  const inherit = { inherit: true, profile: remote, key: 'other', scope: 'wake', persistent: false, owner: true }
  const child = await spawned(inherit, { parent: parent.url })
  assert.deepEqual(child.sandbox, { profile: local, key: 'k', persistent: true, owner: false })
  const grandchild = await spawned({ inherit: true }, { parent: child.url })
  assert.deepEqual(grandchild.sandbox, child.sandbox)
  const alone = await spawned({ profile: local, scope: 'wake' })
  for (const body of [{ parent: alone.url }, {}]) assert.ok(!('sandbox' in (await spawned({ inherit: true }, body))))
  assert.ok(!('sandbox' in (await spawned(undefined, { parent: parent.url }))), 'only when it is asked for')
})

test('what is refused of a choice, and which refusal wins', async (t) => {
  const { w, local, mixed, one, two, spawn } = await offering(t)
  await w.type({ name: `${w.name}-strict`, creation_schema: { type: 'object', required: ['n'] } })
  await w.spawn(w.name, 'taken')
  const nothing = `${w.name}-nothing`
  const unknown = { profile: nothing, key: 'k' }
  const put = (path, sandbox, more) => w.put(`/_electric/entities/${path}`, { sandbox, ...more })
  for (const [what, answer, status, code, message] of [
    ['null', await spawn(null), 400, INVALID, SCHEMA],
    ['a text', await spawn('local'), 400, INVALID, SCHEMA],
    ['a profile that is no text', await spawn({ profile: 1 }), 400, INVALID, SCHEMA],
    ['a profile that is too long', await spawn({ profile: 'x'.repeat(1_025) }), 400, INVALID, SCHEMA],
    ['a scope that is none', await spawn({ profile: local, scope: 'tenant' }), 400, INVALID, SCHEMA],
    ['a flag that is none', await spawn({ inherit: 'yes' }), 400, INVALID, SCHEMA],
    ['a runner that is not there', await spawn(unknown, { dispatch_policy: onRunner(nothing) }), 404, 'NOT_FOUND', `Runner "${nothing}" not found`],
    ['arguments that do not fit', await put(`${w.name}-strict/e`, unknown, { args: {} }), 422, 'SCHEMA_VALIDATION_FAILED'],
    ['a URL that is taken', await put(`${w.name}/taken`, unknown), 409, 'DUPLICATE_URL'],
    ['no profile', await spawn({ key: 'k' }), 400, INVALID, 'sandbox requires a "profile" (or "inherit": true with a parent that has a shared sandbox).'],
    ['an empty profile', await spawn({ profile: '' }), 400, INVALID, /^sandbox requires a "profile"/],
    ['a profile that the runner does not offer', await spawn({ profile: local, key: 'k' }, { dispatch_policy: onRunner(two) }), 400, INVALID, `sandbox profile "${local}" is not advertised by runner "${two}" (advertised: ${mixed}).`],
    ['a profile that nobody offers', await spawn(unknown), 400, INVALID, new RegExp(`^sandbox profile "${nothing}" is not offered by any registered runner \\(available: .+\\)\\.$`)],
    ['a local one to be shared', await spawn({ profile: local, key: 'k' }), 400, INVALID, shared],
    ['one that is local somewhere', await spawn({ profile: mixed, key: 'k' }, { dispatch_policy: webhook }), 400, INVALID, shared],
  ]) {
    await t.test(what, () => refuses(answer, status, code, message))
  }
  assert.equal((await w.get(`/_electric/entities?type=${w.name}`)).json.length, 1)
  assert.equal((await spawn({ profile: mixed, key: 'k' }, { dispatch_policy: onRunner(one) })).status, 201)
})

test('a runner offers what it said last', async (t) => {
  const { w, local, remote, mixed, one, two, register, spawn, spawned } = await offering(t)
  const pinned = { dispatch_policy: onRunner(one) }
  const before = await spawned({ profile: local }, pinned)
  const kept = await register(one, undefined)
  assert.deepEqual(kept.sandbox_profiles.map(({ name }) => name), [local, remote, mixed])
  await spawned({ profile: local }, pinned)
  await register(one, [{ name: remote, remote: false }])
  refuses(await spawn({ profile: local }, pinned), 400, INVALID, `sandbox profile "${local}" is not advertised by runner "${one}" (advertised: ${remote}).`)
  refuses(await spawn({ profile: local }), 400, INVALID, /is not offered by any registered runner/)
  refuses(await spawn({ profile: remote, key: 'k' }), 400, INVALID, shared)
  await register(one, [])
  refuses(await spawn({ profile: remote }, pinned), 400, INVALID, `sandbox profile "${remote}" is not advertised by runner "${one}" (advertised: (none)).`)
  await register(two, [{ name: mixed, remote: true }])
  await spawned({ profile: mixed, key: 'k' })
  assert.deepEqual((await w.entity(before.url)).sandbox, { profile: local })
})

test('what a runner may say of its profiles', async (t) => {
  const w = await world(t)
  const register = (sandbox_profiles) => w.post('/_electric/runners', { id: w.name, label: 'x', sandbox_profiles })
  const details = async (profiles) => {
    const answer = await register(profiles)
    refuses(answer, 400, INVALID, SCHEMA)
    return answer.json.error.details
  }
  assert.deepEqual(await details({}), [{ path: '/sandbox_profiles', message: 'must be array' }])
  assert.deepEqual(await details(['a', {}, { name: '' }, { name: 'a', remote: 1 }]), [
    { path: '/sandbox_profiles/0', message: 'must be object' },
    { path: '/sandbox_profiles/1', message: "must have required property 'name'" },
    { path: '/sandbox_profiles/2/name', message: 'must NOT have fewer than 1 characters' },
    { path: '/sandbox_profiles/3/remote', message: 'must be boolean' },
  ])
  const many = (n) => Array.from({ length: n }, (_, i) => ({ name: `p${i}` }))
  assert.deepEqual(await details(many(65)), [{ path: '/sandbox_profiles', message: 'must NOT have more than 64 items' }])
  assert.deepEqual(await details([{ name: 'a', label: 'x'.repeat(70_000) }]), [{ path: '/sandbox_profiles', message: 'must NOT be longer than 65536 bytes' }])
  const fine = [...many(63), { name: 'last', more: { is: 'kept' } }]
  assert.deepEqual((await register(fine)).json.sandbox_profiles, fine)
})
