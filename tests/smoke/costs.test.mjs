// What a read costs does not grow with what it does not show: how many statements the server says that it took.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const bob = { as: 'user:bob' }

/** How many statements a read took. */
async function statements(w, path, by) {
  const answer = await w.get(path, by)
  assert.equal(answer.status, 200, answer.text)
  assert.match(answer.headers['reveille-statements'], /^\d+$/)
  return Number(answer.headers['reveille-statements'])
}

test('a file costs the same to read, however much its entity has said', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const form = new FormData()
  form.set('id', 'f')
  form.set('subject', '{"type":"inbox","key":"k"}')
  form.set('role', 'input')
  form.set('file', new Blob(['bytes'], { type: 'text/plain' }), 'f.txt')
  const headers = { 'reveille-test-id': w.testId }
  const attached = await fetch(`${w.url}/_electric/entities${url}/attachments`, { method: 'POST', headers, body: form })
  assert.equal(attached.status, 201, await attached.text())
  const path = `/_electric/entities${url}/attachments/f`
  const before = await statements(w, path)
  for (let n = 0; n < 60; n++) await w.send(url, 'x'.repeat(1000))
  assert.equal(await statements(w, path), before)
})

test('a list of types and one of entities cost the same for a stranger, however many there are', async (t) => {
  const w = await world(t)
  const named = (n) => w.type({ name: `${w.name}-${n}`, permission_grants: [{ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'spawn' }] })
  await named(0)
  await w.spawn(`${w.name}-0`, 'e', {}, bob)
  const lists = ['/_electric/entity-types', `/_electric/entities?type=${w.name}-0`]
  const before = []
  for (const path of lists) before.push(await statements(w, path, bob))
  for (let n = 1; n < 20; n++) {
    await named(n)
    await w.spawn(`${w.name}-0`, `e${n}`, {}, bob)
  }
  const after = []
  for (const path of lists) after.push(await statements(w, path, bob))
  assert.deepEqual(after, before)
})
