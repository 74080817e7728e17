// Evaluation does not recurse: what the server writes because of an append, a wake, a schedule or a change of an entity
// begins nothing anew. Each test is a circle that could turn for ever, and does not.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { changedKeys, iso, manifestRow, note } from '../harness/observer.mjs'
import { finish, world } from '../harness/world.mjs'

const open = { on: 'change' }
const HOUR = 3_600_000

/** All collections that the server itself writes rows of. */
const everything = {
  on: 'change',
  collections: ['wake', 'inbox', 'tags', 'manifest', 'signal', 'entity_created', 'members', 'cron_tick', 'note', 'run', 'state:notes'],
}
const collections = { notes: { type: 'state:notes', operations: ['insert'] } }

async function circle(t, ...ids) {
  const w = await world(t)
  await w.type({ externally_writable_collections: collections })
  const urls = []
  for (const id of ids) urls.push((await w.spawn(w.name, id)).url)
  const wakes = async (url) => (await w.events(url, 'wake')).flatMap(changedKeys)
  return { w, urls, wakes }
}

/** Everything that others can have happen to an entity, one after the other. */
async function allThatHappens(w, url) {
  const entity = `/_electric/entities${url}`
  await w.send(url, 'hello', { key: 'message' })
  await w.send(url, 'later', { key: 'later', afterMs: 10 })
  await w.post(`${entity}/tags/tag`, { value: 'v' })
  await w.delete(`${entity}/tags/tag`)
  await w.post(`${entity}/collections/notes`, { operation: 'insert', key: 'row', value: {} })
  await w.put(`${entity}/schedules/s`, { scheduleType: 'future_send', fireAt: iso(await w.now()), payload: 'scheduled' })
  await w.put(`${entity}/schedules/c`, { scheduleType: 'cron', expression: '0 9 * * *', payload: 1 })
  await w.delete(`${entity}/schedules/c`)
  await w.advance(10)
}

// Two that observe each other.

test('two that observe each other, whatever it is, are each told once of what happened to the other', async (t) => {
  const { w, urls: [a, b], wakes } = await circle(t, 'a', 'b')
  for (const [one, other] of [[a, b], [b, a]]) await w.observe(one, other, everything)
  await allThatHappens(w, a)
  const told = await wakes(b)
  await w.advance(HOUR)
  assert.deepEqual(await wakes(b), told)
  assert.deepEqual(await wakes(a), [], 'that b was told is nothing to tell a')
  const happened = ['message', 'tag', 'tag', 'row', 'schedule:s', 'schedule:c', 'schedule:c', 'schedule:s', 'later']
  assert.deepEqual(told.filter((key) => happened.includes(key)).toSorted(), happened.toSorted())
  assert.equal(told.length, happened.length + 1, 'and the message that was scheduled')
})

test('two that observe each other by open conditions are told nothing of what the server writes', async (t) => {
  const { w, urls: [a, b], wakes } = await circle(t, 'a', 'b')
  for (const [one, other] of [[a, b], [b, a]]) await w.observe(one, other, open)
  await allThatHappens(w, a)
  assert.deepEqual([await wakes(a), await wakes(b)], [[], []])
})

test('two that wait for each other to say nothing are told once, and then are quiet', async (t) => {
  const { w, urls: [a, b] } = await circle(t, 'a', 'b')
  for (const [one, other] of [[a, b], [b, a]]) await w.observe(one, other, everything, { timeoutMs: 100 })
  await w.advance(HOUR)
  for (const url of [a, b]) assert.deepEqual((await w.events(url, 'wake')).map((row) => row.value.timeout), [true])
})

test('two that gather what happens to each other do not gather each other’s wakes', async (t) => {
  const { w, urls: [a, b], wakes } = await circle(t, 'a', 'b')
  for (const [one, other] of [[a, b], [b, a]]) await w.observe(one, other, everything, { debounceMs: 100 })
  await w.send(a, 1, { key: 'message' })
  await w.advance(HOUR)
  assert.deepEqual([await wakes(a), await wakes(b)], [[], ['message']])
})

