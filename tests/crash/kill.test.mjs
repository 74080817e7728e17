// kill -9 at random moments, with restarts on the same data, while entities are spawned, sent to and woken. In the
// end: nothing acknowledged is missing, every wake that was due was delivered, a wake whose done was acknowledged did
// not come again, and a repeated delivery was the same wake or a later generation.
//
// 8 seconds, or 60 with REVEILLE_LONG=1. REVEILLE_SEED repeats the choices of a run (not its timing).
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { request } from '../harness/http.mjs'
import { pause, random } from '../harness/random.mjs'
import { receiver } from '../harness/receiver.mjs'
import { run } from '../harness/world.mjs'

const seconds = process.env.REVEILLE_LONG === '1' ? 60 : 8
const seed = Number(process.env.REVEILLE_SEED ?? Date.now() % 1_000_000_000)
const type = 'crash'
const runnerId = 'crash-runner'
// How much later than a reply another connection's request, sent before it, may still arrive.
const crossing = 250

test(`kill -9 for ${seconds} s (REVEILLE_SEED=${seed})`, { timeout: (seconds + 120) * 1_000 }, async (t) => {
  const host = await startHost({ virtual: false })
  t.after(() => host.dispose())
  const load = new Load(host.url, random(seed))
  t.after(() => load.end())
  await load.prepare()

  const working = load.begin().catch((error) => (load.failure ??= error))
  let kills = 0
  for (const until = Date.now() + seconds * 1_000; Date.now() < until; kills++) {
    await pause(200 + load.random(1_200))
    await host.kill()
    await host.restart()
  }
  load.over = true
  await working
  await host.kill()

  // From here time is virtual, so that leases and retries which the crashes left behind are over at once.
  await host.restart({ virtual: true })
  await load.drain()
  const found = await load.judge()
  t.diagnostic(`${kills + 1} kills; ${JSON.stringify(found)}`)
  assert.ok(found.spawns > 0 && found.sends > 0 && found.delayed > 0 && found.appends > 0 && found.childWakes > 0)
  assert.ok(found.byWebhook > 0 && found.byRunner > 0)
})

class Load {
  over = false
  ended = false
  busy = 0
  // The ledger: what the server has acknowledged, and what it has delivered.
  entities = [] // { url, parent }
  sends = new Map() // key → { url, delayed }, acknowledged
  tried = new Map() // key → { url }, whether or not
  appends = [] // { url, key }
  acked = new Map() // url → the highest offset acknowledged by a done
  finished = new Map() // wake id → when its done was acknowledged
  deliveries = [] // { subscription, wakeId, generation, at }
  claims = 0

  constructor(url, draw) {
    this.url = url
    this.draw = draw
  }

  random(below) {
    return Math.floor(this.draw() * below)
  }

  async prepare() {
    this.hook = await receiver()
    // An endpoint that is now and then slow, or out of order: so there are deliveries in flight when the server dies.
    this.hook.answer(async (delivery) => {
      const mood = this.random(10)
      const works = mood > 0
      this.deliver(delivery.json.subscription_id, delivery.json, Date.now(), works)
      if (mood < 5) await pause(this.random(500))
      return works ? { status: 200, body: { ok: true } } : { status: 500 }
    })
    await this.insist('POST', '/_electric/entity-types', { name: type, description: 'x' })
    await this.insist('POST', '/_electric/runners', { id: runnerId, label: 'x' })
    this.policies = [
      { targets: [{ type: 'webhook', url: this.hook.url }] },
      { targets: [{ type: 'runner', runnerId }] },
    ]
    this.tailing = this.tail()
  }

  async end() {
    this.ended = true
    await this.hook.close()
    await this.tailing
  }

  // Clients. Each command is one attempt: with an answer it counts, without one it may or may not have happened.

  begin() {
    return Promise.all([1, 2, 3].map((client) => this.client(client)))
  }

  async client(client) {
    for (let n = 0; !this.over; n++) {
      const name = `${client}-${n}`
      const parents = this.entities.filter(({ parent }) => !parent)
      const choice = this.random(10)
      if (parents.length === 0 || (choice === 0 && parents.length < 20)) await this.spawn(`parent-${name}`)
      else if (choice <= 3 && this.entities.length < seconds * 20) await this.spawn(`child-${name}`, this.pick(parents).url)
      else await this.send(`message-${name}`, this.pick(this.entities).url, choice >= 8 ? 1 + this.random(1_500) : 0)
      await pause(this.random(15))
    }
  }

