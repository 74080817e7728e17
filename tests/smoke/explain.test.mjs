// Why an entity is awake or asleep, what it waits for, and what happens next; and why one event did or did not wake it.
// Of the words only that is checked which they must name.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like } from '../harness/like.mjs'
import { sha16 } from '../harness/signature.mjs'
import { change, finish, run, world } from '../harness/world.mjs'

const LEASE = 30_000
const note = (key, operation) => change('note', key, {}, operation)
const iso = (ms) => new Date(ms).toISOString()
const signal = (w, url, name) => w.post(`/_electric/entities${url}/signal`, { signal: name })

/** Checks that a summary names its entity and whatever else it must. */
function names({ entity, summary }, ...things) {
  for (const thing of [entity, ...things]) {
    if (thing instanceof RegExp) assert.match(summary, thing)
    else assert.ok(summary.includes(thing), `\`${summary}\` does not name ${thing}`)
  }
}

async function agent(t, { by = 'webhook', ...body } = {}) {
  const w = await world(t)
  await w.type()
  const who = by === 'webhook' ? await w.hook() : await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: who.policy, ...body })
  return { w, url, who, target: who.policy.targets[0], explain: (query) => w.explain(url, query) }
}

// Where an entity stands.

test('an entity without a policy: nobody is told', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', { initialMessage: 1 })
  const told = await w.explain(url)
  assert.equal(told.entity, url)
  assert.equal(told.status, 'idle')
  assert.deepEqual(told.dispatch, { state: 'none' })
  assert.equal(told.pending, null)
  assert.deepEqual(told.next, [])
  assert.deepEqual(told.last, [])
  assert.deepEqual(told.registrations, [])
  names(told, /policy/)
  assert.match(told.waiting_for[0], /policy/)
})

for (const by of ['webhook', 'runner']) {
  test(`an entity behind a ${by} that was never woken`, async (t) => {
    const { url, who, target, explain } = await agent(t, { by })
    const told = await explain()
    const base = by === 'webhook' ? `webhook:${sha16(target.url)}` : `runner:${who.id}`
    assert.equal(told.dispatch.state, 'idle')
    assert.deepEqual(told.dispatch.target, target)
    assert.equal(told.dispatch.subscription, `${base}:${sha16(url)}`)
    assert.equal(told.dispatch.generation, 0)
    assert.equal(told.pending, null)
    assert.deepEqual(told.next, [], 'nothing happens by itself')
    assert.equal(told.waiting_for.length, 1)
    names(told, /message/)
  })

  test(`an entity that somebody behind a ${by} works on: who, since when, and until when`, async (t) => {
    const { w, url, who, target, explain } = await agent(t, { by })
    await w.send(url, 1, { key: 'm' })
    const since = await w.now()
    const wake = by === 'webhook' ? await w.woken(who) : await who.claim((await who.tail())[0])
    if (by === 'webhook') await wake.claim()
    const told = await explain()
    const { dispatch } = told
    assert.equal(told.status, 'running')
    assert.equal(dispatch.state, 'claimed')
    assert.equal(dispatch.wake, wake.body.wakeId)
    assert.equal(dispatch.generation, 1)
    assert.equal(dispatch.attempt, 1)
    assert.equal(dispatch.since, iso(since))
    assert.equal(dispatch.lease_expires_at, iso(since + LEASE))
    if (by === 'runner') assert.equal(dispatch.holder, who.id)
    assert.deepEqual(told.next.map(({ at }) => at), [iso(since + LEASE)])
    assert.deepEqual(told.last.map((step) => step.what), ['appended', 'emitted', 'claimed'])
    assert.deepEqual(told.pending.entries, [{ offset: wake.offset, type: 'inbox', key: 'm' }])
    names(told, by === 'webhook' ? target.url : who.id, wake.body.wakeId, iso(since + LEASE))

    const beaten = await w.advance(10_000)
    await wake.heartbeat()
    const later = await explain()
    assert.equal(later.dispatch.lease_expires_at, iso(beaten + LEASE))
    assert.equal(later.dispatch.since, iso(since))
    names(later, iso(beaten + LEASE))

    await wake.done()
    const asleep = await explain()
    assert.equal(asleep.dispatch.state, 'idle')
    assert.equal(asleep.pending, null)
    assert.deepEqual(asleep.next, [])
    assert.deepEqual(asleep.last.map((step) => step.what), ['appended', 'emitted', 'claimed', 'done'])
    names(asleep, /message/, iso(since))
  })

  test(`an entity whose agent behind a ${by} has died: the lease that was over`, async (t) => {
    const { w, url, who, explain } = await agent(t, { by, initialMessage: 1 })
    if (by === 'webhook') await (await w.woken(who)).claim()
    else await who.claim((await who.tail())[0])
    if (by === 'webhook') who.answer({ status: 503 })
    await w.advance(LEASE)
    const told = await w.eventually(async () => {
      const told = await explain()
      assert.equal(told.dispatch.state, 'outstanding')
      return told
    })
    assert.equal(told.status, 'idle')
    assert.equal(told.dispatch.generation, 2)
    const { steps } = (await w.get(`/_reveille/entities${url}/journal`)).json
    assert.ok(steps.some((step) => step.what === 'expired' && step.generation === 1))
    assert.equal(told.last[0].what, 'pending')
    assert.match(told.last[0].why, /lease/)
    names(told, told.dispatch.wake)
  })
}

