// `POST …/collections/{collection}` (control plane, section 10.8). Refusals stand in the order of the checks.
import assert from 'node:assert/strict'

import { alice, nowhere, stranger } from '../../harness/entity-route.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const NOT_RUNNING = ['NOT_RUNNING', 'Entity is not accepting writes']

/** An entity of alice's whose type has collections, one that has been killed, and one that a fork has locked. */
async function collected(w) {
  const type = await w.type({
    state_schemas: { 'state:todos': { type: 'object', required: ['a'] }, 'state:added': { type: 'object', required: ['a'] } },
    externally_writable_collections: {
      notes: { type: 'state:notes' },
      added: { type: 'state:added' },
      todos: { type: 'state:todos', operations: ['insert', 'update', 'delete'] },
      plain: { type: 'state:plain', operations: ['insert', 'update', 'delete'] },
      fixed: { type: 'state:todos', operations: [] },
    },
  })
  for (const id of ['e', 'killed', 'locked']) await w.spawn(type, id, {}, { as: alice })
  await w.delete(`/_electric/entities/${type}/killed`)
  await w.post(`/_electric/entities/${type}/e/collections/added`, { operation: 'insert', key: 'taken', value: { a: 0 } })
  await w.post('/_reveille/dev/lock', { entity: `/${type}/locked`, ms: 60_000 })
  return { type, id: 'e', collection: 'todos', url: `/${type}/e` }
}

const row = async (w, url) => (await w.events(url, 'state:todos')).at(-1)

route('POST /_electric/entities/{type}/{id}/collections/{collection}', {
  scene: collected,
  asks: { by: alice, body: { operation: 'insert', value: { a: 1 } } },
  refusals: [
    ...nowhere('collection'),
    ...bodies({ operation: undefined }, [{ path: '/', message: "must have required property 'operation'" }]),
    ['an operation that is none', { body: { operation: 'upsert' } }, 400, INVALID, SCHEMA],
    ['a key that is no text', { body: { key: 1 } }, 400, INVALID, SCHEMA, [{ path: '/key', message: 'must be string' }]],
    ['a value that is no object', { body: { value: [] } }, 400, INVALID, SCHEMA, [{ path: '/value', message: 'must be object' }]],
    ['null as a value', { body: { value: null } }, 400, INVALID, SCHEMA, [{ path: '/value', message: 'must be object' }]],
    ['a member more', { body: { type: 'x' } }, 400, INVALID, SCHEMA, [{ path: '/', message: 'must NOT have additional properties' }]],
    stranger('write'),
    ['a collection that is none', { collection: 'x%20y' }, 403, 'UNAUTHORIZED', 'Collection "x y" is not writable'],
    ['the event type instead of the collection', { collection: 'state:todos' }, 403, 'UNAUTHORIZED', 'Collection "state:todos" is not writable'],
    ['what is no member', { collection: '__proto__' }, 403, 'UNAUTHORIZED', 'Collection "__proto__" is not writable'],
    ['an operation that nobody declared', { collection: 'notes', body: { operation: 'update' } }, 403, 'UNAUTHORIZED', 'Operation "update" is not allowed on collection "notes"'],
    ['any operation where there are none', { collection: 'fixed' }, 403, 'UNAUTHORIZED', /^Operation "\w+" is not allowed on collection "fixed"$/],
    ['one that was killed', { id: 'killed' }, 409, ...NOT_RUNNING],
    ['one that a fork has locked', { id: 'locked' }, 409, 'FORK_IN_PROGRESS', 'Entity subtree is being forked'],
    ['an insert without a value', { body: { operation: 'insert', value: undefined } }, 400, INVALID, 'value is required for insert'],
    ['an update without a value', { body: { operation: 'update', value: undefined } }, 400, INVALID, 'value is required for update'],
    ['an update without a key', { body: { operation: 'update' } }, 400, INVALID, 'key is required for update'],
    ['an update with an empty key', { body: { operation: 'update', key: '' } }, 400, INVALID, 'key is required for update'],
    ['a delete without a key', { body: { operation: 'delete', value: undefined } }, 400, INVALID, 'key is required for delete'],
    ['an event type without a schema', { collection: 'plain' }, 422, 'UNKNOWN_EVENT_TYPE', 'Unknown event type "state:plain"'],
    ['a value that does not fit where others only add', { collection: 'added', body: { operation: 'insert', key: 'taken', value: {} } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
    ['a key that is taken where others only add', { collection: 'added', body: { operation: 'insert', key: 'taken', value: { a: 1 } } }, 409, 'DUPLICATE_KEY', 'Collection "added" has a row with the key "taken" already'],
    ['a value that does not fit', { body: { value: {} } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
  ],
  answers: [
    ['an insert', {}, 201, { key: /^todos-[0-9a-f-]{36}$/ }],
    ['an insert with a key', { body: { key: 'k' } }, 201, { key: 'k' }],
    ['an insert with a key that is there', { body: { key: 'k' } }, 201, { key: 'k' }],
    ['an insert where others only add', { collection: 'added', body: { key: 'free' } }, 201, { key: 'free' }],
    ['the same insert again', { collection: 'added', body: { key: 'free' } }, 201, { key: 'free' }],
    ['an insert with an empty key', { body: { key: '' } }, 201, { key: '' }],
    ['an update', { body: { operation: 'update', key: 'k', value: { a: 2 } } }, 200, { key: 'k' }],
    ['a delete: what goes needs no value, and has none', { body: { operation: 'delete', key: 'k', value: { b: 1 } } }, 200, { key: 'k' }, async (_, { w, url }) => {
      assert.ok(!('value' in (await row(w, url))))
    }],
  ],
})
