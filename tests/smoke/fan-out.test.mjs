// Very many observe one source: an append commits with its first wakes, the rest follow a chunk at a time, in the order
// of the registrations and of the source, and none is lost or told twice. The rest may follow at any moment; it has when
// the clock was asked to move.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hostName, startHost } from '../harness/host.mjs'
import { changedKeys, note } from '../harness/observer.mjs'
import { jsonStream } from '../harness/subscription.mjs'
import { finish, run, world } from '../harness/world.mjs'

/** How many wakes commit with their cause. */
const CHUNK = hostName === 'worker' ? 64 : 256

const together = (count, work) => Promise.all(Array.from({ length: count }, (_, n) => work(n)))

/** One entity that observes a stream `count` times: each registration is told for itself. */
async function crowd(t, count, { host, source, condition = { on: 'change' }, ...more } = {}) {
  const w = await world(t, { host })
  await w.type()
  const { url } = await w.spawn(w.name, 'observer')
  const path = source ?? (await jsonStream(w, 'source')).path
  const observe = (manifestKey, by = url, of = path) => w.observe(by, of, condition, { ...more, manifestKey })
  await together(count, (n) => observe(`k${n}`))
  const append = async (...keys) => assert.equal((await w.post(path, keys.map((key) => note(key)))).status, 204)
  const rows = (of = url) => w.events(of, 'wake')
  /** The registrations that were told of a key, in the order of the rows. */
  const told = async (key) => registered((await rows()).filter((row) => changedKeys(row).includes(key)))
  return { w, url, path, observe, append, rows, told }
}

const registered = (rows) => rows.map((row) => Number(row.key.split('-')[1]))

function inOrder(registrations, count) {
  assert.equal(registrations.length, count)
  assert.deepEqual(registrations, [...new Set(registrations)].toSorted((a, b) => a - b), 'each once, the oldest first')
}

test('the first are told with the append, the rest soon after, and nobody twice', async (t) => {
  const { w, append, told } = await crowd(t, CHUNK + 40)
  await append('one')
  const first = await told('one')
  assert.ok(first.length >= CHUNK, `${first.length} wakes have committed with their cause`)
  await w.advance(0)
  const all = await told('one')
  inOrder(all, CHUNK + 40)
  assert.deepEqual(all.slice(0, first.length), first)
  await w.advance(60_000)
  assert.equal((await told('one')).length, CHUNK + 40)
})

test('as many as are told with the append leave nothing for later', async (t) => {
  const { w, append, rows } = await crowd(t, CHUNK)
  await append('one')
  const all = await rows()
  assert.equal(all.length, CHUNK)
  await w.advance(60_000)
  assert.deepEqual(await rows(), all)
})

test('appends that come meanwhile are told behind those before them', async (t) => {
  const { w, append, rows, told } = await crowd(t, CHUNK + 40)
  for (const keys of [['one'], ['two', 'three'], ['four']]) await append(...keys)
  await w.advance(0)
  for (const key of ['one', 'two', 'three', 'four']) inOrder(await told(key), CHUNK + 40)
  const order = (await rows()).map((row) => changedKeys(row)[0])
  for (const [before, after] of [['one', 'two'], ['one', 'three'], ['two', 'four'], ['three', 'four']]) {
    assert.ok(order.lastIndexOf(before) < order.indexOf(after), `${before} before ${after}`)
  }
})

test('entities of their own are told each for itself, the last like the first', async (t) => {
  const { w, observe, append, rows } = await crowd(t, 0)
  const urls = Array.from({ length: CHUNK + 40 }, (_, n) => `/${w.name}/e${n}`)
  await together(urls.length, (n) => w.put(`/_electric/entities${urls[n]}`, {}))
  await together(urls.length, (n) => observe('k', urls[n]))
  for (const key of ['one', 'two']) await append(key)
  await w.advance(0)
  const keys = await together(urls.length, async (n) => (await rows(urls[n])).flatMap(changedKeys))
  for (const told of keys) assert.deepEqual(told, ['one', 'two'])
})

