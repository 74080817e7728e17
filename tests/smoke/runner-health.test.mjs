// How a runner is, by what it said last and how long ago.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

async function registered(t, options) {
  const w = await world(t)
  await w.type()
  const runner = await w.runner(w.name, options)
  const at = `/_electric/runners/${runner.id}`
  const health = async () => {
    const answer = await w.get(`${at}/health`, options)
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }
  const post = async (what, body) => {
    const answer = await w.post(`${at}/${what}`, body, options)
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }
  return { w, runner, health, post, beat: (body) => post('heartbeat', body) }
}

const fine = { status: 'streaming', stream_connected: true, last_heartbeat_ok: true, reconnect_count: 0 }
const never = 'Runner has never sent a heartbeat'
const mute = 'No client diagnostics available'

test('a new runner has never been heard of', async (t) => {
  const { w, runner, health } = await registered(t)
  like(await health(), {
    runner: {
      id: runner.id,
      admin_status: 'enabled',
      liveness_status: 'offline',
      lease_expires_at: null,
      lease_remaining_ms: null,
      wake_stream: `/runners/${runner.id}/wake`,
      wake_stream_offset: null,
      last_seen_at: null,
      created_at: ISO,
    },
    client: null,
    claims: { active_count: 0, active: [] },
    dispatch: { entities_with_active_claim: 0, entities_with_outstanding_wake: 0, entities_with_pending_work: 0 },
    health: { status: 'degraded', issues: [never] },
  })
  assert.equal((await w.get(`/_electric/runners/${runner.id}/health`)).headers['content-type'], 'application/json; charset=utf-8')
})

test('a heartbeat makes a runner healthy, and tells until when', async (t) => {
  const { w, health, beat } = await registered(t)
  await beat({ lease_ms: 20_000, wake_stream_offset: 'o', diagnostics: fine })
  const seen = await w.now()
  await w.advance(5_000)
  const { runner, client, health: verdict } = await health()
  const { liveness_status, lease_expires_at, lease_remaining_ms, wake_stream_offset, last_seen_at } = runner
  assert.deepEqual([liveness_status, lease_remaining_ms, wake_stream_offset], ['online', 15_000, 'o'])
  assert.equal(Date.parse(last_seen_at), seen)
  assert.equal(Date.parse(lease_expires_at), seen + 20_000)
  assert.deepEqual(client, fine)
  assert.deepEqual(verdict, { status: 'healthy', issues: [] })
})

// What the last heartbeat said, and what that makes of the runner.
const rules = [
  ['says nothing about itself', undefined, 'degraded', [mute]],
  ['says only what is unknown', { colour: 'red', reconnect_count: -1 }, 'degraded', [mute]],
  ['has lost its stream', { ...fine, stream_connected: false }, 'degraded', ['Client reports stream disconnected']],
  ['failed to send a heartbeat', { ...fine, last_heartbeat_ok: false }, 'degraded', ['Client reports last heartbeat failed']],
  ['has reconnected five times', { ...fine, reconnect_count: 5 }, 'healthy', []],
  ['has reconnected six times', { ...fine, reconnect_count: 6 }, 'degraded', ['Client has reconnected 6 times']],
  ['tells neither of its stream nor of its heartbeats', { status: 'starting' }, 'healthy', []],
  [
    'has every trouble there is',
    { stream_connected: false, last_heartbeat_ok: false, reconnect_count: 12 },
    'degraded',
    ['Client reports stream disconnected', 'Client reports last heartbeat failed', 'Client has reconnected 12 times'],
  ],
]
for (const [what, diagnostics, status, issues] of rules) {
  test(`a runner that ${what}`, async (t) => {
    const { w, health, post, beat } = await registered(t)
    await beat({ lease_ms: 10_000, diagnostics })
    assert.deepEqual((await health()).health, { status, issues })

    // To be expired, or disabled, is worse, and is said first.
    await w.advance(12_000)
    assert.deepEqual((await health()).health, { status: 'unhealthy', issues: ['Heartbeat lease expired 2s ago', ...issues] })
    await post('disable')
    assert.deepEqual((await health()).health, { status: 'unhealthy', issues: ['Runner is disabled', ...issues] })
  })
}

test('a lease that is over counts from its end, to the nearest second', async (t) => {
  const { w, health, beat } = await registered(t)
  await beat({ lease_ms: 10_000, diagnostics: fine })
  await w.advance(9_999)
  assert.equal((await health()).runner.lease_remaining_ms, 1)
  assert.equal((await health()).runner.liveness_status, 'online')
  for (const [later, late] of [[1_500, '1s'], [1, '2s'], [58_500, '60s']]) {
    await w.advance(later)
    const { runner, health: verdict } = await health()
    assert.equal(runner.liveness_status, 'expired')
    assert.equal(runner.lease_remaining_ms, 0)
    assert.deepEqual(verdict, { status: 'unhealthy', issues: [`Heartbeat lease expired ${late} ago`] })
  }
  await beat({})
  assert.deepEqual((await health()).health, { status: 'healthy', issues: [] })
})

