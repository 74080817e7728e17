// Registering a type stores it whole, and counts its revisions.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

test('a registered type comes back with its defaults', async (t) => {
  const w = await world(t)
  const answer = await w.post('/_electric/entity-types', { name: w.name, description: 'Free' })
  assert.equal(answer.status, 201)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  like(answer.json, {
    name: w.name,
    description: 'Free',
    creation_schema: null,
    inbox_schemas: null,
    state_schemas: null,
    revision: 1,
    created_at: ISO,
    updated_at: ISO,
  })
})

test('a registered type comes back with all that was said', async (t) => {
  const w = await world(t)
  const said = {
    name: w.name,
    description: 'All of it',
    creation_schema: { type: 'object', properties: { topic: { type: 'string' } }, required: ['topic'] },
    inbox_schemas: { question: { type: 'object' } },
    state_schemas: { run: {}, 'state:comments': { type: 'object' } },
    slash_commands: [{ name: 'goal', description: 'Set goal', arguments: [{ name: 'text', type: 'string', required: true }] }],
    externally_writable_collections: { comments: { type: 'state:comments', contract: 'comments/v1' } },
    default_dispatch_policy: { targets: [{ type: 'webhook', url: 'http://127.0.0.1:9/x', subscription_id: 'mine' }] },
  }
  const answer = await w.post('/_electric/entity-types', said)
  assert.equal(answer.status, 201, answer.text)
  like(answer.json, { ...said, revision: 1, created_at: ISO, updated_at: ISO })
})

test('a serve endpoint is the default target', async (t) => {
  const w = await world(t)
  const url = 'http://127.0.0.1:9/agents'
  const answer = await w.post('/_electric/entity-types', { name: w.name, description: 'x', serve_endpoint: url })
  assert.equal(answer.json.serve_endpoint, url)
  assert.deepEqual(answer.json.default_dispatch_policy, { targets: [{ type: 'webhook', url }] })
})

test('registering again replaces everything and counts up', async (t) => {
  const w = await world(t)
  const first = (await w.post('/_electric/entity-types', { name: w.name, description: 'one', state_schemas: {} })).json
  assert.deepEqual(first.state_schemas, {})
  await w.advance(5)
  const answer = await w.post('/_electric/entity-types', { name: w.name, description: 'two' })
  assert.equal(answer.status, 201)
  const second = answer.json
  assert.equal(second.revision, 2)
  assert.equal(second.description, 'two')
  assert.equal(second.state_schemas, null)
  assert.equal(second.created_at, first.created_at)
  assert.equal(Date.parse(second.updated_at) - Date.parse(first.updated_at), 5)
})
