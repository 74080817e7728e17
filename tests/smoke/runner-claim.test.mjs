// A runner behind a NAT pulls its work: it tails its wake stream, claims, works and is done.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, MS, WAKE_ID } from '../harness/like.mjs'
import { sha16 } from '../harness/signature.mjs'
import { change, run, world } from '../harness/world.mjs'

async function announced(t, { as } = {}) {
  const w = await world(t)
  await w.type()
  const runner = await w.runner(w.name, { as })
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, args: { n: 1 }, initialMessage: 'go' }, { as })
  const [event, ...more] = await runner.tail()
  assert.deepEqual(more, [])
  return { w, runner, url, event }
}

test('a message puts one event on the runner’s wake stream', async (t) => {
  const { w, runner, url, event } = await announced(t)
  like(event, {
    type: 'wake',
    subscription_id: `runner:${runner.id}:${sha16(url)}`,
    stream: `${url.slice(1)}/main`,
    generation: 1,
    ts: await w.now(),
  })
  await w.send(url, 'more')
  assert.equal((await w.read(`/runners/${runner.id}/wake`)).length, 1)
})

test('a claim answers with the notification', async (t) => {
  const { w, runner, url, event } = await announced(t, { as: 'user:alice' })
  const answer = await runner.tryClaim(event)
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  like(answer.json, {
    consumerId: WAKE_ID,
    epoch: 1,
    wakeId: answer.json.consumerId,
    streamPath: `${url}/main`,
    streams: [{ path: `${url}/main`, offset: await w.tail(`${url}/main`) }],
    callback: (text) => new URL(text).pathname === `/_electric/wake-callbacks/${answer.json.wakeId}`,
    claimToken: String,
    triggerEvent: 'message_received',
    entity: {
      type: w.name,
      status: 'idle',
      url,
      streams: { main: `${url}/main` },
      tags: {},
      spawnArgs: { n: 1 },
      createdBy: '/principal/user%3Aalice',
    },
    principal: { url: '/principal/user%3Aalice', key: 'user:alice', kind: 'user', id: 'alice' },
  })
  assert.equal((await w.entity(url)).status, 'running')
})

test('from claim to done', async (t) => {
  const { w, runner, url, event } = await announced(t)
  const wake = await runner.claim(event)
  assert.equal((await wake.heartbeat()).json.ok, true)
  await wake.append(run('run-0', 'x'))
  assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false })
  assert.equal((await w.entity(url)).status, 'idle')
  assert.equal((await wake.write([change('note', 'n', {})])).status, 401)

  const again = await runner.tryClaim(event)
  assert.equal(again.status, 409)
  assert.equal(again.json.error.code, 'NO_PENDING_WORK')
})

test('claimed work cannot be claimed again', async (t) => {
  const { runner, event } = await announced(t)
  assert.equal((await runner.tryClaim(event)).status, 200)
  const second = await runner.tryClaim(event)
  assert.equal(second.status, 409)
  assert.equal(second.json.error.code, 'ALREADY_CLAIMED')
})

test('of many claims at once one has the work', async (t) => {
  const { runner, event } = await announced(t)
  const answers = await Promise.all(Array.from({ length: 8 }, () => runner.tryClaim(event)))
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, ...Array(7).fill(409)])
})

test('work that arrives during a runner’s claim is announced when it ends', async (t) => {
  const { w, runner, url, event } = await announced(t)
  const first = await runner.claim(event)
  await w.send(url, 'more')
  assert.equal((await first.done()).json.next_wake, true)
  const [next] = await runner.tail()
  assert.equal(next.generation, 2)
  const second = await runner.claim(next)
  assert.equal(second.body.epoch, 2)
  assert.notEqual(second.body.wakeId, first.body.wakeId)
  assert.equal((await second.done()).json.next_wake, false)
})

test('a runner’s done without an acknowledgement gives the work back', async (t) => {
  const { runner, event } = await announced(t)
  const wake = await runner.claim(event)
  assert.deepEqual((await wake.done([])).json, { ok: true, next_wake: true })
  assert.equal((await runner.tail())[0].generation, 2)
})

test('the wake stream is followed by long-poll and by SSE', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const path = `/runners/${runner.id}/wake`
  const poll = w.get(`${path}?offset=-1&live=long-poll`)
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  assert.equal((await reader.next()).data.upToDate, true)
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, initialMessage: 1 })
  const [polled] = (await poll).json
  assert.equal(polled.stream, `${url.slice(1)}/main`)
  const followed = await reader.next()
  assert.equal(followed.event, 'data')
  assert.deepEqual(followed.data, [polled])
})

