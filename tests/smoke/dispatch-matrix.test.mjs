// Whatever wakes an agent, however it is told, and whatever becomes of who was told: the work is announced, one at a
// time may do it, and it is done once. The matrix of {webhook, runner} × causes × fates: each cell is an entity of its
// own, and the cells of a fate go side by side.
//
// A new cause, transport or fate is one more entry of its table.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hostName, startHost } from '../harness/host.mjs'
import { iso } from '../harness/observer.mjs'
import { restart, sideBySide } from '../harness/stories.mjs'
import { change, run, world } from '../harness/world.mjs'

const LEASE = 30_000
const DELAY = 1_000
/** What every entity lets others write to. */
const definition = { externally_writable_collections: { rows: { type: 'state:rows', operations: ['insert'] } } }
const note = (key) => [change('note', key, {})]
const signal = (name) => ({ w, url }) => w.post(`/_electric/entities${url}/signal`, { signal: name })

// What happens to an agent, which row on its stream tells of it, and how its journal begins. `prepare` is what must be
// there before; what comes of itself needs no `happen`.
const causes = {
  'a message': { happen: ({ w, url }) => w.send(url, 'go'), tells: 'inbox', begins: ['appended'] },
  'a delayed send': { prepare: ({ w, url }) => w.send(url, 'go', { afterMs: DELAY }), tells: 'inbox', begins: ['appended'] },
  'the first message of a spawn': { spawns: true, happen: (cell) => cell.spawn({ initialMessage: 'go' }), tells: 'inbox', begins: ['appended'] },
  'a child that finishes': {
    async prepare(cell) {
      const wake = { subscriberUrl: cell.url, condition: 'runFinished' }
      cell.child = await cell.w.working(cell.type, `${cell.id}-child`, { parent: cell.url, wake })
    },
    happen: ({ child }) => child.append(run('run-0', 'done')),
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'a change on an observed entity': {
    async prepare(cell) {
      cell.source = await cell.w.working(cell.type, `${cell.id}-source`)
      await cell.w.observe(cell.url, cell.source.entity, { on: 'change' })
    },
    happen: ({ source }) => source.append(note('n')),
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'a change on an observed stream': {
    async prepare(cell) {
      cell.source = `/plain/${cell.type}/${cell.id}`
      assert.equal((await cell.w.put(cell.source, '[]')).status, 201)
      await cell.w.observe(cell.url, cell.source, { on: 'change' })
    },
    happen: ({ w, source }) => w.post(source, note('n')),
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'two changes, gathered': {
    async prepare(cell) {
      cell.source = await cell.w.working(cell.type, `${cell.id}-source`)
      await cell.w.observe(cell.url, cell.source.entity, { on: 'change' }, { debounceMs: DELAY / 2 })
    },
    async happen({ source }) {
      for (const key of ['a', 'b']) await source.append(note(key))
    },
    tells: 'wake',
    begins: ['evaluated', 'debounced', 'evaluated', 'appended'],
  },
  'nothing for a while': {
    async prepare(cell) {
      const source = await cell.w.spawn(cell.type, `${cell.id}-source`)
      await cell.w.observe(cell.url, source.url, 'runFinished', { timeoutMs: DELAY })
    },
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'a message that another has scheduled': {
    async prepare(cell) {
      const other = await cell.w.spawn(cell.type, `${cell.id}-scheduler`)
      const fireAt = iso((await cell.w.now()) + DELAY)
      const row = { scheduleType: 'future_send', fireAt, targetUrl: cell.url, payload: 'go' }
      assert.equal((await cell.w.put(`/_electric/entities${other.url}/schedules/s`, row)).status, 200)
    },
    tells: 'inbox',
    begins: ['appended'],
  },
  'a schedule of its own': {
    happen: ({ w, url }) => w.put(`/_electric/entities${url}/schedules/s`, { scheduleType: 'cron', expression: '0 0 1 1 *', payload: 'go' }),
    tells: 'manifest',
    begins: ['appended'],
  },
  'a tick': {
    async prepare(cell) {
      // The next full second, whose tick comes once a year.
      const at = new Date((await cell.w.now()) + DELAY)
      const expression = `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} ${at.getUTCDate()} ${at.getUTCMonth() + 1} *`
      const { json } = await cell.w.post('/_electric/observations/cron/ensure-stream', { expression, timezone: 'UTC' })
      await cell.w.observe(cell.url, json.streamUrl, { on: 'change' })
    },
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'a new member of an observed membership': {
    async prepare(cell) {
      cell.tags = { cell: `${cell.type} ${cell.id}` }
      const { json } = await cell.w.post('/_electric/observations/entities/ensure-stream', { tags: cell.tags })
      await cell.w.observe(cell.url, json.streamUrl, { on: 'change', collections: ['members'] })
    },
    happen: ({ w, type, id, tags }) => w.spawn(type, `${id}-member`, { tags }),
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'an event of a webhook source': {
    async prepare(cell) {
      cell.source = `/_webhooks/${cell.type.slice(0, 40)}/${cell.id}`
      assert.equal((await cell.w.put(cell.source, '[]')).status, 201)
      await cell.w.observe(cell.url, cell.source, { on: 'change', collections: ['webhook_event'] })
    },
    happen: ({ w, source }) => w.post(source, change('webhook_event', 'e', { body: '{}' })),
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'a change in a shape': {
    async prepare(cell) {
      cell.shape = await cell.w.shape({ hold: 20_000 })
      const options = { url: cell.shape.url, table: 'todos' }
      // While others are told, there may be no connection left to ask whether it is one.
      cell.source = await cell.w.eventually(async () => {
        const { status, json } = await cell.w.post('/_electric/pg-sync/register', { options })
        assert.equal(status, 200)
        return json.streamUrl
      })
      await cell.w.observe(cell.url, cell.source, { on: 'change' })
    },
    happen: ({ shape }) => shape.change('insert', { id: '1' }),
    // An object has few connections: where there are more shapes than it may ask at once they take turns, by the clock.
    async *comes({ w, source }) {
      for (let n = 0; n < 60; n++) {
        const within = hostName === 'worker' ? 50 : 5_000
        const there = w.eventually(async () => assert.equal((await w.read(source)).length, 1), within)
        if (await there.then(() => true, () => false)) return
        yield 1_000
      }
    },
    tells: 'wake',
    begins: ['evaluated', 'appended'],
  },
  'a tag': { happen: ({ w, url }) => w.post(`/_electric/entities${url}/tags/k`, { value: 'v' }), tells: 'tags', begins: ['appended'] },
  'a row of a collection': {
    happen: ({ w, url }) => w.post(`/_electric/entities${url}/collections/rows`, { operation: 'insert', value: {} }),
    tells: 'state:rows',
    begins: ['appended'],
  },
  'SIGINT': { happen: signal('SIGINT'), tells: 'signal', begins: ['appended'] },
  'SIGHUP': { happen: signal('SIGHUP'), tells: 'signal', begins: ['appended'] },
  'SIGUSR': { happen: signal('SIGUSR'), tells: 'signal', begins: ['appended'] },
  'SIGCONT after a message to a paused agent': {
    async prepare(cell) {
      await signal('SIGSTOP')(cell)
      await cell.w.send(cell.url, 'go', { mode: 'paused' })
    },
    happen: signal('SIGCONT'),
    tells: 'inbox',
    begins: ['appended'],
  },
}

// How an agent is told. `next` waits for an announcement, `claim` makes a wake with a write token of it, `untaken` are
// those that nobody has taken. What is announced and not claimed comes again as the generation `unclaimed`: a webhook
// was leased when it was taken, a runner's event was not. `lost` is what the journal has of that.
const transports = {
  webhook: {
    unclaimed: 2,
    lost: ['emitted', 'claimed', 'expired', 'pending'],
    async consumer({ w, url }) {
      const hook = await w.hook()
      return {
        policy: hook.policy,
        async next() {
          const wake = await w.woken(hook)
          // It is taken when the server has got the answer.
          await w.eventually(async () => assert.equal((await w.entity(url)).status, 'running'))
          return wake
        },
        generation: (wake) => wake.body.generation,
        async claim(wake) {
          await wake.claim()
          return wake
        },
        late: (wake) => wake.callback({ epoch: wake.body.epoch, wakeId: wake.body.wakeId }),
        untaken: () => hook.untaken,
        holds: () => undefined,
      }
    },
  },
  runner: {
    unclaimed: 1,
    lost: [],
    async consumer({ w, type, id }) {
      const runner = await w.runner(`${type}-${id}`)
      return {
        policy: runner.policy,
        async next() {
          const [event, ...more] = await runner.tail()
          assert.deepEqual(more, [], 'one wake at a time')
          return event
        },
        generation: (event) => event.generation,
        claim: (event) => runner.claim(event),
        late: (event) => runner.tryClaim(event),
        untaken: async () => (await w.get(`/runners/${runner.id}/wake?offset=${runner.offset}`)).json,
        async holds() {
          const { claims } = (await w.get(`/_electric/runners/${runner.id}/health`)).json
          return claims.active.map((claim) => claim.epoch)
        },
      }
    },
  },
}

// What becomes of the work. A fate is a story (see ../harness/stories.mjs) of one cell, from the entity's spawn on.
const fates = {
  async *'all goes well'(cell) {
    await cell.prepare()
    yield* cell.event()
    const wake = await cell.claim(1)
    await cell.endsWell(wake)
    yield 10 * LEASE
    await cell.isQuiet()
    await cell.isOver(wake)
    await cell.became('emitted', 'claimed', 'done')
  },

  async *'the agent dies before the claim'(cell) {
    await cell.prepare()
    yield* cell.event()
    const { consumer } = cell
    const lost = await consumer.next()
    yield LEASE
    const wake = await cell.claim(cell.transport.unclaimed)
    if (cell.transport.unclaimed > 1) await cell.isOver(lost)
    assert.equal((await consumer.late(lost)).status, 409)
    await cell.endsWell(wake)
    await cell.became(...cell.transport.lost, 'emitted', 'claimed', 'done')
  },

  async *'the agent dies after the claim'(cell) {
    await cell.prepare()
    yield* cell.event()
    const lost = await cell.claim(1)
    yield LEASE - 1
    await cell.isHeld(1)
    yield 1
    await cell.isFree()
    await cell.isOver(lost)
    const wake = await cell.claim(2)
    assert.deepEqual(wake.body.streams, lost.body.streams, 'the same work')
    await cell.isOver(lost)
    await cell.endsWell(wake)
    await cell.became('emitted', 'claimed', 'expired', 'pending', 'emitted', 'claimed', 'done')
  },

  async *'the agent dies after its writes'(cell) {
    await cell.prepare()
    yield* cell.event()
    const lost = await cell.claim(1)
    await lost.append(note('half'))
    yield LEASE
    const wake = await cell.claim(2)
    assert.ok(wake.offset >= lost.offset, 'who comes next sees what was written')
    assert.deepEqual(await cell.notes(), ['half'])
    await cell.isOver(lost)
    await cell.endsWell(wake, ['half'])
    await cell.became('emitted', 'claimed', 'expired', 'pending', 'emitted', 'claimed', 'done')
  },

  async *'the agent says twice that it is done'(cell) {
    await cell.prepare()
    yield* cell.event()
    const wake = await cell.claim(1)
    await cell.endsWell(wake)
    fenced(await wake.done())
    await cell.more()
    const next = await cell.claim(2)
    fenced(await wake.done())
    await cell.isHeld(2)
    await next.append(note('more'))
    assert.deepEqual((await next.done()).json, { ok: true, next_wake: false })
    await cell.isFree()
    await cell.became('emitted', 'claimed', 'done', 'appended', 'emitted', 'claimed', 'done')
  },

  async *'the agent is done too late'(cell) {
    await cell.prepare()
    yield* cell.event()
    const slow = await cell.claim(1)
    yield LEASE
    fenced(await slow.done())
    const wake = await cell.claim(2)
    fenced(await slow.done())
    await cell.isHeld(2)
    await cell.endsWell(wake)
    fenced(await slow.done())
    await cell.isFree()
    await cell.became('emitted', 'claimed', 'expired', 'pending', 'emitted', 'claimed', 'done')
  },

  async *'another says that it is done'(cell) {
    await cell.prepare()
    yield* cell.event()
    const before = await cell.claim(1)
    await cell.more()
    assert.equal((await before.done()).json.next_wake, true)
    const wake = await cell.claim(2)
    const other = await cell.w.working(cell.type, `${cell.id}-other`)
    const body = { epoch: 2, acks: [{ path: wake.body.streamPath, offset: wake.offset }], done: true }

    for (const token of [null, 'nonsense', wake.writeToken, other.body.claimToken, before.body.claimToken]) {
      const answer = await wake.callback(body, token)
      assert.equal(answer.status, 401, `${token}: ${answer.text}`)
    }
    for (const epoch of [1, 2, 3]) {
      const answer = await other.callback({ ...body, epoch }, wake.body.claimToken)
      assert.equal(answer.status, 401, answer.text)
    }
    fenced(await before.done())
    fenced(await wake.callback({ ...body, epoch: 1 }))
    fenced(await wake.callback({ ...body, epoch: 3 }))
    await cell.isHeld(2)
    await cell.endsWell(wake)
    await cell.became('emitted', 'claimed', 'done', 'pending', 'emitted', 'claimed', 'done')
    assert.equal((await other.heartbeat()).status, 200)
  },
}

// The same with a restart of the server in between.
const restarts = {
  async *'the server restarts before the event'(cell) {
    yield DELAY // The others have their event first.
    await cell.prepare()
    yield restart
    yield* cell.event()
    await cell.endsWell(await cell.claim(1))
    yield 10 * LEASE
    await cell.isQuiet()
    await cell.became('emitted', 'claimed', 'done')
  },

  async *'the server restarts before the claim'(cell) {
    await cell.prepare()
    yield* cell.event()
    const announced = await cell.consumer.next()
    yield restart
    const wake = await cell.consumer.claim(announced)
    await cell.isHeld(1)
    await cell.endsWell(wake)
    yield 10 * LEASE
    await cell.isQuiet()
    await cell.became('emitted', 'claimed', 'done')
  },

  async *'the server restarts during the claim'(cell) {
    await cell.prepare()
    yield* cell.event()
    const wake = await cell.claim(1)
    await wake.append(note('before'))
    yield restart
    await cell.isHeld(1)
    assert.equal((await wake.heartbeat()).status, 200)
    await cell.endsWell(wake, ['before'])
    yield 10 * LEASE
    await cell.isQuiet()
    await cell.became('emitted', 'claimed', 'done')
  },

  async *'the server restarts, and the agent is dead'(cell) {
    await cell.prepare()
    yield* cell.event()
    const lost = await cell.claim(1)
    yield restart
    await cell.isHeld(1)
    yield LEASE
    const wake = await cell.claim(2)
    await cell.isOver(lost)
    await cell.endsWell(wake)
    await cell.became('emitted', 'claimed', 'expired', 'pending', 'emitted', 'claimed', 'done')
  },
}

class Cell {
  #more = 0

  constructor(w, type, transport, cause) {
    const id = `${transport}-${Object.keys(causes).indexOf(cause)}`
    Object.assign(this, { w, type, id, name: `${transport}, ${cause}`, url: `/${type}/${id}` })
    this.transport = transports[transport]
    this.cause = causes[cause]
  }

  async prepare() {
    this.consumer = await this.transport.consumer(this)
    if (!this.cause.spawns) await this.spawn()
    await this.cause.prepare?.(this)
  }

  spawn(body = {}) {
    return this.w.spawn(this.type, this.id, { dispatch_policy: this.consumer.policy, ...body })
  }

  async *event() {
    await this.isQuiet()
    await this.cause.happen?.(this)
    if (this.cause.comes) yield* this.cause.comes(this)
    yield DELAY
  }

  /** Another message, after the event of the cell. */
  async more() {
    await this.w.send(this.url, 'more')
    this.#more++
  }

  /** Takes and claims what is announced, which must be of this generation. */
  async claim(generation) {
    const announced = await this.consumer.next()
    assert.equal(this.consumer.generation(announced), generation, 'generation')
    const wake = await this.consumer.claim(announced)
    assert.equal(wake.entity, this.url)
    assert.equal(wake.body.epoch, generation)
    await this.isHeld(generation)
    return wake
  }

  async isHeld(generation) {
    const { status, dispatch } = await this.w.explain(this.url)
    assert.deepEqual([status, dispatch.state, dispatch.generation], ['running', 'claimed', generation])
    const held = await this.consumer.holds()
    if (held) assert.deepEqual(held, [generation], 'the runner’s claims')
  }

  /** Nobody has a claim. (The next announcement may have been taken already, but not claimed.) */
  async isFree() {
    const held = await this.consumer.holds()
    if (held) assert.deepEqual(held, [], 'the runner’s claims')
  }

  async isQuiet() {
    assert.deepEqual(await this.consumer.untaken(), [])
  }

  /** A wake that somebody had gives no right to anything. */
  async isOver(wake) {
    if (wake.writeToken) assert.equal((await wake.write(note('stale'))).status, 401)
    fenced(await wake.callback({ epoch: wake.body.epoch, wakeId: wake.body.wakeId }))
    fenced(await wake.heartbeat())
    fenced(await wake.done())
  }

  /** Who has the claim writes and is done, and then all is as it should be. */
  async endsWell(wake, before = []) {
    await wake.append(note('last'))
    assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false })
    const { status, dispatch, pending } = await this.w.explain(this.url)
    assert.deepEqual([status, dispatch.state, pending], ['idle', 'idle', null])
    await this.isFree()
    await this.isOver(wake)
    await this.isQuiet()
    assert.deepEqual(await this.notes(), [...before, 'last'])
    const told = await this.w.events(this.url, this.cause.tells)
    assert.equal(told.length, this.cause.tells === 'inbox' ? 1 + this.#more : 1, 'each event is told once')
  }

  /** What became of it, from its first announcement on; who came too late aside. */
  async became(...expected) {
    const steps = (await this.w.journal(this.url)).filter((step) => step.what !== 'fenced')
    assert.deepEqual(steps.map((step) => step.what), [...this.cause.begins, ...expected])
  }

  async notes() {
    return (await this.w.events(this.url, 'note')).map((event) => event.key)
  }
}

function fenced(answer) {
  assert.equal(answer.status, 409, answer.text)
  assert.equal(answer.json.error.code, 'FENCED')
}

/** The cells of a fate, which are entities of a type of their own. */
function cells(w, type, fate, names = Object.keys(causes)) {
  return Object.keys(transports).flatMap((transport) =>
    names.map((cause) => {
      const cell = new Cell(w, type, transport, cause)
      return Object.assign(cell, { run: () => fate(cell) })
    }),
  )
}

async function report(t, told) {
  for (const { name, error } of told) {
    await t.test(name, () => {
      if (error) throw error
    })
  }
}

for (const [name, fate] of Object.entries(fates)) {
  test(`dispatch: ${name}`, async (t) => {
    const w = await world(t)
    const told = cells(w, await w.type(definition), fate)
    await sideBySide(told, { advance: (ms) => w.advance(ms) })
    await report(t, told)
  })
}

test('dispatch across a restart', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  const told = {}
  // After its restart an object asks for all shapes at once, and what is delivered waits for its few connections: longer than
  // the clock does. pg-sync.test.mjs has a shape across a restart.
  const names = Object.keys(causes).filter((cause) => hostName !== 'worker' || !causes[cause].comes)
  for (const [name, fate] of Object.entries(restarts)) told[name] = cells(w, await w.type(definition), fate, names)
  await sideBySide(Object.values(told).flat(), {
    advance: (ms) => w.advance(ms),
    async restart() {
      await host.stop()
      await host.restart()
      w.testId += ' after the restart'
    },
  })
  for (const [name, cells] of Object.entries(told)) await t.test(name, (t) => report(t, cells))
})
