// A send with `afterMs` arrives when its time has come, as it was sent.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, OFFSET, UUID } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const devLocal = '/principal/system%3Adev-local'

test('a delayed send arrives at its millisecond and not before', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const sent = await w.now()
  const answer = await w.post(`/_electric/entities${url}/send`, { payload: 'later', afterMs: 60_000 })
  assert.equal(answer.status, 204)
  assert.equal(answer.text, '')

  await w.advance(59_999)
  assert.deepEqual(await w.events(url, 'inbox'), [])
  await w.advance(1)
  const [message] = await w.events(url, 'inbox')
  like(message, {
    type: 'inbox',
    key: /^scheduled-task-\d+$/,
    value: {
      from: devLocal,
      payload: 'later',
      timestamp: ISO,
      mode: 'immediate',
      status: 'processed',
      from_principal: devLocal,
      processed_at: message.value.timestamp,
    },
    headers: { txid: UUID, operation: 'insert', offset: OFFSET },
  })
  assert.equal(Date.parse(message.value.timestamp), sent + 60_000)

  await w.advance(3_600_000)
  assert.equal((await w.events(url, 'inbox')).length, 1)
})

test('a delayed send keeps its key, type, mode and position', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  await w.send(url, 1, { afterMs: 10, key: 'k', type: 'q', mode: 'queued', position: 'p' })
  await w.advance(10)
  const [{ key, value }] = await w.events(url, 'inbox')
  assert.equal(key, 'k')
  assert.deepEqual(
    { message_type: value.message_type, mode: value.mode, position: value.position, status: value.status },
    { message_type: 'q', mode: 'queued', position: 'p', status: 'pending' },
  )
})

test('delayed sends arrive in the order of their times', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  for (const afterMs of [300, 100, 200]) await w.send(url, afterMs, { afterMs })
  await w.advance(1_000)
  assert.deepEqual((await w.events(url, 'inbox')).map((event) => event.value.payload), [100, 200, 300])
})

for (const afterMs of [0, -5]) {
  test(`afterMs ${afterMs} is now`, async (t) => {
    const w = await world(t)
    await w.type()
    const { url } = await w.spawn(w.name, 'e')
    await w.send(url, 'now', { afterMs })
    assert.equal((await w.events(url, 'inbox')).length, 1)
  })
}

test('a delayed send wakes its target', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  await w.send(url, 1, { afterMs: 5_000 })
  await w.advance(5_000)
  assert.equal((await w.woken(hook)).entity, url)
})

test('a delayed send is refused at once, like any other', async (t) => {
  const w = await world(t)
  await w.type({ inbox_schemas: { question: { type: 'object' } } })
  const { url } = await w.spawn(w.name, 'e')
  for (const [body, status] of [
    [{}, 400], [{ payload: 1, from: '/principal/user%3Amallory' }, 400], [{ payload: 1, from_agent: '/some/agent' }, 400],
    [{ payload: 1, type: 'nope' }, 422], [{ payload: 1, type: 'question' }, 422],
  ]) {
    assert.equal((await w.post(`/_electric/entities${url}/send`, { ...body, afterMs: 1_000 })).status, status)
  }
  await w.advance(1_000)
  assert.deepEqual(await w.events(url, 'inbox'), [])
})

test('a delayed send to an entity killed meanwhile is dropped, and stops nothing', async (t) => {
  const w = await world(t)
  await w.type()
  const dead = await w.spawn(w.name, 'dead')
  const alive = await w.spawn(w.name, 'alive')
  for (const { url } of [dead, alive]) await w.send(url, 1, { afterMs: 100 })
  await w.delete(`/_electric/entities${dead.url}`)
  await w.advance(100)
  assert.deepEqual(await w.events(dead.url, 'inbox'), [])
  assert.equal((await w.events(alive.url, 'inbox')).length, 1)
})
