// A webhook that nobody answers is not called for ever: after a hundred failures it is a dead letter, which says why, and
// is kept until somebody takes it back. Nothing that waits for it is lost.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { ISO, like } from '../harness/like.mjs'
import { change, world } from '../harness/world.mjs'

const DELIVERIES = 100
const failing = { status: 500, body: { error: 'out of order' } }
const state = async (w, url) => (await w.explain(url)).dispatch.state
const revive = (w, url, options) => w.post(`/_reveille/entities${url}/revive`, undefined, options)
const letters = async (w, options) => (await w.get('/_reveille/dead-letters', options)).json.dead

/** Entities, by name, each with a webhook that fails as it is told and, perhaps, of somebody. */
async function failers(w, failures) {
  const all = {}
  for (const [id, { fails = failing, as }] of Object.entries(failures)) {
    const hook = await w.hook()
    hook.answer(fails)
    const { url } = await w.spawn(w.name, id, { dispatch_policy: hook.policy, initialMessage: 'go' }, { as })
    all[id] = { url, hook }
  }
  return all
}

/** Lets time pass until each has failed so many times more, and the server knows it. */
async function fail(w, all, times) {
  for (let n = 0; n < times; n++) {
    const now = await w.now()
    await w.advance(Math.max(...all.map(({ hook }) => hook.due ?? now)) - now)
    await Promise.all(all.map(({ hook }) => hook.next()))
    await Promise.all(all.map(({ url, hook }) => w.eventually(() => failed(w, url, hook))))
  }
}

/** Once it is known what became of the last delivery: how often it failed in a row, and when the next is due. */
async function failed(w, url, hook) {
  const { what, attempt, attempts = attempt, until } = (await w.explain(url)).last.at(-1)
  assert.notEqual(what, 'emitted', 'it is on its way')
  assert.equal(attempts, (hook.failures ?? 0) + 1)
  Object.assign(hook, { failures: attempts, due: until && Date.parse(until) })
}

