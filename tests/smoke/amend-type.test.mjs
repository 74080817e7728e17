// A type learns new messages and events while it is in use, and forgets nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { refuses } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const text = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }
const full = {
  description: 'with everything',
  creation_schema: { type: 'object' },
  inbox_schemas: { say: text },
  state_schemas: { note: text },
  externally_writable_collections: { notes: { type: 'note', operations: ['insert'] } },
  slash_commands: [{ name: 'go' }],
  default_dispatch_policy: { targets: [{ type: 'webhook', url: 'http://127.0.0.1:9/agent' }] },
}

/** A world with a type, and how to amend it. */
async function amended(t, type = {}) {
  const w = await world(t)
  await w.type(type)
  const path = (name = w.name) => `/_electric/entity-types/${name}`
  const amend = (body, { of, ...options } = {}) => w.http('PATCH', `${path(of)}/schemas`, { body, ...options })
  const shown = async () => (await w.get(path())).json
  const send = (url, type, payload) => w.post(`/_electric/entities${url}/send`, { type, payload })
  return { w, amend, shown, send }
}

test('an amendment adds schemas, is a revision, and is answered with the type', async (t) => {
  const { w, amend, shown } = await amended(t, full)
  const before = await shown()
  const now = await w.advance(1_000)
  const answer = await amend({ inbox_schemas: { ask: {} }, state_schemas: { score: text, mood: {} } })
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(answer.json, {
    ...before,
    inbox_schemas: { say: text, ask: {} },
    state_schemas: { note: text, score: text, mood: {} },
    revision: 2,
    updated_at: new Date(now).toISOString(),
  })
  assert.deepEqual(await shown(), answer.json)
})

test('an amendment keeps the collections that others may write to', async (t) => {
  const { w, amend, shown } = await amended(t, full)
  const { url } = await w.spawn(w.name, 'e')
  assert.equal((await amend({ state_schemas: { more: {} } })).status, 200)
  assert.deepEqual((await shown()).externally_writable_collections, full.externally_writable_collections)
  const written = await w.post(`/_electric/entities${url}/collections/notes`, { operation: 'insert', value: { text: 'x' } })
  assert.equal(written.status, 201, written.text)
})

test('an amendment of nothing is a revision', async (t) => {
  const { amend, shown } = await amended(t)
  for (const [body, revision] of [[{}, 2], [undefined, 3], [{ inbox_schemas: {} }, 4]]) {
    const answer = await amend(body)
    assert.equal(answer.status, 200, answer.text)
    assert.equal(answer.json.revision, revision)
    assert.equal(answer.json.inbox_schemas, null)
  }
  assert.equal((await shown()).revision, 4)
})

test('who was spawned before takes the new messages, too, and still the old', async (t) => {
  const { w, amend, send } = await amended(t, { inbox_schemas: { say: text } })
  const { url } = await w.spawn(w.name, 'e')
  refuses(await send(url, 'ask', 1), 422, 'UNKNOWN_MESSAGE_TYPE', 'Unknown message type "ask"')
  assert.equal((await amend({ inbox_schemas: { ask: { type: 'number' } } })).status, 200)
  assert.equal((await send(url, 'ask', 1)).status, 200)
  refuses(await send(url, 'ask', 'one'), 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed')
  assert.equal((await send(url, 'say', { text: 'hello' })).status, 200)
  refuses(await send(url, 'say', {}), 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed')
})

test('a type without schemas has rules for its messages from then on', async (t) => {
  const { w, amend, send } = await amended(t)
  const { url } = await w.spawn(w.name, 'e')
  assert.equal((await send(url, 'anything', 1)).status, 200)
  assert.equal((await amend({ inbox_schemas: { ask: {} } })).status, 200)
  refuses(await send(url, 'anything', 1), 422, 'UNKNOWN_MESSAGE_TYPE')
})

test('a type that was deleted and registered anew has forgotten its amendments', async (t) => {
  const { w, amend, shown } = await amended(t)
  await amend({ inbox_schemas: { ask: {} } })
  await w.delete(`/_electric/entity-types/${w.name}`)
  refuses(await amend({ inbox_schemas: { ask: {} } }), 404, 'NOT_FOUND', 'Entity type not found')
  await w.type({ name: w.name })
  const { revision, inbox_schemas } = await shown()
  assert.deepEqual([revision, inbox_schemas], [1, null])
})

test('what is wrong with an amendment is told', async (t) => {
  const { amend } = await amended(t)
  const { details } = (await amend({ more: 1, inbox_schemas: 5, state_schemas: { 'a/b': 1 } })).json.error
  assert.deepEqual(details, [
    { path: '/', message: 'must NOT have additional properties' },
    { path: '/inbox_schemas', message: 'must be object' },
    { path: '/state_schemas/a~1b', message: 'must be object' },
  ])
})

test('the schemas of amendments stay as they were sent', async (t) => {
  const { w, amend } = await amended(t)
  await amend('{"inbox_schemas":{ "a" : {"maximum":12345678901234567890} }}')
  await amend('{"inbox_schemas":{"b\\u00e9":{"minimum":1.0}}}')
  const { text } = await w.get(`/_electric/entity-types/${w.name}`)
  assert.match(text, /"inbox_schemas":\{"a":\{"maximum":12345678901234567890\},"bé":\{"minimum":1\.0\}\}/)
})
