// The routes of a development server. Elsewhere they do not exist.
import { MS } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

route('POST /_reveille/dev/clock', {
  asks: { body: { advance_ms: 5 } },
  refusals: [
    ...bodies({ advance_ms: '5' }, [{ path: '/advance_ms', message: 'must be number' }]),
    ['no time', { body: { advance_ms: undefined } }, 400, INVALID, SCHEMA, [{ path: '/', message: "must have required property 'advance_ms'" }]],
  ],
  answers: [
    ['some time', {}, 200, { now: MS }],
    ['no way back', { body: { advance_ms: -5 } }, 200, { now: MS }],
  ],
})

route('POST /_reveille/dev/lock', {
  scene: async (w) => ({ entity: (await w.spawn(await w.type(), 'e')).url }),
  asks: { body: { entity: '{entity}', ms: 5 } },
  refusals: [
    ...bodies({ ms: null }, [{ path: '/ms', message: 'must be number' }]),
    ['no entity', { body: { entity: undefined } }, 400, INVALID, SCHEMA, [{ path: '/', message: "must have required property 'entity'" }]],
    ['an entity that is not there', { body: { entity: '/no/body' } }, 404, 'NOT_FOUND', 'Entity not found at /no/body'],
  ],
  answers: [
    ['an entity', {}, 204],
    ['an end to it', { body: { ms: 0 } }, 204],
  ],
})

route('POST /_reveille/dev/timer', {
  asks: { body: { in_ms: 5 } },
  refusals: bodies({ panic: 'yes' }, [{ path: '/panic', message: 'must be boolean' }]),
  answers: [['a timer', {}, 204]],
})
