// `POST …/fork` (control plane, section 10.12). Refusals stand in the order of the checks; where a fork branches off in the
// past, what concerns its place comes before the id of the new entity, and after what concerns its source.
import assert from 'node:assert/strict'

import { alice, entities, nowhere, principals, stranger } from '../../harness/entity-route.mjs'
import { like } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const carol = 'user:carol'
const pointer = { offset: null, sub_offset: 1 }
const nowhereAtAll = '0000000000000000_0000000000000001'
const wake = { subscriberUrl: '{parent}', condition: 'runFinished' }
const form = [400, INVALID, SCHEMA]
const at = (path, message) => [{ path, message }]
const negative = [400, INVALID, 'waitTimeoutMs must be a non-negative number']
const partial = [400, INVALID, 'Only top-level entities can be forked']
const terminal = (id) => [409, 'NOT_RUNNING', `Cannot fork terminal entity "/{type}/${id}"`]
const badId = [400, INVALID, 'Fork instance_id must not be empty or contain forward slashes']

/**
 * Entities of alice's, which carol may fork: `child` below a `parent`, `pinned` to alice's runner, `above` one that has ended,
 * and `busy`, at work. `killed` has ended.
 */
async function forked(w) {
  const { type } = await entities(w)
  const runner = await w.runner(`${w.name}-r`, { as: alice })
  const mine = (id, body) => w.spawn(type, id, body, { as: alice })
  await mine('pinned', { dispatch_policy: runner.policy })
  const { url: parent } = await mine('parent')
  await mine('child', { parent })
  const { url: above } = await mine('above')
  await mine('below', { parent: above })
  await w.delete(`/_electric/entities/${type}/below`)
  const may = (who) => ({ permission: 'fork', subject_kind: 'principal', subject_value: `/principal/user%3A${who}` })
  const busy = await w.working(type, 'busy', { grants: [may('alice')] })
  for (const id of ['e', 'pinned', 'child', 'killed', 'above', 'parent', 'busy']) {
    assert.equal((await w.post(`/_electric/entities/${type}/${id}/grants`, may('carol'))).status, 201)
  }
  return { type, id: 'e', parent, busy: busy.entity }
}

const root = { status: 'idle', type: '{type}', created_by: '/principal/user%3Aalice' }
/** The one entity that came to be, with these among its members. */
const one = (more) => ({ json }, { type }) => {
  assert.equal(json.entities.length, 1)
  assert.deepEqual(json.entities[0], json.root)
  const expected = JSON.parse(JSON.stringify({ ...root, ...more }).replaceAll('{type}', type))
  for (const [name, value] of Object.entries(expected)) like(json.root[name], value, name)
}
const made = { root: Object, entities: Array.isArray }

