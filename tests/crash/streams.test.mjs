// kill -9 at random moments, with restarts on the same data, while streams are made, appended to, closed, forked,
// followed and deleted, and subscriptions serve them. After each restart, and in the end: what was acknowledged is there,
// byte for byte and once; what was not is there wholly or not at all; what was deleted stays so; nobody has read what a
// crash took back; and every append to a stream that somebody subscribed to has reached an agent.
//
// 8 seconds, or 60 with REVEILLE_LONG=1. REVEILLE_SEED repeats the choices of a run (not its timing).
import assert from 'node:assert/strict'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { Choice, pause, random } from '../harness/random.mjs'
import { Agents } from './streams/agents.mjs'
import { root, Wire } from './streams/wire.mjs'
import { HotWriter, Writer } from './streams/writer.mjs'

const long = process.env.REVEILLE_LONG === '1'
const seconds = long ? 60 : 8
const seed = Number(process.env.REVEILLE_SEED ?? Date.now() % 1_000_000_000)

test(`streams: kill -9 for ${seconds} s (REVEILLE_SEED=${seed})`, { timeout: (seconds + 120) * 1_000 }, async (t) => {
  const args = ['--stream-root', root, '--long-poll', 500]
  const host = await startHost({ virtual: false, args })
  t.after(() => host.dispose())
  const load = new Load(host.url, new Choice(random(seed)))
  t.after(() => load.end())
  try {
    await load.begin()
    for (const until = Date.now() + seconds * 1_000; Date.now() < until && !load.failure; ) {
      await pause(200 + load.choice.below(1_200))
      load.sealed(database(host))
      await load.kill(host)
      await load.agents.inspect()
      if (load.kills % 8 === 0) await load.agents.subscribe()
    }
    load.over = true
    await load.settled()
    // From here time is virtual, so that leases and retries which the crashes left behind are over at once.
    load.sealed(database(host))
    await host.kill()
    await host.restart({ virtual: true })
    await load.judge()
  } catch (error) {
    throw load.failure ?? error
  } finally {
    t.diagnostic(`REVEILLE_SEED=${seed}: ${JSON.stringify({ kills: load.kills, ...load.count })}`)
  }
  await load.end()
  await host.stop()
  const stored = judgeStore(database(host))
  t.diagnostic(`in the store: ${JSON.stringify(stored)}`)
  const { count } = load
  for (const [what, n] of Object.entries(count)) assert.ok(n > 0 || (!long && rare.has(what)), `no ${what}`)
})

const hot = long ? ['hot', 'warm'] : ['hot']
// What a short run may do without.
const rare = new Set(['lost', 'kept', 'hadHappened', 'bulky', 'expired', 'subOffsets', 'tokensAcrossKills', 'retried', 'remade', 'segments'])

class Load {
  over = false
  kills = 0
  count = {
    created: 0,
    remade: 0,
    drawn: 0,
    appended: 0,
    retried: 0,
    hadHappened: 0, // of the retried: before the crash, unanswered
    kept: 0, // bare appends without an answer that are there
    lost: 0, // and those that are not
    echoes: 0,
    closed: 0,
    forks: 0,
    subOffsets: 0,
    deleted: 0,
    bulky: 0,
    expired: 0,
    compared: 0,
    followed: 0,
    deliveries: 0,
    events: 0,
    claims: 0,
    acks: 0,
    tokensAcrossKills: 0,
    segments: 0, // made while time was real
  }
  running = new Set()
  segments = new Set()

  constructor(url, choice) {
    this.choice = choice
    this.wire = new Wire(url)
    this.agents = new Agents(this)
    this.writers = [...['a', 'b', 'c', 'd'].map((name) => new Writer(name, this)), ...hot.map((name) => new HotWriter(name, this))]
  }

  async begin() {
    await this.agents.begin()
    this.writing = this.writers.map((writer) => writer.run().catch((error) => this.fail(error)))
  }

