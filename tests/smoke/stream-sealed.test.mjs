// Ten seconds after it was written a long stream is laid in segments. Nobody can tell: every read, from wherever it
// begins and through whatever fork, gives the same bytes as before.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

const SEALING = 10_000

/** A stream of many appends, written by several hands at once: `ends` are the offsets after each, `bodies` what they were. */
class Long {
  constructor(w, type, path = `/plain/${w.name}/s`) {
    Object.assign(this, { w, path, headers: { 'content-type': type }, json: type === 'application/json', appends: [[START]] })
  }

  async create() {
    assert.equal((await this.w.http('PUT', this.path, { headers: this.headers })).status, 201)
    return this
  }

  async append(bodies) {
    const rest = bodies[Symbol.iterator]()
    const write = async () => {
      for (const body of rest) {
        const answer = await this.w.http('POST', this.path, { headers: this.headers, body })
        assert.equal(answer.status, 204, answer.text)
        this.appends.push([answer.headers['stream-next-offset'], body])
      }
    }
    await Promise.all(Array.from({ length: 16 }, write))
    this.appends.sort(([a], [b]) => (a < b ? -1 : 1))
    return this
  }

  get ends() {
    return this.appends.map(([end]) => end)
  }

  get bodies() {
    return this.appends.slice(1).map(([, body]) => body)
  }

  /** Everything after an offset, in as many reads as it takes. */
  async from(offset, path = this.path) {
    const parts = []
    for (;;) {
      const answer = await this.w.get(`${path}?offset=${offset}`)
      assert.equal(answer.status, 200, answer.text.slice(0, 200))
      parts.push(this.json ? answer.text.slice(1, -1) : answer.text)
      offset = answer.headers['stream-next-offset']
      if (answer.headers['stream-up-to-date']) return parts.filter((part) => part).join(this.json ? ',' : '')
    }
  }

  /** What readers see from here and there: everything, the first, the last, and every so many in between. */
  async views(every = 97) {
    const offsets = this.ends.filter((_, n) => n % every === 0 || n < 2 || n > this.ends.length - 3)
    const views = new Map()
    for (const offset of ['-1', ...offsets]) views.set(offset, await this.from(offset))
    return views
  }

  fork(name, at, sub = 0) {
    const headers = { 'stream-forked-from': this.path, 'stream-fork-offset': at, 'stream-fork-sub-offset': String(sub) }
    return this.w.http('PUT', `${this.path}-${name}`, { headers })
  }
}

const many = (count, make) => Array.from({ length: count }, (_, n) => make(n))
const pad = (n, most = 700) => 'x'.repeat((n * 137) % most)
const line = (n) => `${n}: ${pad(n, 2_000)} é\r\n`
const bodies = {
  'application/json': (n) =>
    n % 3 === 0
      ? `{"n":${n},"headers":{"operation":"insert"},"big":12345678901234567890,"pad":"${pad(n)}"}`
      : `[ {"n":${n}, "f":1.0} , -0.10 , "é,][\\u00e9 ${pad(n)}" ]`,
  'text/plain': (n) => `${n}: ${pad(n)} é\r\n`,
}

for (const [type, body] of Object.entries(bodies)) {
  test(`what is sealed reads as it did: ${type}`, async (t) => {
    const w = await world(t)
    const long = await new Long(w, type).create()
    await long.append(many(450, body))
    const before = await long.views()
    await w.advance(SEALING)
    assert.deepEqual(await long.views(), before)

    // It goes on, and what has come since is sealed in its turn.
    await long.append(many(400, body))
    const later = await long.views()
    assert.ok(later.get('-1').startsWith(before.get('-1')))
    await w.advance(SEALING)
    assert.deepEqual(await long.views(), later)
  })
}

