// A writer: does one thing after another to streams of its own, so that it knows what each of them must hold.
//
// What is sent under a producer, with a Stream-Seq, or is idempotent by itself, is repeated until it is answered. A bare
// append is tried once; without an answer the stream tells whether it is there, and it is there wholly or not at all.
import assert from 'node:assert/strict'

import { pause } from '../../harness/random.mjs'
import { bytes, messages, offset, Stream } from './ledger.mjs'
import { joined, root } from './wire.mjs'

const types = { json: 'application/json', text: 'text/plain; charset=utf-8', binary: 'application/octet-stream' }
const keep = 8

export class Writer {
  streams = []
  gone = []
  mortals = []
  followers = []
  made = 0
  kills = 0
  /** Of a hundred appends, how many close their stream. */
  closes = 2

  constructor(name, load) {
    Object.assign(this, { name, load, wire: load.wire, choice: load.choice, count: load.count })
  }

  async run() {
    while (!this.load.over) {
      await this.step()
      await this.afterKills()
      await pause(this.choice.below(8))
    }
    await this.afterKills()
  }

  /** After each restart everything is compared, before anything else is written. */
  async afterKills() {
    if (this.kills === this.load.kills) return
    this.kills = this.load.kills
    await this.verify(`after kill ${this.kills}`)
  }

  async step() {
    const open = this.streams.filter(({ closed }) => !closed)
    const choice = this.choice.below(100)
    if (open.length < 3 || (choice < 6 && this.streams.length < keep)) return this.create()
    const stream = this.choice.of(open)
    if (choice < 76) return this.append(stream)
    if (choice < 79) return this.close(stream)
    if (choice < 86) return this.echo(this.choice.of(this.streams))
    if (choice < 91) return this.fork(this.choice.of(this.streams))
    if (choice < 94 || this.streams.length >= keep) return this.remove(this.choice.of(this.streams))
    if (choice < 98) return this.mortal()
    return this.bulk()
  }

  // Creating.

  async create() {
    const remade = this.choice.percent(40) && this.gone.find(({ bare, refs }) => bare && refs === 0)
    if (remade) this.gone.splice(this.gone.indexOf(remade), 1)
    const group = remade ? undefined : this.choice.percent(70) ? this.choice.of(this.load.agents.groups) : undefined
    const path = remade?.path ?? `${root}/${group?.name ?? 'bare'}/${this.name}-${this.made++}`
    const producer = this.choice.percent(60)
    const stream = new Stream(path, this.choice.of(['json', 'json', 'text', 'binary']), {
      bare: !group,
      group,
      producer: producer && `writer-${this.name}`,
      sequenced: this.choice.percent(producer ? 20 : 50),
      ttl: this.choice.percent(15) ? 3_600 : undefined,
    })
    if (remade) this.count.remade++
    await group?.expect(path)
    const content = this.choice.percent(50) ? this.content(stream.kind) : undefined
    stream.closed = this.choice.percent(content ? 5 : 1)
    await this.put(stream, content, { 'content-type': types[stream.kind], ...(stream.ttl && { 'stream-ttl': String(stream.ttl) }) })
    if (stream.bare && !remade && this.choice.percent(30)) this.follow(stream)
  }

  async put(stream, content, headers) {
    if (stream.closed) headers['stream-closed'] = 'true'
    const answer = await this.wire.insist('PUT', stream.path, { headers, body: content?.body })
    this.expect(stream, answer, answer.repeated ? [200, 201] : [201])
    if (content) stream.add(content)
    this.streams.push(stream)
    this.count.created++
    this.at(stream, answer)
  }

  async fork(source) {
    if (source.depth >= 6) return
    const at = this.choice.below(source.entries.length + 1)
    const next = source.entries[at]
    const sub = next && this.choice.percent(50) ? this.choice.below(next.parts.length + 1) : 0
    const path = `${root}/bare/${this.name}-${this.made++}`
    const fork = source.fork(path, at, sub, { bare: true, producer: source.producer })
    const headers = {
      'content-type': types[source.kind],
      'stream-forked-from': source.path,
      'stream-fork-offset': offset(source.entries[at - 1]?.end ?? 0),
      'stream-fork-sub-offset': String(sub),
    }
    await this.put(fork, this.choice.percent(40) ? this.content(source.kind) : undefined, headers)
    this.count.forks++
    if (sub > 0) this.count.subOffsets++
  }

