// A runner is registered by its owner, and is nobody else's business.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const devLocal = '/principal/system%3Adev-local'

test('a runner is registered with its wake stream', async (t) => {
  const w = await world(t)
  const answer = await w.post('/_electric/runners', { id: w.name, label: 'Laptop' })
  assert.equal(answer.status, 201, answer.text)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  like(answer.json, {
    id: w.name,
    owner_principal: devLocal,
    label: 'Laptop',
    kind: 'local',
    admin_status: 'enabled',
    wake_stream: `/runners/${w.name}/wake`,
    sandbox_profiles: [],
    created_at: ISO,
    updated_at: ISO,
  })
  const stream = await w.get(`/runners/${w.name}/wake?offset=-1`)
  assert.equal(stream.status, 200)
  assert.equal(stream.text, '[]')
  assert.equal(stream.headers['stream-next-offset'], START)
})

test('registering again changes what is said, and re-enables', async (t) => {
  const w = await world(t)
  const profiles = [{ name: 'local', label: 'Local', description: 'here', remote: false }]
  const first = await w.post('/_electric/runners', { id: w.name, label: 'a', kind: 'ci', admin_status: 'disabled', sandbox_profiles: profiles })
  assert.equal(first.json.admin_status, 'disabled')
  assert.equal(first.json.kind, 'ci')
  await w.advance(5)
  const second = await w.post('/_electric/runners', { id: w.name, label: 'b' })
  assert.equal(second.status, 201)
  like(second.json, { ...first.json, label: 'b', kind: 'local', admin_status: 'enabled', updated_at: ISO })
  assert.deepEqual(second.json.sandbox_profiles, profiles)
})

test('a runner is read by its owner', async (t) => {
  const w = await world(t)
  const registered = (await w.post('/_electric/runners', { id: w.name, label: 'x' })).json
  const answer = await w.get(`/_electric/runners/${w.name}`)
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.json, registered)
})

test('the list shows one’s own, newest first', async (t) => {
  const w = await world(t)
  const as = `user:${w.name}`
  for (const id of ['a', 'b', 'c']) {
    await w.runner(`${w.name}-${id}`, { as })
    await w.advance(1)
  }
  await w.runner(`${w.name}-other`)
  const list = await w.get('/_electric/runners', { as })
  assert.equal(list.status, 200)
  assert.deepEqual(list.json.map((runner) => runner.id), ['c', 'b', 'a'].map((id) => `${w.name}-${id}`))
  const owner = encodeURIComponent(`/principal/user%3A${w.name}`)
  assert.deepEqual((await w.get(`/_electric/runners?owner_principal=${owner}`, { as })).json, list.json)
  assert.equal((await w.get(`/_electric/runners?owner_principal=${owner}`, { as: 'user:mallory' })).status, 403)
  assert.equal((await w.get('/_electric/runners?owner_principal=nonsense', { as })).status, 400)
})

test('everything about a runner is its owner’s only', async (t) => {
  const w = await world(t)
  const { id } = await w.runner(w.name, { as: 'user:alice' })
  const attempts = [
    ['GET', `/_electric/runners/${id}`, undefined, 'Runner access requires the authenticated owner'],
    ['POST', `/_electric/runners/${id}/heartbeat`, {}, 'Runner access requires the authenticated owner'],
    ['POST', `/_electric/runners/${id}/claim`, {}, 'Runner claim requires the authenticated owner'],
    ['POST', '/_electric/runners', { id, label: 'mine now' }, undefined],
  ]
  for (const as of ['user:bob', undefined]) {
    for (const [method, path, body, message] of attempts) {
      const answer = await w.http(method, path, { body, as })
      assert.equal(answer.status, 403, `${method} ${path} ${answer.text}`)
      assert.equal(answer.json.error.code, 'UNAUTHORIZED')
      if (message) assert.equal(answer.json.error.message, message)
    }
  }
  assert.equal((await w.get(`/_electric/runners/${id}`, { as: 'user:alice' })).json.label, 'a test runner')
})

