// JSON that JavaScript writes and others cannot read, half a surrogate pair, and what fits at the door and not behind it:
// it is taken for what it is, or refused, and never for nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { author } from '../harness/author.mjs'
import { change, finish, run, world } from '../harness/world.mjs'

const MINUTE = 60_000
const half = '\ud83d'
const deep = (depth) => JSON.parse('['.repeat(depth) + ']'.repeat(depth))
const past = '2020-01-01T00:00:00Z'

async function born(t, body = {}, options = {}) {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'a', body, options)
  const schedule = (id, body, options) => w.put(`/_electric/entities${url}/schedules/${id}`, body, options)
  const payloads = async () => (await w.events(url, 'inbox')).map((event) => event.value.payload)
  return { w, url, schedule, payloads }
}

function refuses(answer, status, code, message) {
  assert.deepEqual([answer.status, answer.json?.error.code], [status, code], answer.text)
  if (message) assert.equal(answer.json.error.message, message)
}

/** A body whose text is not what `JSON.stringify` gives. */
const raw = (w, method, path, body) => w.http(method, path, { body, headers: { 'content-type': 'application/json' } })

test('an answer that was cut in the middle of a character is whole again', async (t) => {
  const { w, url } = await born(t)
  const work = await w.working(w.name, 'child', { parent: url, wake: { subscriberUrl: url, condition: 'runFinished' } })
  for (const [n, deltas, response] of [
    ['1', ['hi \ud83d', '\ude00 bye'], 'hi 😀 bye'],
    ['2', ['hi ', half, ' more', ' bye'], 'hi \ufffd more bye'],
    ['3', ['end', half], 'end\ufffd'],
  ]) {
    const said = deltas.map((delta, i) => change('text_delta', `${n}:${i}`, { run_id: `r${n}`, delta }))
    await work.append([...run(`r${n}`, '').filter(({ type, value }) => type === 'run' && value.status === 'started'), ...said, finish(`r${n}`)])
    const row = (await w.events(url, 'wake')).at(-1)
    assert.equal(row.value.finished_child.response, response)
  }
})

test('what is granted, tagged, observed and dispatched with half a pair is what was asked for', async (t) => {
  const user = (value) => ({ subject_kind: 'principal', subject_value: `/principal/user%3A${value}`, permission: 'read' })
  const { w, url } = await born(t, { grants: [user(half), user('bob')], tags: { a: half } })
  const { grants } = (await w.get(`/_electric/entities${url}/grants`)).json
  assert.deepEqual(grants.map((grant) => grant.subject_value).sort(), [user('\ufffd'), user('bob')].map((grant) => grant.subject_value).sort())
  const ensure = async (tags) => (await w.post('/_electric/observations/entities/ensure-stream', { tags })).json.streamUrl
  assert.notEqual(await ensure({ a: half }), await ensure({}))
  const wake = { subscriberUrl: url, sourceUrl: url, condition: { on: 'change' }, more: half }
  assert.equal((await w.post('/_electric/wake', { ...wake, subscriberUrl: `${url}-nobody` })).status, 404)
  const runner = { targets: [{ type: 'runner', runnerId: half }] }
  assert.equal((await w.put(`/_electric/entities/${w.name}/b`, { dispatch_policy: runner })).status, 404)
  refuses(await w.put(`/_electric/entities/${w.name}/b`, { wake: { x: half } }), 400, 'INVALID_REQUEST')
  refuses(await w.post(`/_electric/entities${url}/fork`, { fork_pointer: { offset: half, sub_offset: 77 } }), 400, 'INVALID_REQUEST')
  refuses(await w.post(`/_electric/entities${url}/fork`, { wake: { x: half } }), 400, 'INVALID_REQUEST')
})

test('a number that is out of range is refused where it would be read, and named', async (t) => {
  const { w, url } = await born(t)
  for (const [method, path, body, at] of [
    ['PUT', `/_electric/entities/${w.name}/b`, '{"wake":{"x":1e400}}', '/wake'],
    ['PUT', `/_electric/entities/${w.name}/b`, '{"dispatch_policy":{"targets":1e400}}', '/dispatch_policy'],
    ['POST', `/_electric/entities${url}/fork`, '{"fork_pointer":{"offset":null,"sub_offset":1e400}}', '/fork_pointer'],
    ['PUT', `/_electric/entities${url}/schedules/s`, `{"scheduleType":"future_send","fireAt":"${past}","payload":-1e999}`, '/payload'],
    ['POST', '/_electric/observations/entities/ensure-stream', '{"tags":1e400}', '/tags'],
  ]) {
    const answer = await raw(w, method, path, body)
    refuses(answer, 400, 'INVALID_REQUEST', 'Request body does not match API schema')
    assert.deepEqual(answer.json.error.details, [{ path: at, message: 'must have no number that is out of range' }])
  }
})

