// A registration with a timeout: when nothing has matched for so long since it was made, its subscriber is told that,
// once. It stays registered.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { like, OFFSET } from '../harness/like.mjs'
import { iso, observing } from '../harness/observer.mjs'
import { change } from '../harness/world.mjs'

const HOUR = 3_600_000

test('when nothing has matched in time an entity is told so, at that millisecond and once', async (t) => {
  const o = await observing(t, { timeoutMs: 5_000 })
  await o.w.advance(4_999)
  assert.deepEqual(await o.rows(), [])
  const now = await o.w.advance(1)
  like(await o.rows(), [
    {
      type: 'wake',
      key: /^wake-\d+-timeout$/,
      value: { timestamp: iso(now), source: o.source, timeout: true, changes: [] },
      headers: { operation: 'insert', offset: OFFSET },
    },
  ])
  await o.w.advance(HOUR)
  assert.equal(await o.timeouts(), 1)
})

test('a timeout wakes the agent', async (t) => {
  const { w, source } = await observing(t, null)
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy })
  await w.observe(url, source, { on: 'change' }, { timeoutMs: 5_000 })
  await w.advance(5_000)
  assert.equal((await w.woken(hook)).entity, url)
})

test('after its timeout a registration goes on, and what matches is a wake like any other', async (t) => {
  const o = await observing(t, { timeoutMs: 100 })
  await o.w.advance(100)
  await o.notes('late')
  await o.w.advance(HOUR)
  assert.deepEqual((await o.rows()).map((row) => row.value.timeout), [true, false])
  assert.deepEqual(await o.wakes(), [[], ['late']])
})

test('the first match ends the timeout for good', async (t) => {
  const o = await observing(t, { timeoutMs: 100 })
  await o.w.advance(99)
  await o.notes('in time')
  await o.w.advance(HOUR)
  assert.deepEqual(await o.wakes(), [['in time']])
})

test('a match that is still gathered ends it too', async (t) => {
  const o = await observing(t, { timeoutMs: 100, debounceMs: 500 })
  await o.notes('in time')
  await o.w.advance(499)
  assert.deepEqual(await o.rows(), [])
  await o.w.advance(1)
  assert.deepEqual(await o.wakes(), [['in time']])
  await o.w.advance(HOUR)
  assert.equal(await o.timeouts(), 0)
})

test('what does not match does not end it', async (t) => {
  const o = await observing(t, { condition: { on: 'change', collections: ['note'] }, timeoutMs: 100 })
  await o.w.post(o.source, [change('other', 'o', {})])
  await o.w.advance(100)
  assert.equal(await o.timeouts(), 1)
})

test('a run that begins is not one that has ended', async (t) => {
  const { w, url } = await observing(t, null)
  const child = await w.working(w.name, 'child', { parent: url })
  await w.observe(url, child.entity, 'runFinished', { timeoutMs: 1_000 })
  await child.append([change('run', 'r', { status: 'started' })])
  await w.advance(1_000)
  const [row] = await w.events(url, 'wake')
  assert.deepEqual([row.value.source, row.value.timeout, row.value.finished_child], [child.entity, true, undefined])
  await child.append([change('run', 'r', { status: 'completed' }, 'update')])
  const [, finished] = await w.events(url, 'wake')
  assert.deepEqual([finished.value.timeout, finished.value.finished_child.run_status], [false, 'completed'])
})

test('a source that does not exist times out as well', async (t) => {
  const { w, url } = await observing(t, null)
  await w.observe(url, '/nobody/there', 'runFinished', { timeoutMs: 100 })
  await w.advance(100)
  assert.equal((await w.events(url, 'wake'))[0].value.source, '/nobody/there')
})

test('two registrations time out apart', async (t) => {
  const o = await observing(t, { timeoutMs: 200, manifestKey: 'a' })
  await o.observes({ timeoutMs: 300, manifestKey: 'b', condition: { on: 'change', ops: ['delete'] } })
  await o.w.advance(100)
  await o.notes('for the first only')
  await o.w.advance(200)
  assert.deepEqual((await o.rows()).map((row) => row.value.timeout), [false, true])
})

