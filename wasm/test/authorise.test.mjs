// A host's last word on who may do what: what is no answer denies, and what it does with the router does no harm.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createRouter } from '../npm/index-node.js'
import { openDatabase } from '../npm/sqlite-node.js'
import { eventually, events, pause, reveille } from './fixture.mjs'

const alice = { headers: { 'electric-principal': 'user:alice' } }
const bob = { headers: { 'electric-principal': 'user:bob' } }
const everybody = [{ subject_kind: 'principal_kind', subject_value: 'user', permission: 'spawn' }]

/** A router with a type `t` and an entity `/t/e` of Alice's in each tenant. */
async function hosted(t, authorise, { tenants = ['default'], ...options } = {}) {
  const w = reveille(t, { ...options, authorise })
  for (const tenant of tenants) {
    const kind = { name: 't', description: 'd', permission_grants: everybody }
    assert.equal((await w.ask('POST', '/_electric/entity-types', kind, { tenant })).status, 201)
    assert.equal((await w.ask('PUT', '/_electric/entities/t/e', {}, { tenant, ...alice })).status, 201)
  }
  const get = async (who, path = '/_electric/entities/t/e', tenant = 'default') => (await w.ask('GET', path, undefined, { tenant, ...who })).status
  return { ...w, get }
}

const panic = (w) => w.ask('POST', '/_reveille/dev/panic', '')

test('a question says who wants what in which tenant, and what is decided', async (t) => {
  const questions = []
  const w = await hosted(t, (question) => void questions.push(question), { tenants: ['a', 'b'] })
  questions.length = 0
  const question = { principal: 'user:bob', permission: 'read', resource: { kind: 'entity', url: '/t/e' }, decided: false }
  assert.equal(await w.get(bob, undefined, 'a'), 401)
  assert.equal(await w.get(alice, undefined, 'b'), 200)
  assert.equal(await w.get({}, undefined, 'a'), 200)
  assert.deepEqual(questions.splice(0), [
    { tenant: 'a', ...question },
    { tenant: 'b', ...question, principal: 'user:alice', decided: true },
  ])
  const more = { tenant: 'a', ...bob }
  await w.ask('PUT', '/_electric/entities/t/child', { parent: '/t/e' }, more)
  await w.ask('POST', '/_electric/entity-types', { name: 'new', description: 'd' }, more)
  await w.ask('PUT', '/_electric/shared-state/board', [], more)
  const told = questions.map(({ permission, resource, decided }) => [permission, resource, decided])
  assert.deepEqual(told, [
    ['spawn', { kind: 'entity_type', name: 't' }, true],
    ['spawn', { kind: 'entity', url: '/t/e' }, false],
    ['manage', { kind: 'registration', name: 'new' }, true],
    ['write', { kind: 'shared_state', id: 'board' }, false],
  ])
})

test('what is no answer denies, and is told once, by what it is', async (t) => {
  const throws = () => {
    throw new TypeError('secret')
  }
  for (const [answer, told] of [
    [async () => true, /^Error: authorise returned a promise: it must answer at once/],
    [async () => throws(), /returned a promise/],
    [() => ({ then: (resolve) => resolve(true) }), /returned a promise/],
    [throws, /authorise threw: it must answer at once/],
    [() => ({ get then() { return throws() } }), /authorise threw/],
    [() => null, /returned null/],
    [() => 1, /returned a number/],
    [() => 'secret', /returned a string/],
    [() => ({ decision: 'allow' }), /returned an object/],
    [() => new Boolean(true), /returned an object/],
    [function again(question) { return again(question) }, /authorise threw/],
  ]) {
    const w = await hosted(t, ({ permission, ...question }) => (permission === 'spawn' ? undefined : answer(question)))
    for (const who of [alice, bob, alice]) assert.equal(await w.get(who), 401, String(answer))
    assert.equal(await w.get({}), 200, 'the system is not asked about')
    assert.equal(w.problems.length, 1, w.problems.join('\n'))
    assert.match(w.problems[0], told)
    assert.doesNotMatch(w.problems[0], /secret|alice|\/t\/e/)
  }
})

test('a log that throws changes nothing', async (t) => {
  const log = () => {
    throw new Error('no room')
  }
  const w = await hosted(t, ({ permission }) => (permission === 'spawn' ? true : 'yes'), { log })
  assert.equal(await w.get(alice), 401)
  assert.equal(await w.get({}), 200)
})

