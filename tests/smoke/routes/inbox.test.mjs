// `PATCH` and `DELETE …/inbox/{key}` (control plane, section 10.7). Refusals stand in the order of the checks.
import assert from 'node:assert/strict'

import { alice, ended, entities, nowhere, stranger } from '../../harness/entity-route.mjs'
import { UUID } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

/** An entity of alice's with a queued message. */
async function queued(w) {
  const scene = await entities(w)
  await w.send(`/${scene.type}/e`, 1, { key: 'm', mode: 'queued' })
  return { ...scene, key: 'm' }
}

const edited = { txid: UUID }

route('PATCH /_electric/entities/{type}/{id}/inbox/{key}', {
  scene: queued,
  asks: { by: alice, body: { payload: 2 } },
  refusals: [
    ...nowhere('key'),
    ...bodies({ position: 1 }, [{ path: '/position', message: 'must be string' }]),
    ['a mode that is none', { body: { mode: 'later' } }, 400, INVALID, SCHEMA],
    ['a status that is none', { body: { status: 'read' } }, 400, INVALID, SCHEMA],
    stranger('write'),
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
  scene: queued,
  asks: { by: alice },
  refusals: [...nowhere('key'), stranger('write'), ...ended],
  answers: [
    ['a message', {}, 200, edited, async (_, { w, type }) => assert.equal((await w.events(`/${type}/e`, 'inbox')).length, 2)],
    ['a message that nobody sent', { key: 'nobody' }, 200, edited],
  ],
})
