// A pull-wake subscription writes an event on a stream, and whoever reads it claims the work.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, START, WAKE_ID } from '../harness/like.mjs'
import { jsonStream, refuses, Subscription } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

/** A stream, and a subscription that announces its wakes; `events` are the announcements so far. */
async function pulled(t, more = {}) {
  const w = await world(t)
  const stream = await jsonStream(w, 's')
  const wakes = `wakes/${w.name}`
  const subscription = await Subscription.make(w, { type: 'pull-wake', streams: [stream.bare], wake_stream: wakes, ...more })
  return { w, stream, subscription, wakes: `/${wakes}`, events: () => w.read(`/${wakes}`) }
}

// Announcing.

test('an append is announced on the wake stream, which is made for it', async (t) => {
  const { w, stream, subscription, wakes } = await pulled(t)
  assert.equal((await w.head(wakes)).status, 404)
  const now = await w.now()
  await stream.append()
  const answer = await w.get(`${wakes}?offset=-1`)
  assert.equal(answer.headers['content-type'], 'application/json')
  const event = { type: 'wake', subscription_id: subscription.id, stream: stream.bare, generation: 1, ts: now }
  assert.equal(answer.text, JSON.stringify([event]))
})

test('who follows the wake stream is told', async (t) => {
  const { w, stream, wakes } = await pulled(t)
  await w.put(wakes, [])
  const waiting = w.get(`${wakes}?offset=now&live=long-poll`)
  await w.settle()
  await stream.append()
  assert.equal((await waiting).json[0].stream, stream.bare)
})

test('one wake stream serves many subscriptions, and says which stream moved', async (t) => {
  const { w, stream, subscription, wakes, events } = await pulled(t)
  const other = await jsonStream(w, 'other')
  const second = await Subscription.make(w, { type: 'pull-wake', streams: [stream.bare, other.bare], wake_stream: wakes }, { id: `${w.name}-2` })
  await other.append()
  await stream.append()
  assert.deepEqual((await events()).map((event) => [event.subscription_id, event.stream]), [[second.id, other.bare], [subscription.id, stream.bare]])
})

test('while a wake is in flight, claimed or not, nothing more is announced', async (t) => {
  const { stream, subscription, events } = await pulled(t)
  await stream.append()
  await stream.append()
  assert.equal((await events()).length, 1)
  await subscription.claim()
  await stream.append()
  assert.equal((await events()).length, 1)
})

test('a wake that nobody claims is announced again after its lease time, and then ever more seldom', async (t) => {
  const { w, stream, subscription, events } = await pulled(t, { lease_ttl_ms: 5_000 })
  await stream.append()
  let count = 1
  for (const wait of [5_000, 10_000, 20_000]) {
    await w.advance(wait - 1)
    assert.equal((await events()).length, count)
    await w.advance(1)
    assert.equal((await events()).length, ++count)
  }
  assert.ok((await events()).every((event) => event.generation === 1 && event.stream === stream.bare))
  await subscription.claim()
  await w.advance(4_999)
  assert.equal((await events()).length, count)
})

const unfit = {
  'holds no JSON': (w, path) => w.http('PUT', path, { headers: { 'content-type': 'text/plain' } }),
  'is closed': (w, path) => w.http('PUT', path, { headers: { 'content-type': 'application/json', 'stream-closed': 'true' } }),
}
for (const [what, make] of Object.entries(unfit)) {
  test(`the work may be claimed all the same when the wake stream ${what}`, async (t) => {
    const { w, stream, subscription, wakes } = await pulled(t)
    await make(w, wakes)
    assert.ok(await stream.append())
    assert.equal((await subscription.shown()).status, 'failed')
    const wake = await subscription.claim()
    assert.equal((await wake.done()).json.next_wake, false)
    await w.delete(wakes)
    await stream.append()
    assert.equal((await w.read(wakes)).length, 1)
    assert.equal((await subscription.shown()).status, 'active')
  })
}

test('a wake stream that was deleted is made again with the next announcement', async (t) => {
  const { w, stream, subscription, wakes, events } = await pulled(t)
  await stream.append()
  await w.delete(wakes)
  await (await subscription.claim()).done()
  await stream.append()
  assert.deepEqual((await events()).map(({ generation }) => generation), [2])
})

