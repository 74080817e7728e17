// Tags of an entity, set and taken away one by one: its stream says so in the same commit.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, MS, OFFSET } from '../harness/like.mjs'
import { iso } from '../harness/observer.mjs'
import { refuses } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const INVALID = 'INVALID_REQUEST'

async function tagged(t, tags = {}, { as } = {}) {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', { tags }, { as })
  const path = (key, of = url) => `/_electric/entities${of}/tags/${encodeURIComponent(key)}`
  const set = (key, value, { of, ...options } = {}) => w.post(path(key, of), { value }, options)
  const remove = (key, { of, ...options } = {}) => w.delete(path(key, of), options)
  const events = () => w.events(url, 'tags')
  return { w, url, path, set, remove, events }
}

test('a tag is set, changed and taken away, and each says what the entity is then', async (t) => {
  const { w, url, set, remove, events } = await tagged(t, { keep: '1' })
  const before = await w.entity(url)
  const steps = [
    [() => set('k', 'a'), { k: 'a', keep: '1' }, 'insert', { key: 'k', value: 'a' }],
    [() => set('k', 'b'), { k: 'b', keep: '1' }, 'update', { key: 'k', value: 'b' }],
    [() => remove('k'), { keep: '1' }, 'delete', undefined],
    [() => set('k', ''), { k: '', keep: '1' }, 'insert', { key: 'k', value: '' }],
  ]
  for (const [step, tags, operation, value] of steps) {
    const now = await w.advance(1_000)
    const answer = await step()
    assert.equal(answer.status, 200, answer.text)
    like(answer.json, { ...before, tags: Object, updated_at: now, txid: MS })
    assert.deepEqual(answer.json.tags, tags)
    const { txid, ...entity } = answer.json
    assert.deepEqual(await w.entity(url), entity)
    like((await events()).at(-1), {
      type: 'tags',
      key: 'k',
      value,
      headers: { timestamp: iso(now), operation, offset: OFFSET },
    })
  }
  assert.equal((await events()).length, steps.length)
})

test('what changes nothing is no event, and has no txid', async (t) => {
  const { w, url, set, remove, events } = await tagged(t, { k: 'a' })
  const before = await w.entity(url)
  await w.advance(1_000)
  for (const answer of [await set('k', 'a'), await remove('never')]) {
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual(answer.json, before)
  }
  assert.deepEqual(await events(), [])
})

test('tags that are set all at once are told in the order in which they were set', async (t) => {
  const { w, url, set, events } = await tagged(t)
  const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => set('k', String(n))))
  const commits = new Map(answers.map(({ json }) => [json.tags.k, json.txid]))
  const told = await events()
  const inOrder = told.map((event) => commits.get(event.value.value))
  assert.equal(commits.size, 40)
  // Some may have been set in one commit.
  assert.deepEqual(inOrder, inOrder.toSorted((a, b) => a - b))
  assert.deepEqual(told.map((event) => event.headers.operation), ['insert', ...Array(39).fill('update')])
  assert.equal((await w.entity(url)).tags.k, told.at(-1).value.value)
})

test('a key may be anything that a path can say, a value any text', async (t) => {
  const { w, url, set, remove, events } = await tagged(t)
  for (const key of ['a/b', 'a b', 'ü', '%', '"', '__proto__', '10']) {
    assert.equal((await set(key, `"${key}\n`)).status, 200)
    assert.deepEqual((await w.entity(url)).tags, JSON.parse(JSON.stringify({ [key]: `"${key}\n` })))
    assert.equal((await events()).at(-1).key, key)
    assert.equal((await remove(key)).status, 200)
  }
})

test('a value of 4096 bytes is not too long, of 4097 it is: in bytes, not in letters', async (t) => {
  const { set } = await tagged(t)
  assert.equal((await set('k', 'ü'.repeat(2_048))).status, 200)
  refuses(await set('k', 'ü'.repeat(2_048) + 'x'), 400, INVALID)
})

