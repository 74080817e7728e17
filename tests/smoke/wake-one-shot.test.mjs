// A registration for one wake: `oneShot`. It is gone with it, and a restart in the middle does not give it a second.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { observing } from '../harness/observer.mjs'
import { change, finish } from '../harness/world.mjs'

test('the first match is the only wake', async (t) => {
  const o = await observing(t, { oneShot: true })
  await o.notes('one')
  await o.notes('two')
  assert.deepEqual(await o.wakes(), [['one']])
  assert.deepEqual(await o.registrations(), [])
})

test('of an append with two matches the first is the wake', async (t) => {
  const o = await observing(t, { oneShot: true, condition: { on: 'change', collections: ['note'] } })
  await o.w.post(o.source, [change('other', 'o', {}), change('note', 'one', {}), change('note', 'two', {})])
  assert.deepEqual(await o.wakes(), [['one']])
})

test('what does not match does not use it up', async (t) => {
  const o = await observing(t, { oneShot: true, condition: { on: 'change', ops: ['delete'] } })
  await o.notes('one')
  assert.equal((await o.registrations()).length, 1)
  await o.w.post(o.source, [change('note', 'one', undefined, 'delete')])
  assert.deepEqual(await o.wakes(), [['one']])
})

test('one that gathers takes all that comes until its wake, and nothing after', async (t) => {
  const o = await observing(t, { oneShot: true, debounceMs: 100 })
  await o.notes('one')
  await o.w.advance(60)
  await o.notes('two')
  assert.equal((await o.registrations()).length, 1)
  await o.w.advance(100)
  assert.deepEqual(await o.wakes(), [['one', 'two']])
  assert.deepEqual(await o.registrations(), [])
  await o.notes('three')
  await o.w.advance(100)
  assert.equal((await o.wakes()).length, 1)
})

for (const changes of [150, 250]) {
  test(`one that gathers is full once, also when ${changes} changes come at once`, async (t) => {
    const o = await observing(t, { oneShot: true, debounceMs: 100 })
    await o.notes(...Array.from({ length: changes }, (_, n) => `n${n}`))
    await o.w.advance(1_000)
    assert.deepEqual((await o.wakes()).map((keys) => keys.length), [100])
  })
}

test('what an entity writes under its own claim does not use it up', async (t) => {
  const { w } = await observing(t, null)
  const work = await w.working(w.name, 'work')
  await w.observe(work.entity, work.entity, { on: 'change', collections: ['note', 'inbox'] }, { oneShot: true })
  await work.append([change('note', 'mine', {})])
  await w.send(work.entity, 1, { key: 'theirs' })
  const rows = await w.events(work.entity, 'wake')
  assert.deepEqual(rows.map((row) => row.value.changes[0].key), ['theirs'])
})

test('its timeout does not use it up: it may still have its wake', async (t) => {
  const o = await observing(t, { oneShot: true, timeoutMs: 100 })
  await o.w.advance(100)
  await o.notes('one')
  await o.notes('two')
  assert.deepEqual(await o.wakes(), [[], ['one']])
})

test('whoever wants another wake registers again', async (t) => {
  const o = await observing(t, { oneShot: true })
  await o.notes('one')
  await o.observes({ oneShot: true })
  await o.notes('two')
  await o.notes('three')
  assert.deepEqual(await o.wakes(), [['one'], ['two']])
})

test('a registration that lasts takes the place of one for a wake, and the other way round', async (t) => {
  const o = await observing(t, { oneShot: true })
  await o.observes()
  assert.equal((await o.registrations()).length, 1)
  for (const key of ['one', 'two']) await o.notes(key)
  await o.observes({ oneShot: true })
  for (const key of ['three', 'four']) await o.notes(key)
  assert.deepEqual(await o.wakes(), [['one'], ['two'], ['three']])
})

test('it may wait for a run to end', async (t) => {
  const { w, url } = await observing(t, null)
  const child = await w.working(w.name, 'child', { parent: url })
  await w.observe(url, child.entity, 'runFinished', { oneShot: true })
  for (const key of ['run-0', 'run-1']) await child.append([finish(key)])
  const rows = await w.events(url, 'wake')
  assert.deepEqual(rows.map((row) => row.value.changes[0].key), ['run-0'])
})

test('each of those who wait has one', async (t) => {
  const o = await observing(t, { oneShot: true })
  const other = (await o.w.spawn(o.w.name, 'other')).url
  await o.w.observe(other, o.source, { on: 'change' }, { oneShot: true })
  await o.notes('one')
  await o.notes('two')
  for (const url of [o.url, other]) assert.equal((await o.w.events(url, 'wake')).length, 1)
})

for (const end of ['stop', 'kill']) {
  test(`a registration for one wake outlives a ${end}, and its use does`, async (t) => {
    const host = await startHost()
    const o = await observing(t, { oneShot: true, manifestKey: 'used', condition: { on: 'change', ops: ['insert'] } }, { host })
    await o.observes({ oneShot: true, manifestKey: 'waiting', condition: { on: 'change', ops: ['delete'] } })
    await o.observes({ oneShot: true, manifestKey: 'gathering', condition: { on: 'change', collections: ['note'] }, debounceMs: 100 })
    await o.notes('one')
    await host[end]()
    await host.restart()
    o.w.testId += ' after the restart'
    await o.notes('two')
    assert.deepEqual(await o.wakes(), [['one']])
    await o.w.post(o.source, [change('note', 'one', undefined, 'delete')])
    await o.w.advance(100)
    assert.deepEqual(await o.wakes(), [['one'], ['one'], ['one', 'two', 'one']])
    await o.notes('three')
    await o.w.advance(1_000)
    assert.equal((await o.wakes()).length, 3)
    assert.deepEqual(await o.registrations(), [])
  })
}
