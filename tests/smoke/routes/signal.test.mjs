// `POST …/signal` (control plane, sections 6.2 and 10.5). Refusals stand in the order of the checks; what each signal
// does in each status is in tests/smoke/signal.test.mjs.
import { alice, nowhere, stranger } from '../../harness/entity-route.mjs'
import { like, MS } from '../../harness/like.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

/** An entity of alice's, and two at their end. */
async function hers(w) {
  const type = await w.type()
  for (const id of ['e', 'stopped', 'killed']) await w.spawn(type, id, {}, { as: alice })
  for (const [id, signal] of [['stopped', 'SIGTERM'], ['killed', 'SIGKILL']]) await w.post(`/_electric/entities/${type}/${id}/signal`, { signal })
  const me = `user:${w.name}`
  await w.get(`/_electric/entities/principal/${me}`)
  return { type, id: 'e', me, path: encodeURIComponent(me) }
}

const signalled = (signal, previous_state, new_state) => ({ url: '/{type}/e', signal, previous_state, new_state, created_at: MS, txid: MS })

route('POST /_electric/entities/{type}/{id}/signal', {
  scene: hers,
  asks: { by: alice, body: { signal: 'SIGUSR' } },
  refusals: [
    ...nowhere(),
    ...bodies({ signal: undefined }, [{ path: '/', message: "must have required property 'signal'" }]),
    ['a signal that is none', { body: { signal: 'SIGWINCH' } }, 400, INVALID, SCHEMA, [
      ...Array(7).fill({ path: '/signal', message: 'must be equal to constant' }),
      { path: '/signal', message: 'must match a schema in anyOf' },
    ]],
    ['a signal in small letters', { body: { signal: 'sigkill' } }, 400, INVALID, SCHEMA],
    ['a reason that is no text', { body: { reason: null } }, 400, INVALID, SCHEMA, [{ path: '/reason', message: 'must be string' }]],
    stranger('signal'),
    ['a principal', { by: undefined, type: 'principal', id: '{me}' }, 400, INVALID, 'Principal entities are built in and cannot be signaled'],
    ['one that has stopped', { id: 'stopped' }, 409, 'INVALID_SIGNAL', 'Cannot signal a stopped entity'],
    ['one that was killed', { id: 'killed' }, 409, 'INVALID_SIGNAL', 'Cannot signal a killed entity'],
  ],
  answers: [
    ['who may: what the agent handles', {}, 200, signalled('SIGUSR', 'idle', 'idle')],
    ['a member that nobody knows', { body: { more: 1 } }, 200, signalled('SIGUSR', 'idle', 'idle')],
    ['what the server handles', { body: { signal: 'SIGSTOP', reason: 'r', payload: null } }, 200, signalled('SIGSTOP', 'idle', 'paused'), async (_, { w, type }) => {
      const { value } = (await w.events(`/${type}/e`, 'signal')).at(-1)
      like([value.reason, value.payload, value.status], ['r', null, 'handled'])
    }],
    ['the last', { body: { signal: 'SIGKILL' } }, 200, signalled('SIGKILL', 'paused', 'killed')],
  ],
})