test('an event that nobody claims is emitted again after its lease time', async (t) => {
  const { w, runner, event } = await announced(t)
  await w.advance(29_999)
  const before = await w.get(`/runners/${runner.id}/wake?offset=-1`)
  assert.deepEqual(before.json, [event])
  await w.advance(1)
  const [again] = (await w.get(`/runners/${runner.id}/wake?offset=${before.headers['stream-next-offset']}`)).json
  assert.equal(again.subscription_id, event.subscription_id)
  assert.equal(again.generation, event.generation)
  assert.deepEqual(await w.read(`/runners/${runner.id}/wake`), [again], 'it is told once, and newest')
  const wake = await runner.claim(again)
  assert.equal((await wake.done()).json.next_wake, false)
  await w.advance(300_000)
  assert.deepEqual(await w.read(`/runners/${runner.id}/wake`), [], 'what is over is told to nobody')
})

test('a silent runner loses its claim, and the work is announced again', async (t) => {
  const { w, runner, url, event } = await announced(t)
  const first = await runner.claim(event)
  await w.advance(20_000)
  await first.heartbeat()
  await w.advance(29_999)
  assert.equal((await w.entity(url)).status, 'running')
  await w.advance(1)
  assert.equal((await w.entity(url)).status, 'idle')
  const [next] = await runner.tail()
  assert.equal(next.generation, 2)
  const second = await runner.claim(next)
  assert.equal((await first.write([change('note', 'n', {})])).status, 401)
  for (const late of [await first.heartbeat(), await first.done()]) {
    assert.equal(late.status, 409, late.text)
    assert.equal(late.json.error.code, 'FENCED')
  }
  assert.equal((await second.done()).json.next_wake, false)
})

test('a claim needs its token', async (t) => {
  const { runner, event } = await announced(t)
  const wake = await runner.claim(event)
  for (const token of [null, 'nonsense']) {
    const answer = await wake.callback({ epoch: 1, acks: [], done: true }, token)
    assert.equal(answer.status, 401, answer.text)
  }
  assert.equal((await wake.heartbeat()).status, 200)
})

test('a claim without work says so', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy })
  const claim = (subscription_id) => runner.tryClaim({ subscription_id })
  const known = await claim(`runner:${runner.id}:${sha16(url)}`)
  assert.equal(known.status, 409)
  assert.equal(known.json.error.code, 'NO_PENDING_WORK')
  assert.equal((await claim(`runner:${runner.id}:0000000000000000`)).status, 204)
  for (const foreign of [`runner:${runner.id}x:1`, 'webhook:x']) {
    const answer = await claim(foreign)
    assert.equal(answer.status, 400, answer.text)
    assert.deepEqual(answer.json.error, { code: 'INVALID_REQUEST', message: 'Wake event subscription_id does not match runner' })
  }
})

test('a disabled runner claims nothing', async (t) => {
  const { w, runner, event } = await announced(t)
  await w.post('/_electric/runners', { id: runner.id, label: 'x', admin_status: 'disabled' })
  const answer = await runner.tryClaim(event)
  assert.equal(answer.status, 409)
  assert.deepEqual(answer.json.error, { code: 'NOT_RUNNING', message: 'Runner is disabled' })
  await runner.world.runner(runner.id)
  assert.equal((await runner.tryClaim(event)).status, 200)
})

test('only its owner may point an entity at a runner', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner(w.name, { as: 'user:alice' })
  for (const as of ['user:bob', undefined]) {
    const answer = await w.put(`/_electric/entities/${w.name}/e`, { dispatch_policy: runner.policy }, { as })
    assert.equal(answer.status, 403)
    assert.deepEqual(answer.json.error, { code: 'UNAUTHORIZED', message: 'Runner dispatch requires the authenticated owner' })
  }
})

test('a child that finishes wakes its parent’s runner', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const parent = await w.spawn(w.name, 'parent', { dispatch_policy: runner.policy })
  const wake = { subscriberUrl: parent.url, condition: 'runFinished' }
  // The child goes where its parent goes.
  const child = await w.spawn(w.name, 'child', { parent: parent.url, wake, initialMessage: 'go' })
  assert.deepEqual(child.dispatch_policy, runner.policy)
  const work = await runner.claim((await runner.tail())[0])
  assert.equal(work.entity, child.url)
  await work.append(run('run-0', '42'))
  const [event] = await runner.tail()
  assert.equal(event.stream, `${parent.url.slice(1)}/main`)
  like(event.ts, MS)
  const woken = await runner.claim(event)
  assert.equal(woken.entity, parent.url)
  const [row] = await w.events(parent.url, 'wake')
  assert.equal(row.value.finished_child.response, '42')
})
