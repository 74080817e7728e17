// Whom a membership stream wakes, and that it sleeps while nobody looks at it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { membership, team, told } from '../harness/membership.mjs'

// Whom it wakes.

const members = { on: 'change', collections: ['members'] }

/** An entity that observes the team from outside, and one within. */
async function observed(t, options) {
  const made = await team(t, options)
  const { w, path, spawn } = made
  const outside = await spawn('outside', {})
  await w.observe(outside, path, members)
  const changes = async (url = outside) => (await w.events(url, 'wake')).flatMap((row) => row.value.changes.map(({ kind, key }) => [kind, key]))
  return { ...made, outside, changes }
}

test('joining, leaving and tags wake; a status or a time does not', async (t) => {
  const { w, path, spawn, tag, untag, signal, changes, outside } = await observed(t)
  const url = await spawn('a')
  assert.deepEqual(await changes(), [['insert', url]])
  await tag(url, 'x', '1')
  assert.deepEqual((await changes())[1], ['update', url])
  await w.advance(1_000)
  for (const name of ['SIGSTOP', 'SIGCONT', 'SIGUSR']) await signal(url, name)
  assert.equal((await changes()).length, 2)
  await untag(url, 'team')
  assert.deepEqual((await changes())[2], ['delete', url])
  const [row] = await w.events(outside, 'wake')
  assert.deepEqual([row.value.source, row.value.changes], [path, [{ collection: 'members', kind: 'insert', key: url }]])
})

test('the work of a member wakes nobody, nor does its end', async (t) => {
  const { w, tags, changes } = await observed(t)
  const work = await w.working(w.name, 'a', { tags })
  await work.done()
  await w.delete(`/_electric/entities${work.entity}`)
  assert.deepEqual(await changes(), [['insert', work.entity]])
})

test('a member is not woken by what is said of itself, and is by what is said of others', async (t) => {
  const { w, path, spawn, tag, untag, changes } = await observed(t)
  const [one, two] = [await spawn('one'), await spawn('two')]
  for (const url of [one, two]) await w.observe(url, path, members)
  await tag(one, 'x', '1')
  assert.deepEqual([await changes(one), await changes(two)], [[], [['update', one]]])
  await untag(two, 'team')
  await tag(two, 'team', w.name)
  assert.deepEqual(await changes(one), [['delete', two], ['insert', two]])
  assert.deepEqual(await changes(two), [['update', one]])
})

test('who names nothing, or something else, is not woken', async (t) => {
  const { w, path, spawn } = await team(t)
  const conditions = [{ on: 'change' }, { on: 'change', collections: ['member'] }, 'runFinished', { ...members, ops: ['delete'] }]
  const urls = []
  for (const [n, condition] of conditions.entries()) {
    urls.push(await spawn(`o${n}`, {}))
    await w.observe(urls[n], path, condition)
  }
  await spawn('a')
  for (const url of urls) assert.deepEqual(await w.events(url, 'wake'), [])
})

test('those who are there when a stream is made wake nobody who asks later', async (t) => {
  const { w, path, spawn } = await team(t)
  await spawn('early')
  const late = await spawn('late', {})
  await w.observe(late, path, members)
  assert.deepEqual(await w.events(late, 'wake'), [])
  await spawn('new')
  assert.equal((await w.events(late, 'wake')).length, 1)
})

for (const end of ['stop', 'kill']) {
  test(`a membership outlives a ${end}`, async (t) => {
    const host = await startHost()
    const { w, tags, path, spawn, tag, untag, told, changes } = await observed(t, { host })
    const url = await spawn('a')
    const before = await w.read(path)
    await host[end]()
    await host.restart()
    w.testId += ' after the restart'
    assert.deepEqual(await w.read(path), before)
    assert.equal(await membership(w, tags), path)
    const other = await spawn('b')
    await tag(url, 'x', '1')
    await untag(other, 'team')
    assert.deepEqual(await told(), [['insert', url], ['insert', other], ['update', url], ['delete', other]])
    assert.deepEqual(await changes(), await told())
  })
}

// Sleep. A look is remembered up to a minute too long.

const QUARTER = 15 * 60_000

/** A team whose stream has slept while somebody joined, left, changed and came and went. */
async function slept(t, options) {
  const made = await team(t, options)
  const { w, tags, path, spawn, tag, untag } = made
  const [stays, changes, leaves] = [await spawn('stays'), await spawn('changes'), await spawn('leaves')]
  const [joins, never] = [await spawn('joins', {}), await spawn('never', {})]
  assert.deepEqual(await made.told(), [stays, changes, leaves].map((url) => ['insert', url]))
  await w.advance(QUARTER + 60_000)
  await tag(changes, 'x', '1')
  await untag(leaves, 'team')
  await tag(joins, 'team', w.name)
  await tag(never, 'team', w.name)
  await untag(never, 'team')
  const comes = await spawn('comes', tags)
  const missed = [['update', changes], ['delete', leaves], ['insert', joins], ['insert', comes]]
  /** What the stream says after the first three, read by whoever has woken it. */
  const since = async () => (await told(w, path)).slice(3)
  return { ...made, stays, missed, since }
}

test('who reads what nobody has looked at is told the last of it, and then what was missed', async (t) => {
  const { w, path, missed, since, spawn, told } = await slept(t)
  assert.equal((await told()).length, 3)
  await w.eventually(async () => assert.deepEqual(await since(), missed))
  const url = await spawn('later')
  assert.deepEqual((await since()).at(-1), ['insert', url])
  const folded = new Map((await w.read(path)).map((event) => [event.key, event.value]))
  for (const [member, value] of folded) {
    const { tags, status, updated_at } = await w.entity(member)
    if (value) assert.deepEqual([value.tags, value.status, value.updated_at], [tags, status, updated_at])
    else assert.notEqual(tags.team, w.name)
  }
})

test('who asks for what nobody has looked at finds what was missed', async (t) => {
  const { w, tags, path, missed, since } = await slept(t)
  assert.equal(await membership(w, tags), path)
  assert.deepEqual(await since(), missed)
})

test('who observes what nobody has looked at is woken by what was missed', async (t) => {
  const { w, path, missed, since, spawn } = await slept(t)
  const outside = await spawn('outside', {})
  await w.observe(outside, path, members)
  await w.advance(0)
  assert.deepEqual(await since(), missed)
  const rows = await w.events(outside, 'wake')
  assert.deepEqual(rows.flatMap((row) => row.value.changes.map(({ kind, key }) => [kind, key])), missed)
})

test('what is observed does not fall asleep', async (t) => {
  const { w, spawn, changes } = await observed(t)
  await w.advance(4 * QUARTER)
  const url = await spawn('a')
  assert.deepEqual(await changes(), [['insert', url]])
})

test('who follows a stream that sleeps is told at once what was missed', async (t) => {
  const { w, path, missed } = await slept(t)
  const reader = await w.follow(`${path}?offset=now&live=sse`)
  const all = []
  while (all.length < missed.length) {
    const event = await reader.next()
    if (event.event === 'data') all.push(...event.data.map(({ headers, key }) => [headers.operation, key]))
  }
  assert.deepEqual(all, missed)
})

test('what sleeps outlives a kill', async (t) => {
  const host = await startHost()
  const { w, tags, path, missed, since } = await slept(t, { host })
  await host.kill()
  await host.restart()
  w.testId += ' after the restart'
  assert.equal(await membership(w, tags), path)
  assert.deepEqual(await since(), missed)
})
