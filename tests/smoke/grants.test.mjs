// Grants: who may do what with an entity or with a type, until when, and how far that reaches.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { refused } from '../harness/refused.mjs'
import { change, world } from '../harness/world.mjs'

const alice = { as: 'user:alice' }
const bob = { as: 'user:bob' }
const principal = (key) => ({ subject_kind: 'principal', subject_value: `/principal/${encodeURIComponent(key)}` })
const to = (key, permission, more) => ({ ...principal(key), permission, ...more })
const users = (permission, more) => ({ subject_kind: 'principal_kind', subject_value: 'user', permission, ...more })

const grants = (url) => `/_electric/entities${url}/grants`
const may = async (w, url, by) => (await w.get(`/_electric/entities${url}`, by)).status === 200

/** Grants what alice may grant, and gives the grant. */
async function grant(w, url, body, by = alice) {
  const answer = await w.post(grants(url), body, by)
  assert.equal(answer.status, 201, answer.text)
  return answer.json
}

async function revoke(w, url, { id }, by = alice) {
  const answer = await w.delete(`${grants(url)}/${id}`, by)
  assert.equal(answer.status, 204, answer.text)
}

/** An entity of alice's. */
async function hers(t, body = {}) {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'hers', body, alice)
  return { w, type, url }
}

test('a grant is given, listed, and taken away', async (t) => {
  const { w, url } = await hers(t)
  assert.deepEqual((await w.get(grants(url), alice)).json, { grants: [] })
  const now = new Date(await w.now()).toISOString()
  const given = await grant(w, url, to('user:bob', 'read'))
  const { id, ...rest } = given
  assert.equal(typeof id, 'number')
  assert.deepEqual(rest, {
    entity_url: url, permission: 'read', subject_kind: 'principal', subject_value: '/principal/user%3Abob',
    propagation: 'self', copy_to_children: false, created_by: '/principal/user%3Aalice', created_at: now, updated_at: now,
  })
  const far = await grant(w, url, users('write', { propagation: 'descendants', copy_to_children: true, expires_at: '2099-01-01' }))
  assert.equal(far.expires_at, '2099-01-01T00:00:00.000Z')
  assert.deepEqual([far.propagation, far.copy_to_children], ['descendants', true])
  assert.deepEqual((await w.get(grants(url), alice)).json.grants, [given, far])
  assert.notEqual((await grant(w, url, to('user:bob', 'read'))).id, id, 'the same may be granted twice')
  assert.ok(await may(w, url, bob))
  await revoke(w, url, given)
  assert.ok(await may(w, url, bob), 'the other one still says so')
  refused(await w.delete(`${grants(url)}/${id}`, alice), 404, 'NOT_FOUND', 'Grant not found')
})

test('whom a grant names is kept as it was given', async (t) => {
  const { w, url } = await hers(t)
  const given = await grant(w, url, { subject_kind: 'principal', subject_value: 'user:bob', permission: 'read' })
  assert.equal(given.subject_value, 'user:bob')
  assert.ok(!(await may(w, url, bob)))
})

test('a grant of another entity is not there, and stays as it is', async (t) => {
  const { w, type, url } = await hers(t)
  const given = await grant(w, url, to('user:carol', 'read'))
  const his = await w.spawn(type, 'his', {}, bob)
  refused(await w.delete(`${grants(his.url)}/${given.id}`, bob), 404, 'NOT_FOUND', 'Grant not found')
  assert.ok(await may(w, url, { as: 'user:carol' }))
})

test('who may manage may do everything, and give it away', async (t) => {
  const { w, url } = await hers(t)
  await grant(w, url, to('user:bob', 'manage'))
  await w.send(url, 1, {}, bob)
  await grant(w, url, to('agent:carol', 'read'), bob)
  assert.ok(await may(w, url, { as: 'agent:carol' }))
  assert.ok(!(await may(w, url, { as: 'agent:dave' })))
})

test('a grant to a kind of principals is for all of them and for no others', async (t) => {
  const { w, url } = await hers(t)
  await grant(w, url, users('read'))
  for (const [as, yes] of [['user:bob', true], ['user:carol', true], ['agent:bob', false], ['system:other', false]]) {
    assert.equal(await may(w, url, { as }), yes, as)
  }
})