  // Appending.

  async append(stream, content = this.content(stream.kind)) {
    const closing = this.choice.percent(this.closes)
    const headers = { 'content-type': types[stream.kind], ...this.order(stream), ...(closing && { 'stream-closed': 'true' }) }
    const certain = stream.producer || stream.sequenced
    const command = ['POST', stream.path, { headers, body: content.body }]
    const answer = certain ? await this.wire.insist(...command) : await this.wire.attempt(...command)
    if (!answer) return this.settle(stream, content, closing)
    const repeats = stream.producer ? 204 : 409
    this.expect(stream, answer, [stream.producer ? 200 : 204, ...(answer.repeated ? [repeats] : [])])
    this.count.appended++
    if (answer.repeated) this.count.retried++
    if (answer.repeated && answer.status === repeats) this.count.hadHappened++
    stream.add(content)
    stream.closed = closing
    this.ordered(stream)
    if (answer.status !== 409) this.at(stream, answer)
    stream.last = command
  }

  async close(stream) {
    const command = ['POST', stream.path, { headers: { 'stream-closed': 'true', ...this.order(stream) } }]
    const answer = await this.wire.insist(...command)
    // A close without a producer is repeated by any other.
    this.expect(stream, answer, [204])
    stream.closed = true
    this.ordered(stream)
    this.at(stream, answer)
    stream.last = command
    this.count.closed++
  }

  order(stream) {
    const headers = {}
    if (stream.producer) {
      Object.assign(headers, { 'producer-id': stream.producer, 'producer-epoch': String(stream.epoch), 'producer-seq': String(stream.seq + 1) })
    }
    if (stream.sequenced) headers['stream-seq'] = String(stream.sequence + 1).padStart(8, '0')
    return headers
  }

  ordered(stream) {
    stream.seq++
    stream.sequence++
  }

  /** An append that may or may not have been: the stream says which, once and for all. */
  async settle(stream, content, closing) {
    const read = await this.wire.read(stream.path, stream.json)
    if (read.tail === offset(stream.tail)) {
      this.count.lost++
    } else {
      stream.add(content)
      stream.closed = closing
      this.count.kept++
    }
    stream.check(read, 'after an append without an answer')
  }

  /** What was acknowledged is not done again, and what is out of order is refused. */
  async echo(stream) {
    const certain = stream.producer || stream.sequenced || stream.closed
    if (!stream.last || !certain) return
    const again = await this.wire.insist(...stream.last)
    const bodiless = stream.last[2].body === undefined
    if (stream.producer) {
      this.expect(stream, again, [204])
      assert.equal(again.headers['producer-seq'], String(stream.seq), `${stream.path}: the producer's last`)
    } else {
      this.expect(stream, again, stream.closed && bodiless ? [204] : [409])
    }
    assert.equal(again.headers['stream-closed'], stream.closed ? 'true' : undefined, `${stream.path}: closed`)
    this.count.echoes++
    if (!stream.producer || stream.closed) return
    const send = (epoch, seq) => {
      const headers = { 'content-type': types[stream.kind], 'producer-id': stream.producer, 'producer-epoch': String(epoch), 'producer-seq': String(seq) }
      return this.wire.insist('POST', stream.path, { headers, body: stream.json ? '["never"]' : 'never' })
    }
    const gap = await send(stream.epoch, stream.seq + 2)
    this.expect(stream, gap, [409])
    assert.equal(gap.headers['producer-expected-seq'], String(stream.seq + 1), `${stream.path}: the producer's next`)
    if (stream.epoch > 0) this.expect(stream, await send(stream.epoch - 1, stream.seq + 1), [403])
    if (this.choice.percent(30)) Object.assign(stream, { epoch: stream.epoch + 1, seq: -1, last: undefined })
  }

  // Deleting.

