// What a smoke test stands on: the server under test, and names, entities, agents and runners of the test's own.
//
// The server is the one at REVEILLE_URL, or one that this process starts for itself. Its clock is virtual: it moves
// only by `advance`, so a test computes when a thing is due and never waits for it. Every request carries
// `reveille-test-id`, from which the server draws the randomness of that test.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after } from 'node:test'

import { startHost } from './host.mjs'
import { request, sse } from './http.mjs'
import { receiver } from './receiver.mjs'
import { shapeServer } from './shape-server.mjs'
import { signatureProblem } from './signature.mjs'

let shared
/** Grants of a type to everybody. */
export const everybody = ['user', 'agent', 'service', 'system'].map((kind) => ({
  subject_kind: 'principal_kind',
  subject_value: kind,
  permission: 'spawn',
}))

const keys = new Map()
const taken = new Set()

/** The server that all tests of this process share. */
export function server() {
  shared ??= process.env.REVEILLE_URL ? Promise.resolve({ url: process.env.REVEILLE_URL }) : startHost()
  return shared
}

after(async () => (await shared)?.dispose?.())

/**
 * A world for one test. What it made is killed and closed when the test ends; a `host` of the test's own, which it
 * may stop and restart, is disposed of.
 */
export async function world(t, { host } = {}) {
  const made = new World((host ?? (await server())).url, nameFor(t.name))
  t.after(() => made.end().finally(() => host?.dispose()))
  return made
}

// Readable and the same on every host. REVEILLE_RUN tells runs against one long-lived server apart.
function nameFor(title) {
  assert.ok(!taken.has(title), `two tests are called "${title}"`)
  taken.add(title)
  const words = title.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, 24).replace(/-$/, '')
  const salt = createHash('sha256').update((process.env.REVEILLE_RUN ?? '') + title).digest('hex').slice(0, 6)
  return `${words}-${salt}`
}

class World {
  #undo = []
  #types = 0

  constructor(url, name) {
    this.url = url
    this.name = name
    // After a restart a test goes on under another id, lest it draw the same numbers again.
    this.testId = name
  }