test('a grant reaches what is below and what comes there, and is gone from all of it at once', async (t) => {
  const { w, type, url } = await hers(t)
  const child = await w.spawn(type, 'child', { parent: url }, alice)
  const grandchild = await w.spawn(type, 'grandchild', { parent: child.url }, alice)
  const given = await grant(w, url, to('user:bob', 'read', { propagation: 'descendants' }))
  const later = await w.spawn(type, 'later', { parent: grandchild.url }, alice)
  const beside = await w.spawn(type, 'beside', {}, alice)
  for (const one of [{ url }, child, grandchild, later]) assert.ok(await may(w, one.url, bob), one.url)
  assert.ok(!(await may(w, beside.url, bob)))
  assert.deepEqual((await w.get(grants(child.url), alice)).json, { grants: [] }, 'it stands where it was given')
  await revoke(w, url, given)
  for (const one of [{ url }, child, grandchild, later]) assert.ok(!(await may(w, one.url, bob)), one.url)
})

test('a grant to one entity does not reach what is below', async (t) => {
  const { w, type, url } = await hers(t)
  await grant(w, url, to('user:bob', 'read'))
  const child = await w.spawn(type, 'child', { parent: url }, alice)
  assert.ok(!(await may(w, child.url, bob)))
})

test('a grant that copies itself gives each child one of its own', async (t) => {
  const { w, type, url } = await hers(t)
  const given = await grant(w, url, to('user:bob', 'read', { copy_to_children: true, expires_at: '2099-01-01' }))
  await grant(w, url, to('user:bob', 'write'))
  const child = await w.spawn(type, 'child', { parent: url }, alice)
  const { id, created_at, updated_at, ...copy } = (await w.get(grants(child.url), alice)).json.grants[0]
  const { id: own, created_at: _, updated_at: __, ...original } = given
  assert.notEqual(id, own)
  assert.deepEqual(copy, { ...original, entity_url: child.url })
  assert.equal((await w.get(grants(child.url), alice)).json.grants.length, 1)
  await revoke(w, url, given)
  assert.ok(await may(w, child.url, bob), 'it stays')
  const grandchild = await w.spawn(type, 'grandchild', { parent: child.url }, alice)
  assert.ok(await may(w, grandchild.url, bob), 'and is copied on')
})

test('a grant ends at its moment, whoever asks', async (t) => {
  const { w, type, url } = await hers(t)
  const child = await w.spawn(type, 'child', { parent: url }, alice)
  const end = new Date((await w.now()) + 1_000).toISOString()
  await grant(w, url, to('user:bob', 'read', { expires_at: end, propagation: 'descendants' }))
  await w.advance(999)
  assert.ok(await may(w, child.url, bob))
  await w.advance(1)
  assert.ok(!(await may(w, child.url, bob)))
  assert.deepEqual((await w.get(grants(url), alice)).json, { grants: [] })
  await grant(w, url, to('user:bob', 'read', { expires_at: '1999-01-01' }))
  assert.ok(!(await may(w, url, bob)), 'one that has ended already holds at no time')
})

test('a spawn gives grants, or is refused with all of them', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const spawn = (id, body) => w.put(`/_electric/entities/${type}/${id}`, body, alice)
  await w.spawn(type, 'e', { grants: [to('user:bob', 'read'), users('write', { propagation: 'descendants' })] }, alice)
  const given = (await w.get(grants(`/${type}/e`), alice)).json.grants
  assert.deepEqual(given.map((one) => [one.permission, one.subject_kind, one.propagation]), [['read', 'principal', 'self'], ['write', 'principal_kind', 'descendants']])
  await w.send(`/${type}/e`, 1, {}, { as: 'user:carol' })

  refused(await spawn('f', { grants: [to('user:bob', 'read', { expires_at: 'soon' })] }), 400, 'INVALID_REQUEST', 'Invalid expires_at timestamp')
  for (const bad of [{}, 'x', [1], [to('user:bob', 'fly')], [{ ...to('user:bob', 'read'), more: 1 }], null]) {
    assert.equal((await spawn('f', { grants: bad })).status, 400, JSON.stringify(bad))
  }
  assert.equal((await w.get(`/_electric/entities/${type}/f`)).status, 404)
  assert.equal((await spawn('f', { grants: [] })).status, 201)
})