for (const [timeoutMs, waits] of [[0, undefined], [-5, undefined], [0.2, 1], [9.1, 10]]) {
  test(`a timeout of ${timeoutMs} ${waits ? `waits for ${waits} ms` : 'is none'}`, async (t) => {
    const o = await observing(t, { timeoutMs })
    if (!waits) {
      await o.w.advance(HOUR)
      return assert.equal(await o.timeouts(), 0)
    }
    await o.w.advance(waits - 1)
    assert.equal(await o.timeouts(), 0)
    await o.w.advance(1)
    assert.equal(await o.timeouts(), 1)
  })
}

test('a timeout in the condition counts, as the runtime sends it', async (t) => {
  const o = await observing(t, { condition: { on: 'change', timeoutMs: 50 } })
  await o.w.advance(50)
  assert.equal(await o.timeouts(), 1)
})

test('registering the same again does not begin its time anew', async (t) => {
  const o = await observing(t, { timeoutMs: 100, manifestKey: 'k' })
  await o.w.advance(60)
  await o.observes({ timeoutMs: 100, manifestKey: 'k' })
  await o.w.advance(40)
  assert.equal(await o.timeouts(), 1)
  await o.observes({ timeoutMs: 100, manifestKey: 'k' })
  await o.w.advance(HOUR)
  assert.equal(await o.timeouts(), 1)
})

test('registering something else under its key does', async (t) => {
  const o = await observing(t, { timeoutMs: 100, manifestKey: 'k' })
  await o.w.advance(60)
  await o.observes({ timeoutMs: 100, manifestKey: 'k', condition: { on: 'change', ops: ['insert'] } })
  await o.w.advance(99)
  assert.equal(await o.timeouts(), 0)
  await o.w.advance(1)
  assert.equal(await o.timeouts(), 1)
})

test('what is unregistered does not time out', async (t) => {
  const o = await observing(t, { timeoutMs: 100 })
  await o.unregister()
  await o.w.advance(HOUR)
  assert.deepEqual(await o.rows(), [])
})

test('an entity that was killed is told nothing, and others are', async (t) => {
  const o = await observing(t, { timeoutMs: 100 })
  const other = (await o.w.spawn(o.w.name, 'other')).url
  await o.w.observe(other, o.source, { on: 'change' }, { timeoutMs: 100 })
  await o.w.delete(`/_electric/entities${o.url}`)
  await o.w.advance(100)
  assert.deepEqual(await o.rows(), [])
  assert.equal((await o.w.events(other, 'wake')).length, 1)
})

test('a spawn registers a wake with its debounce and its timeout', async (t) => {
  const { w, url } = await observing(t, null)
  const wake = { subscriberUrl: url, condition: 'runFinished', timeoutMs: 1_000 }
  const child = await w.spawn(w.name, 'child', { parent: url, wake })
  await w.advance(1_000)
  const [row] = await w.events(url, 'wake')
  assert.deepEqual([row.value.source, row.value.timeout], [child.url, true])
})

for (const end of ['stop', 'kill']) {
  test(`a timeout outlives a ${end}: one that is due, one that was told, one that was ended`, async (t) => {
    const host = await startHost()
    const o = await observing(t, { timeoutMs: 1_000, manifestKey: 'told' }, { host })
    const due = { timeoutMs: 3_000, manifestKey: 'due', condition: { on: 'change', ops: ['delete'] } }
    await o.observes(due)
    await o.observes({ timeoutMs: 3_000, manifestKey: 'ended', condition: { on: 'change', collections: ['note'] } })
    await o.w.advance(1_500)
    await o.notes('in time')
    const before = await o.rows()
    assert.deepEqual(before.map((row) => row.value.timeout), [true, false, false])
    await host[end]()
    await host.restart()
    o.w.testId += ' after the restart'
    await o.observes(due)
    await o.w.advance(1_499)
    assert.deepEqual(await o.rows(), before)
    await o.w.advance(1)
    assert.equal(await o.timeouts(), 2)
    await o.w.advance(HOUR)
    assert.equal((await o.rows()).length, 4)
  })
}
