// Who registers a wake is woken until the registration is gone; and not everyone may.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { change, world } from '../harness/world.mjs'

const event = [change('note', 'n', {})]

async function observed(t) {
  const w = await world(t)
  await w.type()
  const observer = (await w.spawn(w.name, 'observer')).url
  const work = await w.working(w.name, 'source')
  const wakes = async () => (await w.events(observer, 'wake')).length
  const unregister = (body) => w.post('/_electric/wake/unregister', { subscriberUrl: observer, ...body })
  return { w, observer, work, wakes, unregister }
}

test('a registration answers 204 and is in force at once', async (t) => {
  const { w, observer, work, wakes } = await observed(t)
  const answer = await w.post('/_electric/wake', { subscriberUrl: observer, sourceUrl: work.entity, condition: { on: 'change' } })
  assert.equal(answer.status, 204)
  assert.equal(answer.text, '')
  await work.append(event)
  assert.equal(await wakes(), 1)
})

test('a wake is unregistered by its source', async (t) => {
  const { w, observer, work, wakes, unregister } = await observed(t)
  await w.observe(observer, work.entity, { on: 'change' })
  await w.observe(observer, work.entity, 'runFinished', { manifestKey: 'k' })
  const answer = await unregister({ sourceUrl: work.entity })
  assert.equal(answer.status, 204)
  assert.equal(answer.text, '')
  await work.append([...event, { type: 'run', key: 'r', value: { status: 'completed' }, headers: { operation: 'update' } }])
  assert.equal(await wakes(), 0)
})

test('a wake is unregistered by its manifest key, and only that one', async (t) => {
  const { w, observer, work, wakes, unregister } = await observed(t)
  await w.observe(observer, work.entity, { on: 'change' }, { manifestKey: 'child:a' })
  await w.observe(observer, work.entity, { on: 'change', ops: ['insert'] }, { manifestKey: 'child:b' })
  await work.append(event)
  assert.equal(await wakes(), 2)
  assert.equal((await unregister({ manifestKey: 'child:a' })).status, 204)
  await work.append(event)
  assert.equal(await wakes(), 3)
})

test('the same registration twice wakes once', async (t) => {
  const { w, observer, work, wakes } = await observed(t)
  await w.observe(observer, work.entity, { on: 'change', collections: ['note', 'x'] })
  await w.observe(observer, work.entity, { collections: ['x', 'note'], on: 'change', debounceMs: undefined })
  await work.append(event)
  assert.equal(await wakes(), 1)
})

test('of two registrations under one manifest key the last counts', async (t) => {
  const { w, observer, work } = await observed(t)
  await w.observe(observer, work.entity, { on: 'change', collections: ['other'] }, { manifestKey: 'k' })
  await w.observe(observer, work.entity, { on: 'change', collections: ['note'] }, { manifestKey: 'k' })
  await work.append([change('other', 'o', {}), ...event])
  const rows = await w.events(observer, 'wake')
  assert.deepEqual(rows.map((row) => row.value.changes[0].collection), ['note'])
})