test('what is scheduled arrives, whatever it is, or is refused', async (t) => {
  const { w, url, schedule, payloads } = await born(t)
  const send = (payload) => ({ scheduleType: 'future_send', fireAt: past, payload })
  for (const payload of [half, deep(110), 'x'.repeat(450_000)]) {
    assert.equal((await schedule('s', send(payload))).status, 200)
    await w.advance(1)
  }
  assert.deepEqual((await payloads()).map((payload) => JSON.stringify(payload).length), [3, 220, 450_002])
  refuses(await schedule('s', send(deep(127))), 400, 'INVALID_REQUEST', 'the JSON body nests deeper than 120')
  const large = await schedule('s', send('x'.repeat(600_000)))
  refuses(large, 413, 'INVALID_REQUEST')
  assert.match(large.json.error.message, /longer than the 1000000 bytes that it and its schedule may take together/)
  refuses(await schedule('s', { scheduleType: 'cron', expression: '0,'.repeat(600) + '0 * * * *', payload: 1 }), 400, 'INVALID_REQUEST')
  assert.equal((await payloads()).length, 3)
})

test('a row of a manifest that is too long, or cannot be read, refuses no append', async (t) => {
  const { w, work, refused } = await author(t)
  const row = (key, value) => ({ type: 'manifest', key, value, headers: { operation: 'insert' } })
  const send = { kind: 'schedule', scheduleType: 'future_send', fireAt: past, targetUrl: work.entity, producerId: 'p', payload: 1 }
  await work.append([row('deep', { ...send, payload: deep(124) })])
  await w.advance(1)
  assert.deepEqual((await w.events(work.entity, 'inbox')).at(-1).value.payload, deep(124), 'what is deep and fits is sent')
  const long = 'x'.repeat(600_000)
  for (const [n, value] of [
    { ...send, payload: long },
    { ...send, producerId: long.repeat(2) },
    { ...send, messageType: long.repeat(2) },
    { kind: 'child', entity_url: work.entity, wake: { on: 'change', collections: ['x'.repeat(899_000)] } },
    { kind: 'schedule', scheduleType: 'cron', expression: long.repeat(2) },
    { kind: 'schedule', scheduleType: 'cron', expression: `0${',0'.repeat(200_000)} * * * *` },
    { kind: 'child', entity_url: work.entity, wake: { on: 'change', collections: [long.repeat(2)] } },
    { kind: 'observe', entity_url: `/${long.repeat(2)}`, wake: 'runFinished' },
  ].entries()) {
    await work.append([row(`k${n}`, value)])
  }
  await w.advance(MINUTE)
  const why = Object.fromEntries(await refused())
  const long900 = 'it is longer than 900000 bytes'
  assert.deepEqual({ ...why, k5: why.k5?.slice(0, 23) }, {
    k0: 'the message is longer than the 1000000 bytes that it and its schedule may take together',
    k1: long900, k2: long900, k4: long900,
    k5: 'Invalid cron expression', k6: long900, k7: long900,
  })
})

test('who may not say who somebody is does not schedule that either', async (t) => {
  const { w, url, schedule } = await born(t, {}, { as: 'user:alice' })
  const says = {
    scheduleType: 'future_send', fireAt: past, targetUrl: '/principal/user%3Aalice', messageType: 'update_identity',
    payload: { identity: { kind: 'user', id: 'alice', key: 'user:alice', url: '/principal/user%3Aalice', updated_at: past } },
  }
  const sent = await w.post('/_electric/entities/principal/user%3Aalice/send', { type: says.messageType, payload: says.payload }, { as: 'user:alice' })
  assert.equal(sent.status, 403, sent.text)
  const scheduled = await schedule('s', says, { as: 'user:alice' })
  assert.deepEqual([scheduled.status, scheduled.json], [sent.status, sent.json])
  assert.deepEqual(await w.events(url, 'manifest'), [])
})

test('an entity’s arguments and tags are not longer together than it can be kept', async (t) => {
  const { w, url } = await born(t, { args: { text: 'x'.repeat(895_000) } })
  const set = (key, value) => w.post(`/_electric/entities${url}/tags/${key}`, { value })
  assert.equal((await set('a', 'x'.repeat(4_096))).status, 200)
  const answer = await set('b', 'x'.repeat(4_096))
  refuses(answer, 409, 'LIMIT_EXCEEDED', `the arguments and tags of ${url} would be longer than 900000 bytes`)
  assert.equal((await w.delete(`/_electric/entities${url}/tags/a`)).status, 200, 'one is taken away')
  const many = await w.spawn(w.name, 'many')
  const put = (n) => w.post(`/_electric/entities${many.url}/tags/${String(n).padStart(3, '0')}${'k'.repeat(1_500)}`, { value: 'v'.repeat(4_096) })
  const statuses = []
  for (let n = 0; n < 200; n++) statuses.push((await put(n)).status)
  assert.deepEqual([...new Set(statuses)], [200, 409])
})

test('a grant until the end of the year 9999 is for ever, and so is a message for then', async (t) => {
  const { w, url, schedule } = await born(t)
  for (const never of ['9999-12-31', '9999-12-31T23:59:59.999Z']) {
    const grant = { subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'read', expires_at: never }
    assert.equal((await w.post(`/_electric/entities${url}/grants`, grant)).status, 201, never)
    assert.equal((await schedule('s', { scheduleType: 'future_send', fireAt: never, payload: 1 })).status, 200, never)
  }
  await w.advance(MINUTE)
  assert.equal((await w.get(`/_electric/entities${url}`, { as: 'user:bob' })).status, 200)
})
