// `PUT /_electric/entities/{type}/{id}`: an entity comes to be (control plane, section 10.3). Refusals stand in the order
// of the checks, 10.3.1.
import assert from 'node:assert/strict'

import { MS, UUID } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const [alice, bob] = ['user:alice', 'user:bob']
const to = (who, permission, more) => ({ subject_kind: 'principal', subject_value: `/principal/user%3A${who}`, permission, ...more })
const users = { subject_kind: 'principal_kind', subject_value: 'user', permission: 'spawn' }
const runner = (runnerId) => ({ targets: [{ type: 'runner', runnerId }] })
const webhook = { targets: [{ type: 'webhook', url: 'http://127.0.0.1:9/x' }] }
const broad = ['who may not give away so much of another’s', 401, 'UNAUTHORIZED', 'Principal is not allowed to delegate broad grants from {shared}']
const below = (grant, how) => [`${broad[0]}: ${how}`, { by: bob, body: { parent: '{shared}', grants: [grant] } }, ...broad.slice(1)]

/** A type that users may spawn, entities of alice's below one of which bob may spawn, and her runner. */
async function offered(w) {
  const type = await w.type({
    permission_grants: [users],
    creation_schema: { type: 'object', properties: { topic: { type: 'string' } }, required: ['topic'] },
    inbox_schemas: { say: { type: 'object', required: ['text'] } },
  })
  const args = { topic: 'x' }
  const hers = (await w.spawn(type, 'hers', { args }, { as: alice })).url
  const shared = (await w.spawn(type, 'shared', { args, grants: [to('bob', 'spawn')] }, { as: alice })).url
  const ended = (await w.spawn(type, 'ended', { args, grants: [to('bob', 'spawn')] }, { as: alice })).url
  assert.equal((await w.delete(`/_electric/entities${ended}`, { as: alice })).status, 200)
  const pinned = (await w.spawn(type, 'pinned', { args, dispatch_policy: webhook }, { as: alice })).url
  const sandbox_profiles = [{ name: `${w.name}-p`, label: 'p', remote: false }]
  const registered = await w.post('/_electric/runners', { id: w.name, label: 'r', sandbox_profiles }, { as: alice })
  assert.equal(registered.status, 201, registered.text)
  return { type, id: 'new', hers, shared, ended, pinned, runner: w.name, profile: `${w.name}-p` }
}

/** An entity as the answer to its spawn shows it. */
const spawned = (id, more) => ({
  url: `/{type}/${id}`, type: '{type}', status: 'idle', streams: { main: `/{type}/${id}/main` }, tags: {}, spawn_args: { topic: 'x' },
  created_by: '/principal/user%3Aalice', created_at: MS, updated_at: MS, txid: MS, ...more,
})

