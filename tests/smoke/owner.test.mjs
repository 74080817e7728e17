// Whose an entity is, and how it comes to be another's.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { refused } from '../harness/refused.mjs'
import { ask, snapshot, told } from '../harness/shape-reader.mjs'
import { manifestRow, registrations } from '../harness/observer.mjs'
import { world } from '../harness/world.mjs'

const alice = { as: 'user:alice' }
const bob = { as: 'user:bob' }
const owner = (url) => `/_reveille/entities${url}/owner`

/** Hands an entity over to bob. */
async function handOver(w, url, principal = 'user:bob') {
  const answer = await w.post(owner(url), { principal })
  assert.equal(answer.status, 200, answer.text)
  return answer.json
}

async function grant(w, url, permission, by = alice, key = 'user:bob') {
  const body = { subject_kind: 'principal', subject_value: `/principal/${encodeURIComponent(key)}`, permission }
  const answer = await w.post(`/_electric/entities${url}/grants`, body, by)
  assert.equal(answer.status, 201, answer.text)
}

/** An entity of alice's. */
async function hers(t, body = {}) {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'hers', body, alice)
  return { w, url }
}

test('an entity that is handed over is its new owner’s, and no longer the old one’s', async (t) => {
  const { w, url } = await hers(t)
  const tags = { handed: w.name }
  const lists = async (by) => (await w.get(`/_electric/entities?type=${w.name}`, by)).json.map((one) => one.url)
  for (const [key, value] of Object.entries(tags)) await w.post(`/_electric/entities${url}/tags/${key}`, { value }, alice)
  const members = async (by) => {
    const { json } = await w.post('/_electric/observations/entities/ensure-stream', { tags }, by)
    await w.advance(0)
    return (await w.read(json.streamUrl, by)).map((event) => `${event.headers.operation} ${event.key}`)
  }
  assert.deepEqual([await members(alice), await members(bob)], [[`insert ${url}`], []])
  await w.advance(5)
  const now = await w.now()
  const { txid, ...shown } = await handOver(w, url)
  assert.equal(typeof txid, 'number')
  assert.equal(shown.created_by, '/principal/user%3Abob')
  assert.equal(shown.updated_at, now)
  assert.deepEqual((await w.entity(url)).created_by, shown.created_by)
  for (const [by, status, listed] of [[alice, 401, []], [bob, 200, [url]]]) {
    assert.equal((await w.get(`/_electric/entities${url}`, by)).status, status)
    assert.equal((await w.get(`${url}/main?offset=-1`, by)).status, status)
    assert.equal((await w.get(`/_electric/entities${url}/grants`, by)).status, status, 'a new owner manages')
    assert.deepEqual(await lists(by), listed)
  }
  assert.deepEqual([await members(alice), await members(bob)], [[`insert ${url}`, `delete ${url}`], [`insert ${url}`]])
  const mine = await w.get(`/_electric/entities?created_by=${encodeURIComponent(shown.created_by)}&type=${w.name}`)
  assert.deepEqual(mine.json.map((one) => one.url), [url])
  const again = await w.post(owner(url), { principal: '/principal/user%3Abob' })
  assert.equal(again.json.updated_at, now, 'to whom it belongs already it is not handed over')
  await handOver(w, url, 'system:dev-local')
  assert.deepEqual([await lists(alice), await lists(bob), await lists()], [[], [], [url]])
  await handOver(w, url, 'user:alice')
  assert.deepEqual([await lists(alice), await lists(bob)], [[url], []])
})

test('what was granted stays granted, to whoever it was', async (t) => {
  const { w, url } = await hers(t)
  await grant(w, url, 'read', alice, 'user:carol')
  await grant(w, url, 'read', alice, 'user:alice')
  await handOver(w, url)
  for (const [as, status] of [['user:carol', 200], ['user:alice', 200], ['user:dave', 401]]) {
    assert.equal((await w.get(`/_electric/entities${url}`, { as })).status, status, as)
  }
  const send = await w.post(`/_electric/entities${url}/send`, { payload: 1 }, alice)
  refused(send, 401, 'UNAUTHORIZED', `Principal is not allowed to write ${url}`)
})

