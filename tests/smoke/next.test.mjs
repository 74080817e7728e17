// `GET /_reveille/entities/{type}/{id}/next`: what happens to an entity by itself, and when, the soonest first.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { coming, cronPath, iso, manifestRow, observing } from '../harness/observer.mjs'
import { refuses } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const [SECOND, MINUTE, HOUR] = [1_000, 60_000, 3_600_000]

async function entity(t, body, options) {
  const w = await world(t, options)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', body)
  return { w, url, now: await w.now(), next: (kind) => coming(w, url, kind) }
}

test('nothing comes to an entity that waits for nothing', async (t) => {
  const { next } = await entity(t)
  assert.deepEqual(await next(), [])
})

test('what is gathered becomes a wake', async (t) => {
  const o = await observing(t, { debounceMs: 10_000 })
  const now = await o.w.now()
  const told = (at, changes) => [
    { at: iso(at), kind: 'debounce', what: `${changes} changes of ${o.source} become one wake, unless more come` },
  ]
  assert.deepEqual(await coming(o.w, o.url), [])
  await o.notes('two', 'three')
  assert.deepEqual(await coming(o.w, o.url), told(now + 10_000, 2))
  await o.w.advance(6_000)
  await o.notes('four')
  assert.deepEqual(await coming(o.w, o.url), told(now + 16_000, 3), 'it was put off')
  await o.w.advance(10_000)
  assert.deepEqual(await coming(o.w, o.url), [])
})

test('a timeout, until something matches or it was told', async (t) => {
  const o = await observing(t, { timeoutMs: 10_000, manifestKey: 'a' })
  const now = await o.w.now()
  const told = { at: iso(now + 10_000), kind: 'timeout', what: `it is told that nothing has matched on ${o.source}, unless something does` }
  assert.deepEqual(await coming(o.w, o.url), [told])
  await o.notes('one')
  assert.deepEqual(await coming(o.w, o.url), [])
  await o.observes({ timeoutMs: 5_000, manifestKey: 'b' })
  assert.equal((await coming(o.w, o.url)).length, 1)
  await o.w.advance(5_000)
  assert.deepEqual(await coming(o.w, o.url), [])
})

test('the next tick of a schedule', async (t) => {
  const { w, url, now, next } = await entity(t)
  const path = `/_electric/entities${url}/schedules/s`
  await w.put(path, { scheduleType: 'cron', expression: '0 * * * *', payload: 1 })
  const due = (Math.floor(now / HOUR) + 1) * HOUR
  const tick = (at) => [{ at: iso(at), kind: 'schedule', what: `${cronPath('0 * * * *')} ticks` }]
  assert.deepEqual(await next(), tick(due))
  await w.advance(due - now)
  assert.deepEqual(await next(), tick(due + HOUR))
  await w.delete(path)
  assert.deepEqual(await next(), [])
})

test('messages that come, and those that it has scheduled for others', async (t) => {
  const { w, url, now, next } = await entity(t)
  const other = (await w.spawn(w.name, 'other')).url
  await w.send(url, 1, { afterMs: 3_000 })
  const schedule = (id, at, targetUrl) =>
    w.put(`/_electric/entities${url}/schedules/${id}`, { scheduleType: 'future_send', fireAt: iso(at), payload: 1, targetUrl })
  await schedule('own', now + 2_000)
  await schedule('other', now + 1_000, other)
  const arrives = { kind: 'message', what: 'a message arrives' }
  assert.deepEqual(await next(), [
    { at: iso(now + 1_000), kind: 'message', what: `a message that it has scheduled arrives at ${other}` },
    { at: iso(now + 2_000), ...arrives },
    { at: iso(now + 3_000), ...arrives },
  ])
  assert.deepEqual(await coming(w, other), [{ at: iso(now + 1_000), ...arrives }])
  await w.advance(3_000)
  assert.deepEqual(await next(), [])
})

test('a message that waits for a fork arrives when that is over', async (t) => {
  const { w, url, now, next } = await entity(t)
  await w.send(url, 1, { afterMs: 1_000 })
  await w.post('/_reveille/dev/lock', { entity: url, ms: MINUTE })
  await w.advance(2_000)
  assert.deepEqual((await next('message')).map(({ at }) => at), [iso(now + MINUTE)])
})

test('a lease, which a heartbeat puts off', async (t) => {
  const { w, now } = await entity(t)
  const work = await w.working(w.name, 'work')
  const what = 'the lease is over, unless a heartbeat or a done comes before: then its work is given out again'
  const lease = (at) => [{ at: iso(at), kind: 'lease', what }]
  assert.deepEqual(await coming(w, work.entity), lease(now + 30_000))
  await w.advance(10_000)
  await work.heartbeat()
  assert.deepEqual(await coming(w, work.entity), lease(now + 40_000))
  await work.done()
  assert.deepEqual(await coming(w, work.entity), [])
})

