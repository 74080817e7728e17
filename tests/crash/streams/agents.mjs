// Subscriptions, and the agents that serve them: by webhook and by claim, well and badly, however often the server goes
// away meanwhile. They keep what they were told and what was acknowledged of what they said.
import assert from 'node:assert/strict'

import { pause } from '../../harness/random.mjs'
import { receiver } from '../../harness/receiver.mjs'
import { signatureProblem } from '../../harness/signature.mjs'
import { offset } from './ledger.mjs'
import { root } from './wire.mjs'

const control = `${root}/__ds`
const wakeStreams = ['wakes/0', 'wakes/1']
// How much later than what came after it something may still arrive.
const crossing = 250

export class Agents {
  groups = []
  busy = 0
  /** Until the end agents are now and then slow, out of order, or gone. */
  moody = true
  /** Wakes that somebody has tried to end. */
  ending = new Set()

  constructor(load) {
    Object.assign(this, { load, wire: load.wire, choice: load.choice, count: load.count })
  }

  async begin() {
    this.hook = await receiver()
    this.hook.answer((delivery) => this.webhook(delivery))
    this.jwks = (await this.wire.insist('GET', `${control}/jwks.json`)).text
    for (let n = 0; n < 4; n++) await this.subscribe()
    for (const path of wakeStreams) this.load.background(this.tail(path))
  }

  async end() {
    await this.hook?.close()
  }

  /** A subscription with streams of its own, by a pattern or by their names. */
  async subscribe() {
    const n = this.groups.length
    const group = new Group(this, `s-${n}`, { webhook: n % 2 === 0, named: n % 4 >= 2, long: n % 3 > 0, wakes: wakeStreams[n % wakeStreams.length] })
    const body = {
      type: group.webhook ? 'webhook' : 'pull-wake',
      lease_ttl_ms: group.lease,
      ...(group.named ? { streams: [`${group.name}/none`] } : { pattern: `${group.name}/**` }),
      ...(group.webhook ? { webhook: { url: this.hook.url } } : { wake_stream: group.wakes }),
    }
    const answer = await this.wire.insist('PUT', group.path, { headers: json, body })
    assert.ok([200, 201].includes(answer.status), answer.text)
    this.groups.push(group)
  }

  // By webhook.

  async webhook({ headers, text, json: body, at }) {
    const header = headers['webhook-signature']
    const problem = signatureProblem({ header, body: text, jwks: JSON.parse(this.jwks), now: this.moody ? at : undefined })
    const group = this.groups.find(({ id }) => id === body.subscription_id)
    if (problem || !group) {
      this.load.fail(new Error(`a webhook for ${body.subscription_id}: ${problem ?? 'nobody subscribed'}`))
      return { status: 500 }
    }
    this.count.deliveries++
    const wake = this.taken(group, body, at)
    const mood = this.moody ? this.choice.below(10) : 9
    if (mood === 0) return { status: 500 }
    if (mood <= 2) {
      this.ending.add(wake.id)
      return { status: 200, body: { done: true } }
    }
    if (mood > 3 || group.long) this.load.background(this.work(wake, 'callback', body.callback_token))
    if (mood < 7) await pause(this.choice.below(300))
    return { status: 200, body: { ok: true } }
  }

  // By claim.

  async tail(name) {
    const highest = new Map()
    for (let at = offset(0); !this.wire.ended; ) {
      const answer = await this.wire.attempt('GET', `${root}/${name}?offset=${at}&live=long-poll`, { timeout: 120_000 })
      if (answer?.status !== 200) await pause(10)
      at = answer?.headers['stream-next-offset'] ?? at
      for (const event of answer?.status === 200 ? answer.json : []) {
        const { subscription_id, generation } = event
        const before = highest.get(subscription_id) ?? 0
        assert.ok(generation >= before, `${name}: generation ${generation} of ${subscription_id} stands after ${before}`)
        highest.set(subscription_id, generation)
        this.count.events++
        this.load.background(this.claim(this.groups.find(({ id }) => id === subscription_id)))
      }
    }
  }