test('a webhook that has not answered yet', async (t) => {
  const { w, url, who: hook, target, explain } = await agent(t)
  let answer
  hook.answerOnce(() => new Promise((resolve) => (answer = () => resolve({ status: 200, body: { ok: true } }))))
  await w.send(url, 1)
  await w.eventually(() => assert.equal(hook.all.length, 1))
  const told = await explain()
  assert.equal(told.dispatch.state, 'outstanding')
  assert.equal(told.dispatch.attempt, 1)
  assert.equal(told.status, 'idle')
  names(told, target.url, told.dispatch.wake)
  answer()
  await w.eventually(async () => assert.equal((await explain()).dispatch.state, 'claimed'))
})

test('a webhook that fails: how often, how, and when it comes again', async (t) => {
  const { w, url, who: hook, target, explain } = await agent(t)
  hook.answer({ status: 418, body: { error: 'a teapot' } })
  await w.send(url, 1)
  for (let attempt = 1; attempt <= 3; attempt++) {
    await w.woken(hook)
    const told = await w.eventually(async () => {
      const told = await explain()
      assert.match(told.dispatch.error ?? '', /418/)
      assert.equal(told.last.at(-1).attempt, attempt)
      return told
    })
    assert.equal(told.dispatch.state, 'outstanding')
    assert.equal(told.dispatch.attempt, attempt)
    names(told, target.url, '418', told.dispatch.wake)
    const [{ at }] = told.next
    assert.equal(at, told.last.at(-1).until)
    const now = await w.now()
    assert.ok(Date.parse(at) > now)
    await w.advance(Date.parse(at) - now)
  }
})

// A runner that has been told and does not come.
const runners = [
  ['has never sent a heartbeat', async () => {}, /never/],
  ['is online', ({ w, who }) => w.post(`/_electric/runners/${who.id}/heartbeat`, { lease_ms: 60_000 })],
  ['was heard of too long ago', async ({ w, who }) => (await w.post(`/_electric/runners/${who.id}/heartbeat`, { lease_ms: 1_000 }), w.advance(2_000)), /heartbeat/],
  ['is disabled', ({ w, who }) => w.post(`/_electric/runners/${who.id}/disable`), /disabled/],
]
for (const [what, become, trouble] of runners) {
  test(`work that a runner has not claimed which ${what}`, async (t) => {
    const subject = await agent(t, { by: 'runner' })
    const { w, url, who: runner, explain } = subject
    await become(subject)
    const idle = await explain()
    assert.equal(idle.dispatch.state, 'idle')
    if (trouble) names(idle, runner.id, trouble)

    await w.send(url, 1)
    const now = await w.now()
    const told = await explain()
    assert.equal(told.dispatch.state, 'outstanding')
    assert.equal(told.status, 'idle')
    assert.equal(told.dispatch.holder, undefined)
    names(told, runner.id, told.dispatch.wake, ...(trouble ? [trouble] : []))
    assert.match(told.waiting_for.join(), new RegExp(runner.id))
    assert.deepEqual(told.next.map(({ at }) => at), [iso(now + LEASE)], 'when it is announced again')
    assert.equal(told.pending.entries.length, 1)
  })
}

