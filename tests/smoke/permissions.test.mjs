// Which route needs what: each permission opens its own doors and no others.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { change, world } from '../harness/world.mjs'

const alice = { as: 'user:alice' }
const bob = { as: 'user:bob' }
const permissions = ['read', 'write', 'delete', 'signal', 'fork', 'schedule', 'spawn', 'manage']
const to = (permission) => ({ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission })

// The permission that a deed needs, and the deed; the last one, since it ends the entity, is `delete`.
const deeds = [
  ['read', 'GET', (url) => `/_electric/entities${url}`],
  ['read', 'HEAD', (url) => `/_electric/entities${url}`],
  ['read', 'GET', (url) => `${url}/main?offset=-1`],
  ['read', 'HEAD', (url) => `${url}/main`],
  ['read', 'GET', (url) => `/_reveille/entities${url}/journal`],
  ['read', 'GET', (url) => `/_reveille/entities${url}/explain`],
  ['read', 'GET', (url) => `/_reveille/entities${url}/next`],
  ['write', 'POST', (url) => `/_electric/entities${url}/send`, { payload: 1 }],
  ['write', 'POST', (url) => `/_electric/entities${url}/send`, { payload: 1, afterMs: 5_000 }],
  ['write', 'POST', (url) => `/_electric/entities${url}/collections/open`, { operation: 'insert', value: {} }],
  ['write', 'POST', (url) => `/_electric/entities${url}/tags/t`, { value: 'v' }],
  ['write', 'DELETE', (url) => `/_electric/entities${url}/tags/t`],
  ['write', 'DELETE', (url) => `/_electric/entities${url}/pg-sync-observations/none`],
  ['write', 'POST', (url) => '/_electric/wake/unregister', (url) => ({ subscriberUrl: url, manifestKey: 'none' })],
  ['schedule', 'PUT', (url) => `/_electric/entities${url}/schedules/s`, { scheduleType: 'cron', expression: '0 0 1 1 *', payload: 1 }],
  ['schedule', 'DELETE', (url) => `/_electric/entities${url}/schedules/s`],
  ['manage', 'GET', (url) => `/_electric/entities${url}/grants`],
  ['manage', 'DELETE', (url) => `/_electric/entities${url}/grants/999999999999`],
  ['fork', 'POST', (url) => `/_electric/entities${url}/fork`, { waitTimeoutMs: 0 }],
  ['signal', 'POST', (url) => `/_electric/entities${url}/signal`, { signal: 'SIGUSR' }],
  ['spawn', 'PUT', (url) => `/_electric/entities${url}-child`, (url) => ({ parent: url })],
  ['delete', 'DELETE', (url) => `/_electric/entities${url}`],
]

for (const permission of permissions) {
  test(`${permission} opens what needs it and nothing else`, async (t) => {
    const w = await world(t)
    const type = await w.type({ externally_writable_collections: { open: { type: 'state:open' } } })
    const { url } = await w.spawn(type, 'e', { grants: [to(permission)] }, alice)
    for (const [needs, method, path, body] of deeds) {
      const answer = await w.http(method, path(url), { ...bob, body: typeof body === 'function' ? body(url) : body })
      const what = `${method} ${path(url)} with ${permission}: ${answer.status} ${answer.text}`
      if (needs === permission || permission === 'manage') {
        assert.ok(answer.status < 300 || answer.json?.error.message === 'Grant not found', what)
        continue
      }
      assert.equal(answer.status, 401, what)
      if (method === 'HEAD') continue
      const why = needs === 'spawn' ? `spawn children from ${url}` : `${needs} ${url}`
      assert.deepEqual(answer.json.error, { code: 'UNAUTHORIZED', message: `Principal is not allowed to ${why}` }, what)
    }
  })
}

test('a wake needs write on who is woken and read on what wakes', async (t) => {
  const w = await world(t)
  const type = await w.type()
  for (const [subscriber, source, status] of [['write', 'read', 204], ['read', 'read', 401], ['write', 'write', 401], ['manage', 'manage', 204]]) {
    const woken = await w.spawn(type, `woken-${subscriber}-${source}`, { grants: [to(subscriber)] }, alice)
    const wakes = await w.spawn(type, `wakes-${subscriber}-${source}`, { grants: [to(source)] }, alice)
    const answer = await w.post('/_electric/wake', { subscriberUrl: woken.url, sourceUrl: wakes.url, condition: 'runFinished' }, bob)
    assert.equal(answer.status, status, answer.text)
  }
})

test('dead letters are shown to who may read, and revived by who may write', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'e', { grants: [to('read')] }, alice)
  assert.equal((await w.get('/_reveille/dead-letters', bob)).status, 200)
  const answer = await w.post(`/_reveille/entities${url}/revive`, {}, bob)
  assert.equal(answer.json.error.message, `Principal is not allowed to write ${url}`)
})

