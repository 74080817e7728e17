// Shapes of Postgres tables: what changes in one is appended to a stream and wakes whoever observes it, each change once,
// wherever the server or the shape is interrupted.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { changedKeys, coming, manifestRow } from '../harness/observer.mjs'
import { world } from '../harness/world.mjs'

const register = (w, options, more, as) => w.post('/_electric/pg-sync/register', { options, ...more }, as)

let own
/** A world on a server of these tests' own: shapes outlive the tests that follow them, and go on being asked. */
async function alone(t) {
  own ??= startHost()
  return world(t, { host: { url: (await own).url, dispose() {} } })
}
after(async () => (await own)?.dispose())

/** A world with a shape that is followed, and an entity that observes it. */
async function following(t, { host, wake = {}, hold } = {}) {
  const w = host ? await world(t, { host }) : await alone(t)
  const shape = await w.shape({ hold })
  await w.type()
  const { url } = await w.spawn(w.name, 'observer')
  const answer = await register(w, { url: shape.url, table: 'todos' }, { metadata: { entityUrl: url } })
  assert.equal(answer.status, 200, answer.text)
  const { sourceRef, streamUrl: path } = answer.json
  assert.equal(path, `/_electric/pg-sync/default/${sourceRef}`)
  await w.observe(url, path, { on: 'change' }, wake)
  const told = async () => (await w.read(path)).map((event) => event.value.value.id)
  // A host with few fetches at once lets shapes take turns, and then time must pass.
  const tells = (...ids) =>
    w.eventually(async () => {
      await w.advance(1_000)
      assert.deepEqual(await told(), ids)
    })
  const woken = async () => (await w.events(url, 'wake')).flatMap(changedKeys)
  return { w, shape, url, path, sourceRef, told, tells, woken }
}

const key = (id) => `"public"."todos"/"${id}"`

test('what changes in a shape is appended as its client would read it, and wakes', async (t) => {
  const { w, shape, url, path, tells, woken } = await following(t)
  shape.change('insert', { id: '1', n: '9007199254740993', done: 't', tags: '{a,"b c",NULL}', meta: '{"k": [1]}' })
  await tells(1)
  const [event] = await w.read(path)
  assert.equal(event.type, 'pg_sync_change')
  assert.equal(event.key, key(1))
  assert.deepEqual(event.value.value, { id: 1, n: '9007199254740993', done: true, tags: ['a', 'b c', null], meta: { k: [1] } })
  assert.equal(event.value.headers.lsn, '101')
  assert.equal(event.headers.operation, 'insert')
  shape.change('update', { id: '1', done: 'f', old_value: { done: 't' } })
  shape.change('update', { id: '1', done: 't', old_value: { done: 'f' } })
  await tells(1, 1, 1)
  assert.deepEqual(await woken(), [key(1), key(1), key(1)], 'the second update of a row wakes, too')
  const changes = (await w.events(url, 'wake')).flatMap((row) => row.value.changes)
  assert.deepEqual(changes.map(({ collection, kind }) => [collection, kind]).at(-1), ['pg_sync_change', 'update'])
  assert.deepEqual([changes.at(-1).value, changes.at(-1).oldValue], [{ id: 1, done: true }, { done: false }])
})

test('a shape is asked with all that defines it, and with what the server knows of its caller', async (t) => {
  const w = await alone(t)
  const shape = await w.shape()
  const options = { url: `${shape.url}?secret=s`, table: 'todos', columns: ['id', 'Done'], where: 'id > $1', params: ['5'], replica: 'full' }
  // Neither place may say who calls, nor anything that the server does not know the meaning of.
  const liar = { principalUrl: '/principal/system%3Adev-local', principalKey: 'system:dev-local', tenantId: 'other', role: 'admin' }
  options.metadata = liar
  const metadata = { ...liar, wakeId: 'w-1' }
  const answer = await register(w, options, { metadata }, { as: 'user:alice' })
  assert.equal(answer.status, 200, answer.text)
  const { query } = shape.asked[0]
  assert.deepEqual(query, {
    secret: 's', table: 'todos', columns: 'id,"Done"', where: 'id > $1', 'params[1]': '5', replica: 'full',
    electric_agents_tenant_id: 'default', electric_agents_principal_kind: 'user', electric_agents_principal_id: 'alice',
    electric_agents_principal_key: 'user:alice', electric_agents_principal_url: '/principal/user%3Aalice',
    electric_agents_wake_id: 'w-1', log: 'changes_only', offset: 'now',
  })
  // What passes by names no other shape; who asks does.
  const again = await register(w, options, { metadata: { wakeId: 'w-2' } }, { as: 'user:alice' })
  assert.equal(again.json.sourceRef, answer.json.sourceRef)
  const other = await register(w, options, {}, { as: 'user:bob' })
  assert.notEqual(other.json.sourceRef, answer.json.sourceRef)
  // Its stream is its registrant's.
  const { streamUrl } = answer.json
  assert.equal((await w.get(streamUrl, { as: 'user:alice' })).status, 200)
  assert.equal((await w.get(streamUrl, { as: 'user:bob' })).status, 401)
  for (const method of ['PUT', 'POST', 'DELETE']) {
    assert.equal((await w.http(method, streamUrl, { body: [], as: 'user:alice' })).status, 404, method)
  }
})

