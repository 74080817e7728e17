// What the tables of an entity's routes have in common: whom they are asked of, and who is refused before anything else.
import { INVALID } from './route.mjs'

export const alice = 'user:alice'
export const bob = 'user:bob'

/** An entity `e` of alice's, and others that are not as it is: `killed`, `stopping`, and `locked` while a fork reads it. */
export async function entities(w, body = {}) {
  const type = await w.type()
  const grants = ['write', 'read', 'schedule', 'fork'].map((permission) => ({ subject_kind: 'principal', subject_value: '/principal/user%3Aalice', permission }))
  for (const id of ['e', 'killed', 'locked']) await w.spawn(type, id, { ...(id === 'e' && body) }, { as: alice })
  await w.delete(`/_electric/entities/${type}/killed`)
  await w.working(type, 'stopping', { grants })
  await w.post(`/_electric/entities/${type}/stopping/signal`, { signal: 'SIGTERM' })
  await w.post('/_reveille/dev/lock', { entity: `/${type}/locked`, ms: 60_000 })
  return { type, id: 'e' }
}

/** Paths that lead to no entity, and with `param` to nothing that can have a name. */
export function nowhere(param) {
  return [
    ['a type that nobody registered', { type: 'no-such-type' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found'],
    ['a type that nobody can register', { type: '_type' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "_type" not found'],
    ['an entity that nobody can spawn', { id: 'e*' }, 404, 'NOT_FOUND', 'Entity not found at /{type}/e*'],
    ['an entity that is not there', { id: 'none' }, 404, 'NOT_FOUND', 'Entity not found at /{type}/none'],
    ['what names no principal', { type: 'principal', id: 'alice' }, 400, INVALID, 'Invalid principal identifier'],
    ...(param ? [['a name that is no text', { [param]: '%ff' }, 400, INVALID, `\`${param}\` in the path is not UTF-8 when percent-decoded`]] : []),
  ]
}

export const stranger = (permission) =>
  ['who may not', { by: bob }, 401, 'UNAUTHORIZED', `Principal is not allowed to ${permission} /{type}/{id}`]

export const principals = (what) =>
  ['a principal', { type: 'principal', id: 'user%3Aalice' }, 400, INVALID, `Principal entities are built in and cannot be ${what}`]

/** Entities that take nothing any more, or not now. */
export const ended = ['killed', 'stopping'].map((id) => [`one that is ${id}`, { id }, 409, 'NOT_RUNNING', 'Entity is not accepting writes'])
export const locked = ['one that a fork reads', { id: 'locked' }, 409, 'FORK_IN_PROGRESS', 'Entity subtree is being forked']