test('nobody’s stream is written that the server owns', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const answer = await new Subscription(w, w.name).put({ type: 'pull-wake', streams: ['a'], wake_stream: `${url}/main` })
  refuses(answer, 401, 'UNAUTHORIZED')
})

test('a wake stream that has become the server’s is written no more', async (t) => {
  const w = await world(t)
  await w.type()
  const stream = await jsonStream(w, 's')
  for (const [n, path] of [`/runners/${w.name}/wake`, `/${w.name}/e/main`].entries()) {
    const bobs = { id: `${w.name}-${n}`, as: 'user:bob' }
    const subscription = await Subscription.make(w, { type: 'pull-wake', streams: [stream.bare], wake_stream: path }, bobs)
    await (n === 0 ? w.runner(w.name, { as: 'user:alice' }) : w.spawn(w.name, 'e', {}, { as: 'user:alice' }))
    const tail = await w.tail(path)
    await stream.append()
    assert.equal(await w.tail(path), tail)
    assert.match((await subscription.shown()).last_error, /is (a runner|an entity)'s/)
    await (await subscription.claim()).done()
  }
})

// Claiming.

test('a claim gives the wake, its token and every stream', async (t) => {
  const { w, stream, subscription } = await pulled(t, { lease_ttl_ms: 7_000 })
  const other = await jsonStream(w, 'other', [1])
  await subscription.add([other.bare])
  await stream.append()
  const tail = await stream.append()
  const answer = await subscription.tryClaim('r1')
  assert.equal(answer.status, 200)
  assert.equal(answer.text, JSON.stringify({
    wake_id: answer.json.wake_id,
    generation: 1,
    token: answer.json.token,
    streams: [
      { path: stream.bare, link_type: 'explicit', acked_offset: START, tail_offset: tail, has_pending: true },
      { path: other.bare, link_type: 'explicit', acked_offset: other.tail, tail_offset: other.tail, has_pending: false },
    ],
    lease_ttl_ms: 7_000,
  }))
  like(answer.json.wake_id, WAKE_ID)
})

test('what is claimed is claimed, for the same worker too', async (t) => {
  const { stream, subscription } = await pulled(t)
  await stream.append()
  const wake = await subscription.claim('r1')
  for (const worker of ['r1', 'r2']) {
    const answer = await subscription.tryClaim(worker)
    assert.equal(answer.status, 409)
    assert.equal(answer.text, '{"error":{"code":"ALREADY_CLAIMED","current_holder":"r1","generation":1}}')
  }
  assert.equal((await wake.answer()).status, 200)
})

test('with nothing pending there is nothing to claim', async (t) => {
  const { stream, subscription, events } = await pulled(t)
  refuses(await subscription.tryClaim(), 409, 'NO_PENDING_WORK')
  await stream.append()
  await (await subscription.claim()).done()
  refuses(await subscription.tryClaim(), 409, 'NO_PENDING_WORK')
  assert.equal((await events()).length, 1)
})

test('a wake whose stream is unlinked or deleted meanwhile is dropped by the claim, and the next append wakes', async (t) => {
  for (const drop of ['unlink', 'delete']) {
    await t.test(drop, async (t) => {
      const { w, stream, subscription, events } = await pulled(t)
      const other = await jsonStream(w, 'other')
      await subscription.add([other.bare])
      await stream.append()
      await (drop === 'unlink' ? subscription.remove(stream.bare) : w.delete(stream.path))
      refuses(await subscription.tryClaim(), 409, 'NO_PENDING_WORK')
      await other.append()
      assert.deepEqual((await events()).map((event) => [event.generation, event.stream]), [[1, stream.bare], [2, other.bare]])
    })
  }
})

test('what was pending when it was linked no wake is needed for: it can be claimed', async (t) => {
  const { w, subscription, events } = await pulled(t, { streams: [], pattern: 'never/*' })
  await subscription.add([`plain/${w.name}/later`])
  await w.http('PUT', `/plain/${w.name}/later`, { headers: { 'content-type': 'application/json' } })
  refuses(await subscription.tryClaim(), 409, 'NO_PENDING_WORK')
  await w.post(`/plain/${w.name}/later`, [1])
  assert.equal((await events()).length, 1)
  await subscription.claim()
})

for (const body of [{}, { worker: '' }, { worker: 7 }, { worker: null }]) {
  test(`a claim names its worker: ${JSON.stringify(body)} is refused`, async (t) => {
    const { stream, subscription } = await pulled(t)
    await stream.append()
    refuses(await subscription.call('claim', body), 400, 'INVALID_REQUEST')
    refuses(await new Subscription(subscription.w, 'nobody').call('claim', body), 400, 'INVALID_REQUEST')
    await subscription.claim()
  })
}

// Acknowledging and releasing.

test('an acknowledgement moves the cursor and keeps the wake', async (t) => {
  const { stream, subscription, events } = await pulled(t)
  const first = await stream.append()
  await stream.append()
  const wake = await subscription.claim()
  assert.equal((await wake.answer({ acks: [{ stream: stream.bare, offset: first }] })).text, '{"ok":true,"next_wake":false}')
  assert.deepEqual(await subscription.links(), [[stream.bare, 'explicit', first]])
  assert.equal((await wake.answer({ done: true })).json.next_wake, true)
  assert.deepEqual((await events()).map(({ generation }) => generation), [1, 2])
  assert.deepEqual((await subscription.claim()).body.streams[0].acked_offset, first)
})

test('what is released is announced again, and nothing is acknowledged', async (t) => {
  const { stream, subscription, events } = await pulled(t)
  await stream.append()
  const wake = await subscription.claim()
  const answer = await subscription.call('release', { ...wake.proof, acks: wake.acks, done: true }, wake.token)
  assert.deepEqual([answer.status, answer.text], [204, ''])
  assert.deepEqual((await events()).map(({ generation }) => generation), [1, 2])
  assert.deepEqual(await subscription.links(), [[stream.bare, 'explicit', START]])
  refuses(await wake.release(), 409, 'FENCED')
  refuses(await wake.answer(), 409, 'FENCED')
  assert.equal((await subscription.claim('r2')).body.generation, 2)
})

test('a release when all is acknowledged begins no wake', async (t) => {
  const { stream, subscription, events } = await pulled(t)
  await stream.append()
  const wake = await subscription.claim()
  await wake.answer({ acks: wake.acks })
  assert.equal((await wake.release()).status, 204)
  assert.equal((await events()).length, 1)
})

test('a lease that ends is announced again, with a higher generation that fences the old one', async (t) => {
  const { w, stream, subscription, events } = await pulled(t, { lease_ttl_ms: 5_000 })
  await stream.append()
  const wake = await subscription.claim('r1')
  for (let n = 0; n < 3; n++) {
    await w.advance(4_999)
    assert.equal((await wake.answer()).status, 200)
  }
  await w.advance(5_000)
  assert.deepEqual((await events()).map((event) => [event.generation, event.stream]), [[1, stream.bare], [2, stream.bare]])
  refuses(await wake.done(), 409, 'FENCED')
  const next = await subscription.claim('r2')
  assert.equal(next.body.generation, 2)
  assert.equal((await next.done()).json.next_wake, false)
})

test('a subscription that is deleted announces nothing more', async (t) => {
  const { w, stream, subscription, events } = await pulled(t, { lease_ttl_ms: 1_000 })
  await stream.append()
  const wake = await subscription.claim()
  await subscription.delete()
  for (const verb of ['ack', 'release']) refuses(await subscription.call(verb, wake.proof, wake.token), 404, 'SUBSCRIPTION_NOT_FOUND')
  await stream.append()
  await w.advance(60_000)
  assert.equal((await events()).length, 1)
})

test('the callback of a webhook serves a pulled wake as well', async (t) => {
  const { stream, subscription } = await pulled(t)
  await stream.append()
  const wake = await subscription.claim()
  assert.equal((await subscription.call('callback', { ...wake.proof, acks: wake.acks, done: true }, wake.token)).json.next_wake, false)
})
