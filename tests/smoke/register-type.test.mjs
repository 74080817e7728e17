// Registering a type stores it whole, and counts its revisions.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

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
