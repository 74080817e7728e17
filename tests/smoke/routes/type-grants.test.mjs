// The routes of grants on entity types (control plane, section 9.6). Refusals stand in the order of the checks.
import assert from 'node:assert/strict'

import { ISO, MS } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const [alice, bob] = ['user:alice', 'user:bob']
const to = (who, permission) => ({ subject_kind: 'principal', subject_value: `/principal/user%3A${who}`, permission })
const nobody = ['a type that nobody registered', { name: 'no-such-type' }, 404, 'NOT_FOUND', 'Entity type not found']
const stranger = ['who may not manage it', { by: bob }, 401, 'UNAUTHORIZED', 'Principal is not allowed to manage {name}']
const devLocal = '/principal/system%3Adev-local'
const shown = { id: MS, entity_type: '{name}', created_by: devLocal, created_at: ISO, updated_at: ISO }

/** A type that alice may manage, a grant on it, and one on another. */
async function granted(w) {
  const [name, other] = [await w.type({ permission_grants: [to('alice', 'manage')] }), await w.type({ permission_grants: [to('bob', 'spawn')] })]
  const of = async (type) => (await w.get(`/_electric/entity-types/${type}/grants`)).json.grants[0].id
  return { name, given: await of(name), others: await of(other) }
}

route('GET /_electric/entity-types/{name}/grants', {
  scene: granted,
  refusals: [nobody, stranger],
  answers: [['who may manage it', { by: alice }, 200, { grants: [{ ...shown, ...to('alice', 'manage') }] }]],
})

route('POST /_electric/entity-types/{name}/grants', {
  scene: granted,
  asks: { body: to('bob', 'spawn') },
  refusals: [
    nobody,
    ...bodies({ permission: undefined }, [{ path: '/', message: "must have required property 'permission'" }]),
    ['a permission that types do not have', { body: { permission: 'read' } }, 400, INVALID, SCHEMA],
    ['a subject of no kind', { body: { subject_kind: 'group' } }, 400, INVALID, SCHEMA],
    ['what only grants on entities have', { body: { propagation: 'self' } }, 400, INVALID, SCHEMA, [{ path: '/', message: 'must NOT have additional properties' }]],
    stranger,
    ['an end at no time', { body: { expires_at: 'never' } }, 400, INVALID, 'Invalid expires_at timestamp'],
  ],
  answers: [
    ['who may manage it', { by: alice }, 201, { ...shown, ...to('bob', 'spawn'), created_by: '/principal/user%3Aalice' }],
    ['the same again', {}, 201, { ...shown, ...to('bob', 'spawn') }],
    ['one that ends', { body: { expires_at: '2099-01-01' } }, 201, { ...shown, ...to('bob', 'spawn'), expires_at: '2099-01-01T00:00:00.000Z' }],
    ['one that has ended', { body: { expires_at: '2001-01-01T00:00:00+01:00' } }, 201, { ...shown, ...to('bob', 'spawn'), expires_at: '2000-12-31T23:00:00.000Z' }],
  ],
})

route('DELETE /_electric/entity-types/{name}/grants/{grant}', {
  scene: granted,
  asks: { grant: '{given}' },
  refusals: [
    nobody,
    stranger,
    ['what is no number', { grant: 'x' }, 400, INVALID, 'Invalid grant id'],
    ['zero', { grant: '0' }, 400, INVALID, 'Invalid grant id'],
    ['a number below zero', { grant: '-1' }, 400, INVALID, 'Invalid grant id'],
    ['a grant that is not there', { grant: '999999999' }, 404, 'NOT_FOUND', 'Grant not found'],
    ['a grant on another type', { grant: '{others}' }, 404, 'NOT_FOUND', 'Grant not found'],
  ],
  answers: [
    ['a number with something behind it', { grant: '{given}abc' }, 204, undefined, async (_, { w, name }) => {
      assert.deepEqual((await w.get(`/_electric/entity-types/${name}/grants`)).json, { grants: [] })
    }],
  ],
})
