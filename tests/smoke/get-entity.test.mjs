// An entity can be read, and what is not there says what is missing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, MS } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

test('a read shows everything but the secrets', async (t) => {
  const w = await world(t)
  await w.type()
  const policy = { targets: [{ type: 'webhook', url: 'http://127.0.0.1:9/x', subscription_id: 's' }] }
  const parent = await w.spawn(w.name, 'parent')
  const child = await w.spawn(w.name, 'child', { parent: parent.url, tags: { a: '1' }, args: { n: 1 }, dispatch_policy: policy })
  const answer = await w.get(`/_electric/entities${child.url}`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  like(answer.json, {
    url: child.url,
    type: w.name,
    status: 'idle',
    streams: { main: `${child.url}/main` },
    dispatch_policy: policy,
    tags: { a: '1' },
    spawn_args: { n: 1 },
    parent: parent.url,
    created_by: '/principal/system%3Adev-local',
    created_at: child.created_at,
    updated_at: MS,
  })
})

test('a read of an entity spawned with nothing has empty spawn_args', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const entity = await w.entity(url)
  assert.deepEqual(entity.spawn_args, {})
  assert.deepEqual(entity.tags, {})
})

test('HEAD answers without a body', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const answer = await w.head(`/_electric/entities${url}`)
  assert.equal(answer.status, 200)
  assert.equal(answer.text, '')
  assert.equal((await w.head(`/_electric/entities${url}x`)).status, 404)
})

test('a missing entity of a known type is NOT_FOUND, of an unknown one UNKNOWN_ENTITY_TYPE', async (t) => {
  const w = await world(t)
  await w.type()
  const known = await w.get(`/_electric/entities/${w.name}/none`)
  assert.equal(known.status, 404)
  assert.deepEqual(known.json, { error: { code: 'NOT_FOUND', message: `Entity not found at /${w.name}/none` } })
  const unknown = await w.get('/_electric/entities/no-such-type/none')
  assert.equal(unknown.status, 404)
  assert.deepEqual(unknown.json, {
    error: { code: 'UNKNOWN_ENTITY_TYPE', message: 'Entity type "no-such-type" not found' },
  })
})

for (const address of ['_reserved/x', 'a*/x', 'a/x*', 'principal/nonsense', 'principal/%E0%A4%A']) {
  test(`no entity can be at /${address}`, async (t) => {
    const w = await world(t)
    const answer = await w.get(`/_electric/entities/${address}`)
    assert.ok([400, 404].includes(answer.status), `${answer.status} ${answer.text}`)
    assert.equal(typeof answer.json.error.code, 'string')
  })
}
