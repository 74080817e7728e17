// A claim is a lease of 30 s: who is silent longer loses it, and the work is announced again.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { change, world } from '../harness/world.mjs'

async function claimed(t) {
  const w = await world(t)
  await w.type()
  return [w, await w.working(w.name, 'e')]
}

test('a silent claim expires, and a higher generation fences it', async (t) => {
  const [w, first] = await claimed(t)
  await w.advance(29_999)
  assert.equal((await w.entity(first.entity)).status, 'running')
  assert.equal(first.hook.all.length, 1)

  await w.advance(1)
  const second = await w.woken(first.hook)
  assert.equal(second.body.generation, 2)
  assert.notEqual(second.body.wakeId, first.body.wakeId)
  assert.deepEqual(second.body.streams, first.body.streams)

  assert.equal((await first.write([change('note', 'n', {})])).status, 401)
  for (const body of [{ epoch: 1, wakeId: first.body.wakeId }, { epoch: 1 }, { epoch: 1, acks: [], done: true }]) {
    const answer = await first.callback(body)
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.json.error.code, 'FENCED')
  }
  await second.claim()
  await second.append([change('note', 'n', {})])
  assert.equal((await second.done()).json.next_wake, false)
  assert.equal((await w.entity(first.entity)).status, 'idle')
})

test('between expiry and the next claim the entity is not left running', async (t) => {
  const [w, work] = await claimed(t)
  work.hook.answer({ status: 503 })
  await w.advance(30_000)
  await w.woken(work.hook)
  await w.eventually(async () => assert.equal((await w.entity(work.entity)).status, 'idle'))
})

test('heartbeats keep a claim', async (t) => {
  const [w, work] = await claimed(t)
  for (let n = 0; n < 5; n++) {
    await w.advance(20_000)
    assert.equal((await work.heartbeat()).status, 200)
  }
  assert.equal(work.hook.all.length, 1)
  await w.advance(29_999)
  assert.equal((await work.write([change('note', 'n', {})])).status, 204)
  await w.advance(1)
  assert.equal((await w.woken(work.hook)).body.generation, 2)
})

test('a refused callback does not extend the lease', async (t) => {
  const [w, work] = await claimed(t)
  await w.advance(20_000)
  assert.equal((await work.callback({ epoch: 1 }, 'nonsense')).status, 401)
  assert.equal((await work.callback({ epoch: 7 })).status, 409)
  await w.advance(10_000)
  assert.equal((await w.woken(work.hook)).body.generation, 2)
})

test('a webhook that nobody claims is a lease too', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 1 })
  const first = await w.woken(hook)
  await w.eventually(async () => assert.equal((await w.get(`/_electric/entities/${w.name}/e`)).json.status, 'running'))
  await w.advance(30_000)
  const second = await w.woken(hook)
  assert.equal(second.body.generation, 2)
  const late = await first.callback({ epoch: 1, wakeId: first.body.wakeId })
  assert.equal(late.status, 409)
})
