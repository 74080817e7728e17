// Collections that a type lets others write to: rows on an entity's stream, stamped with who wrote them.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { like, OFFSET, UUID } from '../harness/like.mjs'
import { iso } from '../harness/observer.mjs'
import { refuses } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const INVALID = 'INVALID_REQUEST'
const SCHEMA = 'Request body does not match API schema'
const principal = (kind, id) => ({ url: `/principal/${kind}%3A${id}`, kind, id })
const devLocal = principal('system', 'dev-local')
const collections = {
  notes: { type: 'state:notes' },
  todos: { type: 'state:todos', operations: ['insert', 'update', 'delete'] },
  fixed: { type: 'state:fixed', operations: [] },
}

/** An entity whose type has these collections: `write` writes to one of them. */
async function collected(t, { as, host, grants, ...type } = {}) {
  const w = await world(t, { host })
  await w.type({ externally_writable_collections: collections, ...type })
  const { url } = await w.spawn(w.name, 'e', { grants }, { as })
  const write = (collection, body, { of = url, ...options } = {}) =>
    w.post(`/_electric/entities${of}/collections/${encodeURIComponent(collection)}`, body, options)
  return { w, url, write }
}

const insert = (value, key) => ({ operation: 'insert', key, value })

test('a row is inserted, changed and taken away in the caller’s name', async (t) => {
  const { w, url, write } = await collected(t)
  const now = await w.advance(1)
  for (const [operation, value, status] of [['insert', { a: 1 }, 201], ['update', { a: 2 }, 200], ['delete', undefined, 200]]) {
    const answer = await write('todos', { operation, key: 'k', value })
    assert.equal(answer.status, status, answer.text)
    assert.deepEqual(answer.json, { key: 'k' })
    like((await w.events(url, 'state:todos')).at(-1), {
      type: 'state:todos',
      key: 'k',
      value,
      headers: { operation, timestamp: iso(now), principal: devLocal, offset: OFFSET },
    })
  }
})

test('a row without a key gets one; an empty key is a key', async (t) => {
  const { w, url, write } = await collected(t)
  const answer = await write('notes', insert({}))
  assert.equal(answer.status, 201)
  assert.match(answer.json.key, /^notes-/)
  assert.match(answer.json.key.slice('notes-'.length), UUID)
  assert.deepEqual((await write('notes', insert({}, ''))).json, { key: '' })
  const keys = (await w.events(url, 'state:notes')).map(({ key }) => key)
  assert.deepEqual(keys, [answer.json.key, ''])
})

// Where others may only add, a key that is taken stays whose it is.

const taken = (answer, collection = 'notes', key = 'k') =>
  refuses(answer, 409, 'DUPLICATE_KEY', `Collection "${collection}" has a row with the key "${key}" already`)
const [alice, bob] = [{ as: 'user:alice' }, { as: 'user:bob' }]
const writers = ['alice', 'bob'].map((id) => ({ subject_kind: 'principal', subject_value: `/principal/user%3A${id}`, permission: 'write' }))

test('where others may only add, nobody adds under a key that is taken', async (t) => {
  const { w, url, write } = await collected(t, { grants: writers })
  assert.equal((await write('notes', insert({ n: 1 }, 'k'), alice)).status, 201)
  const before = await w.read(`${url}/main`)
  taken(await write('notes', insert({ n: 2 }, 'k'), bob))
  taken(await write('notes', insert({ n: 2 }, 'k'), alice))
  taken(await write('notes', insert({ n: 1 }, 'k'), bob))
  assert.deepEqual(await w.read(`${url}/main`), before)
  // Who has not heard the answer asks again, and is told the same.
  const again = await write('notes', insert({ n: 1 }, 'k'), alice)
  assert.deepEqual([again.status, again.json], [201, { key: 'k' }])
  assert.deepEqual(await w.read(`${url}/main`), before)
  // A key that was given out is taken as well; another collection has keys of its own.
  const { key } = (await write('notes', insert({}), alice)).json
  taken(await write('notes', insert({ n: 2 }, key), bob), 'notes', key)
  assert.equal((await write('todos', insert({}, 'k'), bob)).status, 201)
  assert.equal((await write('notes', insert({}, 'other'), bob)).status, 201)
})

test('of keys that come together one is taken', async (t) => {
  const { w, url, write } = await collected(t)
  const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => write('notes', insert({ n }, 'k'))))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)])
  assert.equal((await w.events(url, 'state:notes')).length, 1)
})

test('where others may change rows, a key that is there already is no hindrance', async (t) => {
  const { w, url, write } = await collected(t)
  for (const n of [1, 2]) assert.equal((await write('todos', insert({ n }, 'k'))).status, 201)
  assert.equal((await w.events(url, 'state:todos')).length, 2)
})

