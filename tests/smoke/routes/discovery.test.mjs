// `POST /_electric/entity-types` with a serve endpoint alone: the server asks it, by `PUT`, what the type is, and checks that
// as if the caller had said it (control plane, section 9.1).
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like } from '../../harness/like.mjs'
import { INVALID } from '../../harness/route.mjs'
import { refuses } from '../../harness/subscription.mjs'
import { world } from '../../harness/world.mjs'

const manage = (who) => ({ subject_kind: 'principal', subject_value: `/principal/user%3A${who}`, permission: 'manage' })

/** A serve endpoint, and how to register a type of the test's name by what it answers. */
async function served(t) {
  const w = await world(t)
  const endpoint = await w.hook()
  const register = (answer, more, options) => {
    endpoint.answerOnce(answer)
    return w.post('/_electric/entity-types', { name: w.name, serve_endpoint: endpoint.url, ...more }, options)
  }
  const manifest = (more) => ({ status: 200, body: { name: w.name, description: 'served', ...more } })
  return { w, endpoint, register, manifest }
}

test('what a serve endpoint says is the type', async (t) => {
  const { w, endpoint, register, manifest } = await served(t)
  const said = { creation_schema: { type: 'object' }, inbox_schemas: { q: {} }, slash_commands: [{ name: 'go' }] }
  const answer = await register(manifest({ ...said, unknown: 1, serve_endpoint: 'http://127.0.0.1:9/other', permission_grants: [manage('eve')] }), {
    permission_grants: [manage('alice')],
  })
  assert.equal(answer.status, 201, answer.text)
  like(answer.json, {
    name: w.name, description: 'served', ...said, state_schemas: null, serve_endpoint: endpoint.url,
    default_dispatch_policy: { targets: [{ type: 'webhook', url: endpoint.url }] }, revision: 1, created_at: ISO, updated_at: ISO,
  })
  const asked = await endpoint.next()
  assert.deepEqual([asked.method, asked.text], ['PUT', ''])
  const { grants } = (await w.get(`/_electric/entity-types/${w.name}/grants`)).json
  assert.deepEqual(grants.map((grant) => grant.subject_value), ['/principal/user%3Aalice'], 'the caller gives them, and nobody else')
})

test('a serve endpoint is asked only by who may register, and when there is nothing else to say', async (t) => {
  const { w, endpoint, register, manifest } = await served(t)
  await w.type({ permission_grants: [manage('alice')] })
  refuses(await register(manifest(), {}, { as: 'user:bob' }), 401, 'UNAUTHORIZED', `Principal is not allowed to manage ${w.name}`)
  for (const more of [{ description: 'said' }, { description: 'said', creation_schema: {} }]) {
    assert.equal((await register(manifest(), more, { as: 'user:alice' })).json.description, 'said')
  }
  refuses(await register(manifest(), { creation_schema: {} }, { as: 'user:alice' }), 400, INVALID, 'Missing required field: description')
  assert.deepEqual(endpoint.all, [])
})

test('what is refused of a serve endpoint’s answer', async (t) => {
  const { w, register, manifest } = await served(t)
  const unreachable = /^Failed to reach serve endpoint: /
  for (const [what, answer, status, code, message] of [
    ['none', 'hang up', 502, 'SERVE_ENDPOINT_UNREACHABLE', unreachable],
    ['a refusal', { status: 404 }, 502, 'SERVE_ENDPOINT_UNREACHABLE', 'Serve endpoint returned status 404'],
    ['a redirection', { status: 302 }, 502, 'SERVE_ENDPOINT_UNREACHABLE', 'Serve endpoint returned status 302'],
    ['what is no object', { status: 200, body: [] }, 502, 'SERVE_ENDPOINT_UNREACHABLE', unreachable],
    ['another name', manifest({ name: 'other' }), 400, 'SERVE_ENDPOINT_NAME_MISMATCH', `Serve endpoint returned name "other" but expected "${w.name}"`],
    ['another name, and a bad collection', manifest({ name: 'other', externally_writable_collections: { comments: { type: 'c' } } }), 400, 'SERVE_ENDPOINT_NAME_MISMATCH'],
    ['a bad collection, and no description', manifest({ description: undefined, externally_writable_collections: { comments: { type: 'c' } } }), 400, INVALID,
      'The externally-writable collection name "comments" is reserved for the "comments/v1" contract'],
    ['no description', manifest({ description: undefined, creation_schema: { if: {} } }), 400, INVALID, 'Missing required field: description'],
    ['a keyword beyond the subset', manifest({ creation_schema: { if: {} }, slash_commands: [{ name: 'Go' }] }), 400, INVALID, 'Schema uses disallowed keywords'],
    ['a command that cannot be called', manifest({ slash_commands: [{ name: 'Go' }], default_dispatch_policy: {} }), 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
    ['a policy that is none', manifest({ default_dispatch_policy: {} }), 400, INVALID,
      "default_dispatch_policy does not match dispatch policy schema: / must have required property 'targets'"],
  ]) {
    const refused = await register(answer)
    await t.test(what, () => refuses(refused, status, code, message))
  }
  assert.equal((await w.get(`/_electric/entity-types/${w.name}`)).status, 404)
  const name = await register(manifest({ name: undefined }), { name: undefined })
  refuses(name, 400, INVALID, 'Missing required field: name')
})