route('POST /_electric/entities/{type}/{id}/fork', {
  scene: forked,
  asks: { by: alice, body: { waitTimeoutMs: 0 } },
  refusals: [
    ...nowhere(),
    ...bodies({ tags: { a: 1 } }, at('/tags/a', 'must be string')),
    ['too many tags', { body: { tags: Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`k${n}`, 'v'])) } }, ...form, at('/tags', 'must NOT have more than 256 properties')],
    ['an id that is no text', { body: { instance_id: 1 } }, ...form, at('/instance_id', 'must be string')],
    ['a wait that is no number', { body: { waitTimeoutMs: '1' } }, ...form, at('/waitTimeoutMs', 'must be number')],
    ['a pointer that is none', { body: { fork_pointer: 1 } }, ...form, at('/fork_pointer', 'must be object')],
    ['a pointer without sub-offset', { body: { fork_pointer: { offset: null } } }, ...form, at('/fork_pointer', "must have required property 'sub_offset'")],
    ['a pointer without offset', { body: { fork_pointer: { sub_offset: 1 } } }, ...form, at('/fork_pointer', "must have required property 'offset'")],
    ['an offset that is no text', { body: { fork_pointer: { offset: 1, sub_offset: 1 } } }, ...form, at('/fork_pointer/offset', 'must be string')],
    ['a sub-offset that is no number', { body: { fork_pointer: { offset: null, sub_offset: null } } }, ...form, at('/fork_pointer/sub_offset', 'must be number')],
    ['an anchor that is none', { body: { anchor: 'head' } }, ...form, at('/anchor', 'must be equal to constant')],
    ['a parent that is no text', { body: { parent: 1 } }, ...form, at('/parent', 'must be string')],
    ['a wake without condition', { body: { wake: { subscriberUrl: '/a/b' } } }, ...form, at('/wake', "must have required property 'condition'")],
    stranger('fork'),
    // Carol, in other rows, may not fork alice herself.
    principals('forked').with(1, { type: 'principal', id: 'user%3Aalice', by: alice }),
    ['a pointer and an anchor', { body: { fork_pointer: pointer, anchor: 'latest_completed_run' } }, 400, INVALID, 'fork_pointer and anchor are mutually exclusive'],
    ['another’s runner', { id: 'pinned', by: carol }, 403, 'UNAUTHORIZED', 'Runner dispatch requires the authenticated owner'],
    ['a parent that is not there', { body: { parent: '/{type}/none' } }, 404, 'NOT_FOUND', 'Parent entity not found'],
    ['a parent without name', { body: { parent: '' } }, 404, 'NOT_FOUND', 'Parent entity not found'],
    ['another’s parent', { by: carol, body: { parent: '{parent}' } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to spawn children from {parent}'],
    ['a parent that has ended', { body: { parent: '/{type}/killed' } }, 409, 'NOT_RUNNING', 'Parent entity "/{type}/killed" is not accepting writes'],
    ['a wake of somebody else', { body: { parent: '{parent}', wake: { ...wake, subscriberUrl: '/{type}/e' } } }, 401, 'UNAUTHORIZED', 'wake.subscriberUrl must match parent'],
    ['a wake of nobody', { body: { wake } }, 400, INVALID, "wake requires parent (the fork's wake fires to its parent)"],
    ['a wait below zero', { body: { waitTimeoutMs: -1 } }, ...negative],
    ['one that has a parent', { id: 'child' }, ...partial],
    ['one that has ended', { id: 'killed' }, ...terminal('killed')],
    ['one above what has ended', { id: 'above' }, ...terminal('below')],
    ['one that has a parent, in the past', { id: 'child', body: { fork_pointer: pointer } }, ...partial],
    ['one that has ended, in the past', { id: 'killed', body: { fork_pointer: pointer } }, ...terminal('killed')],
    ['one that is at work', { id: 'busy' }, 409, 'FORK_WAIT_TIMEOUT', 'Timed out waiting for subtree to become idle'],
    ['a run that there never was', { id: 'parent', body: { anchor: 'latest_completed_run' } }, 400, INVALID, 'Source {parent}/main has no completed run to fork from'],
    ['an offset of no event', { id: 'e', body: { fork_pointer: { offset: nowhereAtAll, sub_offset: 1 } } }, 400, INVALID, `fork_pointer.offset (${nowhereAtAll}) does not match any event's Stream-Next-Offset on /{type}/e/main`],
    ...[0, -1, 1.5, 2].map((sub_offset) => [
      `a sub-offset of ${sub_offset}`, { id: 'e', body: { fork_pointer: { offset: null, sub_offset } } }, 400, INVALID,
      `fork_pointer.sub_offset ${sub_offset} out of range past anchor on /{type}/e/main (valid: 1..1)`,
    ]),
    ...['', 'x/y', '/'].map((instance_id) => [`the id “${instance_id}”`, { body: { instance_id } }, ...badId]),
    ...['..', '%2e', 'a?b', 'a#b', '*', 'a\\b', 'x'.repeat(2_100)].map((instance_id) => [`the id “${instance_id.slice(0, 9)}”`, { body: { instance_id } }, 400, INVALID, /./]),
    ['an id that is taken', { body: { instance_id: 'killed' } }, 409, 'DUPLICATE_URL', 'Entity already exists at URL "/{type}/killed"'],
  ],
  answers: [
    ['nothing in particular', {}, 201, made, async (answer, scene) => {
      one({ tags: {} })(answer, scene)
      assert.equal((await scene.w.get(`/_electric/entities?type=${scene.type}`)).json.length, 11, 'what was refused left nothing')
    }],
    ['an id and tags', { body: { instance_id: 'f', tags: { a: '1' } } }, 201, made, one({ url: '/{type}/f', tags: { a: '1' } })],
    ['a point of the past', { body: { fork_pointer: pointer } }, 201, made, one({})],
    ['a point of the past of one that is at work', { id: 'busy', body: { fork_pointer: pointer } }, 201, made, one({ status: 'idle' })],
    ['a parent that is woken', { body: { parent: '{parent}', wake, initialMessage: null } }, 201, made, ({ json }, { parent }) => assert.equal(json.root.parent, parent)],
    ['who may fork it', { by: carol }, 201, made, one({ created_by: '/principal/user%3Acarol' })],
  ],
})
