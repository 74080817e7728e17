// A panic is a trap: it is answered, undone, and harms nothing beside it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { join } from 'node:path'

import { openDatabase } from '../npm/sqlite-node.js'
import { directory, eventually, events, pause, read, reveille } from './fixture.mjs'

const panic = (w, more) => w.ask('POST', '/_reveille/dev/panic', '', more)
const timer = (w, in_ms, panic) => w.ask('POST', '/_reveille/dev/timer', { in_ms, panic })

test('the commands of its batch run again without it, in order', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  const commands = []
  for (let n = 0; n < 10; n++) commands.push(w.ask('POST', '/s', [n]), ...(n % 4 === 1 ? [panic(w)] : []))
  const statuses = (await Promise.all(commands)).map(({ status }) => status)
  assert.equal(statuses.filter((status) => status === 500).length, 3)
  assert.equal(statuses.filter((status) => status < 300).length, 10)
  assert.deepEqual(await read(w, '/s'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a 500 is an envelope that a browser may read', async (t) => {
  const w = reveille(t)
  const answer = await panic(w)
  assert.equal(answer.status, 500)
  assert.deepEqual(await answer.json(), { error: { code: 'INTERNAL_SERVER_ERROR', message: 'Internal server error' } })
  assert.equal(answer.headers.get('access-control-allow-origin'), '*')
  assert.match(w.problems[0], /Trap/)
})

test('no other tenant notices', async (t) => {
  const w = reveille(t)
  await w.stream('/s', { tenant: 'b' })
  const poll = w.ask('GET', '/s?offset=now&live=long-poll', undefined, { tenant: 'b' })
  await pause(5)
  await panic(w, { tenant: 'a' })
  await w.ask('POST', '/s', ['here'], { tenant: 'b' })
  assert.deepEqual(await (await poll).json(), ['here'])
})

test('live reads of the same tenant go on', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  const follower = events(await w.ask('GET', '/s?offset=-1&live=sse'))
  await follower.next()
  const poll = w.ask('GET', '/s?offset=now&live=long-poll')
  await pause(5)
  await panic(w)
  await w.ask('POST', '/s', ['still here'])
  assert.deepEqual((await follower.next()).data, ['still here'])
  assert.deepEqual(await (await poll).json(), ['still here'])
  await follower.cancel()
})

test('a timer that panics stops no other timer, and is tried again later', async (t) => {
  const w = reveille(t)
  const type = { name: 'task', description: 'a task' }
  assert.equal((await w.ask('POST', '/_electric/entity-types', type)).status, 201)
  assert.equal((await w.ask('PUT', '/_electric/entities/task/a', {})).status, 201)
  await timer(w, 20, true)
  await w.ask('POST', '/_electric/entities/task/a/send', { payload: 'late', afterMs: 30 })
  await timer(w, 25, true)
  const inbox = async () => (await read(w, '/task/a/main')).filter(({ type }) => type === 'inbox')
  await eventually(async () => assert.equal((await inbox()).length, 1))
  await w.ask('POST', '/_electric/entities/task/a/send', { payload: 'later', afterMs: 1 })
  await eventually(async () => assert.equal((await inbox()).length, 2))
  assert.ok(w.problems.length >= 2)
})

test('a request that waits for an effect is told to try again', async (t) => {
  let asked
  const answer = new Promise((resolve) => (asked = resolve))
  const w = reveille(t, { fetch: () => (asked(), new Promise(() => {})) })
  const type = { name: 'task', serve_endpoint: 'https://agents.test/task' }
  const parked = w.ask('POST', '/_electric/entity-types', type)
  await answer
  await panic(w)
  assert.equal((await parked).status, 503)
})

test('time goes on where a timer of the virtual clock panicked', async (t) => {
  const w = reveille(t, { virtual: true })
  const advance = async (ms) => (await (await w.ask('POST', '/_reveille/dev/clock', { advance_ms: ms })).json()).now
  const start = await advance(0)
  for (const [at, panics] of [[10, true], [10, true], [15, false], [20, true]]) await timer(w, at, panics)
  assert.equal(await advance(30), start + 30)
  assert.equal(await advance(86_400_000), start + 86_400_030)
})

test('what a read touches is remembered later when it cannot be at once', async (t) => {
  let full = false
  let uses = 0
  const open = () => {
    const database = openDatabase(join(directory(t), 'default.sqlite'))
    const transaction = (work) => {
      if (full) throw new Error('the disk is full')
      return database.transaction(work)
    }
    const run = (sql, params) => {
      if (sql.startsWith('UPDATE stream')) uses++
      return database.run(sql, params)
    }
    const rest = Object.fromEntries(['intact', 'written', 'close'].map((name) => [name, (...of) => database[name](...of)]))
    return { ...rest, run, transaction }
  }
  // The disk is full when the instance is made anew that follows the trap.
  const w = reveille(t, { open, log: (problem) => (full ||= /Trap/.test(problem)) })
  assert.equal((await w.ask('PUT', '/s', undefined, { headers: { 'content-type': 'application/json', 'stream-ttl': '5' } })).status, 201)
  const follower = events(await w.ask('GET', '/s?offset=-1&live=sse'))
  await follower.next()
  await pause(100) // a use is remembered when it moves the end by a 64th of the time
  await panic(w)
  await pause(5)
  full = false
  await eventually(async () => {
    const before = uses
    assert.deepEqual(await read(w, '/s'), [])
    await pause(5)
    assert.ok(uses > before)
  }, 1_000)
  await follower.cancel()
})