test('a heartbeat may name the end of its lease', async (t) => {
  const { w, health, beat } = await registered(t)
  const now = await w.now()
  const at = (ms) => beat({ liveness_lease_expires_at: new Date(now + ms).toISOString(), diagnostics: fine })
  await at(7_000)
  assert.equal((await health()).runner.lease_remaining_ms, 7_000)
  await at(-3_000)
  assert.deepEqual((await health()).health, { status: 'unhealthy', issues: ['Heartbeat lease expired 3s ago'] })
})

test('a disabled runner is offline, whatever it says', async (t) => {
  const { health, post, beat } = await registered(t)
  assert.equal((await post('disable')).admin_status, 'disabled')
  // It is not held against it that it was never seen.
  let { runner, health: verdict } = await health()
  assert.deepEqual([runner.admin_status, runner.liveness_status], ['disabled', 'offline'])
  assert.deepEqual(verdict, { status: 'unhealthy', issues: ['Runner is disabled'] })
  await beat({ diagnostics: fine })
  ;({ runner, health: verdict } = await health())
  assert.equal(runner.liveness_status, 'offline')
  assert.deepEqual(verdict, { status: 'unhealthy', issues: ['Runner is disabled'] })
  assert.equal((await post('enable')).admin_status, 'enabled')
  ;({ runner, health: verdict } = await health())
  assert.equal(runner.liveness_status, 'online')
  assert.deepEqual(verdict, { status: 'healthy', issues: [] })
})

test('what a heartbeat does not say stays as it was', async (t) => {
  const { health, beat } = await registered(t)
  await beat({ wake_stream_offset: 'o', diagnostics: fine })
  await beat({})
  const { runner, client } = await health()
  assert.equal(runner.wake_stream_offset, 'o')
  assert.deepEqual(client, fine)
})

test('health counts what a runner has claimed', async (t) => {
  const { w, runner, health } = await registered(t)
  await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, initialMessage: 'go' })
  const counts = async () => {
    const { claims, dispatch } = await health()
    assert.equal(claims.active.length, claims.active_count)
    return [claims.active_count, dispatch.entities_with_active_claim]
  }
  const [event] = await runner.tail()
  assert.deepEqual(await counts(), [0, 0])
  const wake = await runner.claim(event)
  assert.deepEqual(await counts(), [1, 1])
  await wake.done()
  assert.deepEqual(await counts(), [0, 0])
})

test('health tells of each claim since when and until when it is held', async (t) => {
  const { w, runner, health } = await registered(t)
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, initialMessage: 'go' })
  const [event] = await runner.tail()
  const claimedAt = await w.advance(1_000)
  const wake = await runner.claim(event)
  const [active] = (await health()).claims.active
  like(active, {
    consumer_id: wake.body.consumerId,
    epoch: 1,
    entity_url: url,
    stream_path: `${url}/main`,
    claimed_at: ISO,
    last_heartbeat_at: (at) => at === null || ISO.test(at),
    lease_expires_at: ISO,
  })
  assert.equal(Date.parse(active.claimed_at), claimedAt)
  assert.ok(Date.parse(active.lease_expires_at) > claimedAt)

  // A heartbeat of the claim extends it.
  const beaten = await w.advance(5_000)
  await wake.heartbeat()
  const [later] = (await health()).claims.active
  assert.equal(Date.parse(later.last_heartbeat_at), beaten)
  assert.equal(later.claimed_at, active.claimed_at)
  assert.equal(Date.parse(later.lease_expires_at) - Date.parse(active.lease_expires_at), 5_000)
})

test('a claim whose lease is over is not counted', async (t) => {
  const { w, runner, health } = await registered(t)
  await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, initialMessage: 'go' })
  await runner.claim((await runner.tail())[0])
  assert.equal((await health()).claims.active_count, 1)
  await w.advance(120_000)
  assert.equal((await health()).claims.active_count, 0)
})

test('health is the owner’s only', async (t) => {
  const { w, runner } = await registered(t, { as: 'user:alice' })
  for (const as of ['user:bob', undefined]) {
    const answer = await w.get(`/_electric/runners/${runner.id}/health`, { as })
    assert.equal(answer.status, 403)
    assert.deepEqual(answer.json.error, { code: 'UNAUTHORIZED', message: 'Runner access requires the authenticated owner' })
  }
  const none = await w.get('/_electric/runners/nobody/health')
  assert.equal(none.status, 404)
  assert.deepEqual(none.json.error, { code: 'NOT_FOUND', message: 'Runner not found' })
})

