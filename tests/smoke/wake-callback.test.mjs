// What an agent does with a wake: claim, heartbeat, write, done. Who has no right to it is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, UUID } from '../harness/like.mjs'
import { change, world } from '../harness/world.mjs'

async function woken(t) {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 'go' })
  return [w, await w.woken(hook), hook]
}

test('a wake from claim to done', async (t) => {
  const [w, wake] = await woken(t)
  const status = async () => (await w.entity(wake.entity)).status

  const claimed = await wake.claim()
  like(claimed.json, { ok: true, writeToken: UUID })
  assert.equal(claimed.headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(await status(), 'running')

  const alive = await wake.heartbeat()
  assert.equal(alive.status, 200)
  assert.equal(alive.json.ok, true)
  assert.equal(await status(), 'running')

  await wake.append([change('note', 'n', {})])
  const done = await wake.done()
  assert.equal(done.status, 200)
  assert.deepEqual(done.json, { ok: true, next_wake: false })
  assert.equal(await status(), 'idle')
})

test('the snake_case form of the callback is understood too', async (t) => {
  const [, wake] = await woken(t)
  const claimed = await wake.callback({ generation: wake.body.generation, wake_id: wake.body.wake_id })
  like(claimed.json, { ok: true, writeToken: UUID })
  const acks = [{ stream: wake.body.streamPath.slice(1), offset: wake.offset }]
  const done = await wake.callback({ generation: 1, wake_id: wake.body.wake_id, acks, done: true })
  assert.equal(done.json.next_wake, false)
})

const strangers = [
  ['without a token', (wake, body) => wake.callback(body, null)],
  ['with a wrong token', (wake, body) => wake.callback(body, 'nonsense')],
  ['with the write token', (wake, body) => wake.callback(body, wake.writeToken ?? 'none')],
  ['with another wake’s token', (wake, body) => wake.callback(body, wake.other.body.claimToken)],
]
for (const [what, call] of strangers) {
  test(`a callback ${what} is refused`, async (t) => {
    const [w, wake, hook] = await woken(t)
    await w.spawn(w.name, 'other', { dispatch_policy: hook.policy, initialMessage: 'go' })
    wake.other = await w.woken(hook)
    const refused = async (body) => {
      const answer = await call(wake, body)
      assert.equal(answer.status, 401, answer.text)
      assert.equal(typeof answer.json.error.code, 'string')
    }
    await refused({ epoch: 1, wakeId: wake.body.wakeId })
    assert.notEqual((await w.entity(wake.entity)).status, 'killed')
    await wake.claim()
    await refused({ epoch: 1, wakeId: wake.body.wakeId })
    await refused({ epoch: 1 })
    await refused({ epoch: 1, acks: [], done: true })
    // The claim is as it was.
    assert.equal((await wake.write([change('note', 'n', {})])).status, 204)
    assert.equal((await w.entity(wake.entity)).status, 'running')
  })
}

test('a callback of an unknown wake is a 404', async (t) => {
  const w = await world(t)
  const answer = await w.post('/_electric/wake-callbacks/w_000000000000000000000000', { epoch: 1, wakeId: 'w_000000000000000000000000' }, { headers: { authorization: 'Bearer x' } })
  assert.equal(answer.status, 404)
  assert.deepEqual(answer.json.error, { code: 'WAKE_CALLBACK_NOT_FOUND', message: 'Unknown wake-callback consumer' })
})

test('the token may come as electric-claim-token', async (t) => {
  const [w, wake] = await woken(t)
  const answer = await w.post(new URL(wake.body.callback).pathname, { epoch: 1, wakeId: wake.body.wakeId }, {
    headers: { 'electric-claim-token': wake.body.claimToken },
  })
  assert.equal(answer.status, 200, answer.text)
})

test('a stale generation is fenced', async (t) => {
  const [w, first, hook] = await woken(t)
  await first.claim()
  await w.send(first.entity, 'more')
  assert.equal((await first.done()).json.next_wake, true)
  const second = await w.woken(hook)
  await second.claim()
  for (const body of [{ epoch: 1, wakeId: first.body.wakeId }, { epoch: 1 }, { epoch: 1, acks: [], done: true }]) {
    const answer = await first.callback(body)
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.json.error.code, 'FENCED')
  }
  const wrong = await second.callback({ epoch: 1 })
  assert.equal(wrong.status, 409)
  assert.equal((await w.entity(second.entity)).status, 'running')
  assert.equal((await second.write([change('note', 'n', {})])).status, 204)
})

test('work that arrives while an agent has its wake is announced when it ends', async (t) => {
  const [w, first, hook] = await woken(t)
  await first.claim()
  await w.send(first.entity, 'while you were busy')
  const done = await first.done()
  assert.deepEqual(done.json, { ok: true, next_wake: true })
  const second = await w.woken(hook)
  assert.equal(second.body.generation, 2)
  assert.notEqual(second.body.wakeId, first.body.wakeId)
  assert.equal(second.body.subscription_id, first.body.subscription_id)
  assert.equal(hook.all.length, 2)
})

test('work that was read during the claim is not announced again', async (t) => {
  const [w, wake, hook] = await woken(t)
  await wake.claim()
  await w.send(wake.entity, 'handled at once')
  wake.offset = await w.tail(`${wake.entity}/main`)
  assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false })
  assert.equal(hook.all.length, 1)
})

test('done without an acknowledgement wakes the agent again', async (t) => {
  const [w, first, hook] = await woken(t)
  await first.claim()
  assert.deepEqual((await first.done([])).json, { ok: true, next_wake: true })
  const second = await w.woken(hook)
  assert.equal(second.body.generation, 2)
  assert.deepEqual(second.body.streams, first.body.streams)
})

const offsets = [
  ['of a stream that is not linked', (wake) => ({ path: '/no/where/main', offset: wake.offset })],
  ['past the tail', (wake) => ({ path: wake.body.streamPath, offset: '0000000000000000_0009999999999999' })],
  ['of -1', (wake) => ({ path: wake.body.streamPath, offset: '-1' })],
]
for (const [what, ack] of offsets) {
  test(`an acknowledgement ${what} is refused and changes nothing`, async (t) => {
    const [w, wake] = await woken(t)
    await wake.claim()
    const answer = await wake.done([ack(wake)])
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.json.error.code, 'INVALID_OFFSET')
    assert.equal((await w.entity(wake.entity)).status, 'running')
    assert.equal((await wake.done()).json.next_wake, false)
  })
}

test('claim and done can be one call', async (t) => {
  const [w, wake] = await woken(t)
  const acks = [{ path: wake.body.streamPath, offset: wake.offset }]
  const answer = await wake.callback({ epoch: 1, wakeId: wake.body.wakeId, acks, done: true })
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.json.ok, true)
  assert.equal((await w.entity(wake.entity)).status, 'idle')
})

for (const [what, body] of [['not JSON', '{'], ['an epoch that is no number', { epoch: 'x' }], ['acks that are no array', { epoch: 1, acks: 5 }]]) {
  test(`a callback is refused: ${what}`, async (t) => {
    const [, wake] = await woken(t)
    const answer = await wake.callback(body)
    assert.equal(answer.status, 400, answer.text)
    assert.equal(answer.json.error.code, 'INVALID_REQUEST')
  })
}
