// A message that was sent is changed or taken back.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, OFFSET, UUID } from '../harness/like.mjs'
import { iso } from '../harness/observer.mjs'
import { world } from '../harness/world.mjs'

/** An entity with a queued message `m`, and how to edit its inbox. */
async function queued(t, { as } = {}) {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, { as })
  await w.send(url, { n: 1 }, { key: 'm', mode: 'queued' }, { as })
  const path = (key, of = url) => `/_electric/entities${of}/inbox/${encodeURIComponent(key)}`
  const edit = (key, body, { of, ...options } = {}) => w.http('PATCH', path(key, of), { body, ...options })
  const takeBack = (key, { of, ...options } = {}) => w.delete(path(key, of), options)
  const last = async () => (await w.events(url, 'inbox')).at(-1)
  return { w, url, path, edit, takeBack, last }
}

test('an edit says what it changes, and nothing else', async (t) => {
  const { w, url, edit, last } = await queued(t)
  for (const [body, stamp] of [
    [{ payload: { n: 2 } }],
    [{ payload: null }],
    [{ position: '0001:a1' }],
    [{ mode: 'steer' }],
    [{ status: 'pending' }],
    [{ status: 'processed' }, 'processed_at'],
    [{ status: 'cancelled' }, 'cancelled_at'],
    [{ payload: 'all', position: '', mode: 'immediate', status: 'processed' }, 'processed_at'],
  ]) {
    const now = await w.advance(1_000)
    const answer = await edit('m', { ...body, unknown: 1 })
    assert.equal(answer.status, 200, answer.text)
    like(answer.json, { txid: UUID })
    const event = await last()
    like(event, { type: 'inbox', key: 'm', value: Object, headers: { ...answer.json, operation: 'update', offset: OFFSET } })
    assert.deepEqual(event.value, stamp ? { ...body, [stamp]: iso(now) } : body)
  }
  assert.equal((await w.events(url, 'inbox')).length, 9)
})

test('a message is taken back by its key alone', async (t) => {
  const { takeBack, last } = await queued(t)
  const answer = await takeBack('m')
  assert.equal(answer.status, 200, answer.text)
  like(answer.json, { txid: UUID })
  like(await last(), { type: 'inbox', key: 'm', headers: { ...answer.json, operation: 'delete', offset: OFFSET } })
})

test('edits stand in the stream in the order in which they were asked', async (t) => {
  const { w, url, edit, takeBack } = await queued(t)
  const asked = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  for (const payload of asked) assert.equal((await edit('m', { payload })).status, 200)
  await takeBack('m')
  const events = await w.events(url, 'inbox')
  assert.deepEqual(events.map((event) => event.headers.operation), ['insert', ...asked.map(() => 'update'), 'delete'])
  assert.deepEqual(events.slice(1, -1).map((event) => event.value.payload), asked)
})

test('a message that nobody sent can be edited and taken back', async (t) => {
  const { w, url, edit, takeBack } = await queued(t)
  for (const key of ['nobody', 'a/b', 'ü %', '"', '__proto__']) {
    assert.equal((await edit(key, { payload: 1 })).status, 200)
    assert.equal((await takeBack(key)).status, 200)
    assert.deepEqual((await w.events(url, 'inbox')).slice(-2).map((event) => event.key), [key, key])
  }
})

test('a payload stays as it was sent', async (t) => {
  const { w, url, edit } = await queued(t)
  const payload = '{"n":12345678901234567890,"f":1.0}'
  assert.equal((await edit('m', `{"payload":${payload}}`)).status, 200)
  const { text } = await w.get(`${url}/main?offset=-1`)
  assert.ok(text.includes(`"value":{"payload":${payload}}`), text)
})

test('who may write to an entity may edit its inbox', async (t) => {
  const { edit, takeBack } = await queued(t, { as: 'user:alice' })
  for (const [as, status] of [['user:alice', 200], ['system:framework', 200], [undefined, 200], ['user:bob', 401]]) {
    assert.equal((await edit('m', { payload: 1 }, { as })).status, status)
    assert.equal((await takeBack('m', { as })).status, status)
  }
})

test('an edit does not continue a paused entity, whatever mode it gives a message', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  const signal = (signal) => w.post(`/_electric/entities${url}/signal`, { signal })
  await signal('SIGSTOP')
  await w.send(url, 1, { key: 'm', mode: 'paused' })
  const path = `/_electric/entities${url}/inbox/m`
  assert.equal((await w.http('PATCH', path, { body: { mode: 'immediate' } })).status, 200)
  assert.equal((await w.entity(url)).status, 'paused')
  assert.equal((await w.explain(url)).dispatch.state, 'pending')
  await signal('SIGCONT')
  assert.equal((await w.woken(hook)).entity, url)
})

test('an edit wakes the agent, and whoever names the inbox, each time', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  const observers = {}
  for (const [id, condition] of Object.entries({
    named: { on: 'change', collections: ['inbox'] },
    updates: { on: 'change', collections: ['inbox'], ops: ['update'] },
    open: { on: 'change' },
  })) {
    observers[id] = (await w.spawn(w.name, id)).url
    await w.observe(observers[id], url, condition)
  }
  const path = `/_electric/entities${url}/inbox/m`
  for (const status of ['pending', 'cancelled']) assert.equal((await w.http('PATCH', path, { body: { status } })).status, 200)
  assert.equal((await w.delete(path)).status, 200)
  assert.equal((await w.woken(hook)).entity, url)
  const changes = async (id) => (await w.events(observers[id], 'wake')).flatMap((row) => row.value.changes)
  const kinds = async (id) => (await changes(id)).map(({ kind, key }) => [kind, key])
  assert.deepEqual(await kinds('named'), [['update', 'm'], ['update', 'm'], ['delete', 'm']])
  assert.deepEqual(await kinds('updates'), [['update', 'm'], ['update', 'm']])
  assert.deepEqual(await kinds('open'), [])
  const { offset } = (await w.events(url, 'inbox'))[0].headers
  const { event } = await w.explain(observers.open, { source: url, offset })
  assert.deepEqual([event.events[0].class, event.events[0].registrations[0].matched], ['named', false])
})