  pick(list) {
    return list[this.random(list.length)]
  }

  async spawn(id, parent) {
    const wake = parent && { subscriberUrl: parent, condition: 'runFinished' }
    const body = { parent, wake, dispatch_policy: this.pick(this.policies), initialMessage: parent && 'go' }
    const answer = await this.attempt('PUT', `/_electric/entities/${type}/${id}`, body)
    if (answer?.status === 201) this.entities.push({ url: answer.json.url, parent })
    else assert.equal(answer, undefined, answer?.text)
  }

  async send(key, url, afterMs) {
    this.tried.set(key, { url })
    const answer = await this.attempt('POST', `/_electric/entities${url}/send`, { payload: key, key, afterMs })
    if (!answer) return
    assert.equal(answer.status, afterMs ? 204 : 200, answer.text)
    this.sends.set(key, { url, delayed: afterMs > 0 })
  }

  // Agents: every wake is claimed, answered with a run and done, however often the server goes away meanwhile.

  deliver(subscription, notification, at, works = true) {
    const { wakeId, epoch } = notification
    this.deliveries.push({ subscription, wakeId, generation: epoch, at })
    if (!works) return
    this.busy++
    this.work(notification)
      .catch((error) => (this.failure ??= error))
      .finally(() => this.busy--)
  }

  async work({ wakeId, epoch, claimToken, callback, streamPath, entity }) {
    const path = new URL(callback).pathname
    const headers = { authorization: `Bearer ${claimToken}` }
    const claimed = await this.insist('POST', path, { epoch, wakeId }, headers)
    if (claimed?.status !== 200) return this.fenced(claimed)
    const written = await this.insist('POST', streamPath, run(wakeId, `about ${wakeId}`), {
      authorization: `Bearer ${claimed.json.writeToken}`,
      'producer-id': `entity-${entity.url}`,
      'producer-epoch': String(epoch),
      'producer-seq': '0',
    })
    if (![200, 204].includes(written?.status)) return this.fenced(written)
    this.appends.push({ url: entity.url, key: wakeId })
    const offset = written.headers['stream-next-offset'] ?? (await this.insist('HEAD', streamPath))?.headers['stream-next-offset']
    const done = await this.insist('POST', path, { epoch, acks: [{ path: streamPath, offset }], done: true }, headers)
    if (done?.status === 200) this.finished.set(wakeId, Date.now())
    else this.fenced(done)
    // A done whose reply was lost is fenced when it is repeated: it may have counted.
    if (done?.status !== 200 && !done?.repeated) return
    if (offset > (this.acked.get(entity.url) ?? '')) this.acked.set(entity.url, offset)
  }

  // A wake that was delivered twice is worked on twice: the slower one finds the other's claim, token or done.
  fenced(answer) {
    if (answer) assert.ok([401, 403, 409].includes(answer.status), `${answer.status} ${answer.text}`)
  }

  async tail() {
    const path = `/runners/${runnerId}/wake`
    for (let offset = '-1'; !this.ended; ) {
      const answer = await this.attempt('GET', `${path}?offset=${offset}&live=long-poll`, undefined, {}, 60_000)
      if (!answer) {
        await pause(10)
        continue
      }
      offset = answer.headers['stream-next-offset'] ?? offset
      if (answer.status === 200) for (const event of answer.json) this.claim(event).catch((error) => (this.failure ??= error))
    }
  }

  async claim(event) {
    this.busy++
    try {
      const began = Date.now()
      const answer = await this.insist('POST', `/_electric/runners/${runnerId}/claim`, event)
      if (answer?.status !== 200) return assert.ok(!answer || [204, 409].includes(answer.status), answer?.text)
      this.claims++
      // A claim cannot cross its answer: what it gives was current when it was asked for.
      this.deliver(event.subscription_id, answer.json, began + crossing)
    } finally {
      this.busy--
    }
  }

  // The wire. A refused or broken connection is no answer, and neither is 503.

  async attempt(method, path, body, headers = {}, timeout = 10_000) {
    try {
      const answer = await request(this.url, method, path, { body, headers, timeout })
      return answer.status === 503 ? undefined : answer
    } catch {
      return undefined
    }
  }

  async insist(...command) {
    for (let repeated = false; !this.ended; repeated = true) {
      const answer = await this.attempt(...command)
      if (answer) return Object.assign(answer, { repeated })
      await pause(10)
    }
  }

  // The end.

