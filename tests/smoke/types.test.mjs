// Types can be listed, read and deleted; what was spawned of a deleted one lives on.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, UUID } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const missing = { error: { code: 'NOT_FOUND', message: 'Entity type not found' } }

test('types are listed by name', async (t) => {
  const w = await world(t)
  for (const letter of ['b', 'c', 'a']) await w.type({ name: `${w.name}-${letter}` })
  const answer = await w.get('/_electric/entity-types')
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  const names = answer.json.map(({ name }) => name)
  assert.deepEqual(names, [...names].sort())
  const ours = answer.json.filter(({ name }) => name.startsWith(w.name))
  assert.deepEqual(ours.map(({ name }) => name), ['a', 'b', 'c'].map((letter) => `${w.name}-${letter}`))
  for (const type of ours) assert.deepEqual((await w.get(`/_electric/entity-types/${type.name}`)).json, type)
})

test('a type is read as it was registered', async (t) => {
  const w = await world(t)
  const said = { name: w.name, description: 'x', state_schemas: { run: { type: 'object' } }, slash_commands: [{ name: 'go' }] }
  const registered = (await w.post('/_electric/entity-types', said)).json
  const answer = await w.get(`/_electric/entity-types/${w.name}`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  assert.deepEqual(answer.json, registered)
})

test('a deleted type is gone', async (t) => {
  const w = await world(t)
  await w.type()
  const answer = await w.delete(`/_electric/entity-types/${w.name}`)
  assert.equal(answer.status, 204)
  assert.equal(answer.text, '')
  const list = (await w.get('/_electric/entity-types')).json
  assert.ok(!list.some(({ name }) => name === w.name))
  for (const method of ['GET', 'DELETE']) assert.deepEqual((await w.http(method, `/_electric/entity-types/${w.name}`)).json, missing)
})

test('nothing can be spawned of a deleted type', async (t) => {
  const w = await world(t)
  await w.type()
  await w.delete(`/_electric/entity-types/${w.name}`)
  const error = { code: 'UNKNOWN_ENTITY_TYPE', message: `Entity type "${w.name}" not found` }
  for (const method of ['PUT', 'GET']) {
    const answer = await w.http(method, `/_electric/entities/${w.name}/e`, { body: method === 'PUT' ? {} : undefined })
    assert.equal(answer.status, 404, answer.text)
    assert.deepEqual(answer.json, { error })
  }
})

test('the entities of a deleted type stay', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, tags: { a: '1' } })
  const before = await w.entity(url)
  await w.delete(`/_electric/entity-types/${w.name}`)

  assert.deepEqual(await w.entity(url), before)
  assert.deepEqual((await w.get(`/_electric/entities?type=${w.name}`)).json, [before])
  like(await w.send(url, 'still there'), { txid: UUID })
  const wake = await w.woken(hook)
  await wake.claim()
  assert.equal((await wake.done()).json.next_wake, false)
  assert.equal((await w.delete(`/_electric/entities${url}`)).status, 200)
  assert.equal((await w.entity(url)).status, 'killed')
})

test('a type that is registered after it was deleted begins anew', async (t) => {
  const w = await world(t)
  const register = async () => (await w.post('/_electric/entity-types', { name: w.name, description: 'x' })).json
  await register()
  assert.equal((await register()).revision, 2)
  await w.delete(`/_electric/entity-types/${w.name}`)
  const now = await w.advance(5)
  const { revision, created_at } = await register()
  assert.equal(revision, 1)
  assert.equal(Date.parse(created_at), now)
  await w.spawn(w.name, 'e')
})