  async remove(stream) {
    stream.going = true
    const answer = await this.wire.insist('DELETE', stream.path)
    this.expect(stream, answer, answer.repeated ? [204, 404, 410] : [204])
    this.streams.splice(this.streams.indexOf(stream), 1)
    stream.remove()
    this.gone.push(stream)
    this.count.deleted++
    await this.absent(stream)
  }

  async absent(stream) {
    const answer = await this.wire.insist('HEAD', stream.path)
    assert.equal(answer.status, stream.refs > 0 ? 410 : 404, `${stream.path}, deleted, with ${stream.refs} forks`)
  }

  /** A stream that is long enough to be swept in several turns, and deleted. */
  async bulk() {
    const path = `${root}/bare/${this.name}-${this.made++}`
    const stream = new Stream(path, 'binary', { bare: true, producer: `bulk-${this.name}` })
    await this.put(stream, undefined, { 'content-type': types.binary })
    const piece = bytes(Buffer.alloc(900_000, `${this.name}-${this.made};`))
    for (let n = 0; n < 6 && !stream.closed; n++) await this.append(stream, piece)
    stream.check(await this.wire.read(path, false), 'before it is deleted')
    await this.remove(stream)
    this.count.bulky++
  }

  // Expiring. HEAD is no use of a stream, so it can be asked whether it is there.

  async mortal() {
    const ttl = 1 + this.choice.below(2)
    const stream = new Stream(`${root}/bare/${this.name}-${this.made++}`, 'json', { ttl })
    const content = this.content('json')
    const before = Date.now()
    const headers = { 'content-type': types.json, 'stream-ttl': String(ttl) }
    const answer = await this.wire.insist('PUT', stream.path, { headers, body: content.body })
    // It may have expired while the answer was on its way: then a repetition makes it anew.
    this.expect(stream, answer, answer.repeated ? [200, 201] : [201])
    stream.add(content)
    this.mortals.push({ stream, from: before + ttl * 1_000, to: Date.now() + ttl * 1_000 + slack })
  }

  async visit(mortal) {
    const { stream } = mortal
    const before = Date.now()
    const { status } = await this.wire.insist('HEAD', stream.path)
    const about = `${stream.path}, to expire between ${mortal.from} and ${mortal.to}, asked for from ${before} to ${Date.now()}`
    if (Date.now() < mortal.from) assert.equal(status, 200, about)
    if (before > mortal.to) assert.equal(status, 404, about)
    if (status === 404) {
      this.mortals.splice(this.mortals.indexOf(mortal), 1)
      this.gone.push(Object.assign(stream, { deleted: true, bare: true, ttl: undefined }))
      this.count.expired++
    } else if (this.choice.percent(30)) {
      const read = await this.wire.read(stream.path, true)
      mortal.to = Date.now() + stream.ttl * 1_000 + slack
      if (read.status === 200) stream.check(read, 'before it expires')
    }
  }

  // Comparing.

  async verify(when) {
    for (const stream of this.streams) await this.compare(stream, when)
    for (const mortal of [...this.mortals]) await this.visit(mortal)
    for (let n = 0; n < 3 && this.gone.length > 0; n++) await this.absent(this.choice.of(this.gone))
  }

  async compare(stream, when) {
    stream.check(await this.wire.read(stream.path, stream.json), when)
    const from = this.choice.of(stream.entries)?.end
    if (from) stream.check(await this.wire.read(stream.path, stream.json, offset(from)), `${when}, from ${from} on`, from)
    const head = await this.wire.insist('HEAD', stream.path)
    assert.equal(head.headers['stream-ttl'], stream.ttl && String(stream.ttl), `${stream.path}: its window`)
    this.count.compared++
  }

  /** Follows a stream by long-poll, whatever becomes of the server. */
  follow(stream) {
    if (this.followers.length >= 4) return
    const follower = { stream, parts: [], offset: offset(0) }
    this.followers.push(follower)
    stream.bare = false // So its path is not used again, for which a follower could not tell.
    const following = async () => {
      while (!this.load.over && !stream.deleted) {
        const answer = await this.wire.attempt('GET', `${stream.path}?offset=${follower.offset}&live=long-poll`)
        if (!answer) await pause(5)
        else if (answer.status === 200) follower.parts.push(stream.json ? answer.bytes.subarray(1, -1) : answer.bytes)
        else if (answer.status !== 204) break
        follower.offset = answer?.headers['stream-next-offset'] ?? follower.offset
        if (answer?.headers['stream-closed']) break
      }
    }
    this.load.background(following())
  }

