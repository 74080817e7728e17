// How entities are dispatched, as shapes: their state, their newest wakes and who claimed those, followed by the published
// client.
import '../harness/long-timers.mjs'

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Shape, ShapeStream } from '@electric-sql/client'

import { world } from '../harness/world.mjs'

const OF = { state: 'entity_dispatch_state', wake: 'wake_notifications', claim: 'consumer_claims' }

/** Follows the three tables of one entity. `rows()` is what each has of it. */
async function follow(t, w, url, as) {
  const aborter = new AbortController()
  t.after(() => aborter.abort())
  const headers = { 'reveille-test-id': w.testId, ...(as && { 'electric-principal': as }) }
  const shapes = Object.entries(OF).map(([name, table]) => {
    const params = { table, where: 'entity_url = $1', params: { 1: url } }
    const options = { url: `${w.url}/_electric/electric/v1/shape`, params, headers, signal: aborter.signal, onError() {} }
    return [name, new Shape(new ShapeStream(options))]
  })
  await Promise.all(shapes.map(([, shape]) => shape.rows))
  return () => Object.fromEntries(shapes.map(([name, shape]) => [name, shape.currentRows[0]]))
}

test('a runner’s wake: announced, claimed, kept and done', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy })
  const rows = await follow(t, w, url)
  // Who asks first is told to fetch again, and has nothing meanwhile.
  const asleep = { entity_url: url, pending_source_streams: [], outstanding_wake_id: null, last_wake_id: null }
  await w.eventually(() => assert.partialDeepStrictEqual(rows().state, asleep))
  assert.deepEqual([rows().wake, rows().claim], [undefined, undefined])

  await w.send(url, 'go')
  const [event] = await runner.tail()
  await w.eventually(() => {
    const { state, wake, claim } = rows()
    assert.partialDeepStrictEqual(state, { pending_source_streams: [`${url}/main`], outstanding_wake_target: runner.policy.targets[0], active_consumer_id: null })
    assert.partialDeepStrictEqual(wake, {
      wake_id: state.outstanding_wake_id, target_type: 'runner', target_runner_id: runner.id, target_webhook_url: null,
      runner_wake_stream: `/runners/${runner.id}/wake`, runner_wake_stream_offset: runner.offset,
      delivery_status: 'delivered', claim_status: 'unclaimed', claimed_at: null, resolved_at: null,
    })
    assert.equal(wake.notification_public.subscription_id, event.subscription_id)
    assert.equal(claim, undefined)
  })

  const work = await runner.claim(event)
  const { consumerId, epoch } = work.body
  await w.eventually(() => {
    const { state, wake, claim } = rows()
    assert.partialDeepStrictEqual(state, { outstanding_wake_id: null, active_consumer_id: consumerId, active_runner_id: runner.id, active_epoch: epoch })
    assert.equal(wake.claim_status, 'claimed')
    assert.partialDeepStrictEqual(claim, {
      consumer_id: consumerId, epoch, wake_id: work.body.wakeId, entity_url: url, stream_path: `${url}/main`, runner_id: runner.id,
      status: 'active', released_at: null, acked_streams: null,
    })
    assert.ok(Date.parse(claim.lease_expires_at) > Date.parse(claim.claimed_at))
  })
  await w.advance(1000)
  await work.heartbeat()
  await w.eventually(() => assert.ok(Date.parse(rows().claim.last_heartbeat_at) > Date.parse(rows().claim.claimed_at)))
  await work.done()
  await w.eventually(() => {
    const { state, wake, claim } = rows()
    assert.partialDeepStrictEqual(state, { pending_source_streams: [], active_consumer_id: null, active_lease_expires_at: null, last_wake_id: consumerId })
    assert.ok(state.last_completed_at && state.last_released_at)
    assert.deepEqual([wake.delivery_status, wake.claim_status, claim.status], ['delivered', 'completed', 'released'])
    assert.deepEqual(claim.acked_streams, [{ path: `${url}/main`, offset: work.offset }])
  })
})

test('a webhook’s wake: who may read the entity sees it, and when it is given away', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  const [rows, bobs] = [await follow(t, w, url), await follow(t, w, url, 'user:bob')]
  await w.send(url, 'go')
  const wake = await w.woken(hook)
  await wake.claim()
  await w.eventually(() => assert.equal(rows().claim?.status, 'active'))
  assert.equal(rows().wake.target_webhook_url, hook.policy.targets[0].url)
  assert.deepEqual(bobs(), { state: undefined, wake: undefined, claim: undefined })
  const grant = { subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'read' }
  const granted = await w.post(`/_electric/entities${url}/grants`, grant)
  await w.eventually(() => assert.deepEqual(bobs(), rows()))
  await w.delete(`/_electric/entities${url}/grants/${granted.json.id}`)
  await w.eventually(() => assert.deepEqual(bobs(), { state: undefined, wake: undefined, claim: undefined }))
  await w.delete(`/_electric/entities${url}`)
  // Each shape is told by itself.
  await w.eventually(() => {
    const { state, wake, claim } = rows()
    assert.deepEqual([wake, claim, state.last_wake_id], [undefined, undefined, null], 'it is no longer dispatched')
  })
})