test('who may only spawn below another’s entity gives nothing broad away', async (t) => {
  const { w, type, url } = await hers(t)
  await grant(w, url, to('user:bob', 'spawn'))
  const spawn = (id, ...given) => w.put(`/_electric/entities/${type}/${id}`, { parent: url, grants: given }, bob)
  const broad = [
    to('user:carol', 'manage'), users('read'), to('user:carol', 'read', { propagation: 'descendants' }),
    to('user:carol', 'read', { copy_to_children: true }),
  ]
  for (const one of broad) {
    refused(await spawn('c', one), 401, 'UNAUTHORIZED', `Principal is not allowed to delegate broad grants from ${url}`)
  }
  assert.equal((await spawn('c', to('user:carol', 'read'))).status, 201)
  await grant(w, url, to('user:bob', 'manage'))
  for (const [n, one] of broad.entries()) assert.equal((await spawn(`m${n}`, one)).status, 201)
})

test('the list is of what the caller may read, page by page', async (t) => {
  const { w, type, url } = await hers(t)
  const his = await w.spawn(type, 'his', {}, bob)
  const [b, c] = [await w.spawn(type, 'b', {}, alice), await w.spawn(type, 'c', { parent: url }, alice)]
  const list = async (query, by = bob) => (await w.get(`/_electric/entities?type=${type}&${query}`, by)).json.map((one) => one.url)
  assert.deepEqual(await list(''), [his.url])
  const given = await grant(w, url, to('user:bob', 'manage', { propagation: 'descendants' }))
  await grant(w, b.url, users('read'))
  await grant(w, b.url, to('user:bob', 'read'))
  assert.deepEqual(await list(''), [c.url, b.url, his.url, url])
  assert.deepEqual(await list(`created_by=${encodeURIComponent('/principal/user%3Aalice')}`), [c.url, b.url, url])
  assert.deepEqual(await list('', { as: 'agent:bob' }), [])
  const page = await w.get(`/_electric/entities?type=${type}&limit=3`, bob)
  assert.deepEqual([page.json.length, page.headers['reveille-next']], [3, his.url])
  const rest = await w.get(`/_electric/entities?type=${type}&limit=3&after=${his.url}`, bob)
  assert.deepEqual([rest.json.map((one) => one.url), rest.headers['reveille-next']], [[url], undefined])
  assert.equal((await w.get(`/_electric/entities?after=/${type}/none`, bob)).status, 404)
  assert.equal((await w.get('/_electric/entities?limit=x', bob)).status, 400)
  await revoke(w, url, given)
  assert.deepEqual(await list(''), [b.url, his.url])
})

test('a membership stream follows what its principal may read', async (t) => {
  const { w, type, url } = await hers(t, { tags: { grants: 'members' } })
  const made = await w.post('/_electric/observations/entities/ensure-stream', { tags: { grants: 'members' } }, bob)
  const said = async () => (await w.read(made.json.streamUrl, bob)).map((event) => `${event.headers.operation} ${event.key}`)
  await w.advance(1)
  assert.deepEqual(await said(), [])
  const given = await grant(w, url, to('user:bob', 'read', { propagation: 'descendants' }))
  assert.deepEqual(await said(), [`insert ${url}`])
  const child = await w.spawn(type, 'child', { parent: url, tags: { grants: 'members' } }, alice)
  await w.spawn(type, 'told', { tags: { grants: 'members' }, grants: [users('write')] }, alice)
  await revoke(w, url, given)
  const end = new Date((await w.now()) + 1_000).toISOString()
  await grant(w, url, users('manage', { expires_at: end }))
  await w.advance(1_000)
  assert.deepEqual(await said(), [
    `insert ${url}`, `insert ${child.url}`, `delete ${url}`, `delete ${child.url}`, `insert ${url}`, `delete ${url}`,
  ])
})

