// `POST /_electric/wake` and `/_electric/wake/unregister` (control plane, section 11). Refusals stand in the order of the
// checks.
import assert from 'node:assert/strict'

import { alice, bob } from '../../harness/entity-route.mjs'
import { registrations } from '../../harness/observer.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const form = [400, INVALID, SCHEMA]
const wrong = (path, message) => [{ path, message }]
const missing = (name) => wrong('/', `must have required property '${name}'`)

/** Two entities of alice's, and one of bob's. */
async function observers(w) {
  const type = await w.type()
  for (const [id, as] of [['mine', alice], ['source', alice], ['his', bob]]) await w.spawn(type, id, {}, { as })
  return { mine: `/${type}/mine`, source: `/${type}/source`, his: `/${type}/his` }
}

const held = (count) => async (_, { w, mine }) => assert.equal((await registrations(w, mine)).length, count)

route('POST /_electric/wake', {
  scene: observers,
  asks: { by: alice, body: { subscriberUrl: '{mine}', sourceUrl: '{source}', condition: { on: 'change' } } },
  refusals: [
    ...bodies({ subscriberUrl: 1 }, wrong('/subscriberUrl', 'must be string')),
    ['no subscriber', { body: { subscriberUrl: undefined } }, ...form, missing('subscriberUrl')],
    ['no source', { body: { sourceUrl: undefined } }, ...form, missing('sourceUrl')],
    ['a source that is no text', { body: { sourceUrl: null } }, ...form, wrong('/sourceUrl', 'must be string')],
    ['no condition', { body: { condition: undefined } }, ...form, missing('condition')],
    ['an unknown condition', { body: { condition: 'sometimes' } }, ...form],
    ['a condition on nothing', { body: { condition: { collections: [] } } }, ...form],
    ['collections that are no array', { body: { condition: { on: 'change', collections: 'x' } } }, ...form, wrong('/condition/collections', 'must be array')],
    ['a collection that is no text', { body: { condition: { on: 'change', collections: [1] } } }, ...form, wrong('/condition/collections/0', 'must be string')],
    ['an unknown operation', { body: { condition: { on: 'change', ops: ['upsert'] } } }, ...form, wrong('/condition/ops/0', 'must be equal to constant')],
    ['a debounce that is no number', { body: { debounceMs: '1' } }, ...form, wrong('/debounceMs', 'must be number')],
    ['a timeout that is no number', { body: { timeoutMs: null } }, ...form, wrong('/timeoutMs', 'must be number')],
    ['a response that is neither wanted nor not', { body: { includeResponse: 1 } }, ...form, wrong('/includeResponse', 'must be boolean')],
    ['a manifest key that is no text', { body: { manifestKey: 1 } }, ...form, wrong('/manifestKey', 'must be string')],
    ['a subscriber that is not there', { body: { subscriberUrl: '/{type}/none' } }, 404, 'NOT_FOUND', 'Entity not found at /{type}/none'],
    ['another’s subscriber', { body: { subscriberUrl: '{his}' } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to write {his}'],
    ['another’s source', { body: { sourceUrl: '{his}' } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to read {his}'],
  ],
  answers: [
    ['a change', {}, 204, undefined, held(1)],
    ['the same again', {}, 204, undefined, held(1)],
    ['a change of some things', { body: { condition: { on: 'change', collections: ['note'], ops: ['insert'] }, debounceMs: 1.5, timeoutMs: -1, manifestKey: 'k' } }, 204, undefined, held(2)],
    ['a run, without its response', { body: { condition: 'runFinished', includeResponse: false } }, 204, undefined, held(3)],
    ['another one under a key', { body: { condition: 'runFinished', manifestKey: 'k' } }, 204, undefined, held(3)],
    ['a source that is not there', { body: { sourceUrl: '/{type}/later' } }, 204, undefined, held(4)],
    ['members that nobody knows', { body: { more: 1 } }, 204, undefined, held(4)],
    ['another’s source, for the system', { by: 'system:framework', body: { sourceUrl: '{his}' } }, 204, undefined, held(5)],
  ],
})

route('POST /_electric/wake/unregister', {
  scene: async (w) => {
    const scene = await observers(w)
    const condition = { on: 'change' }
    await w.observe(scene.mine, scene.source, condition)
    await w.observe(scene.mine, scene.his, condition, { manifestKey: 'k' })
    return scene
  },
  asks: { by: alice, body: { subscriberUrl: '{mine}', sourceUrl: '{source}' } },
  refusals: [
    ...bodies({ subscriberUrl: 1 }, wrong('/subscriberUrl', 'must be string')),
    ['no subscriber', { body: { subscriberUrl: undefined } }, ...form, missing('subscriberUrl')],
    ['a source that is no text', { body: { sourceUrl: 1 } }, ...form, wrong('/sourceUrl', 'must be string')],
    ['a manifest key that is no text', { body: { manifestKey: 1 } }, ...form, wrong('/manifestKey', 'must be string')],
    ['nothing in particular', { body: { sourceUrl: undefined } }, 400, 'INVALID_WAKE_UNREGISTER', 'sourceUrl or manifestKey is required'],
    ['another’s subscriber', { body: { subscriberUrl: '{his}' } }, 401, 'UNAUTHORIZED', 'Principal is not allowed to write {his}'],
  ],
  answers: [
    ['a source that it does not observe', { body: { sourceUrl: '/{type}/none' } }, 204, undefined, held(2)],
    ['a key under which there is nothing', { body: { sourceUrl: undefined, manifestKey: 'none' } }, 204, undefined, held(2)],
    ['a subscriber that is not there', { body: { subscriberUrl: '/{type}/none' } }, 204, undefined, held(2)],
    ['a source, whatever the key', { body: { manifestKey: 'k' } }, 204, undefined, held(1)],
    ['a key', { body: { sourceUrl: undefined, manifestKey: 'k' } }, 204, undefined, held(0)],
  ],
})