test('a ring of three is told one step', async (t) => {
  const { w, urls, wakes } = await circle(t, 'a', 'b', 'c')
  for (const [n, url] of urls.entries()) await w.observe(urls[(n + 1) % 3], url, everything)
  await w.send(urls[0], 1, { key: 'message' })
  assert.deepEqual(await Promise.all(urls.map(wakes)), [[], ['message'], []])
})

test('a parent and a child that observe each other’s runs', async (t) => {
  const { w } = await circle(t)
  const parent = await w.working(w.name, 'parent')
  const child = await w.working(w.name, 'child', { parent: parent.entity })
  await w.observe(parent.entity, child.entity, 'runFinished')
  await w.observe(child.entity, parent.entity, 'runFinished')
  await child.append([finish('run-0')])
  await w.advance(1_000)
  assert.equal((await w.events(parent.entity, 'wake')).length, 1)
  assert.deepEqual(await w.events(child.entity, 'wake'), [])
})

test('an explanation of what the server wrote says that an open condition did not match', async (t) => {
  const { w, urls: [a, b], wakes } = await circle(t, 'a', 'b')
  await w.observe(b, a, open)
  const from = (await w.events(a)).length
  await allThatHappens(w, a)
  assert.deepEqual(await wakes(b), [])
  const believed = []
  for (const { type, headers } of (await w.events(a)).slice(from)) {
    const { event } = await w.explain(b, { source: a, offset: headers.offset })
    if (event.events[0].registrations[0].matched) believed.push(type)
  }
  assert.deepEqual(believed, [])
})

// One that observes itself.

test('one that observes itself by an open condition is told nothing of what the server writes', async (t) => {
  const { w, urls: [a], wakes } = await circle(t, 'a')
  await w.observe(a, a, open)
  await allThatHappens(w, a)
  assert.deepEqual(await wakes(a), [])
})

test('one that observes everything of itself is told each thing once, and never of its wakes', async (t) => {
  const { w, urls: [a], wakes } = await circle(t, 'a')
  await w.observe(a, a, everything)
  await w.send(a, 1, { key: 'message' })
  await w.post(`/_electric/entities${a}/tags/tag`, { value: 'v' })
  assert.deepEqual(await wakes(a), ['message', 'tag'])
  await w.advance(HOUR)
  assert.deepEqual(await wakes(a), ['message', 'tag'])
})

test('one that observes its own wakes has none', async (t) => {
  const { w, urls: [a, b], wakes } = await circle(t, 'a', 'b')
  await w.observe(a, a, { on: 'change', collections: ['wake'] })
  await w.observe(a, b, { on: 'change', collections: ['inbox'] })
  await w.send(b, 1, { key: 'message' })
  assert.deepEqual(await wakes(a), ['message'])
})

test('one that observes itself and works is not told of its own work', async (t) => {
  const { w } = await circle(t)
  const work = await w.working(w.name, 'work')
  for (const [manifestKey, condition] of Object.entries({ open, everything, runs: 'runFinished' })) {
    await w.observe(work.entity, work.entity, condition, { manifestKey })
  }
  await work.append([note('mine'), finish('run-0'), manifestRow('k', { kind: 'child', entity_url: work.entity, wake: open })])
  assert.deepEqual(await w.events(work.entity, 'wake'), [])
  assert.equal((await work.done()).json.next_wake, false)
})

test('one that schedules itself a message and observes its manifest is told what became of it, once', async (t) => {
  const { w, wakes } = await circle(t)
  const work = await w.working(w.name, 'work')
  await w.observe(work.entity, work.entity, { on: 'change', collections: ['manifest'] })
  const row = { kind: 'schedule', scheduleType: 'future_send', fireAt: iso(await w.now()), targetUrl: work.entity, producerId: 'p', payload: 1 }
  await work.append([manifestRow('schedule:x', row)])
  await w.advance(1_000)
  assert.deepEqual(await wakes(work.entity), ['schedule:x'])
})

