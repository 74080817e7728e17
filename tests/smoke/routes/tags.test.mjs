// `POST` and `DELETE …/tags/{key}` (control plane, section 10.10). Refusals stand in the order of the checks.
import { alice, ended, entities, locked, nowhere, principals, stranger } from '../../harness/entity-route.mjs'
import { MS } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

/** An entity of alice's with two tags, and one that has as many as it may. */
async function tagged(w) {
  const { type } = await entities(w, { tags: { kept: '1', old: '2' } })
  const tags = Object.fromEntries(Array.from({ length: 256 }, (_, n) => [`k${n}`, 'v']))
  await w.spawn(type, 'full', { tags }, { as: alice })
  return { type, id: 'e', key: 'k' }
}

const entity = {
  url: '/{type}/e', type: '{type}', status: 'idle', streams: { main: '/{type}/e/main' }, spawn_args: {},
  created_by: '/principal/user%3Aalice', created_at: MS, updated_at: MS,
}

route('POST /_electric/entities/{type}/{id}/tags/{key}', {
  scene: tagged,
  asks: { by: alice, body: { value: 'v' } },
  refusals: [
    ...nowhere('key'),
    ...bodies({ value: 1 }, [{ path: '/value', message: 'must be string' }]),
    ['no value', { body: { value: undefined } }, 400, INVALID, SCHEMA, [{ path: '/', message: "must have required property 'value'" }]],
    ['null', { body: { value: null } }, 400, INVALID, SCHEMA, [{ path: '/value', message: 'must be string' }]],
    stranger('write'),
    principals('tag updated'),
    ...ended,
    locked,
    ['a value that is too long', { body: { value: 'ü'.repeat(2_048) + 'x' } }, 400, INVALID, 'a tag\'s key and value are at most 4096 bytes long'],
    ['one tag more than there may be', { id: 'full' }, 409, 'LIMIT_EXCEEDED', '/{type}/full already has the most tags that an entity may'],
  ],
  answers: [
    ['a new tag', {}, 200, { ...entity, tags: { k: 'v', kept: '1', old: '2' }, txid: MS }],
    ['another value', { body: { value: '' } }, 200, { ...entity, tags: { k: '', kept: '1', old: '2' }, txid: MS }],
    ['the value that it has', { body: { value: '' } }, 200, { ...entity, tags: { k: '', kept: '1', old: '2' } }],
    ['a name that must be escaped', { key: 'a%2Fb%25' }, 200, { ...entity, tags: { 'a/b%': 'v', k: '', kept: '1', old: '2' }, txid: MS }],
    ['a body with more members', { body: { value: '', more: 1 } }, 200, { ...entity, tags: { 'a/b%': 'v', k: '', kept: '1', old: '2' } }],
    ['another value where no more may be', { id: 'full', key: 'k0', body: { value: 'ü'.repeat(2_048) } }, 200, Object],
  ],
})

route('DELETE /_electric/entities/{type}/{id}/tags/{key}', {
  scene: tagged,
  asks: { by: alice, key: 'old' },
  refusals: [...nowhere('key'), stranger('write'), principals('tag deleted'), ...ended, locked],
  answers: [
    ['a tag', {}, 200, { ...entity, tags: { kept: '1' }, txid: MS }],
    ['the same again', {}, 200, { ...entity, tags: { kept: '1' } }],
    ['a tag that never was', { key: 'never' }, 200, { ...entity, tags: { kept: '1' } }],
  ],
})
