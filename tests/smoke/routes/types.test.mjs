// The routes of entity types (control plane, sections 9.1 to 9.5). Refusals stand in the order of the checks.
import assert from 'node:assert/strict'

import { ISO, like } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const [alice, bob] = ['user:alice', 'user:bob']
const manage = { subject_kind: 'principal', subject_value: '/principal/user%3Aalice', permission: 'manage' }
const webhook = (url = 'http://127.0.0.1:9/x') => ({ targets: [{ type: 'webhook', url }] })
const nobody = ['a type that nobody registered', { name: 'no-such-type' }, 404, 'NOT_FOUND', 'Entity type not found']
const stranger = ['who may not manage it', { by: bob }, 401, 'UNAUTHORIZED', 'Principal is not allowed to manage {name}']

/** A type that alice may manage. */
const hers = async (w) => ({ name: await w.type({ permission_grants: [manage] }) })

/** A type as it is shown when nothing but what is always there was said. */
const bare = {
  name: '{name}', description: 'x', creation_schema: null, inbox_schemas: null, state_schemas: null, revision: 1, created_at: ISO, updated_at: ISO,
}

route('GET /_electric/entity-types', {
  scene: async (w) => ({ name: await w.type({ name: `${w.name}-b`, description: 'x' }), other: await w.type({ name: `${w.name}-a`, permission_grants: [] }) }),
  answers: [
    ['the system: all, by name', {}, 200, Array.isArray, ({ json }, { name, other }) => {
      const names = json.map((type) => type.name)
      assert.deepEqual(names, [...names].sort())
      for (const one of ['principal', name, other]) assert.ok(names.includes(one), one)
      like(json.find((type) => type.name === name), { ...bare, name })
    }],
    ['a user: those that they may spawn', { by: bob }, 200, Array.isArray, ({ json }, { name, other }) => {
      const names = json.map((type) => type.name)
      assert.ok(names.includes(name) && !names.includes(other) && !names.includes('principal'))
    }],
  ],
})