test('an entity has 256 tags at most; those it has may change', async (t) => {
  const tags = Object.fromEntries(Array.from({ length: 255 }, (_, n) => [`k${n}`, 'v']))
  const { url, set, remove } = await tagged(t, tags)
  assert.equal((await set('last', 'v')).status, 200)
  refuses(await set('more', 'v'), 409, 'LIMIT_EXCEEDED', `${url} already has the most tags that an entity may`)
  assert.equal((await set('last', 'w')).status, 200)
  assert.equal((await remove('last')).status, 200)
  assert.equal((await set('more', 'v')).status, 200)
})

test('no entity is born with more than 256 tags, and no fork with more than that of its source’s and its own', async (t) => {
  const { w, url } = await tagged(t, { own: 'v' })
  const many = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']))
  const fork = (tags) => w.post(`/_electric/entities${url}/fork`, { instance_id: 'fork', tags })
  const spawn = (tags) => w.put(`/_electric/entities/${w.name}/born`, { tags })
  for (const answer of [await spawn(many(257)), await fork(many(257))]) {
    assert.deepEqual([answer.status, answer.json.error.details], [400, [{ path: '/tags', message: 'must NOT have more than 256 properties' }]])
  }
  refuses(await fork(many(256)), 409, 'LIMIT_EXCEEDED', `${url} already has the most tags that an entity may`)
  for (const answer of [await spawn(many(256)), await fork({ ...many(255), own: 'w' })]) {
    assert.equal(answer.status, 201, answer.text)
    assert.equal(Object.keys((await w.entity((answer.json.root ?? answer.json).url)).tags).length, 256)
  }
})

test('who may write to an entity may tag it', async (t) => {
  const { set } = await tagged(t, {}, { as: 'user:alice' })
  for (const [as, status] of [['user:alice', 200], ['system:framework', 200], [undefined, 200], ['user:bob', 401]]) {
    assert.equal((await set('k', String(as), { as })).status, status)
  }
})

test('a claim’s token tells nobody who tags', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'work')
  await w.observe(work.entity, work.entity, { on: 'change', collections: ['tags'] })
  const headers = { authorization: `Bearer ${work.writeToken}` }
  const path = `/_electric/entities${work.entity}/tags/k`
  assert.equal((await w.post(path, { value: 'v' }, { headers })).status, 200)
  assert.equal((await w.post(path, { value: 'w' }, { headers: { authorization: 'Bearer nonsense' } })).status, 200)
  assert.equal((await w.events(work.entity, 'wake')).length, 2)
})

test('a tag wakes those who name tags, with its value, and nobody else', async (t) => {
  const { w, url, set, remove } = await tagged(t)
  const observers = {}
  for (const [id, condition] of Object.entries({
    named: { on: 'change', collections: ['tags'] },
    updates: { on: 'change', collections: ['tags'], ops: ['update'] },
    open: { on: 'change' },
    other: { on: 'change', collections: ['inbox'] },
    runs: 'runFinished',
  })) {
    observers[id] = (await w.spawn(w.name, id)).url
    await w.observe(observers[id], url, condition)
  }
  await set('k', 'a')
  await set('k', 'a')
  await set('k', 'b')
  await remove('k')
  const changes = async (id) => (await w.events(observers[id], 'wake')).flatMap((row) => row.value.changes)
  const change = (kind, value) => ({ collection: 'tags', kind, key: 'k', ...(value && { value }) })
  assert.deepEqual(await changes('named'), [change('insert', 'a'), change('update', 'b'), change('delete')])
  assert.deepEqual(await changes('updates'), [change('update', 'b')])
  for (const id of ['open', 'other', 'runs']) assert.deepEqual(await changes(id), [])
  assert.match((await w.events(observers.named, 'wake'))[0].value.timestamp, ISO)
})

test('a tag dispatches the agent of its entity', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  await w.post(`/_electric/entities${url}/tags/k`, { value: 'v' })
  assert.equal((await w.woken(hook)).entity, url)
})
