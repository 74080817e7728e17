// Principals are entities, too: of a built-in type, made when somebody first does something, or is first asked for.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const entity = (segment) => `/_electric/entities/principal/${segment}`
const url = (key) => `/principal/${encodeURIComponent(key)}`
const builtIn = (answer, action) => {
  assert.equal(answer.status, 400, answer.text)
  assert.deepEqual(answer.json.error, { code: 'INVALID_REQUEST', message: `Principal entities are built in and cannot be ${action}` })
}

/** A key that nobody has used before. */
const fresh = (w, kind = 'user') => `${kind}:${w.name}`

test('whoever does something for the first time comes to be', async (t) => {
  const w = await world(t)
  const type = await w.type({ externally_writable_collections: { open: { type: 'state:open' } } })
  const { url: target } = await w.spawn(type, 'e', { grants: [{ subject_kind: 'principal_kind', subject_value: 'user', permission: 'write' }] })
  const deeds = {
    spawn: (by) => w.put(`/_electric/entities/${type}/by-${by.as.slice(-5)}`, {}, by),
    send: (by) => w.post(`/_electric/entities${target}/send`, { payload: 1 }, by),
    collection: (by) => w.post(`/_electric/entities${target}/collections/open`, { operation: 'insert', value: {} }, by),
  }
  for (const [name, deed] of Object.entries(deeds)) {
    const by = { as: `user:${w.name}-${name}` }
    assert.deepEqual((await w.get(`/_electric/entities?type=principal`, by)).json, [])
    assert.ok([200, 201].includes((await deed(by)).status), name)
    const now = await w.now()
    const [made] = (await w.get(`/_electric/entities?type=principal`, by)).json
    const id = by.as.slice(5)
    assert.deepEqual(made, {
      url: url(by.as), type: 'principal', status: 'idle', streams: { main: `${url(by.as)}/main` },
      tags: { principal_id: id, principal_kind: 'user' }, spawn_args: { id, key: by.as, kind: 'user' },
      created_by: url(by.as), created_at: now, updated_at: now,
    })
    const iso = new Date(now).toISOString()
    const [created, identity, ...more] = await w.read(`${url(by.as)}/main`, by)
    assert.deepEqual([created.type, created.value.entity_type, more], ['entity_created', 'principal', []])
    const { offset, ...headers } = identity.headers
    assert.deepEqual({ ...identity, headers }, {
      type: 'identity', key: 'self', headers: { operation: 'insert' },
      value: { kind: 'user', id, key: by.as, url: url(by.as), created_at: iso, updated_at: iso },
    })
    await deed(by)
    assert.equal((await w.read(`${url(by.as)}/main`, by)).length, 2, 'once')
  }
})

test('a burst of first requests makes one', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const by = { as: fresh(w) }
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => w.put(`/_electric/entities/${type}/e${n}`, {}, by)))
  assert.deepEqual(answers.map((answer) => answer.status), Array(20).fill(201))
  assert.equal((await w.read(`${url(by.as)}/main`, by)).length, 2)
  assert.equal((await w.get('/_electric/entities?type=principal', by)).json.length, 1)
})

test('who is refused leaves nobody behind', async (t) => {
  const w = await world(t)
  const type = await w.type({ permission_grants: [] })
  const by = { as: fresh(w) }
  assert.equal((await w.put(`/_electric/entities/${type}/e`, {}, by)).status, 401)
  assert.deepEqual((await w.get('/_electric/entities?type=principal', by)).json, [])
})

test('one that is asked for comes to be for itself and the system, and for nobody else', async (t) => {
  const w = await world(t)
  const keys = [`agent:${w.name}-a`, `service:${w.name}:b@x`]
  for (const [key, by] of [[keys[0], {}], [keys[1], { as: keys[1] }]]) {
    const stranger = await w.get(entity(key), { as: 'user:stranger' })
    assert.deepEqual([stranger.status, stranger.json.error.message], [401, `Principal is not allowed to read ${url(key)}`])
    assert.equal((await w.head(entity(key), { as: 'user:stranger' })).status, 401)
    assert.equal((await w.post(`${entity(key)}/send`, { payload: 1 }, { as: 'user:stranger' })).status, 401)
    assert.deepEqual((await w.get(`/_electric/entities?type=principal&created_by=${encodeURIComponent(url(key))}`)).json, [], 'nobody made it')
    assert.equal((await w.head(entity(key), by)).status, 200)
    for (const segment of [key, encodeURIComponent(key)]) {
      assert.equal((await w.get(entity(segment), by)).json.url, url(key))
    }
  }
})

