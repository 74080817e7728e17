// `POST …/send` (control plane, section 10.6). Refusals stand in the order of the checks.
import assert from 'node:assert/strict'

import { alice, nowhere, stranger } from '../../harness/entity-route.mjs'
import { UUID } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const other = '/principal/user%3Amallory'

/** An entity of alice's that takes questions, one that has been killed and one that is stopping; and a principal. */
async function hers(w) {
  const type = await w.type({ inbox_schemas: { ask: { type: 'object', required: ['text'] } } })
  for (const id of ['e', 'killed']) await w.spawn(type, id, {}, { as: alice })
  await w.delete(`/_electric/entities/${type}/killed`)
  const grants = [{ subject_kind: 'principal', subject_value: '/principal/user%3Aalice', permission: 'manage' }]
  const work = await w.working(type, 'stopping', { grants })
  await w.post(`/_electric/entities/${type}/stopping/signal`, { signal: 'SIGTERM' })
  const me = `user:${w.name}`
  await w.get(`/_electric/entities/principal/${me}`)
  return { type, id: 'e', me, token: work.writeToken }
}

const sent = { txid: UUID }
const last = async (w, type) => (await w.events(`/${type}/e`, 'inbox')).at(-1).value

route('POST /_electric/entities/{type}/{id}/send', {
  scene: hers,
  asks: { by: alice, body: { payload: { text: 'x' } } },
  refusals: [
    ...nowhere(),
    ...bodies({ key: 5 }, [{ path: '/key', message: 'must be string' }]),
    ['a mode that is none', { body: { mode: 'loud' } }, 400, INVALID, SCHEMA, [
      ...Array(4).fill({ path: '/mode', message: 'must be equal to constant' }),
      { path: '/mode', message: 'must match a schema in anyOf' },
    ]],
    ['a delay that is no number', { body: { afterMs: '5' } }, 400, INVALID, SCHEMA, [{ path: '/afterMs', message: 'must be number' }]],
    ['a position that is no text', { body: { position: 1 } }, 400, INVALID, SCHEMA, [{ path: '/position', message: 'must be string' }]],
    stranger('write'),
    ['another’s name', { body: { from: other } }, 400, INVALID, 'Request from must match Electric-Principal'],
    ['the caller’s key instead of its URL', { body: { from: alice } }, 400, INVALID, 'Request from must match Electric-Principal'],
    ['another principal’s name', { body: { from_principal: other } }, 400, INVALID, 'Request from_principal must match Electric-Principal'],
    ['an agent’s name without its token', { body: { from_agent: '/{type}/e' } }, 400, INVALID, 'Request from_agent must match authenticated agent principal'],
    ['an agent’s name with another’s token', { body: { from_agent: '/{type}/e' }, headers: { 'electric-claim-token': '{token}' } }, 400, INVALID,
      'Request from_agent must match authenticated agent principal'],
    ['one that is stopping', { id: 'stopping' }, 409, 'NOT_RUNNING', 'Entity is not accepting writes'],
    ['one that was killed', { id: 'killed' }, 409, 'NOT_RUNNING', 'Entity is not accepting writes'],
    ['a type of message that is none', { body: { type: 'nope' } }, 422, 'UNKNOWN_MESSAGE_TYPE', 'Unknown message type "nope"'],
    ['a message that does not fit', { body: { type: 'ask', payload: {} } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed',
      [{ path: '/', message: "must have required property 'text'" }]],
    ['what the composer does not make', { body: { type: 'composer_input', payload: { source: 5, nodes: {} } } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed',
      [{ path: '/source', message: 'must be a string' }, { path: '/nodes', message: 'must be an array' }]],
    ['an identity that is none', { by: '{me}', type: 'principal', id: '{me}', body: { type: 'update_identity', payload: {} } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
    ['an identity from who is not the system', {
      by: '{me}', type: 'principal', id: '{me}',
      body: { type: 'update_identity', payload: { identity: { kind: 'user', id: 'x', key: 'user:x', url: '/principal/user%3Ax', updated_at: 'now' } } },
    }, 403, 'UNAUTHORIZED', 'Only built-in system principals can update principal identity'],
    ['no payload', { body: { payload: undefined } }, 400, INVALID, 'Missing required field: payload'],
  ],
  answers: [
    ['a message', {}, 200, sent],
    ['one of any content type', { headers: { 'content-type': 'text/plain' } }, 200, sent],
    ['a null', { body: { payload: null } }, 200, sent],
    ['a member that nobody knows', { body: { more: 1 } }, 200, sent],
    ['one that fits its type', { body: { type: 'ask' } }, 200, sent, async (_, { w, type }) => assert.equal((await last(w, type)).message_type, 'ask')],
    ['an empty type as none', { body: { type: '' } }, 200, sent, async (_, { w, type }) => assert.ok(!('message_type' in (await last(w, type))))],
    ['what the composer makes, whatever the type’s schemas say', {
      body: { type: 'composer_input', payload: { source: '/go', nodes: [{ kind: 'slash_command', name: 'go', start: 0, end: 3, raw: '/go' }] } },
    }, 200, sent],
    ['the caller’s own name', { body: { from: '/principal/user%3Aalice', from_principal: '/principal/user%3Aalice' } }, 200, sent],
    ['an agent’s name with its token', { body: { from_agent: '/{type}/stopping' }, headers: { 'electric-claim-token': '{token}' } }, 200, sent, async (_, { w, type }) => {
      assert.equal((await last(w, type)).from_agent, `/${type}/stopping`)
    }],
    ['the same as a bearer, and a whole URL', { body: { from_agent: 'http://host/{type}/stopping' }, headers: { authorization: 'Bearer {token}' } }, 200, sent],
    ['no delay', { body: { afterMs: -1 } }, 200, sent],
    ['a delay', { body: { afterMs: 5 } }, 204],
  ],
})