test('a paused entity waits to be continued', async (t) => {
  const { w, url, explain } = await agent(t, { by: 'runner' })
  await signal(w, url, 'SIGSTOP')
  const told = await explain()
  assert.equal(told.status, 'paused')
  names(told, /paused/)
  await w.send(url, 1, { mode: 'paused' })
  const more = await explain()
  assert.equal(more.dispatch.state, 'pending')
  assert.deepEqual(more.waiting_for, ['SIGCONT'])
  assert.deepEqual(more.next, [])
  assert.equal(more.pending.entries.at(-1).type, 'inbox')
  names(more, /paused/, 'SIGCONT')
})

test('an entity that stops when its agent is done', async (t) => {
  const { w, url, who: runner, explain } = await agent(t, { by: 'runner', initialMessage: 1 })
  const wake = await runner.claim((await runner.tail())[0])
  await signal(w, url, 'SIGTERM')
  const told = await explain()
  assert.equal(told.status, 'stopping')
  assert.equal(told.dispatch.state, 'claimed')
  names(told, /stop/, runner.id, wake.body.wakeId)
})

for (const [status, end] of [
  ['killed', (w, url) => w.delete(`/_electric/entities${url}`)],
  ['stopped', (w, url) => signal(w, url, 'SIGTERM')],
]) {
  test(`a ${status} entity is not woken any more`, async (t) => {
    const { w, url, explain } = await agent(t, { by: 'runner', initialMessage: 1 })
    await end(w, url)
    const told = await explain()
    assert.equal(told.status, status)
    assert.deepEqual(told.dispatch, { state: 'none' })
    assert.deepEqual([told.waiting_for, told.next, told.pending], [[], [], null])
    names(told, status)
  })
}

test('the budget of wakes is told, and what is left of it', async (t) => {
  const { w, url, who: runner, explain } = await agent(t, { by: 'runner' })
  assert.deepEqual((await explain()).budget, { wakes_a_minute: 60, at_once: 600, left: 600 })
  await w.send(url, 1)
  assert.equal((await explain()).budget.left, 599)
  await runner.claim((await runner.tail())[0])
  await w.advance(60_000)
})

test('what is pending is told, up to where, and what it begins with', async (t) => {
  const { w, url, explain } = await agent(t, { by: 'runner' })
  for (let n = 0; n < 30; n++) await w.send(url, n, { key: `m${n}` })
  const { pending } = await explain()
  const inbox = await w.events(url, 'inbox')
  assert.equal(pending.to, await w.tail(`${url}/main`))
  assert.ok(pending.entries.length >= 10 && pending.entries.length <= 30)
  const first = inbox.slice(0, pending.entries.length)
  assert.deepEqual(pending.entries, first.map(({ headers, type, key }) => ({ offset: headers.offset, type, key })))
})

test('why it last woke: the message, the signal, or the event and its registration', async (t) => {
  const { w, url, who: runner, explain } = await agent(t, { by: 'runner' })
  const source = await w.working(w.name, 'source')
  await w.observe(url, source.entity, { on: 'change' })
  const [{ registration }] = (await explain()).registrations
  const wakes = [
    [() => w.send(url, 1, {}, { as: 'system:framework' }), ['/principal/system%3Aframework']],
    [() => signal(w, url, 'SIGHUP'), ['SIGHUP']],
    [() => source.append([note('the-key')]), ['the-key', source.entity, `${registration}`]],
  ]
  for (const [happen, said] of wakes) {
    await happen()
    const at = iso(await w.now())
    names(await explain(), at, ...said)
    const wake = await runner.claim((await runner.tail())[0])
    await wake.done()
    await w.advance(1_000)
    names(await explain(), at, ...said)
  }
})

// One event.