test('who may read no more is woken no more, and reads no further', async (t) => {
  const { w, type, url } = await hers(t)
  const his = await w.spawn(type, 'his', {}, bob)
  const given = await grant(w, url, to('user:bob', 'read'))
  const wake = { subscriberUrl: his.url, sourceUrl: url, condition: { on: 'change', collections: ['inbox'] } }
  assert.equal((await w.post('/_electric/wake', wake, bob)).status, 204)
  const name = `${w.name}-followers`
  const follows = await w.put(`/__ds/subscriptions/${name}`, { type: 'pull-wake', streams: [`${url}/main`], wake_stream: `/plain/${w.name}/wakes` }, bob)
  assert.equal(follows.status, 201, follows.text)
  await w.send(url, 'seen', {}, alice)
  const reader = await w.follow(`${url}/main?offset=now&live=sse`, bob)
  await revoke(w, url, given)
  await w.send(url, 'secret', {}, alice)
  const events = await w.read(`${his.url}/main`, bob)
  assert.equal(events.filter((event) => event.type === 'wake').length, 1)
  assert.deepEqual((await w.get(`/__ds/subscriptions/${name}`, bob)).json.streams, [])
  for (let event = await reader.next(); event; event = await reader.next()) assert.ok(!JSON.stringify(event).includes('secret'))
  assert.equal((await w.get(`${url}/main?offset=-1`, bob)).status, 401)
})

test('a message for later is not sent by who may send no more', async (t) => {
  const { w, type, url } = await hers(t)
  const given = await grant(w, url, to('user:bob', 'write'))
  const his = await w.spawn(type, 'his', {}, bob)
  await w.send(url, 'delayed', { afterMs: 100 }, bob)
  const at = new Date((await w.now()) + 100).toISOString()
  const schedule = { scheduleType: 'future_send', payload: 'scheduled', fireAt: at, targetUrl: url }
  assert.equal((await w.put(`/_electric/entities${his.url}/schedules/s`, schedule, bob)).status, 200)
  await revoke(w, url, given)
  await w.advance(100)
  assert.deepEqual((await w.read(`${url}/main`, alice)).filter((event) => event.type === 'inbox'), [])
  const row = (await w.read(`${his.url}/main`, bob)).findLast((event) => event.type === 'manifest')
  assert.equal(row.value.lastError, `Principal is not allowed to write ${url}`)
})

// Types.

const typeGrants = (type) => `/_electric/entity-types/${type}/grants`

test('a type may be spawned by who is granted it, and by nobody else', async (t) => {
  const w = await world(t)
  const type = await w.type({ permission_grants: [] })
  const spawn = (by) => w.put(`/_electric/entities/${type}/${by.as.replace(':', '-')}`, {}, by)
  refused(await spawn(alice), 401, 'UNAUTHORIZED', `Principal is not allowed to spawn ${type}`)
  refused(await w.get(`/_electric/entity-types/${type}`, alice), 401, 'UNAUTHORIZED', `Principal is not allowed to spawn ${type}`)
  const given = await w.post(typeGrants(type), to('user:alice', 'spawn', { expires_at: '2099-01-01' }))
  assert.equal(given.status, 201, given.text)
  const { id, created_at, updated_at, ...rest } = given.json
  assert.deepEqual(rest, {
    entity_type: type, permission: 'spawn', subject_kind: 'principal', subject_value: '/principal/user%3Aalice',
    created_by: '/principal/system%3Adev-local', expires_at: '2099-01-01T00:00:00.000Z',
  })
  assert.equal((await spawn(alice)).status, 201)
  assert.equal((await spawn(bob)).status, 401)
  const names = async (by) => (await w.get('/_electric/entity-types', by)).json.map((one) => one.name)
  assert.ok((await names(alice)).includes(type))
  assert.ok(!(await names(bob)).includes(type))
  assert.ok(!(await names(alice)).includes('principal'))
  assert.deepEqual((await w.get(typeGrants(type))).json, { grants: [given.json] })
  assert.equal((await w.delete(`${typeGrants(type)}/${id}`)).status, 204)
  assert.equal((await w.get(`/_electric/entity-types/${type}`, alice)).status, 401)
  refused(await w.delete(`${typeGrants(type)}/${id}`), 404, 'NOT_FOUND', 'Grant not found')
  refused(await w.delete(`${typeGrants(type)}/x`), 400, 'INVALID_REQUEST', 'Invalid grant id')
})

