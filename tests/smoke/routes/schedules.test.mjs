// `PUT` and `DELETE …/schedules/{schedule}` (control plane, section 10.11). Refusals stand in the order of the checks: each
// of a schedule of ticks names that kind, and each of a message the other, so no two of different kinds meet.
import assert from 'node:assert/strict'

import { alice, bob, ended, entities, nowhere, principals, stranger } from '../../harness/entity-route.mjs'
import { UUID } from '../../harness/like.mjs'
import { coming, cronPath, registrations } from '../../harness/observer.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'

const later = '2099-01-01T00:00:00Z'
const ticks = (more) => ({ body: { scheduleType: 'cron', ...more } })
const message = (more) => ({ body: { scheduleType: 'future_send', fireAt: later, ...more } })
const missing = (name) => [{ path: '/', message: `must have required property '${name}'` }]
const wrong = (name, type) => [{ path: `/${name}`, message: `must be ${type}` }]
const form = [400, INVALID, SCHEMA]

/** Entities of alice's, one of bob's, and one that is particular about what it is sent. */
async function scheduled(w) {
  const scene = await entities(w)
  const { url: his } = await w.spawn(scene.type, 'his', {}, { as: bob })
  const strict = await w.type({ inbox_schemas: { known: { type: 'object' } } })
  const { url: fussy } = await w.spawn(strict, 'fussy', {}, { as: alice })
  return { ...scene, his, fussy, killed: `/${scene.type}/killed`, schedule: 's' }
}

const row = (check) => async (_, { w, type }) => check((await w.events(`/${type}/e`, 'manifest')).at(-1))
const value = (more) => row((event) => assert.partialDeepStrictEqual(event.value, more))

route('PUT /_electric/entities/{type}/{id}/schedules/{schedule}', {
  scene: scheduled,
  asks: { by: alice, body: { scheduleType: 'cron', expression: '0 9 * * *', payload: 'do' } },
  refusals: [
    ...nowhere('schedule'),
    ...bodies({ scheduleType: 'moon' }),
    ['no kind', { body: { scheduleType: undefined } }, ...form],
    ['no payload', { body: { payload: undefined } }, ...form, missing('payload')],
    ['ticks without an expression', ticks({ expression: undefined }), ...form, missing('expression')],
    ['an expression that is no text', ticks({ expression: 5 }), ...form, wrong('expression', 'string')],
    ['a zone that is no text', ticks({ timezone: 1 }), ...form, wrong('timezone', 'string')],
    ['a debounce that is no number', ticks({ debounceMs: '1' }), ...form, wrong('debounceMs', 'number')],
    ['a timeout that is no number', ticks({ timeoutMs: null }), ...form, wrong('timeoutMs', 'number')],
    ['a message without a time', message({ fireAt: undefined }), ...form, missing('fireAt')],
    ['a time that is no text', message({ fireAt: 7 }), ...form, wrong('fireAt', 'string')],
    ['a target that is no text', message({ targetUrl: 1 }), ...form, wrong('targetUrl', 'string')],
    ['a type of message that is no text', message({ messageType: 1 }), ...form, wrong('messageType', 'string')],
    ['a sender that is no text', message({ from: {} }), ...form, wrong('from', 'string')],
    stranger('schedule'),
    principals('scheduled'),
    ['a zone that does not exist', ticks({ timezone: 'Mars/Olympus' }), 400, INVALID, 'Invalid cron timezone: "Mars/Olympus"'],
    ['an offset instead of a zone', ticks({ timezone: '+05:30' }), 400, INVALID, 'Invalid cron timezone: "+05:30"'],
    ['an expression that is none', ticks({ expression: 'foo' }), 400, INVALID, 'Invalid cron expression: "foo"'],
    ['a day that no month has', ticks({ expression: '0 0 31 2 *' }), 400, INVALID, 'Invalid cron expression: "0 0 31 2 *"'],
    ['an expression that never comes', ticks({ expression: '0 0 31 2,4 *' }), 400, INVALID, /./],
    ['another sender', message({ from: '/principal/user%3Abob' }), 400, INVALID, 'Request from must match Electric-Principal'],
    ['a time that is none', message({ fireAt: 'tomorrow' }), 400, INVALID, 'Invalid fireAt timestamp: tomorrow'],
    ['a target that is not there', message({ targetUrl: '/nobody/there' }), 404, 'NOT_FOUND', /^Entity not found/],
    ['a target to whom the caller may not write', message({ targetUrl: '{his}' }), 401, 'UNAUTHORIZED', 'Principal is not allowed to write {his}'],
    ['a target at its end', message({ targetUrl: '{killed}' }), 409, 'NOT_RUNNING', 'Entity is not accepting writes'],
    ['a type that its target does not take', message({ targetUrl: '{fussy}', messageType: 'unknown' }), 422, 'UNKNOWN_MESSAGE_TYPE', 'Unknown message type "unknown"'],
    ['a payload that its target does not take', message({ targetUrl: '{fussy}', messageType: 'known' }), 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
    ended[0],
  ],
  answers: [
    ['an expression, after all that was refused', {}, 200, { txid: UUID }, async (_, { w, type }) => {
      const url = `/${type}/e`
      assert.deepEqual([(await w.events(url, 'manifest')).length, (await registrations(w, url)).length, (await coming(w, url)).length], [1, 1, 1])
      assert.equal((await w.get(cronPath('0 0 31 2,4 *'))).status, 404)
    }],
    ['one that is stopping', { id: 'stopping' }, 200, { txid: UUID }],
    ['ticks', {}, 200, { txid: UUID }, value({ key: 'schedule:s', id: 's', scheduleType: 'cron', expression: '0 9 * * *', timezone: 'UTC', payload: 'do', wake: { on: 'change' } })],
    ['ticks with all that may be said', ticks({ timezone: 'europe/paris', payload: null, debounceMs: 5, timeoutMs: 7.5, more: 1 }), 200, { txid: UUID }, value({ timezone: 'Europe/Paris', payload: null, wake: { on: 'change', debounceMs: 5, timeoutMs: 8 } })],
    ['a message', message(), 200, { txid: UUID }, value({ scheduleType: 'future_send', fireAt: '2099-01-01T00:00:00.000Z', senderUrl: '/principal/user%3Aalice', status: 'pending' })],
    ['a message with all that may be said', message({ from: '/principal/user%3Aalice', targetUrl: '{fussy}', messageType: 'known', payload: {} }), 200, { txid: UUID }, value({ messageType: 'known', payload: {} })],
    ['a name that must be escaped', { schedule: 'a%2Fb' }, 200, { txid: UUID }, value({ key: 'schedule:a/b', id: 'a/b' })],
    ['an entity that a fork reads', { id: 'locked' }, 200, { txid: UUID }],
  ],
})

route('DELETE /_electric/entities/{type}/{id}/schedules/{schedule}', {
  scene: async (w) => {
    const scene = await scheduled(w)
    const body = { scheduleType: 'cron', expression: '0 9 * * *', payload: 'do' }
    assert.equal((await w.put(`/_electric/entities/${scene.type}/e/schedules/s`, body)).status, 200)
    return scene
  },
  asks: { by: alice },
  refusals: [...nowhere('schedule'), stranger('schedule'), principals('unscheduled'), ended[0]],
  answers: [
    ['a schedule', {}, 200, { txid: UUID }, row((event) => assert.deepEqual([event.key, event.headers.operation], ['schedule:s', 'delete']))],
    ['one that never was', { schedule: 'never' }, 200, { txid: UUID }],
  ],
})
