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

/** Entities of one world, by name, each with a webhook that fails as it is told. */
async function failers(t, failures, { host, as = {} } = {}) {
  const w = await world(t, { host })
  await w.type()
  const all = []
  for (const [id, failure] of Object.entries(failures)) {
    const hook = await w.hook()
    hook.answer(failure)
    const { url } = await w.spawn(w.name, id, { dispatch_policy: hook.policy, initialMessage: 'go' }, { as: as[id] })
    all.push({ id, url, hook })
  }
  return { w, all }
}

/** Lets time pass until each has failed so many times in a row, as it is told. */
async function fail(w, all, times = DELIVERIES) {
  const failed = async ({ url, hook }) => {
    const { last, dispatch } = await w.explain(url)
    const step = last.findLast((step) => ['retried', 'dead-lettered'].includes(step.what))
    assert.equal(step?.attempt ?? step?.attempts, hook.all.length - (hook.before ?? 0), 'the outcome is known')
    return dispatch.state === 'dead' ? 0 : Date.parse(step.until)
  }
  for (;;) {
    const due = await w.eventually(() => Promise.all(all.map(failed)))
    if (all.every(({ hook }) => hook.all.length - (hook.before ?? 0) >= times)) return
    await w.advance(Math.max(...due) - (await w.now()))
  }
}

test('a webhook that fails a hundred times in a row is given up', async (t) => {
  const { w, all } = await failers(t, {
    answers: failing,
    long: { status: 503, body: { error: 'x'.repeat(5_000) } },
    silent: 'hang up',
  })
  const began = await w.now()
  await fail(w, all, DELIVERIES - 1)
  for (const { url } of all) assert.equal(await state(w, url), 'outstanding')
  await fail(w, all)
  const hours = ((await w.now()) - began) / 3_600_000
  assert.ok(hours > 1 && hours < 2, `it took ${hours} h`)

  const [answers, long, silent] = await Promise.all(all.map(({ url }) => w.explain(url)))
  for (const [n, { url, hook }] of all.entries()) {
    const told = [answers, long, silent][n]
    assert.equal(told.status, 'idle')
    assert.equal(told.dispatch.state, 'dead')
    assert.equal(told.pending.entries.length, 1)
    assert.ok(told.summary.includes(url) && told.summary.includes(hook.url) && told.summary.includes('100'), told.summary)
    assert.ok(told.summary.includes(told.dispatch.dead.since), told.summary)
    assert.deepEqual(told.next, [])
    assert.match(told.waiting_for[0], /revive/)
  }
  like(answers.dispatch.dead, {
    entity: all[0].url,
    wake: answers.last[0].wake,
    target: all[0].hook.policy.targets[0],
    since: ISO,
    attempts: DELIVERIES,
    error: /500/,
    answer: { status: 500, body: JSON.stringify(failing.body) },
  })
  assert.equal(long.dispatch.dead.answer.status, 503)
  const { body } = long.dispatch.dead.answer
  assert.ok(body.startsWith('{"error":"xxx') && body.length <= 1_000, `${body.length} bytes are kept`)
  assert.equal(silent.dispatch.dead.answer, undefined)
  assert.equal(typeof silent.dispatch.dead.error, 'string')

  const [dead] = (await w.journal(all[0].url)).slice(-1)
  like(dead, {
    at: answers.dispatch.dead.since,
    what: 'dead-lettered',
    entity: all[0].url,
    wake: answers.dispatch.dead.wake,
    generation: 1,
    attempts: DELIVERIES,
    error: /500/,
    answer: answers.dispatch.dead.answer,
  })

  // No more deliveries, whatever comes: it waits.
  const [{ url, hook }] = all
  await w.send(url, 'more')
  await w.advance(24 * 3_600_000)
  assert.equal(hook.all.length, DELIVERIES)
  assert.equal(await state(w, url), 'dead')
  const late = await w.post(new URL(hook.all[0].json.callback).pathname, { epoch: 1 }, {
    headers: { authorization: `Bearer ${hook.all[0].json.claimToken}` },
  })
  assert.equal(late.status, 409, 'its wake is over')

  // Taken back, it is woken with all that has come, under another generation.
  hook.answer({ status: 200, body: { ok: true } })
  const answer = await revive(w, url)
  assert.equal(answer.status, 200, answer.text)
  assert.deepEqual(answer.json, { entity: url, state: 'outstanding' })
  const wake = await w.woken(hook, (body) => body.generation === 2)
  assert.equal(wake.offset, await w.tail(`${url}/main`))
  await wake.claim()
  await wake.append([change('note', 'n', {})])
  assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false })
  const steps = (await w.journal(url)).map((step) => step.what)
  assert.deepEqual(steps.slice(-6), ['dead-lettered', 'fenced', 'revived', 'emitted', 'claimed', 'done'])
  const revived = (await w.journal(url)).find((step) => step.what === 'revived')
  assert.equal(revived.by, '/principal/system%3Adev-local')
  assert.equal(hook.all.length, DELIVERIES + 1)
  assert.ok(!(await letters(w)).some((letter) => letter.entity === url))

  // And may fail anew as often.
  hook.answer(failing)
  hook.before = hook.all.length
  await w.send(url, 'again')
  await fail(w, [all[0]], 3)
  assert.equal(await state(w, url), 'outstanding')
})