/** An agent whose entity has notes to which others may add. */
async function working(t, hosted) {
  const { w, write } = await collected(t, hosted)
  const agent = await w.working(w.name, 'agent', { grants: writers })
  const row = (operation, key, value) => ({ type: 'state:notes', key, value, headers: { operation } })
  const tell = async (...rows) => assert.equal((await agent.append(rows)).status, 204)
  let n = 0
  const add = (key, of = agent.entity, by = bob) => write('notes', insert({ n: n++ }, key), { of, ...by })
  return { w, agent, row, tell, add, write }
}

test('what an agent wrote is not overwritten, and what it took away is free', async (t) => {
  const { tell, row, add } = await working(t)
  await tell(row('insert', 'a', {}), row('upsert', 'b', {}), row('update', 'c', {}), row('insert', 'd', {}), row('delete', 'd'))
  for (const key of ['a', 'b', 'c']) taken(await add(key), 'notes', key)
  assert.equal((await add('d')).status, 201)
  await tell(row('delete', 'a'))
  assert.equal((await add('a')).status, 201)
  // An agent may do what it wants with its own entity.
  await tell(row('insert', 'a', { mine: true }))
  taken(await add('a'), 'notes', 'a')
})

test('a fork has the keys that its source had there, and goes on with them by itself', async (t) => {
  const { w, agent, tell, row, add } = await working(t)
  const begin = await w.tail(`${agent.entity}/main`)
  await tell(row('insert', 'kept', {}), row('insert', 'gone', {}))
  const then = await w.tail(`${agent.entity}/main`)
  await tell(row('delete', 'gone'), row('insert', 'late', {}), row('insert', 'later', {}))
  await agent.done()
  const fork = async (body) => {
    const answer = await w.post(`/_electric/entities${agent.entity}/fork`, body)
    assert.equal(answer.status, 201, answer.text)
    return answer.json.root.url
  }
  const there = async (url) => {
    const found = []
    for (const key of ['kept', 'gone', 'late', 'later']) {
      const { status } = await add(key, url, {})
      assert.ok(status === 201 || status === 409, `${status}`)
      if (status === 409) found.push(key)
    }
    return found
  }
  const at = (offset, sub_offset) => fork({ fork_pointer: { offset, sub_offset } })
  const forks = [await at(begin, 1), await at(begin, 2), await at(then, 2), await fork({})]
  const again = await w.post(`/_electric/entities${forks[1]}/fork`, {})
  const found = []
  for (const url of [...forks, again.json.root.url]) found.push(await there(url))
  assert.deepEqual(found, [['kept'], ['kept', 'gone'], ['kept', 'late'], ['kept', 'late', 'later'], ['kept', 'gone']])
  assert.deepEqual(await there(forks[0]), ['kept', 'gone', 'late', 'later'], 'and what it got since')
  assert.equal((await add('gone')).status, 201, 'its source has keys of its own')
})

test('keys that are taken outlive a kill', async (t) => {
  const host = await startHost()
  const { w, agent, tell, row, add, write } = await working(t, { host })
  await tell(row('insert', 'a', {}))
  const mine = () => write('notes', insert({ mine: true }, 'b'), { of: agent.entity, ...bob })
  assert.equal((await mine()).status, 201)
  await host.kill()
  await host.restart()
  w.testId += ' after the restart'
  taken(await add('a'), 'notes', 'a')
  taken(await add('b'), 'notes', 'b')
  assert.equal((await mine()).status, 201, 'the same again')
})

test('a row that is taken away has no value, whatever was sent', async (t) => {
  const { w, url, write } = await collected(t)
  assert.equal((await write('todos', { operation: 'delete', key: 'k', value: { a: 1 } })).status, 200)
  assert.equal((await w.events(url, 'state:todos'))[0].value, undefined)
})

test('a value stays as it was sent', async (t) => {
  const { w, url, write } = await collected(t)
  const value = '{"n":12345678901234567890,"f":1.0,"s":"é"}'
  await write('notes', `{"operation":"insert","value":${value}}`)
  const { text } = await w.get(`${url}/main?offset=-1`)
  assert.ok(text.includes(value), text)
})

// Who wrote it.

test('each row says who wrote it, and nobody can say otherwise', async (t) => {
  const { w, url, write } = await collected(t, { as: 'user:alice' })
  const forged = { principal: principal('user', 'mallory') }
  for (const [as, stamp] of [['user:alice', principal('user', 'alice')], ['system:framework', principal('system', 'framework')]]) {
    const attempts = [
      insert({ headers: forged, ...forged, _principal: forged.principal }, 'k'),
      insert({}, 'k","headers":{"principal":{"id":"mallory"}},"x":"'),
      `{"operation":"insert","key":"k","value":{"a":1} }`,
      `{"operation":"delete","operation":"insert","value":{"a":1}}`,
    ]
    for (const body of attempts) {
      const answer = await write('todos', body, { as, headers: { 'x-principal': 'user:mallory' } })
      assert.equal(answer.status, 201, answer.text)
      assert.deepEqual((await w.events(url, 'state:todos')).at(-1).headers.principal, stamp)
    }
    for (const more of [{ headers: forged }, forged, { _principal: forged.principal }, { type: 'x' }]) {
      refuses(await write('todos', { ...insert({}), ...more }, { as }), 400, INVALID, SCHEMA)
    }
  }
})