test('forks made before and after the sealing, at offsets in its midst, hold the same', async (t) => {
  const w = await world(t)
  const long = await (await new Long(w, 'application/json').create()).append(many(170, (n) => `[${n},{"n":${n},"pad":"${pad(n, 2_000)}"},[${n}]]`))
  const places = [3, 100, 169].flatMap((n) => [[long.ends[n], 0], [long.ends[n], 2], [long.ends[n], 3]])
  const names = []
  for (const when of ['before', 'after']) {
    for (const [index, [at, sub]] of places.entries()) {
      const made = await long.fork(`${when}${index}`, at, sub)
      assert.equal(made.status, 201, made.text)
      names.push(`${when}${index}`)
    }
    if (when === 'before') await w.advance(SEALING)
  }
  const flat = long.bodies.flatMap((body) => JSON.parse(body).map((message) => JSON.stringify(message)))
  for (const name of names) {
    const [at, sub] = places[Number(name.replace(/\D/g, ''))]
    const want = flat.slice(0, long.ends.indexOf(at) * 3 + sub)
    assert.equal(await long.from('-1', `${long.path}-${name}`), want.join(','), name)
    assert.equal(await long.from(long.ends[2], `${long.path}-${name}`), want.slice(6).join(','), name)
  }
  // A sub-offset still ends with its own append.
  assert.equal((await long.fork('more', long.ends[100], 4)).status, 400)
})

test('a fork that grows long is sealed by itself', async (t) => {
  const w = await world(t)
  const long = await (await new Long(w, 'text/plain').create()).append(many(170, line))
  await w.advance(SEALING)
  await long.fork('own', long.ends[100], 7)
  const own = new Long(w, 'text/plain', `${long.path}-own`)
  await own.append(many(170, (n) => `own ${line(n)}`))
  const before = await own.views()
  await w.advance(SEALING)
  assert.deepEqual(await own.views(), before)
  await w.delete(long.path)
  assert.deepEqual(await own.views(), before)
})

test('large appends stay between the small ones, in their order', async (t) => {
  const w = await world(t)
  const sizes = [...many(100, () => 800), 70_000, 70_000, ...many(3, () => 9), 900_000, ...many(150, () => 1_000), 65_536, 1]
  const long = await (await new Long(w, 'text/plain').create()).append(sizes.map((size, n) => `${n}:`.padEnd(size, String(n % 10))))
  const before = await long.views(31)
  await w.advance(SEALING)
  assert.deepEqual(await long.views(31), before)
})

test('who follows is not disturbed', async (t) => {
  const w = await world(t)
  const long = await (await new Long(w, 'text/plain').create()).append(many(170, line))
  const reader = await w.follow(`${long.path}?offset=${long.ends[150]}&live=sse`)
  const want = (await long.from(long.ends[150])).replaceAll('\r\n', '\n')
  assert.equal((await reader.next()).text, want)
  assert.equal((await reader.next()).event, 'control')
  await w.advance(SEALING)
  await long.append(['next'])
  assert.equal((await reader.next()).text, 'next')
})

test('a sealed stream is deleted, and its path is free', async (t) => {
  const w = await world(t)
  const long = await (await new Long(w, 'text/plain').create()).append(many(170, line))
  await w.advance(SEALING)
  assert.equal((await w.delete(long.path)).status, 204)
  assert.equal((await w.get(long.path)).status, 404)
  await long.create()
  await long.append(['anew'])
  await w.advance(SEALING)
  assert.equal(await long.from('-1'), 'anew')
})

test('a restart changes nothing, before the sealing and after', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  const again = async (id) => {
    await host.stop()
    await host.restart()
    w.testId = `${w.name}-${id}`
  }
  const long = await new Long(w, 'application/json').create()
  await long.append(many(450, bodies['application/json']))
  const before = await long.views()
  await again('unsealed')
  assert.deepEqual(await long.views(), before)
  await w.advance(SEALING)
  await again('sealed')
  assert.deepEqual(await long.views(), before)
  await long.append(['["last"]'])
  assert.equal(await long.from('-1'), `${before.get('-1')},"last"`)
})
