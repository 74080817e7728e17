// While a fork reads an entity, nobody is sent to work on it: what is announced is withdrawn, what comes waits, and who
// works on it already may finish. A development server takes the lock by itself, for this.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { like } from '../harness/like.mjs'
import { change, world } from '../harness/world.mjs'

const MINUTE = 60_000
const iso = (ms) => new Date(ms).toISOString()

async function lock(w, entity, ms = MINUTE) {
  const answer = await w.post('/_reveille/dev/lock', { entity, ms })
  assert.equal(answer.status, 204, answer.text)
}

const unlock = (w, entity) => lock(w, entity, 0)

/** What the journal says of it, without what came before the first dispatch. */
const whats = async (w, url) => (await w.journal(url)).map((step) => step.what)

async function hooked(t, body) {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, ...body })
  return { w, hook, url }
}

async function running(t, body) {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, ...body })
  const announced = () => w.read(`/runners/${runner.id}/wake`)
  return { w, runner, url, announced }
}

test('what comes during a lock wakes the entity when it is over', async (t) => {
  const { w, hook, url } = await hooked(t)
  await lock(w, url)
  const until = iso((await w.now()) + MINUTE)
  await w.send(url, 1)
  await w.send(url, 2)
  const { dispatch, summary, next, pending } = await w.explain(url)
  assert.equal(dispatch.state, 'pending')
  assert.ok(summary.includes(url) && summary.includes(until), summary)
  assert.deepEqual(next.map(({ at }) => at), [until])
  assert.deepEqual(pending.entries.map((entry) => entry.type), ['inbox', 'inbox'])

  await w.advance(MINUTE - 1)
  assert.deepEqual(hook.all, [])
  await w.advance(1)
  const wake = await w.woken(hook)
  assert.equal(wake.offset, await w.tail(`${url}/main`))
  await wake.claim()
  assert.equal((await wake.done()).json.next_wake, false)
  assert.deepEqual(await whats(w, url), ['pending', 'emitted', 'claimed', 'done'])
  assert.equal(hook.all.length, 1)
})

test('the end of a lock may come sooner, or later', async (t) => {
  const { w, hook, url } = await hooked(t)
  await lock(w, url)
  await w.send(url, 1)
  await unlock(w, url)
  assert.equal((await (await w.woken(hook)).done()).json.next_wake, false)

  await lock(w, url)
  await w.advance(MINUTE / 2)
  await lock(w, url)
  await w.send(url, 2)
  await w.advance(MINUTE - 1)
  assert.equal(hook.all.length, 1, 'the lock was taken again')
  await w.advance(1)
  assert.equal((await w.woken(hook)).body.generation, 2)
  await w.advance(MINUTE)
  // Whoever is not locked may be unlocked.
  await unlock(w, url)
})

test('a runner is told of nothing, and may claim nothing, while it is locked', async (t) => {
  const { w, runner, url, announced } = await running(t, { initialMessage: 'go' })
  const [event] = await runner.tail()
  await lock(w, url)
  assert.deepEqual(await announced(), [], 'the announcement is withdrawn')
  const refused = await runner.tryClaim(event)
  assert.equal(refused.status, 409, refused.text)
  assert.equal(refused.json.error.code, 'FORK_IN_PROGRESS')
  assert.equal((await w.entity(url)).status, 'idle')
  await w.send(url, 'more')
  await w.advance(MINUTE - 1)
  assert.deepEqual(await announced(), [])
  assert.equal((await runner.tryClaim(event)).json.error.code, 'FORK_IN_PROGRESS')

  await w.advance(1)
  const [again] = await runner.tail()
  assert.equal(again.generation, 2)
  const wake = await runner.claim(again)
  assert.equal((await wake.done()).json.next_wake, false)
  assert.deepEqual(await whats(w, url), ['appended', 'emitted', 'parked', 'pending', 'emitted', 'claimed', 'done'])
})

test('a webhook that has failed is not repeated during a lock', async (t) => {
  const { w, hook, url } = await hooked(t)
  hook.answerOnce({ status: 500 })
  await w.send(url, 1)
  const first = await w.woken(hook)
  await w.eventually(async () => assert.equal((await w.journal(url)).at(-1).what, 'retried'))
  await lock(w, url)
  await w.advance(MINUTE - 1)
  assert.equal(hook.all.length, 1)
  await w.advance(1)
  const second = await w.woken(hook)
  assert.equal(second.body.generation, 2)
  const late = await first.callback({ epoch: 1, wakeId: first.body.wakeId })
  assert.equal(late.status, 409, 'the wake before was withdrawn')
  await second.claim()
  assert.equal((await second.done()).json.next_wake, false)
})

