// What somebody's fork takes along: what they might have made themselves, and nothing that they may not read.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { manifestRow } from '../harness/observer.mjs'
import { refused } from '../harness/refused.mjs'
import { world } from '../harness/world.mjs'

const alice = { as: 'user:alice' }
const bob = { as: 'user:bob' }
const carol = { as: 'user:carol' }
const path = (url) => `/_electric/entities${url}/fork`
const may = (permission, more) => ({ subject_kind: 'principal', subject_value: '/principal/user%3Acarol', permission, ...more })

/** What of a type there is. */
const all = async (w) => (await w.get(`/_electric/entities?type=${w.name}`)).json.map(({ url }) => url)

/** An entity of alice's that is at work. */
async function atWork(w, id, body = {}) {
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, id, { dispatch_policy: hook.policy, initialMessage: 'go', ...body }, alice)
  const work = await w.woken(hook)
  await work.claim()
  return { url, work }
}

test('who may fork an entity does not get at what is below it that way', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'a', { grants: [may('fork')] }, alice)
  const { url: below } = await w.spawn(w.name, 'b', { parent: url }, alice)
  const before = await all(w)
  refused(await w.post(path(url), {}, carol), 401, 'UNAUTHORIZED', `Principal is not allowed to fork ${below}`)
  for (const permission of ['write', 'spawn', 'schedule']) {
    await w.post(`/_electric/entities${below}/grants`, may(permission), alice)
    assert.equal((await w.post(path(url), {}, carol)).status, 401, permission)
  }
  assert.deepEqual(await all(w), before)
  await w.post(`/_electric/entities${below}/grants`, may('fork'), alice)
  assert.equal((await w.post(path(url), {}, carol)).status, 201)
})

test('a fork does not set somebody else’s runner to work, also below its root', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner(w.name, alice)
  const { url } = await w.spawn(w.name, 'a', { grants: [may('fork', { propagation: 'descendants' })] }, alice)
  const { url: child } = await w.spawn(w.name, 'b', { parent: url }, alice)
  await w.spawn(w.name, 'c', { parent: child, dispatch_policy: runner.policy }, alice)
  const before = await all(w)
  refused(await w.post(path(url), {}, carol), 403, 'UNAUTHORIZED', 'Runner dispatch requires the authenticated owner')
  assert.deepEqual(await all(w), before)
  assert.equal((await w.post(path(url), {}, alice)).status, 201, 'its owner’s fork does')
})

test('a fork has no copy of a shared state that was never its source’s', async (t) => {
  const w = await world(t)
  await w.type()
  const secret = `${w.name}-secret`
  const state = `/_electric/shared-state/${secret}`
  const { url: his } = await w.spawn(w.name, 'his', {}, bob)
  const headers = { 'content-type': 'application/json', 'electric-owner-entity': his }
  assert.equal((await w.put(state, [{ secret: true }], { ...bob, headers })).status, 201)
  const { url, work } = await atWork(w, 'a')
  const row = { key: `shared-state:${secret}`, kind: 'shared-state', id: secret, wake: { on: 'change' } }
  await work.append([manifestRow(row.key, row)])
  await work.done()
  assert.equal((await w.get(state, alice)).status, 401)
  const forked = await w.post(path(url), {}, alice)
  assert.equal(forked.status, 201, forked.text)
  const { url: fork } = forked.json.root
  const said = (await w.events(fork)).filter((event) => event.headers.forkedFrom)
  assert.deepEqual(said.map((event) => event.type), ['entity_created'], 'its manifest names what it named')
  const copy = `${state}-fork-${fork.split('-').at(-1)}`
  assert.equal((await w.get(copy)).status, 404)
})

for (const [what, lost] of [['it', 0], ['what is below it', 1]]) {
  test(`who may no longer fork an entity once ${what} is idle has waited in vain`, async (t) => {
    const w = await world(t)
    await w.type()
    const { url, work } = await atWork(w, 'a')
    const { url: below } = await w.spawn(w.name, 'b', { parent: url }, alice)
    const grants = []
    for (const one of [url, below]) {
      const answer = await w.post(`/_electric/entities${one}/grants`, may('fork'), alice)
      assert.equal(answer.status, 201, answer.text)
      grants.push(`/_electric/entities${one}/grants/${answer.json.id}`)
    }
    const before = await all(w)
    const waiting = w.post(path(url), {}, carol)
    await w.settle()
    await w.advance(250)
    assert.equal((await w.delete(grants[lost], alice)).status, 204)
    await work.done()
    const answer = await w.advanceUntil(waiting)
    refused(answer, 401, 'UNAUTHORIZED', `Principal is not allowed to fork ${[url, below][lost]}`)
    assert.deepEqual(await all(w), before)
  })
}