test('shapes tell who had an entity that it is gone, and who has it that it is there', async (t) => {
  const { w, url } = await hers(t)
  const other = await w.spawn(w.name, 'other', {}, bob)
  await grant(w, url, 'write')
  await grant(w, url, 'write', alice, 'user:alice')
  const entities = { table: 'entities', where: 'type = $1', 'params[1]': w.name }
  const effective = { table: 'entity_effective_permissions', where: 'entity_url = $1', 'params[1]': url }
  const readers = []
  for (const [query, column] of [[entities, 'url'], [effective, 'entity_url']]) {
    for (const by of [alice.as, bob.as, undefined]) readers.push({ query, column, by, at: await snapshot(w, query, by) })
  }
  const step = async () => {
    const all = []
    for (const reader of readers) {
      const { handle, offset } = reader.at
      const answer = await ask(w, { ...reader.query, handle, offset }, reader.by)
      assert.equal(answer.status, 200, answer.text)
      reader.at = { handle, offset: answer.headers['electric-offset'] }
      all.push(told(answer).map(([operation, value]) => `${operation} ${value[reader.column] ?? value.subject_value ?? ''}`.trim()))
    }
    return all
  }
  const rows = readers.map(({ at, column }) => at.rows.map((row) => row[column]))
  assert.deepEqual(rows, [[url], [other.url], [url, other.url], [url], [], [url, url]])
  await w.advance(1)
  await handOver(w, url)
  assert.deepEqual(await step(), [[`delete ${url}`], [`insert ${url}`], [`update ${url}`], ['delete'], [`insert ${url}`], []])
  await w.advance(1)
  await w.post(`/_electric/entities${url}/tags/k`, { value: 'v' }, bob)
  assert.deepEqual(await step(), [[], [`update ${url}`], [`update ${url}`], [], [], []])
  // There and back between two questions.
  await handOver(w, url, 'user:alice')
  await handOver(w, url)
  assert.deepEqual(await step(), [[], [], [], [], [], []])
})

test('a shape that waits hears of what is handed over to its reader', async (t) => {
  const { w, url } = await hers(t)
  const query = { table: 'entities', where: 'type = $1', 'params[1]': w.name }
  const { handle, offset } = await snapshot(w, query, bob.as)
  const waiting = ask(w, { ...query, handle, offset, live: 'true', cursor: '' }, bob.as)
  await w.settle()
  await handOver(w, url)
  assert.deepEqual(told(await waiting).map(([operation, value]) => [operation, value.url]), [['insert', url]])
})

test('who had an entity reads no further, and is woken by it no more', async (t) => {
  const { w, url } = await hers(t)
  const watcher = await w.spawn(w.name, 'watcher', {}, alice)
  const wake = { subscriberUrl: watcher.url, sourceUrl: url, condition: { on: 'change', collections: ['inbox'] } }
  assert.equal((await w.post('/_electric/wake', wake, alice)).status, 204)
  const name = `${w.name}-follower`
  const follower = { type: 'pull-wake', streams: [`${url}/main`], wake_stream: `/plain/${w.name}/wakes` }
  assert.equal((await w.put(`/__ds/subscriptions/${name}`, follower, alice)).status, 201)
  const reader = await w.follow(`${url}/main?offset=now&live=sse`, alice)
  await w.send(url, 'hers', {}, alice)
  await handOver(w, url)
  await w.send(url, 'secret', {}, bob)
  assert.equal((await w.read(`${watcher.url}/main`, alice)).filter((event) => event.type === 'wake').length, 1)
  assert.deepEqual(await registrations(w, watcher.url), [])
  assert.deepEqual((await w.get(`/__ds/subscriptions/${name}`, alice)).json.streams, [])
  let seen = ''
  for (let event = await reader.next(); event; event = await reader.next()) seen += JSON.stringify(event)
  assert.ok(seen.includes('hers'))
  assert.ok(!seen.includes('secret'))
})