// One in the membership that it observes.

const members = { on: 'change', collections: ['members'] }

async function membership(t, ...ids) {
  const made = await circle(t)
  const { w } = made
  const tags = { team: w.name }
  const answer = await w.post('/_electric/observations/entities/ensure-stream', { tags })
  await w.advance(0)
  const urls = []
  for (const id of ids) urls.push((await w.spawn(w.name, id, { tags })).url)
  return { ...made, tags, urls, stream: answer.json.streamUrl }
}

test('an explanation of a membership says what wakes whom', async (t) => {
  const { w, urls: [a, b], stream } = await membership(t, 'a', 'b')
  for (const url of [a, b]) await w.observe(url, stream, members)
  await w.post(`/_electric/entities${b}/tags/x`, { value: '1' })
  await w.post(`/_electric/entities${b}/signal`, { signal: 'SIGSTOP' })
  const [tagged, paused] = (await w.read(stream)).slice(-2).map(({ headers }) => headers.offset)
  const matched = async (url, offset) => (await w.explain(url, { source: stream, offset })).event.events[0].registrations[0]
  assert.equal((await matched(a, tagged)).matched, true)
  assert.equal((await matched(a, paused)).matched, false, 'a status')
  assert.doesNotMatch((await matched(b, tagged)).why, /no longer remembered/, 'of itself')
})

test('one in the membership that it observes is told of others, and never of itself', async (t) => {
  const { w, urls: [a, b], stream, wakes } = await membership(t, 'a', 'b')
  await w.observe(a, stream, members)
  await allThatHappens(w, a)
  await w.post(`/_electric/entities${a}/signal`, { signal: 'SIGSTOP' })
  await w.post(`/_electric/entities${a}/signal`, { signal: 'SIGCONT' })
  assert.deepEqual(await wakes(a), [])
  await allThatHappens(w, b)
  assert.deepEqual(await wakes(a), [b, b], 'its tag came and went')
})

test('two in the membership that both observe do not wake each other by waking', async (t) => {
  const { w, tags, stream, wakes } = await membership(t)
  const hook = await w.hook()
  const urls = []
  for (const id of ['a', 'b']) {
    urls.push((await w.spawn(w.name, id, { tags, dispatch_policy: hook.policy })).url)
    await w.observe(urls.at(-1), stream, members)
  }
  const [a, b] = urls
  await w.observe(a, stream, open, { manifestKey: 'open' })
  const work = async () => {
    const wake = await w.woken(hook)
    await wake.claim()
    await wake.append([note('n')])
    assert.equal((await wake.done()).json.next_wake, false)
    return wake.entity
  }
  assert.equal(await work(), a, 'b has joined')
  await w.post(`/_electric/entities${b}/tags/x`, { value: '1' })
  const woken = [await work(), await work()]
  assert.deepEqual(woken.toSorted(), [a, b].toSorted(), 'b by its tag on its own stream, a by the membership')
  await w.settle()
  await w.advance(1_000)
  assert.deepEqual(hook.untaken, [])
  assert.deepEqual([await wakes(a), await wakes(b)], [[b, b], []])
})

test('one that leaves the membership that it observes, and comes back, is not told', async (t) => {
  const { w, urls: [a], stream, tags, wakes } = await membership(t, 'a')
  await w.observe(a, stream, members)
  await w.delete(`/_electric/entities${a}/tags/team`)
  await w.post(`/_electric/entities${a}/tags/team`, { value: tags.team })
  assert.deepEqual(await wakes(a), [])
})

test('one that observes who observes the membership is told nothing of wakes', async (t) => {
  const { w, urls: [a], stream, wakes, tags } = await membership(t, 'a')
  await w.observe(a, stream, everything)
  const { url: onlooker } = await w.spawn(w.name, 'onlooker')
  await w.observe(onlooker, a, everything)
  const { url: joined } = await w.spawn(w.name, 'joins', { tags })
  assert.deepEqual([await wakes(a), await wakes(onlooker)], [[joined], []])
})
