// The routes of grants on entities (control plane, section 10.15). Refusals stand in the order of the checks.
import assert from 'node:assert/strict'

import { alice, bob, entities, nowhere, stranger } from '../../harness/entity-route.mjs'
import { ISO, MS } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const read = { subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'read' }
const form = [400, INVALID, SCHEMA]

/** An entity of alice's with a grant, and one of bob's with another. */
async function granted(w) {
  const scene = await entities(w)
  await w.spawn(scene.type, 'his', {}, { as: bob })
  const give = async (id) => (await w.post(`/_electric/entities/${scene.type}/${id}/grants`, { ...read, permission: 'write' })).json.id
  return { ...scene, given: await give('e'), others: await give('his') }
}

const shown = {
  id: MS, entity_url: '/{type}/e', ...read, propagation: 'self', copy_to_children: false, created_by: '/principal/user%3Aalice',
  created_at: ISO, updated_at: ISO,
}
const first = { ...shown, id: '{given}', permission: 'write', created_by: '/principal/system%3Adev-local' }

route('GET /_electric/entities/{type}/{id}/grants', {
  scene: granted,
  asks: { by: alice },
  refusals: [...nowhere(), stranger('manage')],
  answers: [
    ['who may manage it', {}, 200, { grants: [first] }],
    ['one that is killed', { id: 'killed' }, 200, { grants: [] }],
    ['a principal', { type: 'principal', id: 'user%3Aalice' }, 200, { grants: [] }],
  ],
})

route('POST /_electric/entities/{type}/{id}/grants', {
  scene: granted,
  asks: { by: alice, body: read },
  refusals: [
    ...nowhere(),
    ...bodies({ permission: undefined }, [{ path: '/', message: "must have required property 'permission'" }]),
    ['no kind of subject', { body: { subject_kind: undefined } }, ...form, [{ path: '/', message: "must have required property 'subject_kind'" }]],
    ['no subject', { body: { subject_value: undefined } }, ...form, [{ path: '/', message: "must have required property 'subject_value'" }]],
    ['a permission that is none', { body: { permission: 'fly' } }, ...form],
    ['a subject of no kind', { body: { subject_kind: 'group' } }, ...form],
    ['a subject that is too long', { body: { subject_value: 'x'.repeat(1_025) } }, ...form],
    ['a reach that is none', { body: { propagation: 'children' } }, ...form],
    ['copies that are neither yes nor no', { body: { copy_to_children: 1 } }, ...form, [{ path: '/copy_to_children', message: 'must be boolean' }]],
    ['an end that is no text', { body: { expires_at: 5 } }, ...form, [{ path: '/expires_at', message: 'must be string' }]],
    ['what nobody knows', { body: { more: 1 } }, ...form, [{ path: '/', message: 'must NOT have additional properties' }]],
    stranger('manage'),
    ['an end at no time', { body: { expires_at: 'tomorrow' } }, 400, INVALID, 'Invalid expires_at timestamp'],
  ],
  answers: [
    ['the fewest words', {}, 201, shown],
    ['the same again', {}, 201, shown],
    [
      'all that may be said', { body: { subject_kind: 'principal_kind', subject_value: 'user', permission: 'manage', propagation: 'descendants', copy_to_children: true, expires_at: '2099-01-01' } }, 201,
      { ...shown, subject_kind: 'principal_kind', subject_value: 'user', permission: 'manage', propagation: 'descendants', copy_to_children: true, expires_at: '2099-01-01T00:00:00.000Z' },
    ],
    ...['spawn', 'write', 'delete', 'signal', 'fork', 'schedule'].map((permission) => [permission, { body: { permission } }, 201, { ...shown, permission }]),
    ['one on what is killed', { id: 'killed' }, 201, { ...shown, entity_url: '/{type}/killed' }],
    ['one on a principal', { type: 'principal', id: 'user%3Aalice' }, 201, { ...shown, entity_url: '/principal/user%3Aalice' }],
  ],
})

route('DELETE /_electric/entities/{type}/{id}/grants/{grant}', {
  scene: granted,
  asks: { by: alice, grant: '{given}' },
  refusals: [
    ...nowhere(),
    stranger('manage'),
    ['what is no number', { grant: 'x' }, 400, INVALID, 'Invalid grant id'],
    ['zero', { grant: '0' }, 400, INVALID, 'Invalid grant id'],
    ['a number below zero', { grant: '-1' }, 400, INVALID, 'Invalid grant id'],
    ['a grant that is not there', { grant: '999999999' }, 404, 'NOT_FOUND', 'Grant not found'],
    ['a grant on another entity', { grant: '{others}' }, 404, 'NOT_FOUND', 'Grant not found'],
  ],
  answers: [
    ['a grant', {}, 204, undefined, async (_, { w, type }) => {
      assert.deepEqual((await w.get(`/_electric/entities/${type}/e/grants`)).json, { grants: [] })
    }],
  ],
})
