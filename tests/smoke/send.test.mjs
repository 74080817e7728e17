// A send puts one message into an entity's inbox.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, OFFSET, UUID } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const devLocal = '/principal/system%3Adev-local'

test('a send answers with the txid that its event carries', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const answer = await w.post(`/_electric/entities${url}/send`, { payload: { text: 'hello' } })
  assert.equal(answer.status, 200)
  like(answer.json, { txid: UUID })
  const [, message, ...more] = await w.events(url)
  assert.deepEqual(more, [])
  like(message, {
    type: 'inbox',
    key: /^msg-in-\d+-[0-9a-z]{6}$/,
    value: {
      from: devLocal,
      payload: { text: 'hello' },
      timestamp: ISO,
      mode: 'immediate',
      status: 'processed',
      from_principal: devLocal,
      processed_at: message.value.timestamp,
    },
    headers: { txid: answer.json.txid, operation: 'insert', offset: OFFSET },
  })
})

const modes = [
  [{}, { mode: 'immediate', status: 'processed' }],
  [{ mode: 'immediate' }, { mode: 'immediate', status: 'processed' }],
  [{ mode: 'steer' }, { mode: 'steer', status: 'processed' }],
  [{ mode: 'queued' }, { mode: 'queued', status: 'pending', position: /^\d{16}:a0$/ }],
  [{ mode: 'paused' }, { mode: 'paused', status: 'pending', position: /^\d{16}:a0$/ }],
  [{ mode: 'queued', position: 'p1' }, { mode: 'queued', status: 'pending', position: 'p1' }],
  [{ position: 'p1' }, { mode: 'immediate', status: 'processed', position: 'p1' }],
  [{ type: 'q' }, { mode: 'immediate', status: 'processed', message_type: 'q' }],
  [{ type: '' }, { mode: 'immediate', status: 'processed' }],
]
for (const [more, expected] of modes) {
  test(`a send with ${JSON.stringify(more)} becomes ${expected.mode}, ${expected.status}`, async (t) => {
    const w = await world(t)
    await w.type()
    const { url } = await w.spawn(w.name, 'e')
    await w.send(url, 1, more)
    const { value } = (await w.events(url, 'inbox'))[0]
    like(value, {
      from: devLocal,
      from_principal: devLocal,
      payload: 1,
      timestamp: ISO,
      processed_at: expected.status === 'processed' ? value.timestamp : undefined,
      ...expected,
    })
  })
}

test('a key is used as it is given, and twice if it is given twice', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  await w.send(url, 1, { key: 'k1' })
  await w.send(url, 2, { key: 'k1' })
  assert.deepEqual((await w.events(url, 'inbox')).map(({ key, value }) => [key, value.payload]), [['k1', 1], ['k1', 2]])
})

test('sends keep their order and their payloads', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const payloads = [null, false, 0, '', [], {}, { a: [1, { b: null }] }, 'é€😀\u0000']
  for (const payload of payloads) await w.send(url, payload)
  assert.deepEqual((await w.events(url, 'inbox')).map((event) => event.value.payload), payloads)
})

test('a message without a type is never checked', async (t) => {
  const w = await world(t)
  await w.type({ inbox_schemas: {} })
  const { url } = await w.spawn(w.name, 'e')
  await w.send(url, 'anything')
})

test('a send says who it is from, when that is true', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, { as: 'user:alice' })
  const from = '/principal/user%3Aalice'
  await w.send(url, 1, { from, from_principal: from }, { as: 'user:alice' })
  assert.equal((await w.events(url, 'inbox'))[0].value.from, from)
})

test('an agent sends under its own claim', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'agent')
  const { url } = await w.spawn(w.name, 'other')
  const headers = { 'electric-claim-token': work.writeToken }
  await w.send(url, 1, { from_agent: work.entity }, { headers })
  assert.equal((await w.events(url, 'inbox'))[0].value.from_agent, work.entity)
})