  async end() {
    for (const undo of this.#undo.reverse()) await undo()
  }

  // Requests. `as` is the principal, as it stands in the header.

  http(method, path, { as, headers, ...options } = {}) {
    const own = { 'reveille-test-id': this.testId }
    if (as) own['electric-principal'] = as
    return request(this.url, method, path, { ...options, headers: { ...own, ...headers } })
  }

  get(path, options) {
    return this.http('GET', path, options)
  }

  head(path, options) {
    return this.http('HEAD', path, options)
  }

  put(path, body, options) {
    return this.http('PUT', path, { body, ...options })
  }

  post(path, body, options) {
    return this.http('POST', path, { body, ...options })
  }

  delete(path, options) {
    return this.http('DELETE', path, options)
  }

  // Time.

  /** Moves the server's clock; every timer that falls due has run when this returns the new time. */
  async advance(ms) {
    const answer = await this.post('/_reveille/dev/clock', { advance_ms: ms })
    assert.equal(answer.status, 200, answer.text)
    return answer.json.now
  }

  now() {
    return this.advance(0)
  }

  /** Moves the clock step by step until the promise settles: for what is due at a moment the test cannot know. */
  async advanceUntil(promise, { step = 1_000, steps = 100 } = {}) {
    let settled = false
    const watched = promise.finally(() => (settled = true))
    watched.catch(() => {})
    for (let n = 0; n < steps && !settled; n++) {
      await this.advance(step)
      await Promise.race([watched.catch(() => {}), pause(5)])
    }
    assert.ok(settled, `still waiting after ${step * steps} ms on the server's clock`)
    return watched
  }

  /** Waits for what follows a real answer from outside the server: asks again until the check passes. */
  async eventually(check, within = 5_000) {
    for (const deadline = Date.now() + within; ; ) {
      try {
        return await check()
      } catch (error) {
        if (Date.now() > deadline) throw error
      }
      await pause(5)
    }
  }

  /** A few round trips: long enough for a request that was sent before to have reached the server. */
  async settle() {
    for (let n = 0; n < 5; n++) await this.get('/_electric/health')
  }

  // Types and entities.

  /** Registers a type that everybody may spawn, unless the body says otherwise, and gives its name. */
  async type(body = {}) {
    const name = body.name ?? (this.#types++ ? `${this.name}-${this.#types}` : this.name)
    const answer = await this.post('/_electric/entity-types', { name, description: 'a test type', permission_grants: everybody, ...body })
    assert.equal(answer.status, 201, answer.text)
    return name
  }

  /** Spawns an entity and gives the answer's body, with the header's token as `writeToken`. */
  async spawn(type, id, body = {}, options) {
    const answer = await this.put(`/_electric/entities/${type}/${id}`, body, options)
    assert.equal(answer.status, 201, answer.text)
    this.#undo.push(() => this.delete(`/_electric/entities/${type}/${id}`))
    return { ...answer.json, writeToken: answer.headers['x-write-token'] }
  }

  async entity(url) {
    const answer = await this.get(`/_electric/entities${url}`)
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }

  async send(url, payload, more = {}, options) {
    const answer = await this.post(`/_electric/entities${url}/send`, { payload, ...more }, options)
    assert.equal(answer.status, more.afterMs > 0 ? 204 : 200, answer.text)
    return answer.text && answer.json
  }

  /** All messages of a JSON stream. */
  async read(path, options) {
    const answer = await this.get(`${path}?offset=-1`, options)
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }

  /** All events of an entity's main stream, or those of one type. */
  async events(url, type) {
    const events = await this.read(`${url}/main`)
    return type ? events.filter((event) => event.type === type) : events
  }

  async tail(path) {
    const answer = await this.head(path)
    assert.equal(answer.status, 200)
    return answer.headers['stream-next-offset']
  }

  /** Registers a wake. */
  async observe(subscriberUrl, sourceUrl, condition, more = {}) {
    const answer = await this.post('/_electric/wake', { subscriberUrl, sourceUrl, condition, ...more })
    assert.equal(answer.status, 204, answer.text)
  }

  // What became of it, and why.

  async journal(url) {
    const answer = await this.get(`/_reveille/entities${url}/journal`)
    assert.equal(answer.status, 200, answer.text)
    return answer.json.steps
  }

  async explain(url, query = {}) {
    const answer = await this.get(`/_reveille/entities${url}/explain?${new URLSearchParams(query)}`)
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }

  // Agents.

  /** A webhook endpoint; `policy` is the dispatch policy that names it. */
  async hook() {
    const made = await receiver()
    this.#undo.push(() => made.close())
    return Object.assign(made, { policy: { targets: [{ type: 'webhook', url: made.url }] } })
  }

  /** A server of shapes. */
  async shape(options) {
    const made = await shapeServer(options)
    this.#undo.push(() => made.close())
    return made
  }

  /** The next webhook, its signature verified, as a wake to work on. */
  async woken(hook, where, timeout) {
    const delivery = await hook.next(where && ((one) => where(one.json)), timeout)
    if (!keys.has(this.url)) keys.set(this.url, (await this.get('/__ds/jwks.json')).json)
    const header = delivery.headers['webhook-signature']
    const problem = signatureProblem({ header, body: delivery.text, jwks: keys.get(this.url) })
    assert.equal(problem, undefined)
    return new Wake(this, delivery.json, delivery)
  }

  /** An entity that has been woken by its first message and claimed: ready to append. */
  async working(type, id, body = {}) {
    const hook = await this.hook()
    await this.spawn(type, id, { dispatch_policy: hook.policy, initialMessage: 'go', ...body })
    const wake = await this.woken(hook)
    await wake.claim()
    return Object.assign(wake, { hook })
  }

  /** Registers a runner of this test's own. */
  async runner(id = this.name, { as } = {}) {
    const answer = await this.post('/_electric/runners', { id, label: 'a test runner' }, { as })
    assert.equal(answer.status, 201, answer.text)
    return new Runner(this, id, as)
  }

  /** An open SSE read, closed with the test. */
  async follow(path, options = {}) {
    const headers = { 'reveille-test-id': this.testId, ...options.headers }
    if (options.as) headers['electric-principal'] = options.as
    const reader = await sse(this.url, path, { headers })
    this.#undo.push(() => reader.close())
    return reader
  }
}

/** A notification, by webhook or by claim, and what an agent does about it. */
class Wake {
  constructor(world, body, delivery) {
    Object.assign(this, { world, body, delivery, offset: body.streams[0].offset })
  }

  get entity() {
    return this.body.entity.url
  }

  callback(body, token = this.body.claimToken) {
    const headers = token === null ? {} : { authorization: `Bearer ${token}` }
    return this.world.post(new URL(this.body.callback).pathname, body, { headers })
  }

  async claim() {
    const answer = await this.callback({ epoch: this.body.epoch, wakeId: this.body.wakeId })
    assert.equal(answer.status, 200, answer.text)
    this.writeToken = answer.json.writeToken
    return answer
  }

  heartbeat() {
    return this.callback({ epoch: this.body.epoch })
  }

  /** Appends under the claim's token and remembers how far it got. */
  async append(events, headers = {}) {
    const answer = await this.write(events, headers)
    assert.ok([200, 204].includes(answer.status), `${answer.status} ${answer.text}`)
    this.offset = answer.headers['stream-next-offset'] ?? this.offset
    return answer
  }

  write(events, headers = {}) {
    return this.world.post(`${this.entity}/main`, events, {
      headers: { authorization: `Bearer ${this.writeToken}`, ...headers },
    })
  }

  /** Says that the work is done; by default everything up to the last append is acknowledged. */
  done(acks = [{ path: this.body.streamPath, offset: this.offset }]) {
    return this.callback({ epoch: this.body.epoch, acks, done: true })
  }
}

class Runner {
  constructor(world, id, as) {
    Object.assign(this, { world, id, as, offset: '-1' })
    this.policy = { targets: [{ type: 'runner', runnerId: id }] }
  }

  /** The wake events that have come since the last time; waits for one by long-poll when there is none. */
  async tail() {
    const { world, as } = this
    let answer = await world.get(`/runners/${this.id}/wake?offset=${this.offset}`, { as })
    assert.equal(answer.status, 200, answer.text)
    this.offset = answer.headers['stream-next-offset']
    if (answer.json.length > 0) return answer.json
    answer = await world.get(`/runners/${this.id}/wake?offset=${this.offset}&live=long-poll`, { as })
    assert.equal(answer.status, 200, answer.text)
    this.offset = answer.headers['stream-next-offset']
    return answer.json
  }

  tryClaim(event) {
    return this.world.post(`/_electric/runners/${this.id}/claim`, event, { as: this.as })
  }

  /** Claims the work that an event announces and takes its write token. */
  async claim(event) {
    const answer = await this.tryClaim(event)
    assert.equal(answer.status, 200, answer.text)
    const wake = new Wake(this.world, answer.json)
    await wake.claim()
    return wake
  }
}

/** The events of one run that says something and ends. */
export function run(key, text, status = 'completed') {
  return [
    { type: 'run', key, value: { status: 'started' }, headers: { operation: 'insert' } },
    { type: 'text_delta', key: `${key}:0`, value: { run_id: key, delta: text }, headers: { operation: 'insert' } },
    finish(key, status),
  ]
}

export function finish(key, status = 'completed') {
  return { type: 'run', key, value: { status }, headers: { operation: 'update' } }
}

export function change(type, key, value, operation = 'insert') {
  return { type, key, value, headers: { operation } }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
