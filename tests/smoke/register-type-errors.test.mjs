// What cannot be a type is refused, and the refusal says why.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const general = 'Request body does not match API schema'
const url = 'http://127.0.0.1:9/x'

// name, body, message, one of the details
const invalid = [
  ['not JSON', '{', 'Invalid JSON body'],
  ['null', 'null', general, { path: '/', message: 'must be object' }],
  ['an array', '[]', general, { path: '/', message: 'must be object' }],
  ['a string', '"x"', general, { path: '/', message: 'must be object' }],
  ['a name of another type', { name: 5, description: 'x' }, general, { path: '/name', message: 'must be string' }],
  ['an unknown member', { name: 'a', description: 'x', input_schemas: {} }, general, { path: '/', message: 'must NOT have additional properties' }],
  ['schemas that are no objects', { name: 'a', description: 'x', inbox_schemas: { q: 1 } }, general, { path: '/inbox_schemas/q', message: 'must be object' }],
  ['nothing', {}, 'Missing required field: name'],
  ['a blank body', ' ', 'Missing required field: name'],
  ['an empty name', { name: '', description: 'x' }, 'Missing required field: name'],
  ['no description', { name: 'a' }, 'Missing required field: description'],
  ['the built-in type', { name: 'principal', description: 'x' }, 'Entity type "principal" is built in and cannot be registered or updated'],
  ['a reserved name', { name: '_a', description: 'x' }, 'Entity type names starting with "_" are reserved'],
  ['a keyword outside the subset', { name: 'a', description: 'x', creation_schema: { if: {} } }, 'Schema uses disallowed keywords'],
  ['such a keyword further down', { name: 'a', description: 'x', state_schemas: { s: { properties: { a: { anyOf: [{ contains: {} }] } } } } }, 'Schema uses disallowed keywords'],
  ['comments under another contract', { name: 'a', description: 'x', externally_writable_collections: { comments: { type: 'c' } } }, 'The externally-writable collection name "comments" is reserved for the "comments/v1" contract'],
  ['the contract under another name', { name: 'a', description: 'x', externally_writable_collections: { notes: { type: 'c', contract: 'comments/v1' } } }, 'The "comments/v1" contract must be registered under the collection name "comments"'],
  ['a policy without targets', policy([]), general],
  ['a policy with two targets', policy([{ type: 'webhook', url }, { type: 'webhook', url }]), general],
  ['a target without a URL', policy([{ type: 'webhook', url: '' }]), general],
  ['a target of no known kind', policy([{ type: 'carrier-pigeon', url }]), general],
  ['a target with an extra member', policy([{ type: 'runner', runnerId: 'r', extra: 1 }]), general],
]
for (const [name, body, message, detail] of invalid) {
  test(`a type is refused: ${name}`, async (t) => {
    const w = await world(t)
    const answer = await w.post('/_electric/entity-types', body)
    assert.equal(answer.status, 400, answer.text)
    const { error } = answer.json
    assert.equal(error.code, 'INVALID_REQUEST')
    assert.equal(error.message, message)
    assert.equal(Array.isArray(error.details), message === general, answer.text)
    if (detail) assert.ok(error.details.some((one) => same(one, detail)), answer.text)
  })
}

const commands = [
  ['an upper-case name', [{ name: 'Goal' }], '/slash_commands/0/name', 'must be a lowercase kebab-case command name'],
  ['a name twice', [{ name: 'a' }, { name: 'a' }], '/slash_commands/1/name', 'must be unique'],
]
for (const [name, slash_commands, path, message] of commands) {
  test(`a slash command is refused: ${name}`, async (t) => {
    const w = await world(t)
    const answer = await w.post('/_electric/entity-types', { name: w.name, description: 'x', slash_commands })
    assert.equal(answer.status, 422, answer.text)
    assert.equal(answer.json.error.code, 'SCHEMA_VALIDATION_FAILED')
    assert.deepEqual(answer.json.error.details, [{ path, message }])
  })
}

test('a refused registration leaves the type as it was', async (t) => {
  const w = await world(t)
  await w.type()
  const refused = await w.post('/_electric/entity-types', { name: w.name, description: 'new', creation_schema: { if: {} } })
  assert.equal(refused.status, 400)
  const again = await w.post('/_electric/entity-types', { name: w.name, description: 'newer' })
  assert.equal(again.json.revision, 2)
})

function policy(targets) {
  return { name: 'a', description: 'x', default_dispatch_policy: { targets } }
}

function same(one, other) {
  return one.path === other.path && one.message === other.message
}