test('failures that are not in a row do not count', async (t) => {
  const { w, all } = await failers(t, { e: failing })
  const [{ url, hook }] = all
  await fail(w, all, 60)
  hook.answerOnce({ status: 200, body: { done: true } })
  const { next } = await w.explain(url)
  await w.advance(Date.parse(next[0].at) - (await w.now()))
  await w.eventually(async () => assert.equal(await state(w, url), 'idle'))
  hook.before = hook.all.length
  await w.send(url, 'more')
  await fail(w, all, 60)
  assert.equal(await state(w, url), 'outstanding')
})

test('dead letters are listed, and taken back, by whose entities they are', async (t) => {
  const as = { a: 'user:alice', b: 'user:alice', c: 'user:bob' }
  const { w, all } = await failers(t, { a: failing, b: failing, c: failing }, { host: await startHost(), as })
  const [a, b, c] = all
  const of = async (as) => (await letters(w, { as })).map((letter) => letter.entity)
  const everything = async () => (await w.get('/_reveille/dead-letters')).json
  assert.deepEqual((await everything()).dead, [])
  for (const answer of [await revive(w, a.url), await revive(w, b.url, { as: 'user:alice' })]) {
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.json.error.code, 'NOT_DEAD')
    assert.ok([a.url, b.url].some((url) => answer.json.error.message.includes(url)), answer.text)
  }
  await fail(w, all)
  for (const letter of (await everything()).dead) {
    like(letter, { entity: String, wake: String, target: { type: 'webhook', url: String }, since: ISO, attempts: DELIVERIES, error: String, answer: { status: 500, body: String } })
  }
  assert.deepEqual((await of()).sort(), [a.url, b.url, c.url])
  assert.deepEqual((await of('user:alice')).sort(), [a.url, b.url])
  assert.deepEqual(await of('user:bob'), [c.url])
  assert.deepEqual(await of('user:mallory'), [])

  // Who may not write to the entity cannot take it back.
  const foreign = await revive(w, a.url, { as: 'user:bob' })
  assert.equal(foreign.status, 401)
  assert.deepEqual(foreign.json.error, { code: 'UNAUTHORIZED', message: `Principal is not allowed to write ${a.url}` })
  const none = await revive(w, `/${w.name}/none`)
  assert.equal(none.status, 404)
  assert.deepEqual(none.json.error, { code: 'NOT_FOUND', message: `Entity not found at /${w.name}/none` })

  for (const { hook } of all) hook.answer({ status: 200, body: { ok: true } })
  const all_ = (as) => w.post('/_reveille/dead-letters/revive', undefined, { as })
  assert.deepEqual((await all_('user:mallory')).json, { revived: 0, more: false })
  assert.equal((await revive(w, a.url, { as: 'user:alice' })).status, 200)
  assert.equal((await revive(w, a.url, { as: 'user:alice' })).json.error.code, 'NOT_DEAD')
  assert.deepEqual((await all_('user:alice')).json, { revived: 1, more: false })
  assert.deepEqual(await of(), [c.url])
  assert.deepEqual((await all_()).json, { revived: 1, more: false })
  assert.deepEqual((await all_()).json, { revived: 0, more: false })
  assert.deepEqual((await everything()).dead, [])
  for (const { url, hook } of all) assert.equal((await w.woken(hook, (body) => body.generation === 2)).entity, url)
})

test('who is paused, locked, killed or restarted when it is a dead letter', async (t) => {
  const host = await startHost()
  const { w, all } = await failers(t, { paused: failing, killed: failing, locked: failing }, { host })
  const [paused, killed, locked] = all
  await fail(w, all)
  const before = await letters(w)
  assert.equal(before.length, 3)

  await host.stop()
  await host.restart()
  w.testId += ' after the restart'
  assert.deepEqual(await letters(w), before)
  for (const { hook } of all) hook.answer({ status: 200, body: { ok: true } })

  assert.equal((await w.delete(`/_electric/entities${killed.url}`)).status, 200)
  assert.ok(!(await letters(w)).some((letter) => letter.entity === killed.url), 'who is killed has nothing to wait for')
  assert.equal((await revive(w, killed.url)).json.error.code, 'NOT_DEAD')

  const signal = (name) => w.post(`/_electric/entities${paused.url}/signal`, { signal: name })
  await signal('SIGSTOP')
  assert.equal((await signal('SIGCONT')).status, 200)
  assert.equal(await state(w, paused.url), 'dead', 'to be continued is not to be taken back')
  await signal('SIGSTOP')
  await w.post('/_reveille/dev/lock', { entity: locked.url, ms: 60_000 })
  const answers = [await revive(w, paused.url), await revive(w, locked.url)]
  for (const { url } of [paused, locked]) assert.equal(await state(w, url), 'pending')
  await t.test('the answer of a revival says that it is pending', { todo: 'it says `idle`' }, () => {
    for (const { json } of answers) assert.equal(json.state, 'pending')
  })
  await w.advance(59_999)
  for (const { hook } of all) assert.equal(hook.all.length, DELIVERIES)
  await w.advance(1)
  assert.equal((await w.woken(locked.hook, (body) => body.generation === 2)).entity, locked.url)
  await signal('SIGCONT')
  assert.equal((await w.woken(paused.hook, (body) => body.generation === 2)).entity, paused.url)
  await w.advance(60_000)
  assert.equal(killed.hook.all.length, DELIVERIES)
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
