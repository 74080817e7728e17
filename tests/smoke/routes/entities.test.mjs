// The routes that show entities and end them (control plane, sections 10.0 to 10.2 and 10.4). Refusals stand in the order
// of the checks.
import assert from 'node:assert/strict'

import { like, MS } from '../../harness/like.mjs'
import { INVALID, route } from '../../harness/route.mjs'

const [alice, bob] = ['user:alice', 'user:bob']
const unknown = ['a type that nobody registered', { type: 'no-such-type' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found']
const reserved = ['a type that nobody can register', { type: '_reserved' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "_reserved" not found']
const missing = ['an entity that is not there', { id: 'none' }, 404, 'NOT_FOUND', 'Entity not found at /{type}/none']
const starred = ['a name that no entity has', { id: 'a*' }, 404, 'NOT_FOUND', 'Entity not found at /{type}/a*']
const stranger = (may) => ['who may not', { by: bob }, 401, 'UNAUTHORIZED', `Principal is not allowed to ${may} /{type}/{id}`]
const notPrincipals = [
  ['what names no principal', { id: 'alice' }, 400, INVALID, 'Invalid principal identifier'],
  ['a principal of no kind', { id: 'robot:x' }, 400, INVALID, 'Invalid principal kind'],
  ['a principal without an id', { id: 'user%3A' }, 400, INVALID, 'Invalid principal id'],
]

/** An entity of alice's, with all that an entity can have, and one that says nothing. */
async function hers(w) {
  const type = await w.type({ externally_writable_collections: { notes: { type: 'state:notes' } } })
  const plain = await w.type()
  await w.spawn(type, 'parent', {}, { as: alice })
  const policy = { targets: [{ type: 'webhook', url: 'http://127.0.0.1:9/x', subscription_id: 's' }] }
  const said = { parent: `/${type}/parent`, tags: { b: '2', a: '1' }, args: { n: 1 }, dispatch_policy: policy }
  const { created_at } = await w.spawn(type, 'e', said, { as: alice })
  await w.spawn(plain, 'bare')
  const shown = {
    url: `/${type}/e`, type, status: 'idle', streams: { main: `/${type}/e/main` }, dispatch_policy: policy, tags: { a: '1', b: '2' },
    spawn_args: { n: 1 }, parent: `/${type}/parent`, created_by: '/principal/user%3Aalice', created_at, updated_at: MS,
  }
  return { id: 'e', type, plain, shown }
}

route('GET /_electric/entities', {
  scene: hers,
  asks: { query: '?type={type}' },
  refusals: [
    ['a limit that is no number', { query: '?limit=x' }, 400, INVALID, '`limit` is a number of entities'],
    ['a place that is none', { query: '?after=/no/body' }, 404, 'NOT_FOUND', 'Entity not found at /no/body'],
    ['a place that the caller may not read', { by: bob, query: '?after=/{type}/e' }, 404, 'NOT_FOUND', 'Entity not found at /{type}/e'],
  ],
  answers: [
    ['the creator: newest first', { by: alice }, 200, Array.isArray, ({ json }, { shown, type }) => {
      like(json[0], shown)
      assert.deepEqual(json.map(({ url }) => url), [`/${type}/e`, `/${type}/parent`])
    }],
    ['who may read none of them', { by: bob }, 200, []],
    ['blank filters as none', { query: '?type={type}&status=&parent=&created_by=' }, 200, [Object, Object]],
    ['a parent', { query: '?parent=/{type}/parent' }, 200, ['{shown}']],
    ['a creator', { query: '?type={plain}&created_by=%2Fprincipal%2Fsystem%253Adev-local' }, 200, [Object]],
    ['a status', { query: '?type={type}&status=killed' }, 200, []],
    ['a status that is none', { query: '?type={type}&status=asleep' }, 200, []],
    ['a filter twice: the first counts', { query: '?type={type}&type=other' }, 200, [Object, Object]],
    ['a limit', { query: '?type={type}&limit=1' }, 200, [Object], (answer, { type }) => assert.equal(answer.headers['reveille-next'], `/${type}/e`)],
    ['the place after which to go on', { query: '?type={type}&after=/{type}/e' }, 200, [Object]],
  ],
})

route('GET /_electric/entities/{type}/{id}', {
  scene: hers,
  refusals: [unknown, reserved, missing, starred, stranger('read')],
  answers: [
    ['who may read it, and shows what its type lets others write', { by: alice }, 200, Object, ({ json }, { shown }) => {
      like(json, { ...shown, externally_writable_collections: { notes: { type: 'state:notes' } } })
    }],
    ['one that said nothing: what is unset is absent', { type: '{plain}', id: 'bare' }, 200, {
      url: '/{plain}/bare', type: '{plain}', status: 'idle', streams: { main: '/{plain}/bare/main' }, tags: {}, spawn_args: {},
      created_by: '/principal/system%3Adev-local', created_at: MS, updated_at: MS,
    }],
  ],
})

route('HEAD /_electric/entities/{type}/{id}', {
  scene: hers,
  refusals: [unknown, missing, stranger('read')].map(([what, asked, status]) => [what, asked, status]),
  answers: [['who may read it', { by: alice }, 200]],
})

route('DELETE /_electric/entities/{type}/{id}', {
  scene: async (w) => {
    const { type, id } = await hers(w)
    for (const [id, signal] of [['stopped', 'SIGTERM'], ['killed', 'SIGKILL']]) {
      await w.spawn(type, id, {}, { as: alice })
      await w.post(`/_electric/entities/${type}/${id}/signal`, { signal })
    }
    return { type, id }
  },
  refusals: [
    unknown,
    missing,
    stranger('delete'),
    ['one that has stopped', { id: 'stopped' }, 409, 'INVALID_SIGNAL', 'Cannot signal a stopped entity'],
    ['one that was killed', { id: 'killed' }, 409, 'INVALID_SIGNAL', 'Cannot signal a killed entity'],
  ],
  answers: [
    ['who may end it; what it was stays to be read', { by: alice }, 200, { txid: MS }, async (_, { w, type }) => {
      assert.equal((await w.entity(`/${type}/e`)).status, 'killed')
      assert.ok((await w.events(`/${type}/e`)).length > 1)
    }],
  ],
})

// Principals.

const me = (w) => ({ me: `user:${w.name}`, path: encodeURIComponent(`user:${w.name}`) })
const notMe = (may) => ['who is somebody else', { by: bob }, 401, 'UNAUTHORIZED', `Principal is not allowed to ${may} /principal/{path}`]

route('GET /_electric/entities/principal/{id}', {
  scene: async (w) => ({ id: `user:${w.name}`, ...me(w) }),
  asks: { by: '{me}' },
  refusals: [...notPrincipals, notMe('read')],
  answers: [
    ['itself', {}, 200, {
      url: '/principal/{path}', type: 'principal', status: 'idle', streams: { main: '/principal/{path}/main' }, tags: { principal_id: String, principal_kind: 'user' },
      spawn_args: { id: String, key: '{me}', kind: 'user' }, created_by: '/principal/{path}', created_at: MS, updated_at: MS,
    }],
    ['the other spelling', { id: '{path}' }, 200, Object],
    ['the system', { by: undefined }, 200, Object],
  ],
})

route('HEAD /_electric/entities/principal/{id}', {
  scene: async (w) => ({ id: `user:${w.name}`, ...me(w) }),
  asks: { by: '{me}' },
  refusals: [...notPrincipals, notMe('read')].map(([what, asked, status]) => [what, asked, status]),
  answers: [['itself', {}, 200], ['the system', { by: undefined }, 200]],
})

route('PUT /_electric/entities/principal/{id}', {
  scene: async (w) => ({ id: `user:${w.name}`, ...me(w) }),
  asks: { by: '{me}' },
  refusals: [
    ['everybody', {}, 400, INVALID, 'Principal entities are built in and cannot be spawned directly'],
    ['a body that is no JSON', { body: '{' }, 400, INVALID, 'Principal entities are built in and cannot be spawned directly'],
    ['what names no principal', { id: 'alice' }, 400, INVALID, 'Principal entities are built in and cannot be spawned directly'],
  ],
  answers: [],
})

route('DELETE /_electric/entities/principal/{id}', {
  scene: async (w) => ({ id: `user:${w.name}`, ...me(w) }),
  asks: { by: '{me}' },
  refusals: [
    ...notPrincipals,
    notMe('delete'),
    ['itself', {}, 400, INVALID, 'Principal entities are built in and cannot be killed'],
    ['the system', { by: undefined }, 400, INVALID, 'Principal entities are built in and cannot be killed'],
  ],
  answers: [],
})
