// What a request costs does not grow with what it does not show, nor with how often it was made: how many statements the
// server says that it took.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { everybody, world } from '../harness/world.mjs'

const alice = { as: 'user:alice' }
const bob = { as: 'user:bob' }
const forBob = (permission) => ({ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission })

/** How many statements a request took. */
function statements(answer) {
  assert.ok(answer.status < 300, answer.text)
  const said = answer.headers['reveille-statements']
  assert.match(said, /^[1-9]\d*$/)
  return Number(said)
}

async function attach(w, url, by) {
  const form = new FormData()
  form.set('id', 'f')
  form.set('subject', '{"type":"inbox","key":"k"}')
  form.set('role', 'input')
  form.set('file', new Blob(['bytes'], { type: 'text/plain' }), 'f.txt')
  const headers = { 'reveille-test-id': w.testId, 'electric-principal': by.as }
  const attached = await fetch(`${w.url}/_electric/entities${url}/attachments`, { method: 'POST', headers, body: form })
  assert.equal(attached.status, 201, await attached.text())
  return `/_electric/entities${url}/attachments/f`
}

test('a file costs the same to read, however much its entity has said', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, alice)
  const path = await attach(w, url, alice)
  const before = statements(await w.get(path, alice))
  assert.ok(before <= 4, `${before} statements`)
  for (let n = 0; n < 60; n++) await w.send(url, 'x'.repeat(1000))
  assert.equal(statements(await w.get(path, alice)), before)
})

test('a list of types and one of entities are one question each for a stranger, however many there are', async (t) => {
  const w = await world(t)
  const named = (n) => w.type({ name: `${w.name}-${n}`, permission_grants: [forBob('spawn')] })
  const lists = ['/_electric/entity-types', `/_electric/entities?type=${w.name}-0`]
  for (let n = 0; n < 20; n++) {
    await named(n)
    await w.spawn(`${w.name}-0`, `e${n}`, { grants: [forBob('read')] })
  }
  assert.equal((await w.get(lists[1], bob)).json.length, 20)
  for (const path of lists) assert.equal(statements(await w.get(path, bob)), 1, path)
})

// What who asks, who they are, what they may and what they do take together; a principal is written down once. On a server of
// its own: where others observe, there is more to do.
test('a request takes few statements, and no more when it is made again', async (t) => {
  const w = await world(t, { host: await startHost() })
  const text = { type: 'object', properties: { text: { type: 'string' } } }
  const type = await w.type({ permission_grants: everybody, creation_schema: text, inbox_schemas: { say: text }, externally_writable_collections: { open: { type: 'state:open' } } })
  const mine = (id) => `/_electric/entities/${type}/${id}`
  await w.spawn(type, 'e', {}, alice)
  const requests = {
    spawn: [16, (n) => w.put(mine(`s${n}`), { args: { text: 'x' } }, alice)],
    send: [8, () => w.post(`${mine('e')}/send`, { type: 'say', payload: { text: 'x' } }, alice)],
    collection: [12, (n) => w.post(`${mine('e')}/collections/open`, { operation: 'insert', key: `k${n}`, value: {} }, alice)],
    tag: [10, (n) => w.post(`${mine('e')}/tags/k`, { value: String(n) }, alice)],
    show: [2, () => w.get(mine('e'), alice)],
    read: [3, () => w.get(`/${type}/e/main?offset=-1`, alice)],
  }
  for (const [what, [most, ask]] of Object.entries(requests)) {
    const costs = []
    for (let n = 0; n < 3; n++) costs.push(statements(await ask(n)))
    assert.ok(Math.max(...costs) <= most, `${what}: ${costs} of ${most} statements`)
    assert.equal(costs[2], costs[1], what)
  }
})