test('a router with something else than a function to ask is not made', () => {
  const open = () => openDatabase(':memory:')
  for (const authorise of [true, null, {}, 'allow']) {
    assert.throws(() => createRouter({ open, dev: true, authorise }), /`authorise` must be a function/)
  }
})

test('it holds in the instances that follow a trap', async (t) => {
  const w = await hosted(t, ({ principal, permission }) => (permission === 'read' ? principal === 'user:bob' : undefined))
  const send = async (who) => (await w.ask('POST', '/_electric/entities/t/e/fork', {}, who)).status
  for (let n = 0; n < 2; n++) {
    assert.deepEqual([await w.get(alice), await w.get(bob)], [401, 200])
    assert.deepEqual([await send(bob)], [401], 'a command is asked about, too')
    assert.equal((await panic(w)).status, 500)
  }
})

test('a live read is judged at each piece', async (t) => {
  let may = true
  const w = await hosted(t, ({ permission }) => (permission === 'read' ? may : undefined))
  const body = events(await w.ask('GET', '/t/e/main?offset=now&live=sse', undefined, bob))
  await body.next()
  const say = (payload) => w.ask('POST', '/_electric/entities/t/e/send', { payload }, alice)
  await say('before')
  assert.match(JSON.stringify((await body.next()).data), /before/)
  const poll = w.ask('GET', '/t/e/main?offset=now&live=long-poll', undefined, bob)
  await pause(5)
  may = false
  await say('after')
  assert.equal((await poll).status, 401)
  for (let event = await body.next(); event; event = await body.next()) assert.doesNotMatch(JSON.stringify(event), /after/)
})

test('a request that the host makes is answered after the question', async (t) => {
  const asked = []
  const w = await hosted(t, ({ permission }) => {
    if (permission !== 'read' || asked.length > 3) return undefined
    const depth = asked.length
    asked.push(undefined)
    const [tenant, other] = [w.get(alice), w.get(alice, '/t/e/main', 'other')]
    asked[depth] = Promise.all([tenant, other, w.router.open('third'), panic(w)])
    return undefined
  })
  assert.equal(await w.get(alice), 200)
  await eventually(() => assert.equal(asked.length, 4))
  for (const [same, other, opened, trap] of await Promise.all(asked)) {
    assert.deepEqual([same, other, opened, trap.status], [200, 404, undefined, 500])
  }
  assert.equal(await w.get(bob), 401)
})

test('a host that closes the router in the middle of a question has it closed after that', async (t) => {
  const w = await hosted(t, ({ permission }) => void (permission === 'read' && w.router.close()))
  assert.equal(await w.get(alice), 200)
  await eventually(async () => assert.equal(await w.get(alice), 503))
  assert.deepEqual(w.problems, [])
})

test('live reads that a host ends and reads in the middle of a question are ended and read', async (t) => {
  let meddle = () => {}
  const w = await hosted(t, ({ permission }) => void (permission === 'read' && meddle()))
  await w.stream('/quiet')
  const live = async (path, signal) => (await w.ask('GET', path, undefined, { ...alice, signal })).body.getReader()
  const [cancelled, read, mine] = await Promise.all(['/quiet?offset=-1&live=sse', '/quiet?offset=-1&live=sse', '/t/e/main?offset=-1&live=sse'].map((path) => live(path)))
  const gone = new AbortController()
  const poll = w.ask('GET', '/t/e/main?offset=now&live=long-poll', undefined, { ...alice, signal: gone.signal })
  await pause(5)
  const done = []
  meddle = () => {
    meddle = () => {}
    done.push(cancelled.cancel(), read.read(), mine.cancel())
    gone.abort()
  }
  assert.equal(await w.get(alice), 200)
  await Promise.all(done)
  assert.equal((await poll).status, 503)

  // And in the middle of a piece of their own.
  const [own, others] = await Promise.all([live('/t/e/main?offset=-1&live=sse'), live('/t/e/main?offset=-1&live=sse')])
  const ended = []
  meddle = () => {
    meddle = () => {}
    ended.push(own.cancel(), others.read())
  }
  await w.ask('POST', '/_electric/entities/t/e/send', { payload: 'hello' }, alice)
  await pause(5)
  assert.equal(ended.length, 2)
  await Promise.all(ended)
  assert.deepEqual(w.problems, [])
  assert.equal(await w.get(alice), 200)
})