test('whoever registers a type has no more of it than the registration says', async (t) => {
  const w = await world(t)
  const body = { name: w.name, description: 'hers' }
  const register = (more, by = alice) => w.post('/_electric/entity-types', { ...body, ...more }, by)
  assert.equal((await register({ permission_grants: [to('user:alice', 'manage')] })).status, 201)
  assert.equal((await register({ permission_grants: [to('user:alice', 'manage'), to('user:bob', 'spawn')] })).json.revision, 2)
  const listed = (await w.get(typeGrants(w.name), alice)).json.grants
  assert.deepEqual(listed.map((one) => one.permission), ['manage', 'spawn'], 'the same is not given twice')
  refused(await register({}, bob), 401, 'UNAUTHORIZED', `Principal is not allowed to manage ${w.name}`)
  for (const [method, path] of [['GET', typeGrants(w.name)], ['POST', typeGrants(w.name)], ['DELETE', `/_electric/entity-types/${w.name}`]]) {
    const answer = await w.http(method, path, { ...bob, body: method === 'POST' ? to('user:bob', 'manage') : undefined })
    refused(answer, 401, 'UNAUTHORIZED', `Principal is not allowed to manage ${w.name}`)
  }
  refused(await register({ permission_grants: [to('user:bob', 'spawn', { expires_at: 'x' })] }), 400, 'INVALID_REQUEST', 'Invalid expires_at timestamp')
  assert.equal((await register({ permission_grants: [to('user:bob', 'read')] })).status, 400)
  assert.equal((await w.get(`/_electric/entity-types/${w.name}`, alice)).json.revision, 2, 'what is refused leaves no trace')
  // The grants of a type go with it: they are not its next owner's to honour.
  assert.equal((await w.delete(`/_electric/entity-types/${w.name}`, alice)).status, 204)
  assert.equal((await register({}, bob)).status, 201)
  assert.equal((await w.get(`/_electric/entity-types/${w.name}`, alice)).status, 401)
})

test('a grant on a type ends at its moment', async (t) => {
  const w = await world(t)
  const end = new Date((await w.now()) + 1_000).toISOString()
  const type = await w.type({ permission_grants: [users('spawn', { expires_at: end })] })
  assert.equal((await w.get(`/_electric/entity-types/${type}`, bob)).status, 200)
  await w.advance(1_000)
  assert.equal((await w.get(`/_electric/entity-types/${type}`, bob)).status, 401)
  assert.deepEqual((await w.get(typeGrants(type))).json, { grants: [] })
})

test('an entity cannot be given more grants than it may have', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const many = Array.from({ length: 1_000 }, (_, n) => to(`user:u${n}`, 'read'))
  const spawn = (given) => w.put(`/_electric/entities/${type}/e`, { grants: given }, alice)
  refused(await spawn([...many, to('user:bob', 'read')]), 409, 'LIMIT_EXCEEDED', `/${type}/e already has the most grants that it may`)
  assert.equal((await spawn(many)).status, 201)
  refused(await w.post(grants(`/${type}/e`), to('user:bob', 'read'), alice), 409, 'LIMIT_EXCEEDED', `/${type}/e already has the most grants that it may`)
})

test('a type cannot be given more grants than it may have', async (t) => {
  const w = await world(t)
  const many = Array.from({ length: 1_000 }, (_, n) => to(`user:u${n}`, 'spawn'))
  const most = 'already has the most grants that it may'
  const body = { name: w.name, description: 'd', permission_grants: [...many, to('user:bob', 'spawn')] }
  refused(await w.post('/_electric/entity-types', body), 409, 'LIMIT_EXCEEDED', `${w.name} ${most}`)
  const type = await w.type({ permission_grants: many })
  refused(await w.post(typeGrants(type), to('user:bob', 'spawn')), 409, 'LIMIT_EXCEEDED', `${w.name} ${most}`)
  assert.equal((await w.get(typeGrants(type))).json.grants.length, 1_000)
})

test('an agent works under its claim, whatever is granted', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const hook = await w.hook()
  await w.spawn(type, 'e', { dispatch_policy: hook.policy, initialMessage: 1 }, alice)
  const wake = await w.woken(hook)
  await wake.claim()
  await wake.append([change('note', 'n', {})])
  const token = { headers: { authorization: `Bearer ${wake.writeToken}` } }
  const answer = await w.post(grants(wake.entity), to('user:bob', 'read'), { ...token, as: 'agent:worker' })
  assert.equal(answer.status, 401, 'the token opens the stream, not the entity')
})