test('an unauthorised caller with a bad body is told of the body', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'e', {}, alice)
  for (const [path, body] of [['send', { key: 1 }], ['signal', {}], ['tags/t', {}], ['grants', {}], ['collections/c', {}]]) {
    assert.equal((await w.post(`/_electric/entities${url}/${path}`, body, bob)).status, 400, path)
  }
  assert.equal((await w.put(`/_electric/entities${url}/schedules/s`, {}, bob)).status, 400)
})

// Streams.

const shared = (w, id = w.name) => `/_electric/shared-state/${encodeURIComponent(id)}`
const owned = (url, by) => ({ ...by, headers: { 'electric-owner-entity': url, 'content-type': 'application/json' } })
const denied = (answer, what) => {
  assert.equal(answer.status, 401, answer.text)
  assert.deepEqual(answer.json.error, { code: 'UNAUTHORIZED', message: `Principal is not allowed to ${what} shared state` })
}

test('a shared state belongs to the entity in whose name it is made', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'hers', {}, alice)
  const path = shared(w)
  denied(await w.put(path, [], alice), 'write')
  denied(await w.put(path, [], owned(`/${type}/none`, alice)), 'write')
  denied(await w.put(path, [], owned(url, bob)), 'write')
  assert.equal((await w.put(path, [], owned(` ${url} `, alice))).status, 201)
  assert.equal((await w.post(path, [change('note', 'n', {})], alice)).status, 204)
  for (const method of ['GET', 'HEAD']) assert.equal((await w.http(method, `${path}?offset=-1`, bob)).status, 401)
  denied(await w.get(`${path}?offset=-1`, bob), 'read')
  denied(await w.post(path, [], bob), 'write')
  // Nobody lets themselves in by naming an entity of their own.
  const his = await w.spawn(type, 'his', {}, bob)
  denied(await w.post(path, [change('note', 'n', {})], owned(his.url, bob)), 'write')
  denied(await w.get(`${path}?offset=-1`, owned(his.url, bob)), 'read')
  for (const by of [alice, bob, {}]) denied(await w.delete(path, by), 'access')
  const spelled = `${path.slice(0, -1)}%${path.slice(-1).charCodeAt(0).toString(16)}`
  denied(await w.put(spelled, [], owned(his.url, bob)), 'write')
})

test('who may read or write an entity may read or write its shared state', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'hers', { grants: [to('read')] }, alice)
  const path = shared(w)
  await w.put(path, [], owned(url, alice))
  assert.equal((await w.get(`${path}?offset=-1`, bob)).status, 200)
  denied(await w.post(path, [change('note', 'n', {})], bob), 'write')
  await w.post(`/_electric/entities${url}/grants`, to('write'), alice)
  assert.equal((await w.post(path, [change('note', 'n', {})], bob)).status, 204)
  // Only an entity that one may write to is let in.
  const carols = await w.spawn(type, 'carols', {}, { as: 'user:carol' })
  denied(await w.post(path, [change('note', 'n', {})], owned(carols.url, bob)), 'write')
  denied(await w.get(`${path}?offset=-1`, { as: 'user:carol' }), 'read')
  const his = await w.spawn(type, 'his', {}, bob)
  assert.equal((await w.post(path, [change('note', 'n', {})], owned(his.url, bob))).status, 204)
})

test('a manifest makes a shared state its entity’s, unless it is another’s', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const row = (key, id, operation = 'upsert') => [{ type: 'manifest', key, headers: { operation }, value: { kind: 'shared-state', id } }]
  const agent = async (id, by) => {
    const hook = await w.hook()
    await w.spawn(type, id, { dispatch_policy: hook.policy, initialMessage: 'go' }, by)
    const wake = await w.woken(hook)
    await wake.claim()
    return wake
  }
  const hers = await agent('hers', alice)
  const path = shared(w)
  await hers.append(row('k', w.name))
  assert.equal((await w.put(path, [], alice)).status, 201)
  const his = await agent('his', bob)
  await his.append(row('k', w.name))
  denied(await w.get(`${path}?offset=-1`, bob), 'read')
  await w.post(`/_electric/entities${hers.entity}/grants`, to('write'), alice)
  await his.append(row('again', w.name))
  assert.equal((await w.delete(`/_electric/entities${hers.entity}/grants/${(await w.get(`/_electric/entities${hers.entity}/grants`, alice)).json.grants[0].id}`, alice)).status, 204)
  assert.equal((await w.get(`${path}?offset=-1`, bob)).status, 200, 'it is his, too')
  await his.append(row('again', w.name, 'delete'))
  denied(await w.get(`${path}?offset=-1`, bob), 'read')
})

const manifest = (id, operation = 'upsert', more = {}) => [{ type: 'manifest', key: 'k', headers: { operation }, value: { kind: 'shared-state', id, ...more } }]