  /** What a follower has seen is what is there: nothing that a crash took back. */
  async judgeFollowers() {
    for (const { stream, parts, offset } of this.followers) {
      const seen = joined(parts, stream.json)
      if (!stream.deleted) parts.push((await this.wire.read(stream.path, stream.json, offset)).bytes)
      const whole = stream.content()
      const same = stream.deleted ? whole.subarray(0, seen.length).equals(seen) : whole.equals(joined(parts, stream.json))
      assert.ok(same, `${stream.path}: who followed it saw something else than is there`)
      this.count.followed += seen.length
    }
  }

  // What is sent.

  content(kind) {
    const n = ++this.count.drawn
    if (kind === 'json') return messages(Array.from({ length: 1 + this.choice.below(4) }, (_, i) => this.message(`${this.name}-${n}-${i}`)))
    const size = this.choice.percent(2) ? 500_000 + this.choice.below(100_000) : 1 + this.choice.below(3_000)
    if (kind === 'text') return bytes(Buffer.from(`${this.name}-${n}: ${'grüße, 世界; '.repeat(Math.ceil(size / 20))}\n`))
    const random = Buffer.alloc(size)
    for (let at = 0; at < size; at++) random[at] = (n * 31 + at * (1 + (n % 7))) & 0xff
    return bytes(random)
  }

  /** Numbers that no double holds, and events that are stamped. */
  message(key) {
    const big = `${1 + this.choice.below(9)}${String(this.choice.below(1e9)).padStart(9, '0')}1234567890123`
    const value = `{"n":${big},"x":-0.10,"y":1E+2,"text":"${'ü'.repeat(this.choice.below(200))}"}`
    switch (this.choice.below(4)) {
      case 0:
        return `"${key}"`
      case 1:
        return `[${big},["${key}",null]]`
      case 2:
        return `{"key":"${key}", "value":${value}}`
      default:
        return [`{"type":"thing","key":"${key}","headers":`, `,"value":${value}}`]
    }
  }

  expect(stream, answer, statuses) {
    const about = answer.repeated ? 'after an attempt without an answer' : 'at the first attempt'
    assert.ok(statuses.includes(answer.status), `${stream.path}: ${answer.status} ${answer.text.slice(0, 200)}, ${about}, instead of ${statuses}`)
  }

  /** Where the server says that the stream ends now. */
  at(stream, answer) {
    assert.equal(answer.headers['stream-next-offset'], offset(stream.tail), `${stream.path}: the tail in an answer`)
    assert.equal(answer.headers['stream-closed'], stream.closed ? 'true' : undefined, `${stream.path}: closed in an answer`)
  }
}

/** A writer of one long stream at a time: it outgrows the steps of sealing, is forked, and goes. */
export class HotWriter extends Writer {
  closes = 0

  async step() {
    if (!this.streams.length) {
      const stream = new Stream(`${root}/bare/${this.name}-${this.made++}`, 'json', { producer: 'hot' })
      await this.put(stream, undefined, { 'content-type': types.json })
      this.follow(stream)
    }
    const [hot, fork] = this.streams
    if (hot.tail < 1_200_000) {
      hot.full = Date.now()
      await this.append(hot)
    } else if (Date.now() < hot.full + 12_000) {
      await pause(100)
    } else if (!fork) {
      await this.fork(hot)
    } else if (this.choice.percent(95)) {
      await this.append(fork)
    } else {
      for (const stream of [hot, fork]) await this.remove(stream)
    }
  }

  content() {
    const n = ++this.count.drawn
    return messages([`{"hot":${n},"filler":"${'x'.repeat(900)}"}`, this.message(`${this.name}-${n}`)])
  }
}

// How much longer than its window a stream may live by its last use, and by a clock that is read elsewhere.
const slack = 500
