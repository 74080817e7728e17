// The journal tells what each dispatch went through, and why: of an entity, of a runner, of one wake.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { ISO, like, OFFSET, WAKE_ID } from '../harness/like.mjs'
import { change, run, world } from '../harness/world.mjs'

const note = (key) => change('note', key, {})
const whats = (steps) => steps.map((step) => step.what)
const iso = (ms) => new Date(ms).toISOString()
const devLocal = '/principal/system%3Adev-local'

/** An entity that somebody runs: `{ w, url, journal, woken }`. */
async function agent(t, { by = 'webhook', ...body } = {}) {
  const w = await world(t)
  await w.type()
  const who = by === 'webhook' ? await w.hook() : await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: who.policy, ...body })
  const woken = async () => {
    if (by === 'runner') return who.claim((await who.tail())[0])
    const wake = await w.woken(who)
    await wake.claim()
    return wake
  }
  return { w, url, who, woken, target: who.policy.targets[0], journal: () => w.journal(url) }
}

for (const by of ['webhook', 'runner']) {
  test(`the journal of a message to an agent behind a ${by}`, async (t) => {
    const { w, url, woken, who, target, journal } = await agent(t, { by })
    assert.deepEqual(await journal(), [])
    const sent = await w.now()
    await w.send(url, 'hello', { key: 'm1' })
    const wake = await woken()
    const done = await w.advance(5_000)
    assert.equal((await wake.done()).status, 200)

    const [{ headers }] = await w.events(url, 'inbox')
    const of = { entity: url, wake: wake.body.wakeId, generation: 1 }
    like(await journal(), [
      { at: iso(sent), what: 'appended', ...of, offset: headers.offset, cause: 'message', from: devLocal, key: 'm1' },
      { at: iso(sent), what: 'emitted', ...of, to: target, attempt: 1 },
      { at: iso(sent), what: 'claimed', ...of, by: by === 'runner' ? who.id : 'webhook', lease: ISO },
      { at: iso(done), what: 'done', ...of, next: false },
    ])
  })
}

// What else an append is, and what its step says of it.
const causes = [
  ['a signal', ({ w, url }) => w.post(`/_electric/entities${url}/signal`, { signal: 'SIGHUP' }), { cause: 'signal', signal: 'SIGHUP' }],
  ['a delayed message', async ({ w, url }) => (await w.send(url, 1, { afterMs: 10, key: 'late' }), w.advance(10)), { cause: 'message', from: devLocal, key: 'late' }],
  ['another’s message', ({ w, url }) => w.send(url, 1, { key: 'm' }, { as: 'system:framework' }), { cause: 'message', from: '/principal/system%3Aframework', key: 'm' }],
]
for (const [what, happen, more] of causes) {
  test(`the journal of ${what}`, async (t) => {
    const subject = await agent(t)
    await happen(subject)
    const wake = await subject.woken()
    const [step] = await subject.journal()
    like(step, { at: ISO, what: 'appended', entity: subject.url, wake: wake.body.wakeId, generation: 1, offset: wake.offset, ...more })
  })
}

test('the journal of a change names the registration, and where the event stands', async (t) => {
  const { w, url, woken, journal } = await agent(t, { by: 'runner' })
  const source = await w.working(w.name, 'source')
  await w.observe(url, source.entity, { on: 'change', collections: ['note'] })
  await source.append([change('memo', 'm', {}), note('n')])
  const wake = await woken()

  const [row] = await w.events(url, 'wake')
  const [, registration] = /^wake-(\d+)-/.exec(row.key)
  const of = { entity: url, wake: wake.body.wakeId, generation: 1 }
  const [evaluated, appended, ...rest] = await journal()
  like(evaluated, {
    at: ISO,
    what: 'evaluated',
    ...of,
    source: source.entity,
    position: `${source.offset}:1`,
    registration: Number(registration),
    collection: 'note',
    kind: 'insert',
    key: 'n',
  })
  like(appended, { at: ISO, what: 'appended', ...of, offset: row.headers.offset, cause: 'wake' })
  assert.deepEqual(whats(rest), ['emitted', 'claimed'])
})

test('each event that matched stands in the journal, with the wake that served it', async (t) => {
  const { w, url, woken, journal } = await agent(t)
  const source = await w.working(w.name, 'source')
  await w.observe(url, source.entity, { on: 'change' })
  await source.append([note('a'), note('b')])
  const first = await woken()
  await source.append([note('c')])
  first.offset = first.body.streams[0].offset
  assert.equal((await first.done()).json.next_wake, true)
  const second = await woken()
  second.offset = await w.tail(`${url}/main`)
  await second.done()

  const evaluated = (await journal()).filter((step) => step.what === 'evaluated')
  const rows = await w.events(url, 'wake')
  const servedBy = (row) => (row.headers.offset <= first.body.streams[0].offset ? first : second).body.wakeId
  assert.deepEqual(evaluated.map((step) => [step.key, step.wake]), rows.map((row) => [row.value.changes[0].key, servedBy(row)]))
  assert.equal(rows.length, 3)
})