test('what names no principal is said so', async (t) => {
  const w = await world(t)
  for (const [segment, what] of [['alice', 'identifier'], [':x', 'identifier'], ['%ff', 'identifier'], ['robot:x', 'kind'], ['user:', 'id'], ['user%3Aa%2Fb', 'id']]) {
    for (const answer of [await w.get(entity(segment)), await w.post(`${entity(segment)}/send`, { payload: 1 })]) {
      assert.deepEqual([answer.status, answer.json.error], [400, { code: 'INVALID_REQUEST', message: `Invalid principal ${what}` }], segment)
    }
  }
})

test('a principal entity is built in: it can be written to and granted, and no more', async (t) => {
  const w = await world(t)
  const me = { as: fresh(w) }
  const path = entity(me.as)
  builtIn(await w.put(path, 'no JSON', me), 'spawned directly')
  builtIn(await w.delete(path, me), 'killed')
  builtIn(await w.post(`${path}/signal`, { signal: 'SIGTERM' }, me), 'signaled')
  builtIn(await w.post(`${path}/fork`, {}, me), 'forked')
  builtIn(await w.post(`${path}/tags/t`, { value: 'v' }, me), 'tag updated')
  builtIn(await w.delete(`${path}/tags/t`, me), 'tag deleted')
  builtIn(await w.put(`${path}/schedules/s`, { scheduleType: 'cron', expression: '* * * * *', payload: 1 }, me), 'scheduled')
  builtIn(await w.delete(`${path}/schedules/s`, me), 'unscheduled')
  builtIn(await w.delete(`${path}/pg-sync-observations/x`, me), 'unobserved a pg-sync source')
  // The form and the permission are looked at before.
  assert.equal((await w.post(`${path}/signal`, {}, me)).json.error.message, 'Request body does not match API schema')
  assert.equal((await w.delete(path, { as: 'user:stranger' })).status, 401)
  assert.equal((await w.post(`${path}/collections/c`, { operation: 'insert', value: {} }, me)).status, 403)
  await w.send(url(me.as), 'hello', {}, me)
  const grant = { subject_kind: 'principal', subject_value: '/principal/user%3Areader', permission: 'read' }
  assert.equal((await w.post(`${path}/grants`, grant, me)).status, 201)
  assert.equal((await w.get(path, { as: 'user:reader' })).status, 200)
})

test('the type of principals is built in', async (t) => {
  const w = await world(t)
  const type = await w.get('/_electric/entity-types/principal')
  assert.equal(type.status, 200)
  assert.deepEqual([type.json.name, type.json.description, type.json.revision], ['principal', 'built-in principal entity', 1])
  assert.deepEqual([Object.keys(type.json.inbox_schemas), Object.keys(type.json.state_schemas)], [['update_identity'], ['identity']])
  assert.ok((await w.get('/_electric/entity-types')).json.some((one) => one.name === 'principal'))
  assert.equal((await w.get('/_electric/entity-types/principal', { as: 'user:x' })).status, 401)
  const registered = await w.post('/_electric/entity-types', { name: 'principal', description: 'mine' })
  assert.equal(registered.json.error.message, 'Entity type "principal" is built in and cannot be registered or updated')
  const deleted = await w.delete('/_electric/entity-types/principal')
  assert.equal(deleted.json.error.message, 'Entity type "principal" is built in and cannot be deleted')
})

test('who a principal is, the system says', async (t) => {
  const w = await world(t)
  const me = { as: fresh(w) }
  const identity = { kind: 'user', id: w.name, key: me.as, url: url(me.as), updated_at: '2027-01-01T00:00:00.000Z', display_name: 'Me' }
  const update = (payload, by) => w.post(`${entity(me.as)}/send`, { type: 'update_identity', payload }, by)
  assert.equal((await update({}, me)).status, 422)
  assert.equal((await update({ identity: { ...identity, more: 1 } }, me)).status, 422)
  const own = await update({ identity }, me)
  assert.deepEqual([own.status, own.json.error], [403, { code: 'UNAUTHORIZED', message: 'Only built-in system principals can update principal identity' }])
  const { txid } = (await update({ identity })).json
  const [inbox, said] = (await w.read(`${url(me.as)}/main`, me)).slice(-2)
  assert.deepEqual([inbox.type, inbox.value.message_type, inbox.headers.txid], ['inbox', 'update_identity', txid])
  const { offset, ...headers } = said.headers
  assert.deepEqual({ ...said, headers }, { type: 'identity', key: 'self', value: identity, headers: { operation: 'update', txid } })
  assert.equal((await w.post(`${entity(me.as)}/send`, { type: 'other', payload: 1 }, me)).json.error.code, 'UNKNOWN_MESSAGE_TYPE')
})