async function observed(t, ...conditions) {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const source = await w.working(w.name, 'source')
  for (const condition of conditions) await w.observe(url, source.entity, condition)
  /** What is said of the append that ended last, or somewhere else. */
  const event = async (query = {}) => (await w.explain(url, { source: source.entity, offset: source.offset, ...query })).event
  return { w, url, source, event }
}

// The condition, the event, and what the reason must name; nothing when it matches.
const finished = { on: 'change', collections: ['run'] }
const reasons = [
  [{ on: 'change' }, note('n')],
  [{ on: 'change', collections: ['note'] }, note('n')],
  [{ on: 'change', collections: ['memo', 'todo'] }, note('n'), 'note', 'memo', 'todo'],
  [{ on: 'change', ops: ['update', 'delete'] }, note('n'), 'insert', 'update', 'delete'],
  [{ on: 'change', ops: ['update'] }, note('n', 'upsert'), 'insert', 'update'],
  [{ on: 'change', collections: ['note'], ops: ['delete'] }, note('n', 'update'), 'update', 'delete'],
  [{ on: 'change', collections: ['memo'], ops: ['delete'] }, note('n', 'update'), 'note', 'memo'],
  [{ on: 'change' }, { key: 'n', value: {}, headers: { operation: 'insert' } }, 'type'],
  ['runFinished', finish('r')],
  ['runFinished', finish('r', 'failed')],
  ['runFinished', finish('r', 'started'), 'started', 'completed', 'failed'],
  ['runFinished', change('run', 'r', { status: 'completed' }), 'insert', 'update'],
  ['runFinished', change('step', 'r', { status: 'completed' }, 'update'), 'step', 'run'],
  ['runFinished', { ...finish('r'), headers: {} }, 'update'],
  [finished, finish('r')],
]
for (const [condition, event, ...said] of reasons) {
  const what = said.length ? `names ${said.join(', ')}` : 'is that it matched'
  test(`of ${JSON.stringify(condition)} and ${JSON.stringify(event)} the reason ${what}`, async (t) => {
    const { w, url, source, event: explained } = await observed(t, condition)
    await source.append([event])
    const told = await explained()
    assert.equal(told.source, source.entity)
    assert.equal(told.offset, source.offset)
    const [row] = await w.events(url, 'wake')
    const [one, ...more] = told.events
    assert.deepEqual(more, [])
    assert.equal(one.index, 0)
    assert.equal(one.type ?? undefined, event.type)
    assert.equal(one.key ?? undefined, event.key)
    assert.equal(one.operation ?? undefined, event.headers.operation)
    assert.equal(one.class, 'any')
    const [registration] = one.registrations
    assert.deepEqual(registration.condition, condition)
    assert.equal(registration.matched, said.length === 0, 'as it is told')
    assert.equal(Boolean(row), said.length === 0, 'as it was')
    for (const word of row ? [row.headers.offset] : said.map((word) => `\`${word}\``)) {
      assert.ok(registration.why.includes(word.replace('`type`', 'type')), `\`${registration.why}\` does not name ${word}`)
    }
    if (row) assert.equal(row.key.split('-')[1], `${registration.registration}`)
  })
}

test('each event of an append is explained by each registration; `index` picks one', async (t) => {
  const { source, event } = await observed(t, { on: 'change', collections: ['note'] }, 'runFinished')
  await source.append([note('a'), change('memo', 'b', {}), ...run('r', 'x')])
  const matched = ({ events }) => events.map((one) => one.registrations.map((registration) => registration.matched))
  const all = await event()
  assert.deepEqual(all.events.map((one) => [one.index, one.key]), [[0, 'a'], [1, 'b'], [2, 'r'], [3, 'r:0'], [4, 'r']])
  assert.deepEqual(matched(all), [[true, false], [false, false], [false, false], [false, false], [false, true]])
  for (const index of [0, 1, 4]) assert.deepEqual((await event({ index })).events, [all.events[index]])
})

test('a match says which wake serves its row', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy })
  const source = await w.working(w.name, 'source')
  await w.observe(url, source.entity, { on: 'change' })
  await source.append([note('n')])
  const why = async () => (await w.explain(url, { source: source.entity, offset: source.offset })).event.events[0].registrations[0].why
  const wake = await runner.claim((await runner.tail())[0])
  assert.ok((await why()).includes(wake.body.wakeId), await why())
})