/** An agent whose entity has a shared state, which its readers follow in each way that there is. */
async function followed(t) {
  const w = await world(t)
  const [type, hook, path] = [await w.type(), await w.hook(), shared(w)]
  const { url } = await w.spawn(type, 'hers', { dispatch_policy: hook.policy, initialMessage: 'go', grants: [to('read')] }, alice)
  const agent = await w.woken(hook)
  await agent.claim()
  await agent.append(manifest(w.name))
  await w.put(path, [], alice)
  const his = await w.spawn(type, 'his', {}, bob)
  assert.equal((await w.post('/_electric/wake', { subscriberUrl: his.url, sourceUrl: path, condition: { on: 'change' } }, bob)).status, 204)
  const subscription = `/__ds/subscriptions/${w.name}`
  const follows = { type: 'pull-wake', streams: [path.slice(1)], wake_stream: `/plain/${w.name}/wakes` }
  assert.equal((await w.put(subscription, follows, bob)).status, 201)
  const reader = await w.follow(`${path}?offset=now&live=sse`, bob)
  assert.ok((await reader.next()).data.upToDate)
  return {
    w, url, path, agent, reader,
    wakes: async () => (await w.events(his.url, 'wake')).length,
    streams: async () => (await w.get(subscription, bob)).json.streams.map((stream) => stream.path),
  }
}

test('a row that names a shared state may be written again: who reads the state notices nothing', async (t) => {
  const { w, path, agent, reader, wakes, streams } = await followed(t)
  const rewritten = [manifest(w.name, 'update', { note: 1 }), [...manifest(w.name, 'delete'), ...manifest(w.name, 'insert')]]
  for (const [n, rows] of rewritten.entries()) {
    const [again, read] = await Promise.all([agent.append(rows), w.get(`${path}?offset=-1`, bob)])
    assert.deepEqual([again.status, read.status], [204, 200])
    assert.equal((await w.post(path, [change('note', `n${n}`, {})], alice)).status, 204)
    assert.deepEqual([(await reader.next()).data[0].key, await wakes()], [`n${n}`, n + 1])
    assert.ok((await reader.next()).data.upToDate)
  }
  assert.deepEqual(await streams(), [path.slice(1)])
})

const losses = {
  'when its row goes': ({ w, agent }) => agent.append(manifest(w.name, 'delete')),
  'when its row names another': ({ w, agent }) => agent.append(manifest(`${w.name}-2`)),
  'when the grant to read ends': async ({ w, url }) => {
    const { grants } = (await w.get(`/_electric/entities${url}/grants`, alice)).json
    await w.delete(`/_electric/entities${url}/grants/${grants[0].id}`, alice)
  },
}
for (const [when, lose] of Object.entries(losses)) {
  test(`who may read a shared state no more hears of it no more, ${when}`, async (t) => {
    const it = await followed(t)
    await lose(it)
    assert.equal((await it.w.post(it.path, [change('note', 'secret', {})])).status, 204)
    assert.deepEqual([await it.wakes(), await it.streams()], [0, []])
    for (let event = await it.reader.next(); event; event = await it.reader.next()) assert.ok(!event.text.includes('secret'))
  })
}

test('what the server owns, nobody writes', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'e', {}, alice)
  const cron = await w.post('/_electric/observations/cron/ensure-stream', { expression: '0 0 1 1 *' }, alice)
  const members = await w.post('/_electric/observations/entities/ensure-stream', { tags: { p: w.name } }, alice)
  await w.runner(`${w.name}-r`, alice)
  const unborn = `/principal/user%3A${w.name}`
  const owned = [`${url}/main`, `${url}/attachments/a`, cron.json.streamUrl, members.json.streamUrl, `/runners/${w.name}-r/wake`, `${unborn}/main`, `/principal/user:${w.name}/main`]
  for (const path of owned) {
    for (const by of [alice, bob, {}]) {
      for (const method of ['PUT', 'POST', 'DELETE']) {
        const answer = await w.http(method, path, { ...by, body: method === 'DELETE' ? undefined : [] })
        assert.equal(answer.status, 401, `${method} ${path} ${by.as}`)
      }
    }
  }
  // So whoever comes first finds their own place free.
  const born = await w.spawn(type, 'theirs', {}, { as: `user:${w.name}` })
  assert.equal(born.created_by, unborn)
  assert.equal((await w.get(`/_electric/entities${unborn}`, { as: `user:${w.name}` })).status, 200)
})

test('a subscription announces on no stream that belongs to somebody', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'hers', {}, alice)
  await w.put(shared(w), [], owned(url, alice))
  const body = { type: 'pull-wake', streams: ['/plain/x'], wake_stream: shared(w) }
  assert.equal((await w.put(`/__ds/subscriptions/${w.name}`, body, alice)).status, 401)
})
