// An entity and what it observes: a plain stream to append to, the wakes that come of that, and what the server tells
// of both.
import assert from 'node:assert/strict'

import { jsonStream } from './subscription.mjs'
import { change, world } from './world.mjs'

/**
 * A world with an entity `observer` and a plain stream that it observes: `registration` has what POST /_electric/wake
 * takes beside the two. With `spawn`, the entity has this body.
 */
export async function observing(t, registration = {}, { host, spawn } = {}) {
  const w = await world(t, { host })
  await w.type()
  const { url } = await w.spawn(w.name, 'observer', spawn)
  const source = await jsonStream(w, 'source')
  const observer = new Observer(w, url, source.path)
  if (registration) await observer.observes(registration)
  return observer
}

export class Observer {
  constructor(w, url, source) {
    Object.assign(this, { w, url, source })
  }

  /** Registers a wake on the source. */
  observes({ condition = { on: 'change' }, ...more } = {}) {
    return this.w.observe(this.url, this.source, condition, more)
  }

  async unregister(of = { sourceUrl: this.source }) {
    const answer = await this.w.post('/_electric/wake/unregister', { subscriberUrl: this.url, ...of })
    assert.equal(answer.status, 204, answer.text)
  }

  /** Appends a note for each key to the source, all at once. */
  async notes(...keys) {
    const answer = await this.w.post(this.source, keys.map((key) => note(key)))
    assert.equal(answer.status, 204, answer.text)
  }

  rows() {
    return this.w.events(this.url, 'wake')
  }

  /** The keys of the changes of each wake. */
  async wakes() {
    return (await this.rows()).map(changedKeys)
  }

  /** How many times the entity was told that nothing has matched. */
  async timeouts() {
    return (await this.rows()).filter((row) => row.value.timeout).length
  }

  registrations() {
    return registrations(this.w, this.url)
  }
}

export const note = (key, value = {}) => change('note', key, value)

export const changedKeys = (row) => row.value.changes.map((change) => change.key)

/** What an entity observes, as `explain` tells it: `[source, condition]`, the oldest first. */
export async function registrations(w, url) {
  return (await w.explain(url)).registrations.map(({ source, condition }) => [source, condition])
}

/** The registrations themselves: a number for each that no other ever has. */
export async function registrationIds(w, url) {
  return (await w.explain(url)).registrations.map(({ registration }) => registration)
}

/** Why rows of an entity's manifest could not have what they ask for: `[manifest key, reason]`. */
export async function refusals(w, url) {
  const refused = (await w.journal(url)).filter((step) => step.what === 'refused')
  return refused.map(({ manifest_key, why }) => [manifest_key, why])
}

/** What comes to an entity by itself: `{ at, kind, what }`, the soonest first; with `kind`, only those, without it. */
export async function coming(w, url, kind) {
  const answer = await w.get(`/_reveille/entities${url}/next`)
  assert.equal(answer.status, 200, answer.text)
  if (!kind) return answer.json.next
  return answer.json.next.filter((one) => one.kind === kind).map(({ at, what }) => ({ at, what }))
}

/** A row of a manifest. Without a value it takes the row away. */
export function manifestRow(key, value, operation = value === undefined ? 'delete' : 'insert') {
  return change('manifest', key, value, operation)
}

/** The path of the stream on which an expression ticks: what clients compute for themselves. */
export function cronPath(expression, timezone = 'UTC') {
  return `/_cron/${Buffer.from(JSON.stringify({ expression, timezone })).toString('base64url')}`
}

/** A moment as the wire has it. */
export const iso = (ms) => new Date(ms).toISOString()