test('a child’s answer stands in the parent’s journal', async (t) => {
  const { w, url, woken, journal } = await agent(t)
  const child = await w.working(w.name, 'child', { parent: url, wake: { subscriberUrl: url, condition: 'runFinished' } })
  await child.append(run('run-0', 'x'))
  await woken()
  const [evaluated] = await journal()
  assert.deepEqual([evaluated.source, evaluated.collection, evaluated.kind, evaluated.key], [child.entity, 'runs', 'update', 'run-0'])
})

// What becomes of a dispatch.

test('what came during a wake begins the next, and the journal says what', async (t) => {
  const { w, url, woken, journal } = await agent(t, { by: 'runner', initialMessage: 1 })
  const first = await woken()
  await w.send(url, 2)
  const acked = first.offset
  await first.done()
  const second = await woken()
  const steps = await journal()
  assert.deepEqual(whats(steps), ['appended', 'emitted', 'claimed', 'done', 'pending', 'emitted', 'claimed'])
  assert.equal(steps[3].next, true)
  const { from, to, why, wake, generation } = steps[4]
  assert.deepEqual([from, to, wake, generation], [acked, await w.tail(`${url}/main`), second.body.wakeId, 2])
  assert.equal(typeof why, 'string')
})

test('failed deliveries are one step, with the newest attempt and the next', async (t) => {
  const { w, url, who: hook, journal, target } = await agent(t)
  hook.answer({ status: 500, body: { error: 'no' } })
  await w.send(url, 1)
  const began = await w.now()
  let until
  for (let attempt = 1; attempt <= 4; attempt++) {
    await w.woken(hook)
    const [appended, emitted, retried, ...more] = await w.eventually(async () => {
      const steps = await journal()
      assert.equal(steps.at(-1).attempt, attempt)
      assert.equal(steps.at(-1).what, 'retried')
      return steps
    })
    assert.deepEqual([appended.what, emitted.what, emitted.attempt, more], ['appended', 'emitted', 1, []])
    assert.deepEqual(emitted.to, target)
    assert.match(retried.error, /500/)
    const now = await w.now()
    assert.equal(Date.parse(retried.at), now)
    until = Date.parse(retried.until)
    assert.ok(until > now && until <= now + 1_200 * 2 ** (attempt - 1), `${until - now}`)
    if (attempt === 4) hook.answer({ status: 200, body: { done: true } })
    await w.advance(until - now)
  }
  await w.woken(hook)
  const steps = await w.eventually(async () => {
    const steps = await journal()
    assert.equal(steps.at(-1).what, 'done')
    return steps
  })
  assert.ok(whats(steps).includes('retried'))
  assert.ok(steps.every((step) => step.generation === 1))
  assert.equal(Date.parse(steps[0].at), began)
})

test('announcements that nobody claims are one step, with the newest attempt', async (t) => {
  const { w, woken, who: runner, journal } = await agent(t, { by: 'runner', initialMessage: 1 })
  await w.advance(30_000)
  await w.advance(60_000)
  const steps = await journal()
  assert.deepEqual(whats(steps), ['appended', 'emitted'])
  assert.equal(steps[1].attempt, 3)
  assert.deepEqual(steps[1].to, runner.policy.targets[0])
  assert.equal(Date.parse(steps[1].at), await w.now())
  await woken()
  assert.deepEqual(whats(await journal()), ['appended', 'emitted', 'claimed'])
})

test('a lease that is over, and who comes too late', async (t) => {
  const { w, woken, journal } = await agent(t, { by: 'runner', initialMessage: 1 })
  const lost = await woken()
  const lease = (await w.now()) + 30_000
  await w.advance(30_000)
  const wake = await woken()
  await lost.heartbeat()
  await lost.done()
  await wake.done()
  const steps = await journal()
  assert.deepEqual(whats(steps), ['appended', 'emitted', 'claimed', 'expired', 'pending', 'emitted', 'claimed', 'fenced', 'fenced', 'done'])
  const [expired, fenced] = [steps[3], steps[7]]
  assert.equal(expired.lease, iso(lease))
  assert.equal(Date.parse(expired.at), lease)
  assert.equal(fenced.wake, lost.body.wakeId, 'it is the lost wake that was called for')
  assert.equal(fenced.generation, 1)
  assert.equal(typeof fenced.why, 'string')
})