test('a match that could not wake says why', async (t) => {
  const w = await world(t)
  await w.type()
  const source = await w.working(w.name, 'source')
  const { entity: url } = await w.working(w.name, 'e')
  await w.observe(url, source.entity, { on: 'change' })
  await signal(w, url, 'SIGTERM')
  await source.append([note('n')])
  const [{ matched, why }] = (await w.explain(url, { source: source.entity, offset: source.offset })).event.events[0].registrations
  assert.equal(matched, true)
  assert.match(why, /stopping/)
})

test('a registration that was made later, and what an entity wrote itself', async (t) => {
  const { w, url, source, event } = await observed(t)
  await source.append([note('n')])
  const early = source.offset
  await w.observe(url, source.entity, { on: 'change' })
  const [{ matched, why }] = (await event({ offset: early })).events[0].registrations
  assert.equal(matched, true)
  assert.match(why, /after/)

  await w.observe(source.entity, source.entity, { on: 'change' })
  await source.append([note('m')])
  const own = (await w.explain(source.entity, { source: source.entity, offset: source.offset })).event
  assert.match(own.events[0].registrations[0].why, /own claim/)
  assert.deepEqual(await w.events(source.entity, 'wake'), [])
})

test('messages match conditions that name them only, wake rows none', async (t) => {
  const { w, url, source } = await observed(t, { on: 'change' }, { on: 'change', collections: ['inbox'] })
  await w.send(source.entity, 1)
  const offset = await w.tail(`${source.entity}/main`)
  const { event } = await w.explain(url, { source: source.entity, offset })
  assert.equal(event.events[0].class, 'named')
  assert.deepEqual(event.events[0].registrations.map((one) => one.matched), [false, true])
  assert.ok(event.events[0].registrations[0].why.includes('inbox'))

  const watcher = await w.spawn(w.name, 'watcher')
  await w.observe(watcher.url, url, { on: 'change', collections: ['wake'] })
  const row = (await w.events(url, 'wake'))[0]
  const told = (await w.explain(watcher.url, { source: url, offset: row.headers.offset })).event
  assert.equal(told.events[0].class, 'never')
  assert.equal(told.events[0].registrations[0].matched, false)
})

test('an event of a plain stream, and of a source that nobody observes', async (t) => {
  const { w, url, source, event } = await observed(t)
  const stream = `/plain/${w.name}/s`
  await w.put(stream, '[]')
  await w.observe(url, stream, { on: 'change', collections: ['tick'] })
  const { headers } = await w.post(stream, [change('tick', 'a', {}), change('tock', 'b', {})])
  const told = (await w.explain(url, { source: stream, offset: headers['stream-next-offset'] })).event
  assert.deepEqual(told.events.map((one) => one.registrations.map(({ matched }) => matched)), [[true], [false]])

  await source.append([note('n')])
  const none = await event()
  assert.deepEqual(none.events[0].registrations, [])
  assert.ok(none.why.includes(url) && none.why.includes(source.entity), none.why)
  assert.deepEqual((await event({ source: `${source.entity}/main` })).events, none.events, 'a main stream is its entity')
})

test('every event of a stream can be asked about, wherever it stands', async (t) => {
  const { source, event } = await observed(t, { on: 'change', ops: ['insert'] })
  const offsets = []
  for (let n = 0; n < 20; n++) {
    await source.append([note(`k${n}`, n % 2 ? 'update' : 'insert')])
    offsets.push(source.offset)
  }
  for (const [n, offset] of offsets.entries()) {
    const told = await event({ offset })
    assert.deepEqual([told.offset, told.events[0].key], [offset, `k${n}`])
    assert.equal(told.events[0].registrations[0].matched, n % 2 === 0)
  }
})

// What cannot be explained.