test('a key is kept as it was sent, quotes and all', async (t) => {
  const { w, url, write } = await collected(t)
  const key = 'k","headers":{},"x":"\\ü\n'
  assert.deepEqual((await write('notes', insert({}, key))).json, { key })
  assert.equal((await w.events(url, 'state:notes'))[0].key, key)
})

test('who may write to an entity may write to its collections', async (t) => {
  const { write } = await collected(t, { as: 'user:alice' })
  for (const [as, status] of [['user:alice', 201], ['system:framework', 201], [undefined, 201], ['user:bob', 401]]) {
    assert.equal((await write('notes', insert({}), { as })).status, status)
  }
})

// What a type declares. What is refused, and which refusal wins, is in routes/collections.test.mjs.

test('what counts is what the type says now', async (t) => {
  const { w, write } = await collected(t)
  assert.equal((await write('notes', insert({}))).status, 201)
  const kind = { name: w.name, description: 'd', externally_writable_collections: { more: { type: 'state:more' } } }
  assert.equal((await w.post('/_electric/entity-types', kind)).status, 201)
  refuses(await write('notes', insert({})), 403, 'UNAUTHORIZED', 'Collection "notes" is not writable')
  assert.equal((await write('more', insert({}))).status, 201)
})

test('a type without collections has none', async (t) => {
  const { write } = await collected(t, { externally_writable_collections: undefined })
  refuses(await write('notes', insert({})), 403, 'UNAUTHORIZED', 'Collection "notes" is not writable')
  refuses(await write('__proto__', insert({})), 403, 'UNAUTHORIZED', 'Collection "__proto__" is not writable')
})

// What comes of it.

test('a row wakes those who name its type, and nobody else', async (t) => {
  const { w, url, write } = await collected(t)
  const observers = {}
  for (const [id, condition] of Object.entries({
    named: { on: 'change', collections: ['state:todos'] },
    deletes: { on: 'change', collections: ['state:todos'], ops: ['delete'] },
    collection: { on: 'change', collections: ['todos'] },
    open: { on: 'change' },
    runs: 'runFinished',
  })) {
    observers[id] = (await w.spawn(w.name, id)).url
    await w.observe(observers[id], url, condition)
  }
  await write('todos', insert({ value: 1 }, 'k'))
  await write('todos', { operation: 'update', key: 'k', value: { value: 2, old_value: 1 } })
  await write('todos', { operation: 'delete', key: 'k' })
  const changes = async (id) => (await w.events(observers[id], 'wake')).flatMap((row) => row.value.changes)
  const change = (kind, more) => ({ collection: 'state:todos', kind, key: 'k', ...more })
  assert.deepEqual(await changes('named'), [
    change('insert', { value: 1 }),
    change('update', { value: 2, oldValue: 1 }),
    change('delete'),
  ])
  assert.deepEqual(await changes('deletes'), [change('delete')])
  for (const id of ['collection', 'open', 'runs']) assert.deepEqual(await changes(id), [])
})

test('a collection of runs does not make a run end', async (t) => {
  const { w, url, write } = await collected(t, {
    externally_writable_collections: { runs: { type: 'run', operations: ['insert', 'update'] } },
  })
  const parent = (await w.spawn(w.name, 'parent')).url
  await w.observe(parent, url, 'runFinished')
  assert.equal((await write('runs', { operation: 'update', key: 'r', value: { status: 'completed' } })).status, 200)
  assert.deepEqual(await w.events(parent, 'wake'), [])
})

test('a row of a manifest that somebody writes observes no more than its entity may', async (t) => {
  const { w, url, write } = await collected(t, {
    as: 'user:alice',
    externally_writable_collections: { manifests: { type: 'manifest' } },
  })
  const other = (await w.spawn(w.name, 'other', {}, { as: 'user:bob' })).url
  const row = { kind: 'child', entity_url: other, wake: { on: 'change' } }
  assert.equal((await write('manifests', insert(row, 'k'), { as: 'user:alice' })).status, 201)
  assert.deepEqual((await w.explain(url)).registrations, [])
})

test('a row dispatches the agent of its entity', async (t) => {
  const { w, write } = await collected(t)
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy })
  await write('notes', insert({}), { of: url })
  assert.equal((await w.woken(hook)).entity, url)
})
