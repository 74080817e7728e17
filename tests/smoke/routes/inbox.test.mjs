// `PATCH` and `DELETE …/inbox/{key}` (control plane, section 10.7). Refusals stand in the order of the checks.
import assert from 'node:assert/strict'

import { UUID } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const [alice, bob] = ['user:alice', 'user:bob']

/** An entity of alice's with a queued message, one that has been killed and one that is stopping. */
async function hers(w) {
  const type = await w.type()
  for (const id of ['e', 'killed']) await w.spawn(type, id, {}, { as: alice })
  await w.send(`/${type}/e`, 1, { key: 'm', mode: 'queued' })
  await w.delete(`/_electric/entities/${type}/killed`)
  const grants = [{ subject_kind: 'principal', subject_value: '/principal/user%3Aalice', permission: 'write' }]
  await w.working(type, 'stopping', { grants })
  await w.post(`/_electric/entities/${type}/stopping/signal`, { signal: 'SIGTERM' })
  return { type, id: 'e', key: 'm' }
}

const found = [
  ['a type that nobody registered', { type: 'no-such-type' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found'],
  ['an entity that is not there', { id: 'none' }, 404, 'NOT_FOUND', 'Entity not found at /{type}/none'],
  ['what names no principal', { type: 'principal', id: 'alice' }, 400, INVALID, 'Invalid principal identifier'],
  ['a key that is no text', { key: '%ff' }, 400, INVALID, '`key` in the path is not UTF-8 when percent-decoded'],
]
const stranger = ['who may not write', { by: bob }, 401, 'UNAUTHORIZED', 'Principal is not allowed to write /{type}/{id}']
const ended = ['stopping', 'killed'].map((id) => [`one that is ${id}`, { id }, 409, 'NOT_RUNNING', 'Entity is not accepting writes'])
const edited = { txid: UUID }

route('PATCH /_electric/entities/{type}/{id}/inbox/{key}', {
  scene: hers,
  asks: { by: alice, body: { payload: 2 } },
  refusals: [
    ...found,
    ...bodies({ position: 1 }, [{ path: '/position', message: 'must be string' }]),
    ['a mode that is none', { body: { mode: 'later' } }, 400, INVALID, SCHEMA],
    ['a status that is none', { body: { status: 'read' } }, 400, INVALID, SCHEMA],
    stranger,
    ...ended,
    ['nothing to change', { body: { payload: undefined } }, 400, INVALID, 'No inbox fields to update'],
    ['nothing that is known', { body: { payload: undefined, processed_at: 'now' } }, 400, INVALID, 'No inbox fields to update'],
  ],
  answers: [
    ['a change', {}, 200, edited, async (_, { w, type }) => assert.equal((await w.events(`/${type}/e`, 'inbox')).length, 2)],
    ['null as a payload', { body: { payload: null } }, 200, edited],
    ['a message that nobody sent', { key: 'a%2Fb' }, 200, edited, async (_, { w, type }) => {
      assert.equal((await w.events(`/${type}/e`, 'inbox')).at(-1).key, 'a/b')
    }],
  ],
})

route('DELETE /_electric/entities/{type}/{id}/inbox/{key}', {
  scene: hers,
  asks: { by: alice },
  refusals: [...found, stranger, ...ended],
  answers: [
    ['a message', {}, 200, edited, async (_, { w, type }) => assert.equal((await w.events(`/${type}/e`, 'inbox')).length, 2)],
    ['a message that nobody sent', { key: 'nobody' }, 200, edited],
  ],
})