test('a wake stream is read by its owner only, and written by nobody', async (t) => {
  const w = await world(t)
  const { id } = await w.runner(w.name, { as: 'user:alice' })
  const path = `/runners/${id}/wake`
  assert.equal((await w.get(`${path}?offset=-1`, { as: 'user:alice' })).status, 200)
  for (const live of ['', '&live=long-poll', '&live=sse']) {
    const answer = await w.get(`${path}?offset=-1${live}`, { as: 'user:bob' })
    assert.ok([401, 403].includes(answer.status), `${live} ${answer.status}`)
  }
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const body = method === 'DELETE' ? undefined : '[{"type":"wake"}]'
    for (const as of ['user:alice', 'user:bob']) {
      const answer = await w.http(method, path, { as, body })
      assert.ok([401, 403, 405].includes(answer.status), `${method} as ${as}: ${answer.status}`)
    }
  }
  assert.deepEqual(await w.read(path, { as: 'user:alice' }), [])
})

test('an unknown runner is a 404', async (t) => {
  const w = await world(t)
  for (const [method, path] of [['GET', ''], ['POST', '/heartbeat'], ['POST', '/claim']]) {
    const answer = await w.http(method, `/_electric/runners/nobody${path}`, { body: method === 'POST' ? {} : undefined })
    assert.equal(answer.status, 404)
    assert.deepEqual(answer.json.error, { code: 'NOT_FOUND', message: 'Runner not found' })
  }
})

const refusals = [
  ['without an id', { label: 'x' }, 400],
  ['without a label', { id: 'x' }, 400],
  ['of an unknown kind', { id: 'x', label: 'x', kind: 'toaster' }, 400],
  ['for a malformed owner', { id: 'x', label: 'x', owner_principal: 'alice' }, 400, 'owner_principal must be a valid principal URL (e.g. /principal/user%3Aalice), got: alice'],
  ['for another owner', { id: 'x', label: 'x', owner_principal: '/principal/user%3Amallory' }, 403, 'owner_principal must match the authenticated principal'],
]
for (const [what, body, status, message] of refusals) {
  test(`a runner is refused ${what}`, async (t) => {
    const w = await world(t)
    const answer = await w.post('/_electric/runners', body)
    assert.equal(answer.status, status, answer.text)
    if (message) assert.equal(answer.json.error.message, message)
  })
}

test('an owner may be named, encoded or not', async (t) => {
  const w = await world(t)
  for (const owner of ['/principal/user%3Aalice', '/principal/user:alice']) {
    const answer = await w.post('/_electric/runners', { id: w.name, label: 'x', owner_principal: owner }, { as: 'user:alice' })
    assert.equal(answer.status, 201, answer.text)
    assert.equal(answer.json.owner_principal, '/principal/user%3Aalice')
  }
})

test('a heartbeat tells what was said in it, and how long it counts', async (t) => {
  const w = await world(t)
  const registered = (await w.post('/_electric/runners', { id: w.name, label: 'x' })).json
  await w.advance(1_000)
  const beat = (body) => w.post(`/_electric/runners/${w.name}/heartbeat`, body)
  const first = await beat({ lease_ms: 15_000, wake_stream_offset: '-1' })
  assert.equal(first.status, 200, first.text)
  like(first.json, { ...registered, last_seen_at: ISO, liveness_lease_expires_at: ISO, wake_stream_offset: '-1' })
  const lease = ({ json }) => Date.parse(json.liveness_lease_expires_at) - Date.parse(json.last_seen_at)
  assert.equal(lease(first), 15_000)
  assert.equal(Date.parse(first.json.last_seen_at), await w.now())

  const second = await beat({})
  like(second.json, { ...registered, last_seen_at: ISO, liveness_lease_expires_at: ISO })
  assert.equal(lease(second), 30_000)
  assert.equal((await beat({ wakeStreamOffset: 'x' })).json.wake_stream_offset, 'x')
  assert.equal((await w.get(`/_electric/runners/${w.name}`)).json.last_seen_at, undefined)
})

test('diagnostics are kept to what is known and well formed', async (t) => {
  const w = await world(t)
  await w.runner()
  const good = {
    status: 'streaming',
    stream_connected: true,
    last_heartbeat_ok: false,
    last_claim_result: 'no_work',
    started_at: '2026-11-20T09:21:39.132Z',
    stream_connected_since: null,
    last_error: 'x',
    reconnect_count: 0,
    events_received: 7,
  }
  const bad = { status2: 'x', last_claim_at: 5, claims_failed: -1, claims_skipped: '3', password: 'secret' }
  const beat = async (diagnostics) => (await w.post(`/_electric/runners/${w.name}/heartbeat`, { diagnostics })).json.diagnostics
  assert.deepEqual(await beat({ ...good, ...bad }), good)
  assert.deepEqual(await beat({ status: 'napping', last_claim_result: 'lost', reconnect_count: 1 }), { reconnect_count: 1 })
})