test('a pause parks, and what continues takes it up', async (t) => {
  const { w, url, woken, journal } = await agent(t, { by: 'runner', initialMessage: 1 })
  const signal = (name) => w.post(`/_electric/entities${url}/signal`, { signal: name })
  await signal('SIGSTOP')
  await w.send(url, 2, { mode: 'paused' })
  const parked = await journal()
  assert.deepEqual(whats(parked), ['appended', 'emitted', 'parked'])
  assert.match(parked[2].why, /paus/)
  await signal('SIGCONT')
  await woken()
  assert.deepEqual(whats(await journal()).slice(0, 3), ['appended', 'emitted', 'parked'])
  assert.deepEqual(whats(await journal()).slice(-2), ['emitted', 'claimed'])
  assert.equal((await journal()).at(-1).generation, 2)
})

test('who comes too late by the stream protocol’s callback is in the journal too', async (t) => {
  const { w, who: hook, woken, journal } = await agent(t, { initialMessage: 1 })
  const lost = await woken()
  await w.advance(30_000)
  await w.eventually(async () => assert.equal((await journal()).at(-1).what, 'claimed'))
  const { wake_id, generation, callback_url, callback_token } = lost.body
  const headers = { authorization: `Bearer ${callback_token}` }
  const late = await w.post(new URL(callback_url).pathname, { wake_id, generation, acks: [], done: true }, { headers })
  assert.equal(late.status, 409, late.text)
  assert.equal(hook.all.length, 2)
  const fenced = (await journal()).at(-1)
  assert.deepEqual([fenced.what, fenced.wake], ['fenced', wake_id])
})

for (const [how, end, state] of [
  ['killed', (w, url) => w.delete(`/_electric/entities${url}`), 'killed'],
  ['stopped', (w, url) => w.post(`/_electric/entities${url}/signal`, { signal: 'SIGTERM' }), 'stopped'],
]) {
  test(`the journal of who was ${how} says that it is over, and can still be read`, async (t) => {
    const { w, url, journal } = await agent(t, { by: 'runner', initialMessage: 1 })
    assert.equal((await end(w, url)).status, 200)
    assert.equal((await w.entity(url)).status, state)
    const steps = await journal()
    assert.deepEqual(whats(steps), ['appended', 'emitted', 'ended'])
    assert.equal(typeof steps[2].why, 'string')
  })
}

test('a match that wrote nothing is suppressed, and why', async (t) => {
  const w = await world(t)
  await w.type()
  const source = await w.working(w.name, 'source')
  const work = await w.working(w.name, 'e')
  await w.observe(work.entity, source.entity, { on: 'change' })
  await w.post(`/_electric/entities${work.entity}/signal`, { signal: 'SIGTERM' })
  assert.equal((await w.entity(work.entity)).status, 'stopping')
  await source.append([note('n')])
  assert.deepEqual(await w.events(work.entity, 'wake'), [])
  const [evaluated, suppressed] = (await w.journal(work.entity)).slice(-2)
  assert.deepEqual([evaluated.what, evaluated.key, suppressed.what], ['evaluated', 'n', 'suppressed'])
  assert.match(suppressed.why, /stopping/)
})

// Whose journal it is.

test('a runner’s journal is of all that was given to it', async (t) => {
  const w = await world(t)
  await w.type()
  const [runner, other] = [await w.runner(`${w.name}-1`), await w.runner(`${w.name}-2`)]
  const urls = []
  for (const [id, { policy }] of Object.entries({ a: runner, b: runner, c: other })) {
    urls.push((await w.spawn(w.name, id, { dispatch_policy: policy, initialMessage: 1 })).url)
  }
  const [first] = await runner.tail()
  await (await runner.claim(first)).done()
  const journal = async ({ id }, options) => (await w.get(`/_reveille/runners/${id}/journal`, options)).json.steps
  const steps = await journal(runner)
  assert.deepEqual(new Set(steps.map((step) => step.entity)), new Set(urls.slice(0, 2)))
  assert.deepEqual(whats(steps), ['appended', 'emitted', 'appended', 'emitted', 'claimed', 'done'])
  assert.deepEqual(steps.map(({ at }) => at), steps.map(({ at }) => at).sort(), 'oldest first')
  for (const url of urls.slice(0, 2)) {
    assert.deepEqual(steps.filter((step) => step.entity === url), await w.journal(url))
  }
  assert.deepEqual(whats(await journal(other)), ['appended', 'emitted'])
  assert.deepEqual(await journal(await w.runner(`${w.name}-3`)), [])
})