test('who may read the entity of a shape hears of it, until they may not any more', async (t) => {
  const w = await alone(t)
  const [shape, alice, bob] = [await w.shape(), { as: 'user:alice' }, { as: 'user:bob' }]
  const type = await w.type()
  const grants = [{ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'read' }]
  const { url } = await w.spawn(type, 'hers', { grants }, alice)
  const answer = await register(w, { url: shape.url, table: 'todos' }, { metadata: { entityUrl: url } }, alice)
  const path = answer.json.streamUrl
  const his = await w.spawn(type, 'his', {}, bob)
  await w.post('/_electric/wake', { subscriberUrl: his.url, sourceUrl: path, condition: { on: 'change' } }, bob)
  const woken = async () => (await w.events(his.url, 'wake')).flatMap(changedKeys)
  const told = (n) =>
    w.eventually(async () => {
      await w.advance(1_000)
      assert.equal((await w.read(path, alice)).length, n)
    })
  shape.change('insert', { id: '1' })
  await told(1)
  assert.deepEqual(await woken(), [key(1)])
  const granted = (await w.get(`/_electric/entities${url}/grants`, alice)).json.grants[0]
  assert.equal((await w.delete(`/_electric/entities${url}/grants/${granted.id}`, alice)).status, 204)
  shape.change('insert', { id: '2' })
  await told(2)
  assert.deepEqual(await woken(), [key(1)])
})

test('a shape that fails is asked again from where the reading stands, and one that is gone from now on', async (t) => {
  const { w, shape, url, path, tells, told } = await following(t)
  shape.change('insert', { id: '1' })
  await tells(1)
  const cut = (response) => {
    response.writeHead(200, { 'electric-handle': 'h', 'electric-offset': '0_0' })
    response.end('[{')
  }
  for (const fault of [(response) => response.writeHead(503).end(), (response) => response.destroy(), cut]) {
    shape.failOnce(fault)
    const id = (await told()).length + 1
    shape.change('insert', { id: String(id) })
    await w.eventually(async () => {
      await w.advance(1_000)
      assert.equal((await told()).length, id)
    })
  }
  assert.deepEqual(await told(), [1, 2, 3, 4], 'each once')
  shape.fail((response) => response.writeHead(500).end('down'))
  await w.eventually(async () => {
    await w.advance(1_000)
    assert.match(JSON.stringify(await coming(w, url, 'retry')), /answered 500: down/)
  }, 20_000)
  shape.fail()
  await w.eventually(async () => {
    await w.advance(10_000)
    assert.deepEqual(await coming(w, url, 'retry'), [])
  })
  shape.rotate()
  await w.eventually(async () => {
    await w.advance(1_000)
    assert.equal(shape.asked.at(-1).query.handle, 'h-2')
  })
  shape.change('insert', { id: '7' })
  await tells(1, 2, 3, 4, 7)
  assert.equal((await w.read(path)).length, 5)
})

test('a restart loses no change of a shape and repeats none, in the middle of a page or between two', async (t) => {
  const host = await startHost()
  const { w, shape, tells, woken } = await following(t, { host, hold: 20_000 })
  shape.change('insert', { id: '1' })
  await tells(1)
  // Killed while a question waits; what changes meanwhile comes afterwards.
  await host.kill()
  shape.change('insert', { id: '2' })
  await host.restart()
  w.testId += ' again'
  await tells(1, 2)
  // Killed while an answer is half there: the one after the next, since a question waits already.
  await w.eventually(() => assert.ok(shape.isWaitedFor()))
  const half = new Promise((resolve) =>
    shape.failOnce((response) => {
      response.writeHead(200, { 'electric-handle': 'h-1', 'electric-offset': '999_0' })
      response.write('[{"key":"k","value"', resolve)
    }),
  )
  shape.change('insert', { id: '3' })
  await tells(1, 2, 3)
  await half
  await host.kill()
  shape.change('insert', { id: '4' })
  await host.restart()
  w.testId += ' again'
  await tells(1, 2, 3, 4)
  assert.deepEqual(await woken(), [1, 2, 3, 4].map(key))
})

test('a page of two thousand changes is told whole, in order', async (t) => {
  const { w, shape, tells, woken } = await following(t)
  const ids = Array.from({ length: 2_000 }, (_, n) => n + 1)
  shape.change('insert', ...ids.map((id) => ({ id: String(id) })))
  await tells(...ids)
  await w.advance(0)
  const all = ids.map(key)
  await w.eventually(async () => {
    await w.advance(0)
    assert.deepEqual(await woken(), all)
  }, 20_000)
})

test('a manifest observes a shape until it is told not to, and the shape goes on', async (t) => {
  const w = await alone(t)
  const shape = await w.shape()
  await w.type()
  const work = await w.working(w.name, 'agent')
  const { sourceRef, streamUrl } = (await register(w, { url: shape.url, table: 'todos' })).json
  const manifestKey = `source:pgSync:${sourceRef}`
  const row = { key: manifestKey, kind: 'source', sourceType: 'pgSync', sourceRef, config: { streamUrl }, wake: { on: 'change', ops: ['delete'] } }
  await work.append([manifestRow(manifestKey, row)])
  shape.change('insert', { id: '1' })
  shape.change('delete', { id: '1' })
  await w.eventually(async () => {
    await w.advance(1_000)
    assert.equal((await w.events(work.entity, 'wake')).length, 1)
  })
  const gone = await w.delete(`/_electric/entities${work.entity}/pg-sync-observations/${sourceRef}`)
  assert.deepEqual([gone.status, typeof gone.json.txid], [200, 'string'])
  shape.change('delete', { id: '2' })
  await w.eventually(async () => {
    await w.advance(1_000)
    assert.equal((await w.read(streamUrl)).length, 3)
  })
  assert.equal((await w.events(work.entity, 'wake')).length, 1)
  assert.equal((await w.delete(`/_electric/entities${work.entity}/pg-sync-observations/unknown`)).status, 200)
})