route('POST /_electric/entity-types', {
  scene: async (w) => ({ name: w.name, hers: await w.type({ name: `${w.name}-hers`, permission_grants: [manage] }) }),
  asks: { body: { name: '{name}', description: 'x' } },
  refusals: [
    ...bodies({ name: 5 }, [{ path: '/name', message: 'must be string' }]),
    ['a description that is no text', { body: { description: null } }, 400, INVALID, SCHEMA, [{ path: '/description', message: 'must be string' }]],
    ['schemas that are no schemas', { body: { inbox_schemas: { q: 1 } } }, 400, INVALID, SCHEMA, [{ path: '/inbox_schemas/q', message: 'must be object' }]],
    ['a member of long ago', { body: { input_schemas: {} } }, 400, INVALID, SCHEMA, [{ path: '/', message: 'must NOT have additional properties' }]],
    ['a command with a member more', { body: { slash_commands: [{ name: 'a', more: 1 }] } }, 400, INVALID, SCHEMA, [{ path: '/slash_commands/0', message: 'must NOT have additional properties' }]],
    ['a policy without targets', { body: { default_dispatch_policy: { targets: [] } } }, 400, INVALID, SCHEMA, [{ path: '/default_dispatch_policy/targets', message: 'must NOT have fewer than 1 items' }]],
    ['a grant of what types do not have', { body: { permission_grants: [{ ...manage, permission: 'read' }] } }, 400, INVALID, SCHEMA],
    ['a collection with another operation', { body: { externally_writable_collections: { a: { type: 'a', operations: ['upsert'] } } } }, 400, INVALID, SCHEMA],
    ['comments without their contract', { body: { externally_writable_collections: { comments: { type: 'c' } } } }, 400, INVALID,
      'The externally-writable collection name "comments" is reserved for the "comments/v1" contract'],
    ['their contract under another name', { body: { externally_writable_collections: { notes: { type: 'c', contract: 'comments/v1' } } } }, 400, INVALID,
      'The "comments/v1" contract must be registered under the collection name "comments"'],
    ['another version by who may not manage it', { by: bob, body: { name: '{hers}' } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to manage {hers}'],
    ['the built-in type by who may not manage it', { by: bob, body: { name: 'principal' } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to manage principal'],
    ['a serve endpoint that is no URL', { body: { serve_endpoint: 'nowhere' } }, 400, INVALID, '`nowhere` is not an absolute http or https URL'],
    ['a serve endpoint that does not answer', { body: { serve_endpoint: 'http://127.0.0.1:9/x', description: undefined } }, 502, 'SERVE_ENDPOINT_UNREACHABLE', /^Failed to reach serve endpoint: /],
    ['no name', { body: { name: undefined } }, 400, INVALID, 'Missing required field: name'],
    ['an empty name', { body: { name: '' } }, 400, INVALID, 'Missing required field: name'],
    ['the built-in type', { body: { name: 'principal' } }, 400, INVALID, 'Entity type "principal" is built in and cannot be registered or updated'],
    ['a reserved name', { body: { name: '_a' } }, 400, INVALID, 'Entity type names starting with "_" are reserved'],
    ...['a/b', '/', 'a b', 'é', 'a?b', 'a#b', 'a\\b', '.', '..', '%2e', 'a%', 'a%2', 'a*', 'x'.repeat(1_025)].map((name) => [
      `the name “${name.slice(0, 9)}”, to which no path leads`, { body: { name } }, 400, INVALID, `Entity type name \`${name}\` cannot be a segment of an entity's URL`,
    ]),
    ['no description', { body: { description: undefined } }, 400, INVALID, 'Missing required field: description'],
    ['an empty description', { body: { description: '' } }, 400, INVALID, 'Missing required field: description'],
    ['a keyword beyond the subset', { body: { inbox_schemas: { q: { if: {} } } } }, 400, INVALID, 'Schema uses disallowed keywords'],
    ['such a keyword further down', { body: { inbox_schemas: { q: { properties: { a: { anyOf: [{ contains: {} }] } } } } } }, 400, INVALID, 'Schema uses disallowed keywords'],
    ['a schema that cannot be used', { body: { state_schemas: { s: { type: 'foo' } } } }, 400, INVALID, 'Schema `state_schemas/s` cannot be used: `#/type` must name types'],
    ['commands that cannot be called', { body: { slash_commands: [{ name: 'Goal' }, { name: 'a', arguments: [{ name: '1', type: 'string' }, { name: 'b', type: 'number' }, { name: 'b', type: 'number' }] }, { name: 'a' }] } },
      422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed', [
        { path: '/slash_commands/0/name', message: 'must be a lowercase kebab-case command name' },
        { path: '/slash_commands/1/arguments/0/name', message: 'must be a valid argument name' },
        { path: '/slash_commands/1/arguments/2/name', message: 'must be unique' },
        { path: '/slash_commands/2/name', message: 'must be unique' },
      ]],
    ['a default webhook that may not be called', { body: { default_dispatch_policy: webhook('http://user@127.0.0.1/') } }, 400, INVALID, /^`http:.*user name/],
    ['a grant that ends at no time', { body: { permission_grants: [{ ...manage, expires_at: 'never' }] } }, 400, INVALID, 'Invalid expires_at timestamp'],
  ],
  answers: [
    ['a new type from anybody', { by: bob }, 201, bare],
    ...['a%20b', 'a:b', "a!~'()@,;=&+$b", 'x'.repeat(900)].map((more) => [
      `the name “${more.slice(0, 15)}” as it stands in a path`, { body: { name: `{name}-${more}` } }, 201, { ...bare, name: `{name}-${more}` }, async (_, { w, name }) => {
        const path = `/_electric/entity-types/${name}-${more}`
        assert.equal((await w.get(path)).json.name, `${name}-${more}`)
        assert.equal((await w.put(`/_electric/entities/${name}-${more}/e`, {})).json.url, `/${name}-${more}/e`)
        for (const what of [`/_electric/entities/${name}-${more}/e`, path]) assert.ok((await w.delete(what)).status < 300)
      },
    ]),
    ['another version by the system', { body: { description: 'y' } }, 201, { ...bare, description: 'y', revision: 2 }],
    ['another version by who may manage it', { by: alice, body: { name: '{hers}', description: 'x' } }, 201, { ...bare, name: '{hers}', revision: 2 }],
    ['all that there is to say', {
      body: {
        creation_schema: { type: 'object' }, inbox_schemas: { q: {} }, state_schemas: {}, slash_commands: [{ name: 'go' }],
        externally_writable_collections: { comments: { type: 'c', contract: 'comments/v1', operations: ['insert'], principalColumn: 'by' } },
        serve_endpoint: 'http://127.0.0.1:9/serve', default_dispatch_policy: webhook(),
      },
    }, 201, {
      ...bare, creation_schema: { type: 'object' }, inbox_schemas: { q: {} }, state_schemas: {}, slash_commands: [{ name: 'go' }],
      externally_writable_collections: { comments: { type: 'c', contract: 'comments/v1', operations: ['insert'], principalColumn: 'by' } },
      serve_endpoint: 'http://127.0.0.1:9/serve', default_dispatch_policy: webhook(), revision: 3,
    }],
  ],
})

route('GET /_electric/entity-types/{name}', {
  scene: async (w) => ({ name: await w.type({ description: 'x', permission_grants: [{ ...manage, permission: 'spawn' }] }) }),
  refusals: [nobody, ['who may not spawn it', { by: bob }, 401, 'UNAUTHORIZED', 'Principal is not allowed to spawn {name}']],
  answers: [
    ['who may spawn it', { by: alice }, 200, bare],
    ['the system', {}, 200, bare],
  ],
})

route('PATCH /_electric/entity-types/{name}/schemas', {
  scene: async (w) => ({
    name: await w.type({ description: 'x', permission_grants: [manage], inbox_schemas: { say: {} }, state_schemas: { note: {} } }),
  }),
  refusals: [
    nobody,
    stranger,
    ...bodies({ creation_schema: {} }, [{ path: '/', message: 'must NOT have additional properties' }]),
    ['schemas that are no map', { body: { inbox_schemas: [] } }, 400, INVALID, SCHEMA, [{ path: '/inbox_schemas', message: 'must be object' }]],
    ['a schema that is none', { body: { state_schemas: { a: true } } }, 400, INVALID, SCHEMA, [{ path: '/state_schemas/a', message: 'must be object' }]],
    ['the built-in type', { name: 'principal' }, 400, INVALID, 'Entity type "principal" is built in and cannot be amended'],
    ['a keyword beyond the subset', { body: { state_schemas: { a: { if: {} } } } }, 400, INVALID, 'Schema uses disallowed keywords'],
    ['a schema that cannot be used', { body: { state_schemas: { a: { type: 'foo' } } } }, 400, INVALID, 'Schema `state_schemas/a` cannot be used: `#/type` must name types'],
    ['a message that is there', { body: { inbox_schemas: { more: {}, say: {} } } }, 409, 'SCHEMA_KEY_EXISTS', 'Cannot amend existing inbox schema key: say'],
    ['an event that is there', { body: { state_schemas: { note: {} } } }, 409, 'SCHEMA_KEY_EXISTS', 'Cannot amend existing state schema key: note'],
  ],
  answers: [
    ['more schemas', { by: alice, body: { inbox_schemas: { ask: {} } } }, 200, { ...bare, inbox_schemas: { say: {}, ask: {} }, state_schemas: { note: {} }, revision: 2 }],
    ['nothing', { body: ' ' }, 200, { ...bare, inbox_schemas: { say: {}, ask: {} }, state_schemas: { note: {} }, revision: 3 }],
  ],
})

route('DELETE /_electric/entity-types/{name}', {
  scene: hers,
  refusals: [nobody, stranger, ['the built-in type', { name: 'principal' }, 400, INVALID, 'Entity type "principal" is built in and cannot be deleted']],
  answers: [
    ['who may manage it', { by: alice }, 204, undefined, async (_, { w, name }) => {
      assert.equal((await w.get(`/_electric/entity-types/${name}`)).status, 404)
      assert.equal((await w.delete(`/_electric/entity-types/${name}`)).status, 404)
    }],
  ],
})