test('who registers after an append is not woken by it', async (t) => {
  const { w, observe, append, rows } = await crowd(t, CHUNK + 3)
  const { url: late } = await w.spawn(w.name, 'late')
  await append('one')
  await observe('late', late)
  await w.advance(0)
  await append('two')
  await w.advance(0)
  assert.deepEqual((await rows(late)).map(changedKeys), [['two']])
})

test('who is gone before the rest follows is told nothing later', async (t) => {
  const { w, path, observe, append, rows } = await crowd(t, CHUNK)
  const [gone, dead, last] = await Promise.all(['gone', 'dead', 'last'].map(async (id) => (await w.spawn(w.name, id)).url))
  for (const url of [gone, dead, last]) await observe('k', url)
  await append('one')
  await w.post('/_electric/wake/unregister', { subscriberUrl: gone, sourceUrl: path })
  await w.delete(`/_electric/entities${dead}`)
  const before = [await rows(gone), await rows(dead)]
  await w.advance(0)
  await append('two')
  await w.advance(0)
  assert.deepEqual([await rows(gone), await rows(dead)], before)
  assert.deepEqual((await rows(last)).map(changedKeys), [['one'], ['two']])
})

test('debounce, timeout and one-shot hold for the last as for anybody', async (t) => {
  const { w, path, append, rows } = await crowd(t, CHUNK)
  const { url: last } = await w.spawn(w.name, 'last')
  await w.observe(last, path, { on: 'change' }, { debounceMs: 100, timeoutMs: 500, oneShot: true })
  for (const key of ['one', 'two']) await append(key)
  await w.advance(0)
  assert.deepEqual(await rows(last), [])
  await w.advance(100)
  assert.deepEqual((await rows(last)).map(changedKeys), [['one', 'two']])
  await append('three')
  await w.advance(60_000)
  assert.equal((await rows(last)).length, 1)
})

test('the last of those who observe a child has its answer too', async (t) => {
  const { w, url, observe } = await crowd(t, 0, { condition: 'runFinished' })
  const parent = (await w.spawn(w.name, 'parent')).url
  const child = await w.working(w.name, 'child', { parent })
  await together(CHUNK + 3, (n) => observe(`k${n}`, url, child.entity))
  await observe('k', parent, child.entity)
  await child.append(run('run-0', 'four').slice(0, 2))
  await child.append([finish('run-0')])
  await w.advance(0)
  const [{ value }] = await w.events(parent, 'wake')
  assert.deepEqual(value.finished_child, { url: child.entity, type: w.name, run_status: 'completed', response: 'four' })
})

test('the last of those who observe is woken, by webhook', async (t) => {
  const { w, observe, append } = await crowd(t, CHUNK)
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy })
  await observe('k', url)
  await append('one')
  await w.advance(0)
  assert.equal((await w.woken(hook)).entity, url)
})

test('a source that is deleted meanwhile has told everybody all the same', async (t) => {
  const { w, path, append, told } = await crowd(t, 3 * CHUNK + 3)
  await append('one')
  assert.equal((await w.delete(path)).status, 204)
  await w.advance(0)
  inOrder(await told('one'), 3 * CHUNK + 3)
})

test('with a source that is killed go the registrations on it, the oldest having been told', async (t) => {
  const { w, url, observe, told } = await crowd(t, 0)
  const work = await w.working(w.name, 'source')
  await together(3 * CHUNK + 3, (n) => observe(`k${n}`, url, work.entity))
  await work.append([note('one')])
  await w.delete(`/_electric/entities${work.entity}`)
  await w.advance(0)
  assert.deepEqual((await w.explain(url)).registrations, [])
  const first = await told('one')
  assert.ok(first.length >= CHUNK, `${first.length} wakes have committed with their cause`)
  inOrder(first, first.length)
})

for (const end of ['stop', 'kill']) {
  test(`a ${end} in the middle loses nobody, and tells nobody twice`, async (t) => {
    const host = await startHost()
    const count = 2 * CHUNK + 40
    const { w, append, told } = await crowd(t, count, { host })
    await append('one')
    await append('two')
    await host[end]()
    await host.restart()
    w.testId += ' after the restart'
    await append('three')
    await w.advance(0)
    for (const key of ['one', 'two', 'three']) inOrder(await told(key), count)
  })
}