test('an entity observes what its new owner may read, and nothing else', async (t) => {
  const { w, url } = await hers(t)
  const source = await w.spawn(w.name, 'source', {}, alice)
  const open = await w.spawn(w.name, 'open', {}, alice)
  await grant(w, open.url, 'read')
  for (const sourceUrl of [source.url, open.url]) {
    const wake = { subscriberUrl: url, sourceUrl, condition: 'runFinished' }
    assert.equal((await w.post('/_electric/wake', wake, alice)).status, 204)
  }
  await handOver(w, url)
  assert.deepEqual(await registrations(w, url), [[open.url, 'runFinished']])
})

test('what the agent of an entity writes is judged as its new owner’s', async (t) => {
  const w = await world(t)
  await w.type()
  const source = await w.spawn(w.name, 'source', {}, alice)
  const agent = await w.working(w.name, 'worker', {})
  await handOver(w, agent.entity)
  await agent.append([manifestRow('source:entity:a', {
    kind: 'source', sourceType: 'entity', sourceRef: source.url, config: { entityUrl: source.url }, wake: 'runFinished',
  })])
  assert.deepEqual(await registrations(w, agent.entity), [])
  assert.equal((await agent.done()).status, 200, 'who works on it may finish')
})

test('what is refused of a change of owner, and which refusal wins', async (t) => {
  const { w, url } = await hers(t)
  await grant(w, url, 'manage')
  const to = { principal: 'user:bob' }
  refused(await w.post(owner(`/${w.name}/none`), {}, bob), 404, 'NOT_FOUND', `Entity not found at /${w.name}/none`)
  refused(await w.post(owner('/no-such-type/x'), to), 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found')
  for (const body of [{}, { principal: 5 }, { principal: null }, { ...to, more: 1 }, []]) {
    const answer = await w.post(owner(url), body, bob)
    assert.equal(answer.status, 400, JSON.stringify(body))
    assert.equal(answer.json.error.message, 'Request body does not match API schema')
  }
  const operator = 'handing an entity over is for a built-in system principal'
  for (const by of [alice, bob, { as: 'user:carol' }, { as: 'system:other' }]) {
    refused(await w.post(owner(url), { principal: 'nobody' }, by), 403, 'UNAUTHORIZED', operator)
  }
  const principal = await w.spawn(w.name, 'other', {}, bob)
  assert.ok(principal)
  refused(
    await w.post(owner('/principal/user%3Abob'), { principal: 'user:alice' }), 400, 'INVALID_REQUEST',
    'Principal entities are built in and cannot be handed over',
  )
  for (const text of ['', 'bob', 'group:bob', 'user:', '/principal/', 'user:a/b', `user:${'x'.repeat(600)}`]) {
    refused(await w.post(owner(url), { principal: text }), 400, 'INVALID_REQUEST', `\`${text}\` is no principal`)
  }
  assert.equal((await w.entity(url)).created_by, '/principal/user%3Aalice')
})

test('what a runner works on is handed over to the runner’s owner alone', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner(w.name, alice)
  const { url } = await w.spawn(w.name, 'hers', { dispatch_policy: runner.policy }, alice)
  const refusal = 'Runner dispatch requires the authenticated owner'
  refused(await w.post(owner(url), { principal: 'user:bob' }), 403, 'UNAUTHORIZED', refusal)
  assert.equal((await w.entity(url)).created_by, '/principal/user%3Aalice')
  assert.equal((await w.post(`/_electric/entities${url}/signal`, { signal: 'SIGKILL' }, alice)).status, 200)
  assert.equal((await handOver(w, url)).status, 'killed', 'it works on the dead no more')
})