// A hundred failures take a while, so all of this file happens to entities that fail together, on a server of its own.
test('a webhook that fails a hundred times in a row is given up', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const began = await w.now()
  const dead = await failers(w, {
    answers: {},
    long: { fails: { status: 503, body: { error: 'x'.repeat(5_000) } } },
    silent: { fails: 'hang up' },
    a: { as: 'user:alice' },
    b: { as: 'user:alice' },
    c: { as: 'user:bob' },
    paused: {},
    killed: {},
    locked: {},
  })
  const all = Object.values(dead)
  const mended = ({ hook }) => hook.answer({ status: 200, body: { ok: true } })
  const again = ({ hook }) => w.woken(hook, (body) => body.generation === 2)

  await fail(w, all, DELIVERIES - 1)
  for (const { url } of all) assert.equal(await state(w, url), 'outstanding')
  assert.deepEqual(await letters(w), [])
  await fail(w, all, 1)
  const hours = ((await w.now()) - began) / 3_600_000
  assert.ok(hours > 1 && hours < 2, `it took ${hours} h`)

  await t.test('it says so, and how the last attempt failed', async () => {
    const told = {}
    for (const [id, { url, hook }] of Object.entries(dead)) {
      const { status, dispatch, pending, summary, next, waiting_for } = (told[id] = await w.explain(url))
      assert.deepEqual([status, dispatch.state, pending.entries.length, next], ['idle', 'dead', 1, []])
      for (const named of [url, hook.url, `${DELIVERIES}`, dispatch.dead.since]) {
        assert.ok(summary.includes(named), `\`${summary}\` does not name ${named}`)
      }
      assert.match(waiting_for[0], /revive/)
    }
    const letter = told.answers.dispatch.dead
    like(letter, {
      entity: dead.answers.url,
      wake: told.answers.last[0].wake,
      target: dead.answers.hook.policy.targets[0],
      since: ISO,
      attempts: DELIVERIES,
      error: /500/,
      answer: { status: 500, body: JSON.stringify(failing.body) },
    })
    like((await w.journal(dead.answers.url)).at(-1), {
      at: letter.since,
      what: 'dead-lettered',
      entity: letter.entity,
      wake: letter.wake,
      generation: 1,
      attempts: DELIVERIES,
      error: letter.error,
      answer: letter.answer,
    })
    const { status, body } = told.long.dispatch.dead.answer
    assert.equal(status, 503)
    assert.ok(body.startsWith('{"error":"xxx') && body.length <= 1_000, `${body.length} bytes are kept`)
    const { answer, error } = told.silent.dispatch.dead
    assert.deepEqual([answer, typeof error], [undefined, 'string'])
  })

  await t.test('it outlives a restart', async () => {
    const before = await letters(w)
    assert.equal(before.length, all.length)
    await host.stop()
    await host.restart()
    w.testId += ' after the restart'
    assert.deepEqual(await letters(w), before)
  })

  await t.test('nothing is delivered any more, whatever comes', async () => {
    const { url, hook } = dead.answers
    await w.send(url, 'more')
    await w.advance(24 * 3_600_000)
    for (const { hook } of all) assert.equal(hook.all.length, DELIVERIES)
    assert.equal(await state(w, url), 'dead')
    const { callback, claimToken } = hook.all[0].json
    const headers = { authorization: `Bearer ${claimToken}` }
    assert.equal((await w.post(new URL(callback).pathname, { epoch: 1 }, { headers })).status, 409, 'its wake is over')
  })

  await t.test('who may read and write the entity is shown the letter, and may take it back', async () => {
    const { a, b, c } = dead
    const of = async (as) => (await letters(w, { as })).map((letter) => letter.entity).sort()
    assert.deepEqual(await of(), all.map(({ url }) => url).sort())
    assert.deepEqual(await of('user:alice'), [a.url, b.url])
    assert.deepEqual(await of('user:bob'), [c.url])
    assert.deepEqual(await of('user:mallory'), [])

    const foreign = await revive(w, a.url, { as: 'user:bob' })
    assert.equal(foreign.status, 401)
    assert.deepEqual(foreign.json.error, { code: 'UNAUTHORIZED', message: `Principal is not allowed to write ${a.url}` })
    for (const one of [a, b, c]) mended(one)
    const everything = (as) => w.post('/_reveille/dead-letters/revive', undefined, { as })
    assert.deepEqual((await everything('user:mallory')).json, { revived: 0, next: null })
    assert.deepEqual((await revive(w, a.url, { as: 'user:alice' })).json, { entity: a.url, state: 'outstanding' })
    assert.equal((await revive(w, a.url, { as: 'user:alice' })).json.error.code, 'NOT_DEAD')
    assert.deepEqual((await everything('user:alice')).json, { revived: 1, next: null })
    assert.deepEqual((await everything('user:alice')).json, { revived: 0, next: null })
    assert.deepEqual((await everything('user:bob')).json, { revived: 1, next: null })
    for (const one of [a, b, c]) assert.equal((await again(one)).entity, one.url)
  })

  await t.test('taken back, it is woken with all that has come, under another generation', async () => {
    const { url, hook } = dead.answers
    mended(dead.answers)
    assert.equal((await revive(w, url)).status, 200)
    const wake = await again(dead.answers)
    assert.equal(wake.offset, await w.tail(`${url}/main`))
    await wake.claim()
    await wake.append([change('note', 'n', {})])
    assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false })
    const steps = (await w.journal(url)).slice(-6)
    assert.deepEqual(steps.map((step) => step.what), ['dead-lettered', 'fenced', 'revived', 'emitted', 'claimed', 'done'])
    assert.equal(steps[2].by, '/principal/system%3Adev-local')
    assert.ok(!(await letters(w)).some((letter) => letter.entity === url))

    // It may fail anew, as often.
    hook.answer(failing)
    Object.assign(hook, { failures: 0, due: undefined })
    await w.send(url, 'again')
    await fail(w, [dead.answers], 3)
    assert.equal(await state(w, url), 'outstanding')
  })

  await t.test('who is killed has nothing to wait for', async () => {
    const { url, hook } = dead.killed
    mended(dead.killed)
    assert.equal((await w.delete(`/_electric/entities${url}`)).status, 200)
    assert.ok(!(await letters(w)).some((letter) => letter.entity === url))
    assert.equal((await revive(w, url)).json.error.code, 'NOT_DEAD')
    await w.advance(60_000)
    assert.equal(hook.all.length, DELIVERIES)
  })

  const answers = []
  await t.test('who is paused or locked when it is taken back is woken when that is over', async () => {
    const { paused, locked } = dead
    for (const one of [paused, locked]) mended(one)
    const signal = (name) => w.post(`/_electric/entities${paused.url}/signal`, { signal: name })
    await signal('SIGSTOP')
    await signal('SIGCONT')
    assert.equal(await state(w, paused.url), 'dead', 'to be continued is not to be taken back')
    await signal('SIGSTOP')
    await w.post('/_reveille/dev/lock', { entity: locked.url, ms: 60_000 })
    for (const { url } of [paused, locked]) {
      answers.push((await revive(w, url)).json)
      assert.equal(await state(w, url), 'pending')
    }
    await w.advance(59_999)
    for (const { hook } of [paused, locked]) assert.equal(hook.all.length, DELIVERIES)
    await w.advance(1)
    assert.equal((await again(locked)).entity, locked.url)
    await signal('SIGCONT')
    assert.equal((await again(paused)).entity, paused.url)
  })

  await t.test('to take it back says that it is pending then', () => {
    assert.deepEqual(answers.map(({ state }) => state), ['pending', 'pending'])
  })
})

test('failures that are not in a row do not count', async (t) => {
  const w = await world(t)
  await w.type()
  const { e } = await failers(w, { e: {} })
  await fail(w, [e], 60)
  e.hook.answerOnce({ status: 200, body: { done: true } })
  await w.advance(e.hook.due - (await w.now()))
  await e.hook.next()
  await w.eventually(async () => assert.equal(await state(w, e.url), 'idle'))
  Object.assign(e.hook, { failures: 0, due: undefined })
  await w.send(e.url, 'more')
  await fail(w, [e], 60)
  assert.equal(await state(w, e.url), 'outstanding')
})

test('who is no dead letter cannot be taken back', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const idle = await w.spawn(w.name, 'idle', { dispatch_policy: hook.policy })
  const nobodys = await w.spawn(w.name, 'nobodys')
  for (const { url } of [idle, nobodys]) {
    const answer = await revive(w, url)
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.json.error.code, 'NOT_DEAD')
    assert.ok(answer.json.error.message.includes(url))
  }
  const none = await revive(w, `/${w.name}/none`)
  assert.equal(none.status, 404)
  assert.deepEqual(none.json.error, { code: 'NOT_FOUND', message: `Entity not found at /${w.name}/none` })
})

test('a runner that does not come is waited for, however long', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy, initialMessage: 1 })
  for (let hours = 0; hours < 48; hours += 6) await w.advance(6 * 3_600_000)
  assert.equal(await state(w, url), 'outstanding')
  assert.equal((await revive(w, url)).json.error.code, 'NOT_DEAD')
  const wake = await runner.claim((await runner.tail())[0])
  assert.equal((await wake.done()).json.next_wake, false)
})