  async claim(group) {
    if (this.moody) await pause(this.choice.below(50))
    const since = Date.now()
    const known = new Map(group.acked)
    const answer = await this.wire.insist('POST', `${group.path}/claim`, { headers: json, body: { worker: 'w' } })
    if (answer.status === 409) return assert.ok(['ALREADY_CLAIMED', 'NO_PENDING_WORK'].includes(answer.json.error.code), answer.text)
    assert.equal(answer.status, 200, answer.text)
    this.count.claims++
    const wake = this.taken(group, answer.json, since)
    for (const { path, acked_offset } of wake.streams) group.keeps(path, acked_offset, known.get(path), 'a claim')
    const mood = this.moody ? this.choice.below(10) : 9
    if (mood === 0 && !group.long) return
    if (mood === 1) {
      this.ending.add(wake.id)
      const released = await this.wire.insist('POST', `${group.path}/release`, this.proven(wake, answer.json.token))
      return this.judge(wake, released, 204)
    }
    await this.work(wake, 'ack', answer.json.token)
  }

  // What both do.

  taken(group, { wake_id: id, generation, streams }, since) {
    const wake = { group, id, generation, streams, until: since + group.lease - crossing, kills: this.load.kills }
    group.takes(wake, since)
    return wake
  }

  async work(wake, verb, token) {
    const { group } = wake
    if (this.moody) await pause(this.choice.below(10) < 2 ? 1_000 : this.choice.below(200))
    const acks = wake.streams.filter((one) => one.has_pending).map((one) => ({ stream: one.path, offset: one.tail_offset }))
    if (this.moody && this.choice.percent(40)) {
      const some = acks.filter(() => this.choice.percent(50))
      if (!(await this.say(wake, verb, token, { acks: some }))) return
      await pause(this.choice.below(group.long ? 1_500 : 300))
    }
    await this.say(wake, verb, token, { acks, done: true })
  }

  async say(wake, verb, token, what) {
    const ended = this.ending.has(wake.id)
    if (what.done) this.ending.add(wake.id)
    const since = Date.now()
    const answer = await this.wire.insist('POST', `${wake.group.path}/${verb}`, this.proven(wake, token, what))
    if (answer.status === 200) {
      wake.until = Math.max(wake.until, since + wake.group.lease - crossing)
      wake.group.acknowledged(what.acks, wake.generation)
      this.count.acks += what.acks.length
      if (this.load.kills > wake.kills) this.count.tokensAcrossKills++
      return true
    }
    if (answer.status === 409 && answer.json.error.code === 'INVALID_OFFSET') {
      wake.group.explains(what.acks, answer.text)
      return this.say(wake, verb, token, { acks: [], done: true })
    }
    // The wake is over: because somebody ended it, or this was said before and its answer was lost, or by its lease.
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.json.error.code, 'FENCED')
    if (answer.repeated && what.done) return
    this.judge(wake, answer, 409, ended || this.ending.has(wake.id))
  }

  judge(wake, answer, expected, ended = answer.repeated) {
    if (answer.status === expected && expected !== 409) return
    const over = ended || !this.moody || Date.now() > wake.until
    assert.ok(over, `${wake.group.id} generation ${wake.generation}: ${answer.text}, ${wake.until - Date.now()} ms before its lease ends`)
  }

  proven({ id, generation }, token, more) {
    const headers = { ...json, authorization: `Bearer ${token}` }
    return { headers, body: { wake_id: id, generation, ...more } }
  }

  // Judging.

  /** After a restart: the same key, and no cursor behind what was acknowledged. */
  async inspect() {
    assert.equal((await this.wire.insist('GET', `${control}/jwks.json`)).text, this.jwks, 'the keys')
    for (const group of this.groups) {
      const known = new Map(group.acked)
      const shown = await this.wire.json('GET', group.path)
      for (const { path, acked_offset } of shown.streams) group.keeps(path, acked_offset, known.get(path), 'what is shown')
    }
  }

  /** Links, of all that writers have made, that are not where their streams end. */
  async behind(streams) {
    const behind = []
    for (const group of this.groups) {
      const links = new Map((await this.wire.json('GET', group.path)).streams.map((link) => [link.path, link]))
      for (const stream of streams.filter((one) => one.group === group)) {
        const path = stream.path.slice(root.length + 1)
        const acked = links.get(path)?.acked_offset
        const tail = offset(stream.tail)
        if (stream.tail > 0 && acked !== tail) behind.push(`${group.id}: ${path} ${acked} of ${tail}`)
      }
    }
    return behind
  }

  /** Everything was brought to an agent, and generations never fell. */
  judgeDeliveries(streams) {
    for (const group of this.groups) group.judge()
    for (const { group, path, tail } of streams) {
      if (!group || tail === 0) continue
      const brought = group.brought.get(path.slice(root.length + 1))
      assert.equal(brought, offset(tail), `${path}: how far ${group.id} was brought`)
    }
  }
}

