// Only who holds the claim may write to an entity's stream.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { change, world } from '../harness/world.mjs'

const event = [change('note', 'n', { text: 'x' })]

test('no token, a wrong one, another’s or the spawn’s own: all are refused', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  const other = await w.working(w.name, 'other')
  const { writeToken } = await w.spawn(w.name, 'quiet')
  const attempts = [
    [work.entity, {}],
    [work.entity, { authorization: 'Bearer nonsense' }],
    [work.entity, { authorization: `Bearer ${other.writeToken}` }],
    [work.entity, { authorization: `Bearer ${work.body.claimToken}` }],
    [`/${w.name}/quiet`, { authorization: `Bearer ${writeToken}` }],
    [`/${w.name}/quiet`, { 'electric-claim-token': writeToken }],
    // The claim token's header wins over a good bearer.
    [work.entity, { 'electric-claim-token': 'nonsense', authorization: `Bearer ${work.writeToken}` }],
  ]
  for (const [url, headers] of attempts) {
    const answer = await w.post(`${url}/main`, event, { headers })
    assert.equal(answer.status, 401, JSON.stringify(headers))
    assert.deepEqual(answer.json, { error: { code: 'UNAUTHORIZED', message: 'Invalid write token' } })
    assert.deepEqual(await w.events(url, 'note'), [])
  }
})

test('the claim’s token writes, in whichever header it comes', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  const ways = [
    { authorization: `Bearer ${work.writeToken}` },
    { authorization: `bearer ${work.writeToken}` },
    { authorization: work.writeToken },
    { 'electric-claim-token': work.writeToken },
    { 'electric-claim-token': work.writeToken, authorization: 'Bearer nonsense' },
  ]
  for (const headers of ways) {
    assert.equal((await w.post(`${work.entity}/main`, event, { headers })).status, 204, JSON.stringify(headers))
  }
  assert.equal((await w.events(work.entity, 'note')).length, ways.length)
})

test('with a producer the answer is 200, and 204 when it is repeated', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  const headers = { 'producer-id': `entity-${work.entity}`, 'producer-epoch': '1', 'producer-seq': '0' }
  assert.equal((await work.append(event, headers)).status, 200)
  assert.equal((await work.append(event, headers)).status, 204)
  assert.equal((await w.events(work.entity, 'note')).length, 1)
})

test('done ends the token', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  await work.done()
  assert.equal((await work.write(event)).status, 401)
})

test('a repeated claim gives a new token and ends the old one', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  const old = work.writeToken
  await work.claim()
  assert.notEqual(work.writeToken, old)
  assert.equal((await work.write(event)).status, 204)
  work.writeToken = old
  assert.equal((await work.write(event)).status, 401)
})

test('events are checked against the type’s schemas', async (t) => {
  const w = await world(t)
  await w.type({ state_schemas: { note: { type: 'object', required: ['text'] }, run: {} } })
  const work = await w.working(w.name, 'e')
  const rows = [
    [[change('memo', 'm', {})], 422, 'UNKNOWN_EVENT_TYPE', 'Unknown event type "memo"'],
    [[change('note', 'n', {})], 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
    [[change('note', 'n', { text: 1 }), change('note', 'n', 5)], 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
    [[{ type: 'note', key: 'n', old_value: {}, headers: { operation: 'delete' } }], 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
  ]
  for (const [events, status, code, message] of rows) {
    const answer = await work.write(events)
    assert.equal(answer.status, status, answer.text)
    assert.deepEqual(answer.json, { error: { code, message } })
  }
  assert.deepEqual(await w.events(work.entity, 'note'), [])
  const good = [change('note', 'n', { text: 1 }), { key: 'untyped' }, { type: 'note', key: 'n', headers: { operation: 'delete' } }]
  assert.equal((await work.write(good)).status, 204)
})

test('an entity’s stream can neither be created over nor deleted by a stranger', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, { as: 'user:alice' })
  for (const method of ['DELETE', 'PUT']) {
    const answer = await w.http(method, `${url}/main`, { as: 'user:bob', headers: { 'content-type': 'application/json' } })
    assert.ok([401, 403, 405].includes(answer.status), `${method} ${answer.status}`)
  }
  assert.equal((await w.events(url)).length, 1)
})