test('another attempt at a webhook', async (t) => {
  const { w } = await entity(t)
  const hook = await w.hook()
  hook.answer({ status: 500 })
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy, initialMessage: 1 })
  await hook.next()
  const [retry, ...more] = await w.eventually(async () => {
    const all = await coming(w, url)
    assert.match(all[0].what, /again$/)
    return all
  })
  assert.deepEqual(more, [])
  assert.deepEqual([retry.kind, retry.what], ['retry', `it is sent to ${hook.url} again`])
  const now = await w.now()
  assert.ok(Date.parse(retry.at) > now && Date.parse(retry.at) <= now + 2 * SECOND, retry.at)
  hook.answer({ status: 200 })
  await w.advance(Date.parse(retry.at) - now)
  await w.woken(hook, undefined, 5_000)
})

test('another announcement to a runner', async (t) => {
  const { w, now } = await entity(t)
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'pulled', { dispatch_policy: runner.policy, initialMessage: 1 })
  const what = `it is announced to runner \`${runner.id}\` again, unless it was claimed`
  assert.deepEqual(await coming(w, url), [{ at: iso(now + 30_000), kind: 'announcement', what }])
})

test('the end of a lock, when something waits for it', async (t) => {
  const { w, now } = await entity(t)
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy })
  await w.post('/_reveille/dev/lock', { entity: url, ms: MINUTE })
  assert.deepEqual(await coming(w, url), [])
  await w.send(url, 1)
  assert.deepEqual(await coming(w, url), [{ at: iso(now + MINUTE), kind: 'lock', what: "the fork's lock ends, and a wake begins" }])
})

test('a wake that waits for its turn, because its entity has used up its budget', async (t) => {
  const host = await startHost({ args: ['--wakes-per-minute', 1] })
  const { w } = await entity(t, {}, { host })
  const hook = await w.hook()
  hook.answer({ status: 200, body: { done: true } })
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy })
  for (let n = 0; n < 10; n++) {
    await w.send(url, n)
    await hook.next()
    await w.eventually(async () => assert.equal((await w.explain(url)).dispatch.state, 'idle'))
  }
  assert.deepEqual(await coming(w, url), [])
  await w.send(url, 'more')
  assert.deepEqual(await coming(w, url), [{ at: iso((await w.now()) + MINUTE), kind: 'wake', what: 'its wake begins' }])
})

test('all of it together, the soonest first', async (t) => {
  const o = await observing(t, { debounceMs: 40_000, timeoutMs: 1_000 })
  const { w } = o
  const work = await w.working(w.name, 'work')
  const now = await w.now()
  await w.observe(work.entity, o.source, { on: 'change' }, { debounceMs: 5_000, manifestKey: 'gathers' })
  await w.observe(work.entity, o.source, { on: 'change', ops: ['delete'] }, { timeoutMs: 10_000, manifestKey: 'times out' })
  await o.notes('one')
  await w.send(work.entity, 1, { afterMs: 1_000 })
  await work.append([manifestRow('k', { kind: 'schedule', scheduleType: 'cron', expression: '*/20 * * * * *' })])
  const all = await coming(w, work.entity)
  const at = all.map((one) => Date.parse(one.at))
  assert.deepEqual(at, at.toSorted((a, b) => a - b))
  assert.ok(at.every((ms) => ms > now))
  assert.deepEqual(all.map(({ kind }) => kind).toSorted(), ['debounce', 'lease', 'message', 'schedule', 'timeout'])
})

test('explain says the same', async (t) => {
  const o = await observing(t, { timeoutMs: 1_000 })
  await o.w.send(o.url, 1, { afterMs: 500 })
  const next = await coming(o.w, o.url)
  assert.equal(next.length, 2)
  assert.deepEqual((await o.w.explain(o.url)).next, next)
})

test('what comes to a paused entity still comes', async (t) => {
  const o = await observing(t, { timeoutMs: 1_000 })
  const next = await coming(o.w, o.url)
  await o.w.post(`/_electric/entities${o.url}/signal`, { signal: 'SIGSTOP' })
  assert.deepEqual(await coming(o.w, o.url), next)
})

test('nothing comes to an entity at its end', async (t) => {
  const o = await observing(t, { timeoutMs: 1_000, debounceMs: 1_000 })
  await o.w.put(`/_electric/entities${o.url}/schedules/s`, { scheduleType: 'cron', expression: '* * * * *', payload: 1 })
  await o.notes('one')
  await o.w.delete(`/_electric/entities${o.url}`)
  assert.deepEqual(await coming(o.w, o.url), [])
})

test('no message arrives at an entity at its end', async (t) => {
  const { w, url, next } = await entity(t)
  await w.send(url, 1, { afterMs: 1_000 })
  await w.delete(`/_electric/entities${url}`)
  assert.deepEqual(await next(), [])
})

test('who may read an entity may ask what comes', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, { as: 'user:alice' })
  const ask = (of, as) => w.get(`/_reveille/entities${of}/next`, { as })
  for (const as of ['user:alice', 'system:framework', undefined]) assert.equal((await ask(url, as)).status, 200)
  refuses(await ask(url, 'user:bob'), 401, 'UNAUTHORIZED', `Principal is not allowed to read ${url}`)
  refuses(await ask(`/${w.name}/nobody`), 404, 'NOT_FOUND', `Entity not found at /${w.name}/nobody`)
  refuses(await ask('/no-such-type/e'), 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found')
})