class Group {
  /** Paths, below the root, and how far each was brought to an agent, and acknowledged. */
  brought = new Map()
  acked = new Map()
  acks = [] // { path, offset, generation }
  taken = [] // { id, generation, at }

  constructor(agents, id, kind) {
    Object.assign(this, { agents, id, name: `of-${id}`, path: `${control}/subscriptions/${id}`, ...kind })
    this.lease = this.long ? 20_000 : 1_500
  }

  /** A stream is about to be made. */
  async expect(path) {
    if (!this.named) return
    const body = { streams: [path.slice(root.length + 1)] }
    const answer = await this.agents.wire.insist('POST', `${this.path}/streams`, { headers: json, body })
    assert.equal(answer.status, 204, answer.text)
  }

  takes({ id, generation, streams }, at) {
    this.taken.push({ id, generation, at })
    for (const { path, acked_offset, tail_offset } of streams) {
      assert.ok(acked_offset <= tail_offset, `${this.id}: ${path} is acknowledged to ${acked_offset} of ${tail_offset}`)
      if (tail_offset > (this.brought.get(path) ?? '')) this.brought.set(path, tail_offset)
    }
    // What was acknowledged under a wake that is over came before this one began.
    for (const ack of this.acks.filter((ack) => ack.generation < generation)) {
      const link = streams.find(({ path }) => path === ack.path)
      if (link) this.keeps(ack.path, link.acked_offset, ack.offset, `generation ${generation}`)
    }
  }

  acknowledged(acks, generation) {
    for (const { stream: path, offset } of acks) {
      if (offset > (this.acked.get(path) ?? '')) this.acked.set(path, offset)
      this.acks = this.acks.filter((ack) => ack.path !== path || ack.generation !== generation || ack.offset > offset)
      this.acks.push({ path, offset, generation })
    }
  }

  keeps(path, shown, known, where) {
    assert.ok(known === undefined || shown >= known, `${this.id}: ${path} was acknowledged to ${known}, but ${where} says ${shown}`)
  }

  /** An acknowledgement may only be out of place behind another, or when its stream has gone. */
  explains(acks, refusal) {
    const explained = acks.some(({ stream: path, offset }) => {
      return offset < (this.acked.get(path) ?? '') || this.agents.load.isGoing(`${root}/${path}`)
    })
    assert.ok(explained, `${this.id}: ${refusal}`)
  }

  judge() {
    const wakes = new Map() // generation → wake id
    let top
    for (const { id, generation, at } of this.taken) {
      const name = `${this.id} generation ${generation} (${id})`
      assert.equal(wakes.get(generation) ?? id, id, `${name} was another wake before`)
      wakes.set(generation, id)
      if (!top || generation > top.generation) top = { generation, at }
      else if (generation < top.generation) assert.ok(at <= top.at + crossing, `${name} came after ${top.generation}`)
    }
    assert.equal(new Set(wakes.values()).size, wakes.size, `${this.id}: each wake has one generation`)
  }
}

const json = { 'content-type': 'application/json' }
