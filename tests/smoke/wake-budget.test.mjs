// An entity has a budget of wakes: so many at once, and so many a minute for ever. Past it, it is slowed down, and told
// so; nothing is lost by that, since one wake serves all that has come.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { sha16 } from '../harness/signature.mjs'
import { world } from '../harness/world.mjs'

// A server of this file's own, whose entities may begin six wakes a minute: one every ten seconds, and sixty at once.
const [AT_ONCE, EVERY] = [60, 10_000]
let own
after(async () => (await own)?.dispose())

async function agent(t, { host, id = 'e' } = {}) {
  own ??= startHost({ args: ['--wakes-per-minute', 6] })
  const w = host ? await world(t, { host }) : await world(t)
  w.url = (host ?? (await own)).url
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, id, { dispatch_policy: runner.policy })
  return { w, runner, url, explain: () => w.explain(url) }
}

/** Works on one wake and leaves its work undone, so that the next begins at once, or waits for its turn. */
async function wake({ w, runner, url }) {
  const claimed = await runner.tryClaim({ subscription_id: `runner:${runner.id}:${sha16(url)}` })
  assert.equal(claimed.status, 200, claimed.text)
  const { callback, epoch, claimToken } = claimed.json
  const headers = { authorization: `Bearer ${claimToken}` }
  const done = await w.post(new URL(callback).pathname, { epoch, acks: [], done: true }, { headers })
  assert.equal(done.status, 200, done.text)
  return done.json.next_wake
}

/** Wakes until the budget is spent; how often it did. */
async function spend(subject) {
  await subject.w.send(subject.url, 'go')
  let wakes = 1
  while (await wake(subject)) wakes++
  return wakes
}

const announced = ({ w, runner }) => w.read(`/runners/${runner.id}/wake`)
const iso = (ms) => new Date(ms).toISOString()

test('the budget is ten minutes’ worth at once, and what is left of it is told', async (t) => {
  const subject = await agent(t)
  assert.deepEqual((await subject.explain()).budget, { wakes_a_minute: 6, at_once: AT_ONCE, left: AT_ONCE })
  await subject.w.send(subject.url, 1)
  for (let left = AT_ONCE - 1; left > AT_ONCE - 5; left--) {
    assert.equal((await subject.explain()).budget.left, left)
    await wake(subject)
  }
})

test('who has spent its budget waits for its turn, and says until when', async (t) => {
  const subject = await agent(t)
  const { w, url, runner, explain } = subject
  assert.equal(await spend(subject), AT_ONCE)
  const until = iso((await w.now()) + EVERY)
  const told = await explain()
  assert.equal(told.status, 'idle')
  assert.equal(told.dispatch.state, 'pending')
  assert.equal(told.dispatch.slowed_until, until)
  assert.equal(told.budget.left, 0)
  assert.deepEqual(told.next.map(({ at }) => at), [until])
  assert.ok(told.summary.includes(url) && told.summary.includes(until) && told.summary.includes('budget'), told.summary)
  const slowed = (await w.journal(url)).at(-1)
  assert.deepEqual([slowed.what, slowed.until], ['slowed', until])
  assert.ok(slowed.why.includes('6'), slowed.why)
  const refused = await runner.tryClaim({ subscription_id: told.dispatch.subscription })
  assert.equal(refused.status, 409, 'nor may it be claimed before')
  assert.equal(refused.json.error.code, 'NO_PENDING_WORK')

  // What comes meanwhile waits too, and is served by the same wake.
  for (const message of ['a', 'b', 'c']) await w.send(url, message)
  await w.advance(EVERY - 1)
  assert.deepEqual(await announced(subject), [])
  await w.advance(1)
  const [event] = await announced(subject)
  assert.equal(event.generation, AT_ONCE + 1)
  const next = await runner.claim(event)
  assert.equal(next.offset, await w.tail(`${url}/main`))
  assert.equal((await next.done()).json.next_wake, false)
  const steps = (await w.journal(url)).filter((step) => step.generation === AT_ONCE + 1)
  assert.deepEqual(steps.map((step) => step.what), ['pending', 'slowed', 'emitted', 'claimed', 'done'])
})

test('past the budget wakes come steadily', async (t) => {
  const subject = await agent(t)
  const { w } = subject
  await spend(subject)
  const began = []
  const start = await w.now()
  for (let second = 1; second <= 120; second++) {
    await w.advance(1_000)
    if ((await announced(subject)).length === 0) continue
    began.push((await w.now()) - start)
    assert.equal(await wake(subject), false, 'one at a time')
  }
  assert.deepEqual(began, Array.from({ length: 12 }, (_, n) => (n + 1) * EVERY))
})

test('an idle entity’s budget fills up again', async (t) => {
  const subject = await agent(t)
  const { w, explain, runner } = subject
  await spend(subject)
  await w.advance(EVERY)
  assert.equal((await (await runner.claim((await announced(subject))[0])).done()).json.next_wake, false)
  assert.equal((await explain()).budget.left, 0)
  await w.advance(25_000)
  assert.equal((await explain()).budget.left, 2)
  await w.advance(AT_ONCE * EVERY)
  assert.equal((await explain()).budget.left, AT_ONCE)
  await w.advance(AT_ONCE * EVERY)
  assert.equal((await explain()).budget.left, AT_ONCE, 'and not over')
  assert.equal(await spend(subject), AT_ONCE)
})