// What a heartbeat may say of the client, and what is not kept of it.
const texts = ['started_at', 'stream_connected_since', 'last_error', 'last_error_at', 'last_heartbeat_at', 'last_claim_at', 'last_dispatch_at']
const numbers = ['reconnect_count', 'events_received', 'claims_succeeded', 'claims_skipped', 'claims_failed']
const told = [
  [['status'], ['stopped', 'starting', 'connecting', 'streaming', 'reconnecting', 'stopping'], ['Streaming', 'napping', '', null, 1, true, ['streaming']]],
  [['stream_connected', 'last_heartbeat_ok'], [true, false], ['true', null, 0, 1, {}]],
  [['last_claim_result'], ['claimed', 'no_work', 'error', null], ['lost', '', false, 0]],
  [texts, ['2027-01-15T08:00:00.000Z', 'yesterday', '', null], [0, 1700000000000, false, {}, []]],
  [numbers, [0, 7, 1.5, 1e300], [-1, -0.5, '3', null, true, []]],
  [['password', 'Status', 'streamConnected', '__proto__', 'constructor'], [], ['streaming', true, 1, null]],
]
test('a heartbeat’s diagnostics are kept member by member, in its answer and in health', async (t) => {
  const { health, beat } = await registered(t)
  for (const [names, good, bad] of told) {
    for (const name of names) {
      // Beside it, something that is always kept.
      const beside = name === 'status' ? { stream_connected: true } : { status: 'streaming' }
      for (const value of [...good, ...bad]) {
        const said = { ...beside, [name]: value }
        const kept = good.includes(value) ? said : beside
        assert.deepEqual((await beat({ diagnostics: said })).diagnostics, kept, JSON.stringify(said))
        assert.deepEqual((await health()).client, kept)
      }
    }
  }
})

test('diagnostics of which nothing is kept leave the last ones', async (t) => {
  const { health, beat } = await registered(t)
  await beat({ diagnostics: fine })
  for (const diagnostics of [{}, { status: 'napping' }, { password: 'secret' }]) {
    assert.equal((await beat({ diagnostics })).diagnostics, undefined)
    assert.deepEqual((await health()).client, fine)
  }
})

test('a lease that is over in the same moment is over', async (t) => {
  const { w, health, beat } = await registered(t)
  await beat({ lease_ms: 10_000, diagnostics: fine })
  await w.advance(10_000)
  const { runner, health: verdict } = await health()
  assert.deepEqual([runner.liveness_status, runner.lease_remaining_ms], ['expired', 0])
  assert.deepEqual(verdict, { status: 'unhealthy', issues: ['Heartbeat lease expired 0s ago'] })
})

test('a runner that was never seen is not held to what it never said', async (t) => {
  const { w, health, post } = await registered(t)
  await w.advance(3_600_000)
  assert.deepEqual((await health()).health, { status: 'degraded', issues: [never] })
  await post('disable')
  assert.deepEqual((await health()).health, { status: 'unhealthy', issues: ['Runner is disabled'] })
  await post('enable')
  assert.deepEqual((await health()).health, { status: 'degraded', issues: [never] })
})

test('health tells what a runner has been told of and has not claimed', async (t) => {
  const { w, runner, health } = await registered(t)
  const urls = []
  for (const id of ['a', 'b', 'c']) {
    urls.push((await w.spawn(w.name, id, { dispatch_policy: runner.policy, initialMessage: 'go' })).url)
  }
  const dispatch = async () => {
    const { entities_with_active_claim, entities_with_outstanding_wake, entities_with_pending_work } = (await health()).dispatch
    return [entities_with_active_claim, entities_with_outstanding_wake, entities_with_pending_work]
  }
  assert.deepEqual(await dispatch(), [0, 3, 3])
  const events = await runner.tail()
  const wakes = [await runner.claim(events[0]), await runner.claim(events[1])]
  assert.deepEqual(await dispatch(), [2, 1, 1])
  assert.deepEqual((await health()).claims.active.map((claim) => claim.entity_url).sort(), urls.slice(0, 2))
  await wakes[0].done()
  assert.deepEqual(await dispatch(), [1, 1, 1])
  await w.send(urls[1], 'more')
  assert.equal((await wakes[1].done()).json.next_wake, true)
  assert.deepEqual(await dispatch(), [0, 2, 2])
})
