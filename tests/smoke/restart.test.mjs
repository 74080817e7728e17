// What stands in the store outlives the process: everything, for there is nothing else. This file starts a server of
// its own, since it must end it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { change, world } from '../harness/world.mjs'

test('keys, types, entities, streams, claims, wakes and timers outlive a restart', async (t) => {
  const server = await startHost()
  const w = await world(t, { host: server })
  const keys = (await w.get('/__ds/jwks.json')).json
  await w.type()
  const work = await w.working(w.name, 'source')
  const { url } = await w.spawn(w.name, 'observer', { tags: { a: 'b' } })
  await w.observe(url, work.entity, { on: 'change' })
  await w.send(url, 'before')
  await w.send(url, 'later', { afterMs: 60_000 })
  const entity = await w.entity(url)
  const events = await w.events(url)
  const time = await w.now()
  const { txid } = await w.spawn(w.name, 'last')

  await server.stop()
  await server.restart()
  w.testId += ' after the restart'

  assert.deepEqual((await w.get('/__ds/jwks.json')).json, keys)
  assert.deepEqual(await w.entity(url), entity)
  assert.deepEqual(await w.events(url), events)
  assert.equal((await w.entity(work.entity)).status, 'running')
  assert.equal((await w.put(`/_electric/entities${url}`, {})).status, 409)
  assert.equal((await w.post('/_electric/entity-types', { name: w.name, description: 'x' })).json.revision, 2)
  assert.ok((await w.spawn(w.name, 'next')).txid > txid)

  // The claim and its write token are what they were, and so is the wake that the append causes.
  assert.equal((await work.heartbeat()).status, 200)
  await work.append([change('note', 'n', {})])
  assert.equal((await w.events(url, 'wake')).length, 1)
  assert.equal((await work.done()).json.next_wake, false)

  assert.ok((await w.now()) >= time)
  await w.advance(60_000)
  assert.deepEqual((await w.events(url, 'inbox')).map((event) => event.value.payload), ['before', 'later'])
})

test('grants, shared states and membership streams outlive a restart', async (t) => {
  const server = await startHost()
  const w = await world(t, { host: server })
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((id) => ({ as: `user:${id}` }))
  await w.type()
  const spawn = async (id, more) => (await w.spawn(w.name, id, { tags: { team: 'a' }, ...more }, alice)).url
  const url = await spawn('first', { grants: [{ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'read' }] })
  const state = `/_electric/shared-state/${w.name}`
  const named = { 'content-type': 'application/json', 'electric-owner-entity': url }
  assert.equal((await w.put(state, [change('note', 'before', {})], { ...alice, headers: named })).status, 201)
  const team = (await w.post('/_electric/observations/entities/ensure-stream', { tags: { team: 'a' } }, alice)).json.streamUrl
  const told = async () => (await w.read(team, alice)).map(({ headers, key }) => [headers.operation, key])
  await w.advance(0)
  assert.deepEqual(await told(), [['insert', url]])

  await server.stop()
  await server.restart()
  w.testId += ' after the restart'

  assert.equal((await w.post(state, [change('note', 'after', {})], alice)).status, 204)
  for (const [by, status] of [[alice, 200], [bob, 200], [carol, 401]]) {
    assert.equal((await w.get(`/_electric/entities${url}`, by)).status, status, by.as)
    assert.equal((await w.get(`${state}?offset=-1`, by)).status, status, by.as)
    assert.equal((await w.get(`${team}?offset=-1`, by)).status, by === alice ? 200 : 401, by.as)
  }
  const second = await spawn('second')
  await w.delete(`/_electric/entities${url}/grants/${(await w.get(`/_electric/entities${url}/grants`, alice)).json.grants[0].id}`, alice)
  assert.equal((await w.get(`${state}?offset=-1`, bob)).status, 401)
  await w.advance(0)
  assert.deepEqual(await told(), [['insert', url], ['insert', second]])
})