test('a malformed question is refused', async (t) => {
  const { w, url, source } = await observed(t, { on: 'change' })
  await source.append([note('n')])
  const good = { source: source.entity, offset: source.offset }
  const malformed = [
    { source: good.source },
    { offset: good.offset },
    { index: 0 },
    { source: good.source, index: 0 },
    { ...good, offset: '-1' },
    { ...good, offset: 'now' },
    { ...good, offset: '0000000000000000_0000000000000000' },
    { ...good, offset: '5' },
    { ...good, index: 'x' },
    { ...good, index: -1 },
    { ...good, index: 1.5 },
  ]
  for (const query of malformed) {
    const answer = await w.get(`/_reveille/entities${url}/explain?${new URLSearchParams(query)}`)
    assert.equal(answer.status, 400, `${JSON.stringify(query)} ${answer.text}`)
    assert.equal(answer.json.error.code, 'INVALID_REQUEST')
    assert.equal(typeof answer.json.error.message, 'string')
  }
  assert.equal((await w.get(`/_reveille/entities${url}/explain?source=&offset=`)).status, 200)
})

test('what is not there is not found', async (t) => {
  const { w, url, source } = await observed(t, { on: 'change' })
  await source.append([note('n')])
  const good = { source: source.entity, offset: source.offset }
  const past = source.offset.replace(/\d{16}$/, '9999999999999999')
  for (const [query, named] of [
    [{ ...good, source: `/${w.name}/none` }, `/${w.name}/none`],
    [{ ...good, source: '/no/such/stream' }, '/no/such/stream'],
    [{ ...good, offset: past }, past],
    [{ ...good, index: 1 }, '1'],
    [{ ...good, index: 999_999 }, '999999'],
  ]) {
    const answer = await w.get(`/_reveille/entities${url}/explain?${new URLSearchParams(query)}`)
    assert.equal(answer.status, 404, `${JSON.stringify(query)} ${answer.text}`)
    assert.equal(answer.json.error.code, 'NOT_FOUND')
    assert.ok(answer.json.error.message.includes(named), answer.text)
  }
  const none = await w.get(`/_reveille/entities/${w.name}/none/explain`)
  assert.equal(none.status, 404)
  assert.deepEqual(none.json.error, { code: 'NOT_FOUND', message: `Entity not found at /${w.name}/none` })
})

test('an entity, and a source, is explained to who may read it', async (t) => {
  const w = await world(t)
  await w.type()
  const as = 'user:alice'
  const { url } = await w.spawn(w.name, 'alices', {}, { as })
  const bobs = await w.spawn(w.name, 'bobs', { initialMessage: 's3cret-key' }, { as: 'user:bob' })
  const path = `/_reveille/entities${url}/explain`
  assert.equal((await w.get(path, { as })).status, 200)
  assert.equal((await w.get(path)).status, 200, 'a system principal')
  const refused = await w.get(path, { as: 'user:bob' })
  assert.equal(refused.status, 401)
  assert.deepEqual(refused.json.error, { code: 'UNAUTHORIZED', message: `Principal is not allowed to read ${url}` })
  const offset = await w.tail(`${bobs.url}/main`)
  const foreign = await w.get(`${path}?${new URLSearchParams({ source: bobs.url, offset })}`, { as })
  assert.equal(foreign.status, 401, foreign.text)
  assert.equal(foreign.json.error.code, 'UNAUTHORIZED')
})

test('what an explanation consists of', async (t) => {
  const { w, url, who: runner } = await agent(t, { by: 'runner' })
  const source = await w.working(w.name, 'source')
  await w.observe(url, source.entity, { on: 'change' })
  await w.observe(url, source.entity, 'runFinished')
  await w.send(url, 1)
  const told = await w.explain(url)
  like(told, {
    entity: url,
    status: 'idle',
    summary: String,
    waiting_for: [String],
    next: [{ at: ISO, kind: String, what: String }],
    dispatch: Object,
    pending: { from: String, to: String, entries: Array.isArray },
    budget: { wakes_a_minute: 60, at_once: 600, left: 599 },
    registrations: [
      { registration: Number, source: source.entity, condition: { on: 'change' }, since: String },
      { registration: Number, source: source.entity, condition: 'runFinished', since: String },
    ],
    last: (steps) => steps.every((step) => step.entity === url),
  })
  assert.deepEqual(told.dispatch.target, runner.policy.targets[0])
})