test('each entity has a budget of its own', async (t) => {
  const subject = await agent(t)
  const { w, runner } = subject
  await spend(subject)
  const other = await w.spawn(w.name, 'other', { dispatch_policy: runner.policy, initialMessage: 'go' })
  assert.equal((await w.explain(other.url)).dispatch.state, 'outstanding')
  assert.equal((await w.explain(other.url)).budget.left, AT_ONCE - 1)
})

test('a wake that is announced again, or kept, costs no more', async (t) => {
  const subject = await agent(t)
  const { w, url, explain, runner } = subject
  await w.send(url, 1)
  // One wake is as much as ten seconds bring back.
  await w.advance(600_000)
  assert.equal((await announced(subject)).length, 1)
  assert.equal((await explain()).budget.left, AT_ONCE)
  const claimed = await runner.claim((await announced(subject))[0])
  for (let n = 0; n < 5; n++) await claimed.heartbeat()
  await w.send(url, 2)
  assert.equal((await explain()).budget.left, AT_ONCE)

  const hook = await w.hook()
  hook.answer({ status: 500 })
  const hooked = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy, initialMessage: 1 })
  for (let attempt = 1; attempt <= 3; attempt++) await w.advanceUntil(w.woken(hook), { step: 500 })
  assert.ok((await w.explain(hooked.url)).budget.left >= AT_ONCE - 1)
})

test('who is slowed and then paused, locked or killed', async (t) => {
  const subject = await agent(t)
  const { w, url, explain } = subject
  await spend(subject)
  const signal = (name) => w.post(`/_electric/entities${url}/signal`, { signal: name })
  await signal('SIGSTOP')
  await w.advance(10 * EVERY)
  assert.deepEqual(await announced(subject), [])
  assert.equal((await explain()).dispatch.state, 'pending')
  await signal('SIGCONT')
  assert.equal((await announced(subject)).length, 1)
  while (await wake(subject));
  await w.post('/_reveille/dev/lock', { entity: url, ms: 3 * EVERY })
  await w.advance(3 * EVERY - 1)
  assert.deepEqual(await announced(subject), [])
  await w.advance(1)
  assert.equal((await announced(subject)).length, 1)
  while (await wake(subject));
  await w.delete(`/_electric/entities${url}`)
  await w.advance(10 * EVERY)
  assert.deepEqual(await announced(subject), [])
})

test('a budget, and who waits for it, outlive a restart', async (t) => {
  const host = await startHost({ args: ['--wakes-per-minute', 6] })
  const subject = await agent(t, { host })
  const { w, explain } = subject
  await spend(subject)
  const before = await explain()
  await host.stop()
  await host.restart()
  w.testId += ' after the restart'
  assert.deepEqual(await explain(), before)
  await w.advance(EVERY - 1)
  assert.deepEqual(await announced(subject), [])
  await w.advance(1)
  assert.equal((await announced(subject)).length, 1)
})

test('another budget holds from the next start', async (t) => {
  const host = await startHost({ args: ['--wakes-per-minute', 6] })
  const subject = await agent(t, { host })
  const { w, explain } = subject
  await spend(subject)
  await host.stop()
  await host.restart({ args: ['--wakes-per-minute', 60] })
  w.testId += ' after the restart'
  assert.equal((await explain()).budget.wakes_a_minute, 60)
  await w.advance(EVERY)
  for (let n = 0; n < 10; n++) assert.equal(await wake(subject), n < 9, 'ten seconds bring back ten')
})

test('0 is no limit', async (t) => {
  const subject = await agent(t, { host: await startHost({ args: ['--wakes-per-minute', 0] }) })
  const { w, url, explain } = subject
  assert.deepEqual((await explain()).budget, { wakes_a_minute: 0, at_once: 0, left: null })
  await w.send(url, 'go')
  for (let n = 0; n < 650; n++) assert.equal(await wake(subject), true)
})

test('without a limit from the next start, nobody waits any more', async (t) => {
  const host = await startHost({ args: ['--wakes-per-minute', 6] })
  const subject = await agent(t, { host })
  const { w } = subject
  await spend(subject)
  await host.stop()
  await host.restart({ args: ['--wakes-per-minute', 0] })
  w.testId += ' after the restart'
  await w.advance(EVERY)
  assert.equal((await announced(subject)).length, 1)
})

test('without a setting it is 60 a minute, and 600 at once', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy })
  const subject = { w, runner, url }
  assert.equal(await spend(subject), 600)
  const { dispatch, budget } = await w.explain(url)
  assert.deepEqual(budget, { wakes_a_minute: 60, at_once: 600, left: 0 })
  assert.equal(dispatch.slowed_until, iso((await w.now()) + 1_000))
})