  async drain() {
    const advance = async (advance_ms) => (await this.insist('POST', '/_reveille/dev/clock', { advance_ms })).json.now
    await advance(Math.max(0, Date.now() - (await advance(0))))
    let waiting
    for (let round = 0; round < 300; round++) {
      await advance(2_000)
      do await pause(10)
      while (this.busy > 0)
      if (this.failure) throw this.failure
      if (round % 10 === 9 && (waiting = await this.unserved()).length === 0) return
    }
    assert.fail(`still waiting for work: ${JSON.stringify(waiting)}`)
  }

  // Entities with a message or a wake that no done has covered, or that are not at rest.
  async unserved() {
    const waiting = []
    for (const { url } of this.entities) {
      const last = (await this.events(url)).filter((event) => ['inbox', 'wake'].includes(event.type)).at(-1)
      const { status } = (await this.insist('GET', `/_electric/entities${url}`)).json
      const acked = this.acked.get(url) ?? ''
      if (status !== 'idle' || (last && last.headers.offset > acked)) waiting.push({ url, status, acked, last: last?.headers.offset })
    }
    return waiting
  }

  async events(url) {
    const answer = await this.insist('GET', `${url}/main?offset=-1`)
    assert.equal(answer.status, 200, `${url}: ${answer.text}`)
    return answer.json
  }

  async judge() {
    const streams = new Map()
    for (const { url } of [...this.entities, ...this.appends]) {
      if (!streams.has(url)) streams.set(url, await this.events(url))
    }
    const of = (url, wanted) => streams.get(url).filter((event) => event.type === wanted)
    const ends = (url) => of(url, 'run').filter((event) => event.headers.operation === 'update')

    for (const { url } of this.entities) {
      assert.equal(of(url, 'entity_created').length, 1, `${url} was created once`)
      for (const wanted of ['inbox', 'wake']) {
        const keys = of(url, wanted).map(({ key }) => key)
        assert.deepEqual(keys, [...new Set(keys)], `${url} has each ${wanted} once`)
      }
    }
    for (const [key, { url }] of this.sends) {
      assert.ok(of(url, 'inbox').some((event) => event.key === key), `${key}, acknowledged, is missing from ${url}`)
    }
    for (const { url, key } of this.appends) {
      assert.equal(ends(url).filter((event) => event.key === key).length, 1, `run ${key}, acknowledged, is not once on ${url}`)
    }
    let childWakes = 0
    for (const { url, parent } of this.entities.filter((entity) => entity.parent)) {
      const wakes = of(parent, 'wake').filter((event) => event.value.source === url)
      assert.deepEqual(
        wakes.map((event) => event.value.changes[0].key),
        ends(url).map((event) => event.key),
        `each run of ${url} woke ${parent} once`,
      )
      for (const wake of wakes) assert.equal(wake.value.finished_child.response, `about ${wake.value.changes[0].key}`)
      childWakes += wakes.length
    }
    this.judgeDeliveries()
    return {
      spawns: this.entities.length,
      sends: [...this.sends.values()].filter(({ delayed }) => !delayed).length,
      delayed: [...this.sends.values()].filter(({ delayed }) => delayed).length,
      unanswered: this.tried.size - this.sends.size,
      appends: this.appends.length,
      childWakes,
      byWebhook: this.deliveries.length - this.claims,
      byRunner: this.claims,
      repeated: this.deliveries.length - new Set(this.deliveries.map(({ wakeId }) => wakeId)).size,
    }
  }

  judgeDeliveries() {
    const generations = new Map() // wake id → generation
    const wakes = new Map() // subscription and generation → wake id
    const highest = new Map() // subscription → { generation, at }
    for (const { subscription, wakeId, generation, at } of this.deliveries) {
      const name = `${subscription} generation ${generation} (${wakeId})`
      const done = this.finished.get(wakeId)
      assert.ok(done === undefined || at <= done + crossing, `${name} came again ${at - done} ms after its done`)
      assert.equal(generations.get(wakeId) ?? generation, generation, `${name} came with another generation before`)
      assert.equal(wakes.get(`${subscription} ${generation}`) ?? wakeId, wakeId, `${name} was another wake before`)
      generations.set(wakeId, generation)
      wakes.set(`${subscription} ${generation}`, wakeId)
      const top = highest.get(subscription)
      if (!top || generation > top.generation) highest.set(subscription, { generation, at })
      else if (generation < top.generation) assert.ok(at <= top.at + crossing, `${name} came after ${top.generation}`)
    }
  }
}
