// One session, played to each of the three hosts: they answer alike, byte for byte, at the same price.
//
// The hosts start on fresh data with the same virtual clock, seed and public URL, so even ids, tokens, keys and
// signatures are equal. What may differ is how the bytes travel.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { request, sse } from '../harness/http.mjs'
import { receiver } from '../harness/receiver.mjs'
import { chapters } from './session.mjs'

const names = ['native', 'wasm', 'worker']
const transport = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'content-length']
const price = ['reveille-rows-written', 'reveille-statements']

// An object bills a partial index only where it has an entry. The others compute a price, and always count it, so these
// are dearer there by one: a send later that no manifest has, a dispatch without a runner.
const cheaperOnAnObject = new Set([
  'POST /_electric/entities/task/later/send',
  'PUT /__ds/subscriptions/told%20of',
  'PUT /__ds/subscriptions/pulled',
  'PUT /_electric/entities/task/hooked',
])

const hosts = {}
const told = []
let hook

before(async () => {
  hook = await receiver()
  const args = ['--public-url', 'http://reveille.test']
  const started = await Promise.allSettled(names.map(async (host) => (hosts[host] = await startHost({ host, args }))))
  for (const { reason } of started) if (reason) throw reason
})

after(async () => {
  await Promise.all(Object.values(hosts).map((host) => host.dispose()))
  await hook?.close()
})

for (const [title, play] of Object.entries(chapters)) {
  test(`the hosts answer alike: ${title}`, async () => {
    const sessions = []
    // One after the other, because they share the webhook's receiver.
    for (const host of names) {
      const session = new Session(host, title)
      await play(session).catch((error) => (session.error = error))
      session.close()
      sessions.push(session)
    }
    told.push(sessions)
    const [first, ...others] = sessions
    for (const other of others) alike(first, other)
    for (const { host, error } of sessions) assert.ok(!error, `${host}: ${error?.stack}`)
  })
}

for (const header of price) {
  test(`the hosts answer at the same price: ${header}`, (t) => {
    const differences = []
    const cheaper = new Set()
    let count = 0
    for (const sessions of told) {
      for (const [index, { line, answer }] of sessions[0].exchanges.entries()) {
        // What broke has no price: where the module trapped, nobody is left who could tell.
        if (answer?.status === 500) continue
        const numbers = sessions.map(({ exchanges }) => exchanges[index]?.price?.[header])
        count++
        if (header === 'reveille-rows-written' && cheaperOnAnObject.has(line) && Number(numbers[2]) === Number(numbers[0]) - 1) {
          cheaper.add(line)
          numbers[2] = numbers[0]
        }
        if (new Set(numbers).size > 1) differences.push(`${line}: ${names.map((name, n) => `${name} ${numbers[n]}`).join(', ')}`)
      }
    }
    t.diagnostic(`${count} exchanges`)
    assert.ok(count > 0)
    assert.equal(differences.join('\n'), '')
    if (header === 'reveille-rows-written') assert.deepEqual(cheaper, cheaperOnAnObject)
  })
}

/** What is said to one host in one chapter, and what it answers. */
class Session {
  #readers = []

  constructor(host, title) {
    Object.assign(this, { host, hook, url: hosts[host].url, exchanges: [] })
    this.headers = { 'reveille-test-id': title }
  }

  close() {
    for (const reader of this.#readers) reader.close()
  }

  /** A request that must be answered with this status: a session that only fails alike compares nothing. */
  async say(status, method, path, body, headers = {}) {
    const exchange = this.#exchange(`${method} ${path}`, { headers, body })
    const answer = await request(this.url, method, path, { body, headers: { ...this.headers, ...headers } })
    const { head, price } = sorted(answer.headers)
    Object.assign(exchange, { price, answer: { status: answer.status, headers: head, body: answer.text } })
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`)
    return answer
  }

  /** Moves the clock. */
  advance(ms) {
    return this.say(200, 'POST', '/_reveille/dev/clock', { advance_ms: ms })
  }

  /** An SSE read: `next()` is the next event, or the end. */
  async follow(path) {
    const exchange = this.#exchange(`GET ${path}`)
    const reader = await sse(this.url, path, { headers: this.headers })
    this.#readers.push(reader)
    const { head, price } = sorted(reader.headers)
    Object.assign(exchange, { price, answer: { status: reader.status, headers: head, body: '' } })
    assert.equal(reader.status, 200)
    const next = async () => {
      const event = await reader.next()
      exchange.answer.body += event ? `event: ${event.event}\ndata: ${event.text}\n\n` : 'the end'
      return event
    }
    return { next, close: () => reader.close() }
  }

  /** The next webhook, as it came. */
  async webhook() {
    const exchange = this.#exchange('webhook')
    const { method, path, headers, text, json } = await hook.next()
    const kept = Object.entries(headers).filter(([name]) => /^(content-type|webhook-|electric-|reveille-)/.test(name))
    exchange.answer = { status: method + path, headers: Object.fromEntries(kept.sort()), body: text }
    return json
  }

  /** A few round trips: long enough for a request that was sent before to have reached the server. */
  async settle() {
    for (let n = 0; n < 10; n++) await request(this.url, 'GET', '/_electric/health')
  }

  /** Waits for what follows a real answer from outside the server. */
  async until(path, check) {
    for (const deadline = Date.now() + 5_000; Date.now() < deadline; ) {
      if (check((await request(this.url, 'GET', path)).json)) return
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    assert.fail(`${path} did not become what it should`)
  }

  #exchange(line, more) {
    const exchange = { line, ...more, answer: undefined }
    this.exchanges.push(exchange)
    return exchange
  }
}

function sorted(headers) {
  const rest = Object.entries(headers).filter(([name]) => !transport.includes(name) && !price.includes(name))
  return {
    head: Object.fromEntries(rest.sort()),
    price: Object.fromEntries(price.map((name) => [name, headers[name]])),
  }
}

/** Fails at the first exchange that went differently, and shows it whole. */
function alike(one, other) {
  const length = Math.max(one.exchanges.length, other.exchanges.length)
  for (let index = 0; index < length; index++) {
    const [a, b] = [one.exchanges[index], other.exchanges[index]]
    if (JSON.stringify(a) === JSON.stringify({ ...b, price: a?.price })) continue
    const said = ({ line, headers, body }) => [line, JSON.stringify(headers), text(body)].filter(Boolean).join('\n')
    const shown = ({ host }, exchange) => {
      if (!exchange) return `-- ${host}: this was not said`
      const { answer } = exchange
      if (!answer) return `-- ${host}:\n${said(exchange)}\n→ no answer`
      const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}`)
      return [`-- ${host}:`, said(exchange), `→ ${answer.status}`, ...headers, '', answer.body].join('\n')
    }
    assert.fail(`exchange ${index + 1} differs\n${shown(one, a)}\n${shown(other, b)}`)
  }
}

function text(body) {
  return typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
}
