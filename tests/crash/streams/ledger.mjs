// What a stream must hold: a model of it that knows each byte.
import assert from 'node:assert/strict'

import { joined } from './wire.mjs'

export class Stream {
  /** Each append as it is read, JSON without its brackets: `{ bytes, end, parts }`, where forks may take some parts. */
  entries = []
  closed = false
  deleted = false
  /** Forks that read through it. */
  refs = 0
  depth = 0
  /** The last append of its producer that was acknowledged. */
  epoch = 0
  seq = -1
  /** The last Stream-Seq. */
  sequence = 0

  constructor(path, kind, more = {}) {
    Object.assign(this, { path, kind, base: 0 }, more)
  }

  get json() {
    return this.kind === 'json'
  }

  get tail() {
    return this.entries.at(-1)?.end ?? this.base
  }

  /** An append that has come to be. */
  add(content) {
    const end = this.tail + content.length
    this.entries.push({ ...content.stored(end), end })
    return this
  }

  content(from = 0, entries = this.entries) {
    return joined(entries.filter(({ end }) => end > from).map(({ bytes }) => bytes), this.json)
  }

  /** The model of a fork from after the first `count` entries, and `sub` parts of the next. */
  fork(path, count, sub, more) {
    const fork = new Stream(path, this.kind, { ttl: this.ttl, ...more, source: this, depth: this.depth + 1 })
    fork.entries = this.entries.slice(0, count)
    fork.base = this.entries[count - 1]?.end ?? 0
    if (sub > 0) fork.add(part(this.entries[count], sub, this.json))
    this.refs++
    return fork
  }

  /** It is deleted: sources that were kept for it alone go with it. */
  remove() {
    this.deleted = true
    for (let gone = this; gone.source && gone.deleted && gone.refs === 0; gone = gone.source) gone.source.refs--
  }

  /** Compares what was read with what must be there, and says where they part. */
  check(read, what, from = 0) {
    const name = `${this.path} (${this.kind}), ${what}`
    assert.equal(read.status, 200, name)
    const want = this.content(from)
    if (!want.equals(read.bytes)) assert.fail(`${name}: ${difference(want, read.bytes)}`)
    assert.equal(read.tail, offset(this.tail), `${name}: the tail`)
    assert.equal(read.closed, this.closed, `${name}: whether it is closed`)
  }
}

export function offset(bytes) {
  return `${'0'.repeat(16)}_${String(bytes).padStart(16, '0')}`
}

/** Where what was read parts from what must be there. */
export function difference(want, got) {
  let at = 0
  while (at < want.length && at < got.length && want[at] === got[at]) at++
  const around = (bytes) => JSON.stringify(bytes.toString('latin1', Math.max(0, at - 60), at + 120))
  return `${got.length} bytes instead of ${want.length}, which part at ${at}:\n  wanted ${around(want)}\n  read   ${around(got)}`
}

// Content: `{ body, length, stored(end) }`, as it is sent, and as it is then read.

/** Messages of JSON. An event, `[before, after]` its `headers`, is stamped with the end of its append. */
export function messages(list) {
  const sent = list.map((one) => (Array.isArray(one) ? one.join('{"operation":"upsert"}') : one))
  return {
    body: `[${sent.join(', ')}]`,
    length: sent.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0),
    stored(end) {
      const stamped = `{"operation":"upsert","offset":"${offset(end)}"}`
      const parts = list.map((one) => (Array.isArray(one) ? one.join(stamped) : one))
      return { bytes: Buffer.from(parts.join(',')), parts }
    },
  }
}

export function bytes(body) {
  return { body, length: body.length, stored: () => ({ bytes: body, parts: body }) }
}

/** What a fork copies of an entry. */
function part(entry, sub, json) {
  if (!json) return bytes(entry.bytes.subarray(0, sub))
  const taken = entry.parts.slice(0, sub)
  return {
    length: taken.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0),
    stored(end) {
      const parts = taken.map((text) => text.replaceAll(offset(entry.end), offset(end)))
      return { bytes: Buffer.from(parts.join(',')), parts }
    },
  }
}
