// A spawn makes an entity and its stream, and answers with both.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, MS, OFFSET, UUID } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const devLocal = '/principal/system%3Adev-local'

test('a spawn answers with the entity, a numeric txid and a write token', async (t) => {
  const w = await world(t)
  await w.type()
  const answer = await w.put(`/_electric/entities/${w.name}/t1`, { args: { topic: 'x' }, tags: { b: '2', a: '1' } })
  assert.equal(answer.status, 201)
  assert.match(answer.headers['x-write-token'], UUID)
  const url = `/${w.name}/t1`
  like(answer.json, {
    url,
    type: w.name,
    status: 'idle',
    streams: { main: `${url}/main` },
    tags: { a: '1', b: '2' },
    spawn_args: { topic: 'x' },
    created_by: devLocal,
    created_at: MS,
    updated_at: answer.json.created_at,
    txid: MS,
  })
})

test('a spawn that says nothing has no args, no parent and no policy in its answer', async (t) => {
  const w = await world(t)
  await w.type()
  const answer = await w.put(`/_electric/entities/${w.name}/t1`, '')
  assert.equal(answer.status, 201)
  assert.deepEqual(Object.keys(answer.json).sort(), [
    'created_at', 'created_by', 'status', 'streams', 'tags', 'txid', 'type', 'updated_at', 'url',
  ])
  assert.deepEqual(answer.json.tags, {})
})

test('the stream of a new entity begins with its creation', async (t) => {
  const w = await world(t)
  await w.type()
  const parent = await w.spawn(w.name, 'parent')
  const child = await w.spawn(w.name, 'child', { parent: parent.url, args: { n: 1 } })
  assert.equal(child.parent, parent.url)
  const created = (entity, value) => ({
    type: 'entity_created',
    key: 'entity-created',
    value: { entity_type: w.name, timestamp: new Date(entity.created_at).toISOString(), ...value },
    headers: { operation: 'insert', offset: OFFSET },
  })
  like(await w.events(parent.url), [created(parent, { args: {} })])
  like(await w.events(child.url), [created(child, { args: { n: 1 }, parent_url: parent.url })])
})

test('slash commands are announced with the creation', async (t) => {
  const w = await world(t)
  await w.type({ slash_commands: [{ name: 'goal', description: 'Set goal' }] })
  const { url } = await w.spawn(w.name, 'e')
  const [created, command] = await w.events(url)
  like(command, {
    type: 'slash_command',
    key: 'goal',
    value: { name: 'goal', description: 'Set goal', source: 'static', updated_at: created.value.timestamp },
    headers: { operation: 'insert', offset: created.headers.offset },
  })
})

test('the initial message is an ordinary send, without from_principal', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', { initialMessage: { text: 'hi' }, initialMessageType: 'q' })
  const [created, message, ...more] = await w.events(url)
  assert.deepEqual(more, [])
  assert.ok(message.headers.offset > created.headers.offset)
  like(message, {
    type: 'inbox',
    key: /^msg-in-\d+-[0-9a-z]{6}$/,
    value: {
      from: devLocal,
      payload: { text: 'hi' },
      timestamp: ISO,
      mode: 'immediate',
      status: 'processed',
      message_type: 'q',
      processed_at: message.value.timestamp,
    },
    headers: { txid: UUID, operation: 'insert', offset: OFFSET },
  })
})

test('null is an initial message, an absent one is none', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', { initialMessage: null })
  assert.equal((await w.events(url, 'inbox'))[0].value.payload, null)
})

test('txids of commits count up', async (t) => {
  const w = await world(t)
  await w.type()
  const first = await w.spawn(w.name, 'a')
  const second = await w.spawn(w.name, 'b')
  assert.ok(second.txid > first.txid, `${first.txid} then ${second.txid}`)
})

test('a policy comes from the request, else the parent, else the type', async (t) => {
  const w = await world(t)
  const target = (port, subscription_id) => ({ targets: [{ type: 'webhook', url: `http://127.0.0.1:${port}/`, ...(subscription_id && { subscription_id }) }] })
  const type = await w.type({ default_dispatch_policy: target(1, 'scope') })
  const plain = await w.type()
  const of = async (entity) => (await w.entity(entity.url)).dispatch_policy

  assert.deepEqual(await of(await w.spawn(type, 'by-type')), target(1, 'scope'))
  assert.equal(await of(await w.spawn(plain, 'none')), undefined)
  const parent = await w.spawn(type, 'by-request', { dispatch_policy: target(2) })
  assert.deepEqual(await of(parent), target(2))
  assert.deepEqual(await of(await w.spawn(type, 'by-parent', { parent: parent.url })), target(2))
  // The same destination as the type's default takes the default's subscription id.
  const near = await w.spawn(type, 'near', { dispatch_policy: target(1) })
  assert.deepEqual(await of(await w.spawn(type, 'nearer', { parent: near.url })), target(1, 'scope'))
})

test('of many identical spawns at once exactly one is made', async (t) => {
  const w = await world(t)
  await w.type()
  const answers = await Promise.all(Array.from({ length: 8 }, () => w.put(`/_electric/entities/${w.name}/e`, {})))
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409, 409, 409, 409, 409, 409, 409])
  const { error } = answers.find((answer) => answer.status === 409).json
  assert.equal(error.code, 'DUPLICATE_URL')
  assert.equal(error.message, `Entity already exists at URL "/${w.name}/e"`)
  assert.equal((await w.events(`/${w.name}/e`)).length, 1)
})
