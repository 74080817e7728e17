// What the agent's endpoint answers decides what comes next: done, or another attempt.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

test('{"done":true} acknowledges and releases', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  hook.answer({ status: 200, body: { done: true } })
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 1 })
  const first = await w.woken(hook)
  // Once released, a late claim is fenced and the entity is idle.
  await w.eventually(async () => assert.equal((await first.callback({ epoch: 1 })).status, 409))
  assert.equal((await w.entity(url)).status, 'idle')
  await w.advance(120_000)
  assert.equal(hook.all.length, 1)
  await w.send(url, 2)
  assert.equal((await w.woken(hook)).body.generation, 2)
})

for (const failure of [{ status: 500 }, { status: 404, body: { error: 'unknown type' } }, { status: 302 }, 'hang up']) {
  test(`after ${failure.status ?? failure} the same wake comes again, with backoff`, async (t) => {
    const w = await world(t)
    await w.type()
    const hook = await w.hook()
    hook.answer(failure)
    const started = await w.now()
    const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 1 })
    const first = await w.woken(hook)
    await w.eventually(async () => assert.equal((await w.entity(url)).status, 'idle'))

    // 1 s, then 2 s, each ± 20 %.
    const second = await w.advanceUntil(w.woken(hook), { step: 50 })
    const waited = (await w.now()) - started
    assert.ok(waited >= 800, `the second attempt came after ${waited} ms`)
    const third = await w.advanceUntil(w.woken(hook), { step: 50 })
    assert.ok((await w.now()) - started - waited >= 1_600)
    for (const again of [second, third]) {
      assert.equal(again.body.wakeId, first.body.wakeId)
      assert.equal(again.body.generation, first.body.generation)
      assert.equal(again.body.claimToken, first.body.claimToken)
    }

    hook.answer({ status: 200, body: { ok: true } })
    const last = await w.advanceUntil(w.woken(hook), { step: 200 })
    await last.claim()
    assert.equal((await w.entity(url)).status, 'running')
    assert.equal((await last.done()).json.next_wake, false)
  })
}

for (const status of [301, 302, 303, 307, 308]) {
  test(`a redirection is not followed: ${status}`, async (t) => {
    const w = await world(t)
    await w.type()
    const [hook, elsewhere] = [await w.hook(), await w.hook()]
    hook.answerOnce({ status, headers: { location: elsewhere.url } })
    await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 1 })
    const first = await w.woken(hook)
    const again = await w.advanceUntil(w.woken(hook), { step: 100 })
    assert.equal(again.body.wakeId, first.body.wakeId, 'it has failed')
    assert.deepEqual(elsewhere.all, [])
  })
}

test('a retry is dropped when its wake is done', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  hook.answerOnce({ status: 500 })
  await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 1 })
  const wake = await w.woken(hook)
  await wake.claim()
  await wake.done()
  await w.advance(120_000)
  assert.equal(hook.all.length, 1)
})
