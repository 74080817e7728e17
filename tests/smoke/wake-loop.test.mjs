// Two entities that observe each other do not wake each other without end.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hostName } from '../harness/host.mjs'
import { change, world } from '../harness/world.mjs'

test('without agents an append goes one step', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'a')
  const { url } = await w.spawn(w.name, 'b')
  await w.observe(url, work.entity, { on: 'change' })
  await w.observe(work.entity, url, { on: 'change' })
  await work.append([change('note', 'n', {})])
  assert.equal((await w.events(url, 'wake')).length, 1)
  assert.deepEqual(await w.events(work.entity, 'wake'), [])
})

test('with agents that answer every wake, the loop slows down and is never cut', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const urls = []
  for (const id of ['a', 'b']) urls.push((await w.spawn(w.name, id, { dispatch_policy: hook.policy })).url)
  await w.observe(urls[0], urls[1], { on: 'change' })
  await w.observe(urls[1], urls[0], { on: 'change' })
  await w.send(urls[0], 'go')

  const started = await w.now()
  const next = (timeout) => w.woken(hook, undefined, timeout).catch(() => undefined)
  const answer = async (wake) => {
    await wake.claim()
    await wake.append([change('note', 'n', {})])
    await wake.done()
  }
  // While the clock stands still the loop comes to rest, but not before the wakes are deep.
  let wakes = 0
  for (let wake; (wake = await next(500)); wakes++) {
    assert.ok(wakes < 200, 'the loop does not slow down')
    await answer(wake)
  }
  assert.ok(wakes >= 64, `the loop came to rest after ${wakes} wakes`)
  assert.equal(await w.now(), started)
  if (hostName === 'native') {
    assert.ok(Number((await w.get('/metrics')).text.match(/^reveille_wakes_slowed_total (\d+)$/m)[1]) > 0)
  }

  // Time lets it go on.
  for (let n = 0; n < 3; n++) await answer(await w.advanceUntil(w.woken(hook), { step: 10_000, steps: 360 }))
})