test('a wake’s journal is of that wake, and of the rows that it serves', async (t) => {
  const { w, url, woken, journal } = await agent(t, { by: 'runner', initialMessage: 1 })
  const source = await w.working(w.name, 'source')
  await w.observe(url, source.entity, { on: 'change' })
  const first = await woken()
  await source.append([note('a')])
  await source.append([note('b')])
  await first.done()
  const second = await woken()
  second.offset = await w.tail(`${url}/main`)
  await second.done()
  const of = async (wake) => {
    const answer = await w.get(`/_reveille/wakes/${wake.body.wakeId}/journal`)
    assert.equal(answer.status, 200, answer.text)
    return answer.json.steps
  }
  assert.deepEqual(whats(await of(first)), ['appended', 'emitted', 'claimed', 'done'])
  const served = await of(second)
  assert.deepEqual(whats(served), ['evaluated', 'appended', 'evaluated', 'appended', 'pending', 'emitted', 'claimed', 'done'])
  assert.deepEqual(served.filter((step) => step.key).map((step) => step.key), ['a', 'b'])
  for (const step of served) assert.equal(step.wake, second.body.wakeId)
  const all = await journal()
  assert.equal(all.length, 12)
  assert.deepEqual(all.filter((step) => step.wake === second.body.wakeId), served)
})

test('whose journal may be read is who may read the entity, or owns the runner', async (t) => {
  const w = await world(t)
  await w.type()
  const as = 'user:alice'
  const runner = await w.runner(w.name, { as })
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, initialMessage: 1 }, { as })
  const wake = await runner.claim((await runner.tail())[0])
  const paths = [`entities${url}`, `runners/${runner.id}`, `wakes/${wake.body.wakeId}`].map((path) => `/_reveille/${path}/journal`)
  for (const path of paths) {
    const mine = await w.get(path, { as })
    assert.equal(mine.status, 200, mine.text)
    assert.deepEqual(whats(mine.json.steps), ['appended', 'emitted', 'claimed'])
    const foreign = await w.get(path, { as: 'user:bob' })
    // Whose wake it is, is told to nobody else: there might be none.
    const [status, code] = path.includes('wakes') ? [404, 'NOT_FOUND'] : [path.includes('runners') ? 403 : 401, 'UNAUTHORIZED']
    assert.equal(foreign.status, status, `${path} ${foreign.text}`)
    assert.equal(foreign.json.error.code, code)
    assert.ok(!foreign.text.includes(url) || !path.includes('wakes'))
    assert.ok(!foreign.text.includes('appended'))
  }
  assert.equal((await w.get(paths[0])).status, 200, 'a system principal')
  assert.equal((await w.get(paths[1])).json.error.message, 'Runner access requires the authenticated owner')
})

test('of whom nothing is known, there is no journal', async (t) => {
  const w = await world(t)
  await w.type()
  const wake = (await w.working(w.name, 'e')).body.wakeId
  const other = wake.slice(0, -1) + (wake.endsWith('0') ? '1' : '0')
  const missing = [
    [`entities/${w.name}/none`, `Entity not found at /${w.name}/none`],
    ['runners/nobody', 'Runner not found'],
    ...[other, 'w_000000000000000000000000', 'w_ffffffffffffffffffffffff', 'w_', 'x', 'w_%C3%A9', 'W_000000000000000000000000'].map((id) => [`wakes/${id}`]),
  ]
  for (const [path, message] of missing) {
    const answer = await w.get(`/_reveille/${path}/journal`)
    assert.equal(answer.status, 404, `${path} ${answer.text}`)
    assert.equal(answer.json.error.code, 'NOT_FOUND')
    if (message) assert.equal(answer.json.error.message, message)
  }
})

test('a journal survives a restart', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, initialMessage: 1 })
  await (await runner.claim((await runner.tail())[0])).done([])
  const wake = await runner.claim((await runner.tail())[0])
  const before = await w.journal(url)
  await host.stop()
  await host.restart()
  w.testId += ' after the restart'
  assert.deepEqual(await w.journal(url), before)
  await wake.done()
  assert.deepEqual(whats(await w.journal(url)), [...whats(before), 'done'])
})

test('a journal is bounded, and remembers the newest', async (t) => {
  const { w, url, woken, journal } = await agent(t, { by: 'runner', initialMessage: 1 })
  for (let generation = 1; generation <= 100; generation++) await (await woken()).done([])
  const steps = await journal()
  const generations = [...new Set(steps.map((step) => step.generation))]
  assert.equal(generations.at(-1), 101)
  assert.ok(generations.length >= 50 && generations.length < 100, `${generations.length} dispatches`)
  assert.deepEqual(generations, generations.map((_, n) => generations[0] + n), 'without a gap')
  assert.equal((await w.get(`/_reveille/entities${url}/journal`)).status, 200)
})

test('a step is of an entity, at a time, and perhaps of a wake', async (t) => {
  const { woken, journal } = await agent(t, { initialMessage: 1 })
  await (await woken()).done()
  for (const step of await journal()) {
    assert.match(step.at, ISO)
    assert.match(step.wake, WAKE_ID)
    if (step.offset) assert.match(step.offset, OFFSET)
  }
})