test('who works on it when it is locked may finish', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  await lock(w, work.entity)
  assert.equal((await work.heartbeat()).status, 200)
  await work.append([change('note', 'n', {})])
  assert.equal((await w.entity(work.entity)).status, 'running')
  await w.send(work.entity, 'later')
  assert.deepEqual((await work.done()).json, { ok: true, next_wake: false }, 'what is pending waits')
  assert.equal((await w.entity(work.entity)).status, 'idle')
  assert.equal(work.hook.all.length, 1)
  await unlock(w, work.entity)
  assert.equal((await w.woken(work.hook)).body.generation, 2)
})

test('who works on it and dies is replaced when the lock is over', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  await lock(w, work.entity)
  await w.advance(30_000)
  assert.equal((await w.entity(work.entity)).status, 'idle')
  assert.equal((await work.heartbeat()).status, 409)
  await w.advance(29_999)
  assert.equal(work.hook.all.length, 1)
  await w.advance(1)
  assert.equal((await w.woken(work.hook)).body.generation, 2)
})

test('a lock shuts out who wakes, and nobody else', async (t) => {
  const { w, hook, url } = await hooked(t)
  const other = await w.spawn(w.name, 'other', { dispatch_policy: hook.policy, parent: url })
  const source = await w.working(w.name, 'source')
  await w.observe(url, source.entity, { on: 'change' })
  await lock(w, url)
  await w.send(other.url, 'go')
  assert.equal((await w.woken(hook)).entity, other.url, 'a child is not locked with its parent')
  await source.append([change('note', 'n', {})])
  await w.send(url, 'message')
  const types = (await w.events(url)).map((event) => event.type)
  assert.deepEqual(types, ['entity_created', 'wake', 'inbox'], 'it takes messages and wake rows, and can be read')
  assert.equal(hook.all.length, 1)
})

test('a lock and a pause both have to end', async (t) => {
  const { w, runner, url, announced } = await running(t)
  const signal = (name) => w.post(`/_electric/entities${url}/signal`, { signal: name })
  const subscription_id = (await w.explain(url)).dispatch.subscription
  await lock(w, url)
  await signal('SIGSTOP')
  await w.send(url, 'later', { mode: 'paused' })
  assert.deepEqual((await runner.tryClaim({ subscription_id })).json, { done: true }, 'paused is said first')
  await unlock(w, url)
  assert.deepEqual(await announced(), [])
  await lock(w, url)
  await signal('SIGCONT')
  assert.deepEqual(await announced(), [])
  assert.equal((await runner.tryClaim({ subscription_id })).json.error.code, 'FORK_IN_PROGRESS')
  await unlock(w, url)
  assert.equal((await announced()).length, 1)
})

test('who is killed during a lock stays dead', async (t) => {
  const { w, hook, url } = await hooked(t)
  await lock(w, url)
  await w.send(url, 1)
  assert.equal((await w.delete(`/_electric/entities${url}`)).status, 200)
  await w.advance(2 * MINUTE)
  assert.deepEqual(hook.all, [])
  assert.equal((await w.entity(url)).status, 'killed')
})

test('a lock outlives a restart, and so does its end', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  await lock(w, url)
  await w.send(url, 1)
  await host.stop()
  await host.restart()
  w.testId += ' after the restart'
  await w.advance(MINUTE - 1)
  assert.deepEqual(hook.all, [])
  await w.advance(1)
  assert.equal((await w.woken(hook)).entity, url)
})

test('a lock of nobody, or of no length, is refused', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const none = await w.post('/_reveille/dev/lock', { entity: `/${w.name}/none`, ms: 1 })
  assert.equal(none.status, 404)
  assert.deepEqual(none.json.error, { code: 'NOT_FOUND', message: `Entity not found at /${w.name}/none` })
  for (const body of ['{', [], {}, { entity: url }, { ms: 1 }, { entity: 5, ms: 1 }, { entity: url, ms: 'x' }]) {
    const answer = await w.post('/_reveille/dev/lock', body)
    assert.equal(answer.status, 400, JSON.stringify(body))
    like(answer.json.error, { code: 'INVALID_REQUEST', message: String, ...('details' in answer.json.error && { details: Object }) })
  }
})