route('PUT /_electric/entities/{type}/{id}', {
  scene: offered,
  asks: { by: alice, body: { args: { topic: 'x' } } },
  refusals: [
    ['an id with a `*`', { id: 'a*' }, 400, INVALID, 'the URL of an entity has no `*`: in patterns it stands for any name'],
    ['a type with a `*`', { type: 'a*' }, 400, INVALID, 'the URL of an entity has no `*`: in patterns it stands for any name'],
    ['a type that nobody registered', { type: 'no-such-type' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found'],
    ['a type that nobody can register', { type: '_reserved' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "_reserved" not found'],
    ...bodies({ args: null }, [{ path: '/args', message: 'must be object' }]),
    ['a tag that is no text', { body: { tags: { a: 1 } } }, 400, INVALID, SCHEMA, [{ path: '/tags/a', message: 'must be string' }]],
    ['a parent that is no text', { body: { parent: 1 } }, 400, INVALID, SCHEMA, [{ path: '/parent', message: 'must be string' }]],
    ['a policy of two targets', { body: { dispatch_policy: { targets: [...webhook.targets, ...webhook.targets] } } }, 400, INVALID, SCHEMA],
    ['a sandbox that is none', { body: { sandbox: { scope: 'tenant' } } }, 400, INVALID, SCHEMA],
    ['a message of a type that is no text', { body: { initialMessage: 1, initialMessageType: 1 } }, 400, INVALID, SCHEMA],
    ['a grant that is none', { body: { grants: [{ permission: 'fly' }] } }, 400, INVALID, SCHEMA],
    ['a grant with a member more', { body: { grants: [to('bob', 'read', { more: 1 })] } }, 400, INVALID, SCHEMA],
    ['a wake without a subscriber', { body: { wake: { condition: 'runFinished' } } }, 400, INVALID, SCHEMA],
    ['a wake on no condition', { body: { wake: { subscriberUrl: '{hers}', condition: 'always' } } }, 400, INVALID, SCHEMA],
    ['who may not spawn the type', { by: 'service:s' }, 401, 'UNAUTHORIZED', 'Principal is not allowed to spawn {type}'],
    ['a parent that is not there', { body: { parent: '/no/body' } }, 404, 'NOT_FOUND', 'Parent entity not found'],
    ['another’s parent', { by: bob, body: { parent: '{hers}' } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to spawn children from {hers}'],
    ['another’s parent, and to give that away', { by: bob, body: { parent: '{hers}', grants: [to('bob', 'manage')] } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to spawn children from {hers}'],
    below(to('bob', 'manage'), 'everything'),
    below({ ...users, permission: 'read' }, 'to many'),
    below(to('bob', 'read', { propagation: 'descendants' }), 'to what comes below'),
    below(to('bob', 'read', { copy_to_children: true }), 'a copy to each child'),
    ['a runner that nobody registered', { body: { dispatch_policy: runner('nobody') } }, 404, 'NOT_FOUND', 'Runner "nobody" not found'],
    ['another’s runner', { by: bob, body: { dispatch_policy: runner('{runner}') } }, 403, 'UNAUTHORIZED', 'Runner dispatch requires the authenticated owner'],
    ['args that do not fit', { body: { args: { topic: 5 } } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed', [{ path: '/topic', message: 'must be string' }]],
    ['empty args, where some are needed', { body: { args: {} } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed', [{ path: '/', message: "must have required property 'topic'" }]],
    ['a URL that is taken', { id: 'hers' }, 409, 'DUPLICATE_URL', 'Entity already exists at URL "{hers}"'],
    ['a parent that has ended', { body: { parent: '{ended}' } }, 409, 'NOT_RUNNING', 'Parent entity "{ended}" is not accepting writes'],
    ['a sandbox without a profile', { body: { sandbox: { key: 'k' } } }, 400, INVALID, 'sandbox requires a "profile" (or "inherit": true with a parent that has a shared sandbox).'],
    ['a profile that no runner offers', { body: { sandbox: { profile: 'nothing' } } }, 400, INVALID, /^sandbox profile "nothing" is not offered by any registered runner \(available: .*\)\.$/],
    ['a shared sandbox without a runner', { body: { sandbox: { profile: '{profile}', key: 'k' } } }, 400, INVALID,
      'a shared sandbox (sandbox.key / sandbox.inherit) requires the entity to be pinned to a single runner via dispatch_policy, so all collaborators share one host.'],
    ['a grant that ends at no time', { body: { grants: [to('bob', 'read', { expires_at: 'never' })] } }, 400, INVALID, 'Invalid expires_at timestamp'],
    ['the wake of another’s entity', { by: bob, body: { wake: { subscriberUrl: '{hers}', condition: 'runFinished' } } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to write {hers}'],
    ['a first message of an unknown type', { body: { initialMessage: 1, initialMessageType: 'nope' } }, 422, 'UNKNOWN_MESSAGE_TYPE', 'Unknown message type "nope"'],
    ['a first message that does not fit', { body: { initialMessage: {}, initialMessageType: 'say' } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed',
      [{ path: '/', message: "must have required property 'text'" }]],
  ],
  answers: [
    ['args that fit', {}, 201, spawned('new'), async ({ headers }, { w, type }) => {
      assert.match(headers['x-write-token'], UUID)
      assert.equal((await w.events(`/${type}/new`)).length, 1)
    }],
    ['nothing: args are checked when they are sent', { id: 'blank', body: ' ' }, 201, spawned('blank', { spawn_args: undefined })],
    ['an empty parent as none', { id: 'orphan', body: { parent: '' } }, 201, spawned('orphan')],
    ['members that nobody knows', { id: 'more', body: { more: 1 } }, 201, spawned('more')],
    ['all that there is to say', {
      id: 'all',
      body: {
        parent: '{pinned}', tags: { b: '2', a: '1' }, dispatch_policy: runner('{runner}'), sandbox: { profile: '{profile}', key: 'k', persistent: true },
        grants: [to('bob', 'manage')], wake: { subscriberUrl: '{hers}', condition: { on: 'change', ops: ['insert'] }, includeResponse: false },
        initialMessage: { text: 'hi' }, initialMessageType: 'say',
      },
    }, 201, spawned('all', {
      parent: '{pinned}', tags: { b: '2', a: '1' }, dispatch_policy: runner('{runner}'), sandbox: { profile: '{profile}', key: 'k', persistent: true },
    }), async ({ text }) => assert.ok(text.includes('"tags":{"b":"2","a":"1"}'), 'as they were sent')],
    ['null as a message', { id: 'null', body: { initialMessage: null } }, 201, spawned('null'), async (_, { w, type }) => {
      assert.equal((await w.events(`/${type}/null`, 'inbox'))[0].value.payload, null)
    }],
    ['below another’s, who gives no more than one thing to one', { by: bob, id: 'his', body: { parent: '{shared}', grants: [to('carol', 'read')] } }, 201,
      spawned('his', { created_by: '/principal/user%3Abob', parent: '{shared}' })],
  ],
})