  fail(error) {
    if (this.wire.ended) return
    this.failure ??= error
    this.over = true
  }

  /** Work beside the writers; what goes wrong in it fails the test. */
  background(work) {
    const watched = work.catch((error) => this.fail(error)).finally(() => this.running.delete(watched))
    this.running.add(watched)
  }

  async kill(host) {
    await host.kill()
    this.kills++
    await host.restart()
  }

  /** Counts the segments that have come since the last time. */
  sealed(file) {
    const store = new DatabaseSync(file, { readOnly: true })
    for (const { stream, end } of store.prepare('SELECT stream, end FROM segment').all()) this.segments.add(`${stream}:${end}`)
    store.close()
    this.count.segments = this.segments.size
  }

  async settled() {
    await Promise.all(this.writing)
    if (this.failure) throw this.failure
  }

  async end() {
    this.over = this.wire.ended = true
    await this.agents.end()
  }

  /** Whether a stream was deleted, or may be any moment. */
  isGoing(path) {
    return !this.writers.some(({ streams }) => streams.some((stream) => stream.path === path && !stream.going))
  }

  async advance(ms) {
    return (await this.wire.json('POST', '/_reveille/dev/clock', { body: { advance_ms: ms } })).now
  }

  async judge() {
    const { agents, writers } = this
    agents.moody = false
    const streams = writers.flatMap((writer) => writer.streams)
    await this.advance(Math.max(0, Date.now() - (await this.advance(0))))
    let behind
    for (let round = 0; round < 300; round++) {
      await this.advance(2_000)
      await pause(20)
      if (this.failure) throw this.failure
      if (round % 10 === 9 && (behind = await agents.behind(streams)).length === 0) break
    }
    assert.deepEqual(behind, [], 'links that nobody was brought to the end of')
    agents.judgeDeliveries(streams)
    await agents.inspect()
    for (const writer of writers) {
      for (const stream of writer.streams) {
        await writer.compare(stream, 'in the end')
        await writer.echo(stream)
      }
      await writer.judgeFollowers()
      for (const { stream } of writer.mortals) await writer.absent(stream)
      for (const stream of writer.gone) await writer.absent(stream)
    }
    // An hour and a bit: windows end, what was swept in turns is gone.
    for (let minutes = 0; minutes < 70; minutes += 10) await this.advance(600_000)
    for (const stream of streams.filter(({ ttl }) => ttl)) {
      const { status } = await this.wire.insist('HEAD', stream.path)
      assert.equal(status, 404, `${stream.path}, whose window has passed`)
    }
    if (this.failure) throw this.failure
  }
}

function database(host) {
  return path.join(host.dataDir, 'reveille.sqlite')
}

/** What only the file shows: it is sound, and nothing is left of streams that are gone. */
function judgeStore(file) {
  const store = new DatabaseSync(file, { readOnly: true })
  const one = (query) => Object.values(store.prepare(query).get())[0]
  assert.equal(one('PRAGMA integrity_check'), 'ok')
  for (const table of ['entry', 'segment', 'producer', 'run', 'link']) {
    const left = one(`SELECT count(*) FROM ${table} WHERE stream NOT IN (SELECT id FROM stream)`)
    assert.equal(left, 0, `rows of ${table} whose stream is gone`)
  }
  assert.equal(one('SELECT count(*) FROM stream WHERE deleted = 1 AND refs <= 0'), 0, 'streams kept for no fork')
  const forks = '(SELECT count(*) FROM stream AS fork WHERE fork.source = stream.id)'
  assert.equal(one(`SELECT count(*) FROM stream WHERE refs <> ${forks}`), 0, 'streams with another number of forks than they count')
  assert.equal(one('SELECT count(*) FROM dead_timer'), 0, 'timers that failed')
  const found = {
    segments: one('SELECT count(*) FROM segment'),
    streams: one('SELECT count(*) FROM stream'),
    entries: one('SELECT count(*) FROM entry'),
  }
  store.close()
  return found
}
