// The order of a spawn's checks is part of the wire: of two things wrong, the earlier one is reported.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const missing = { targets: [{ type: 'runner', runnerId: 'nobody' }] }
const wrong = { topic: 5 }

const pairs = [
  ['the principal type, then a bad body', { url: '/principal/user:x', body: '{' }, 400, 'Principal entities are built in and cannot be spawned directly'],
  ['an unknown type, then a bad body', { url: '/no-such-type/x', body: '{' }, 404, 'Entity type "no-such-type" not found'],
  ['a bad body, then an unknown parent', { body: { args: 1, parent: '/no/parent' } }, 400, 'Request body does not match API schema'],
  ['an unknown parent, then an unknown runner', { body: { parent: '/no/parent', dispatch_policy: missing } }, 404, 'Parent entity not found'],
  ['another’s parent, then an unknown runner', { as: 'user:bob', body: (w) => ({ parent: w.taken, dispatch_policy: missing }) }, 401, (w) => `Principal is not allowed to spawn children from ${w.taken}`],
  ['an unknown runner, then bad args', { body: { dispatch_policy: missing, args: wrong } }, 404, 'Runner "nobody" not found'],
  ['another’s runner, then bad args', { as: 'user:bob', body: (w) => ({ dispatch_policy: w.policy, args: wrong }) }, 403, 'Runner dispatch requires the authenticated owner'],
  ['bad args, then a taken URL', { url: (w) => w.taken, body: { args: wrong } }, 422, 'Validation failed'],
  ['a taken URL, then a bad message', { url: (w) => w.taken, body: { initialMessage: 1, initialMessageType: 'nope' } }, 409, (w) => `Entity already exists at URL "${w.taken}"`],
]

for (const [what, request, status, message] of pairs) {
  test(`order of checks: ${what}`, async (t) => {
    const w = await world(t)
    await w.type({ creation_schema: { type: 'object', properties: { topic: { type: 'string' } } }, inbox_schemas: {} })
    w.taken = (await w.spawn(w.name, 'taken')).url
    w.policy = (await w.runner()).policy
    const of = (value) => (typeof value === 'function' ? value(w) : value)
    const url = of(request.url) ?? `/${w.name}/new`
    const answer = await w.put(`/_electric/entities${url}`, of(request.body), { as: request.as })
    assert.equal(answer.status, status, answer.text)
    assert.equal(answer.json.error.message, of(message))
  })
}

test('bad args say which and why', async (t) => {
  const w = await world(t)
  await w.type({ creation_schema: { type: 'object', properties: { topic: { type: 'string' } }, required: ['n'] } })
  const answer = await w.put(`/_electric/entities/${w.name}/e`, { args: { topic: 5 } })
  assert.equal(answer.json.error.code, 'SCHEMA_VALIDATION_FAILED')
  assert.deepEqual(
    answer.json.error.details.sort((a, b) => (a.path < b.path ? -1 : 1)),
    [
      { path: '/', message: "must have required property 'n'" },
      { path: '/topic', message: 'must be string' },
    ],
  )
})

test('args are checked only when they are sent', async (t) => {
  const w = await world(t)
  await w.type({ creation_schema: { type: 'object', required: ['n'] } })
  assert.equal((await w.put(`/_electric/entities/${w.name}/e`, {})).status, 201)
  assert.equal((await w.put(`/_electric/entities/${w.name}/f`, { args: {} })).status, 422)
})
