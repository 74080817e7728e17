// A webhook subscription tells its endpoint of new data, until somebody has dealt with it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, OFFSET, START, WAKE_ID } from '../harness/like.mjs'
import { signatureProblem } from '../harness/signature.mjs'
import { jsonStream, refuses, Subscription } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

/** A stream, an endpoint, and a subscription between them. */
async function hooked(t, more = {}, options) {
  const w = await world(t)
  const hook = await w.hook()
  const stream = await jsonStream(w, 's')
  const subscription = await Subscription.make(w, { type: 'webhook', streams: [stream.bare], webhook: { url: hook.url }, ...more }, options)
  return { w, hook, stream, subscription }
}

test('an append is told, with every stream of the subscription and the way back', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t, {}, { id: 'a b/c é' })
  const other = await jsonStream(w, 'other', [1])
  await subscription.add([other.bare, `plain/${w.name}/none`])
  const tail = await stream.append()
  const { body, delivery } = await subscription.woken(hook)
  assert.equal(delivery.method, 'POST')
  assert.equal(delivery.headers['content-type'], 'application/json')
  assert.match(delivery.headers['webhook-signature'], /^t=\d+,kid=ds_[\w-]+,ed25519=[\w-]+$/)
  assert.equal(delivery.text, JSON.stringify({
    subscription_id: 'a b/c é',
    wake_id: body.wake_id,
    generation: 1,
    streams: [
      { path: stream.bare, link_type: 'explicit', acked_offset: START, tail_offset: tail, has_pending: true },
      { path: other.bare, link_type: 'explicit', acked_offset: other.tail, tail_offset: other.tail, has_pending: false },
      { path: `plain/${w.name}/none`, link_type: 'explicit', acked_offset: START, tail_offset: START, has_pending: false },
    ],
    callback_url: `${w.url}/__ds/subscriptions/a%20b%2Fc%20%C3%A9/callback`,
    callback_token: body.callback_token,
  }))
  like(body.wake_id, WAKE_ID)
  assert.equal((await new Subscription(w, 'a b/c é').get()).status, 200)
  const answer = await w.post(new URL(body.callback_url).pathname, { wake_id: body.wake_id, generation: 1, done: true, acks: [{ stream: stream.bare, offset: tail }] }, { headers: { authorization: `Bearer ${body.callback_token}` } })
  assert.equal(answer.text, '{"ok":true,"next_wake":false}')
  await subscription.delete()
})

test('a delivery is signed over its raw body, with the time', async (t) => {
  const { w, hook, stream } = await hooked(t)
  await stream.append()
  const { headers, text } = await hook.next()
  const jwks = (await w.get('/__ds/jwks.json')).json
  const header = headers['webhook-signature']
  assert.equal(signatureProblem({ header, body: text, jwks, now: await w.now(), tolerance: 0 }), undefined)
  assert.equal(signatureProblem({ header, body: `${text}\n`, jwks }), 'Invalid webhook signature')
  const later = header.replace(/t=\d+/, (t) => `t=${Number(t.slice(2)) + 1}`)
  assert.equal(signatureProblem({ header: later, body: text, jwks }), 'Invalid webhook signature')
})

// Acknowledging.

test('while a wake is in flight no other begins; what came meanwhile is in the next', async (t) => {
  const { hook, stream, subscription } = await hooked(t)
  const first = await stream.append()
  const wake = await subscription.woken(hook)
  const second = await stream.append()
  assert.deepEqual((await wake.answer()).json, { ok: true, next_wake: false })
  assert.equal(hook.all.length, 1)
  assert.deepEqual((await wake.done()).json, { ok: true, next_wake: true })
  const next = await subscription.woken(hook)
  assert.equal(next.body.generation, 2)
  assert.notEqual(next.body.wake_id, wake.body.wake_id)
  like(next.body.streams[0], { path: stream.bare, link_type: 'explicit', acked_offset: first, tail_offset: second, has_pending: true })
  assert.deepEqual((await next.done()).json, { ok: true, next_wake: false })
})

test('acknowledgements may come one by one', async (t) => {
  const { hook, stream, subscription } = await hooked(t)
  const offsets = [await stream.append()]
  const wake = await subscription.woken(hook)
  offsets.push(await stream.append())
  for (const offset of offsets) {
    const answer = await wake.answer({ acks: [{ path: `/${stream.bare}/`, offset }] })
    assert.deepEqual(answer.json, { ok: true, next_wake: false })
    assert.deepEqual(await subscription.links(), [[stream.bare, 'explicit', offset]])
  }
  assert.equal((await wake.answer({ done: true })).json.next_wake, false)
})

test('done without acknowledgements wakes again at once', async (t) => {
  const { hook, stream, subscription } = await hooked(t)
  await stream.append()
  const wake = await subscription.woken(hook)
  assert.equal((await wake.answer({ done: true })).json.next_wake, true)
  assert.equal((await subscription.woken(hook)).body.generation, 2)
})

test('of several streams one may be left pending', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t)
  const other = await jsonStream(w, 'other')
  await subscription.add([other.bare])
  const tails = [await stream.append(), await other.append()]
  const wake = await subscription.woken(hook)
  assert.equal((await wake.done([{ stream: stream.bare, offset: tails[0] }])).json.next_wake, true)
  const { body } = await subscription.woken(hook)
  assert.deepEqual(body.streams.map((s) => s.has_pending), [false, true])
})

for (const done of ['true', 1, null, {}]) {
  test(`only true is done: ${JSON.stringify(done)} keeps the wake`, async (t) => {
    const { hook, stream, subscription } = await hooked(t)
    await stream.append()
    const wake = await subscription.woken(hook)
    assert.equal((await wake.answer({ done })).status, 200)
    assert.equal((await wake.answer()).status, 200)
  })
}

// What the endpoint answers.

test('{"done":true} acknowledges what was there when the wake began, and no more', async (t) => {
  const { hook, stream, subscription } = await hooked(t)
  let second
  hook.answerOnce(async () => {
    second = await stream.append()
    return { status: 200, body: { done: true } }
  })
  const first = await stream.append()
  const wake = await subscription.woken(hook)
  const next = await subscription.woken(hook)
  like(next.body.streams[0], { path: stream.bare, link_type: 'explicit', acked_offset: first, tail_offset: second, has_pending: true })
  refuses(await wake.answer(), 409, 'FENCED')
})

for (const body of [undefined, { ok: true }, { done: 'true' }, [{ done: true }]]) {
  test(`any other success takes the wake until its lease ends: ${JSON.stringify(body)}`, async (t) => {
    const { w, hook, stream, subscription } = await hooked(t, { lease_ttl_ms: 5_000 })
    hook.answer({ status: 202, body })
    await stream.append()
    const wake = await subscription.woken(hook)
    // Nothing shows that the answer has come.
    for (let n = 0; n < 10; n++) await w.settle()
    const again = await w.advanceUntil(subscription.woken(hook), { step: 1_000 })
    assert.equal(again.body.generation, 2)
    assert.deepEqual(again.body.streams, wake.body.streams)
  })
}

test('a failed delivery is repeated as the same wake, after 1, 2, 4 … 60 seconds, each give or take a fifth', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t)
  let answer
  hook.answer(() => new Promise((resolve) => (answer = resolve)))
  const attempts = (count) => w.eventually(() => assert.equal(hook.all.length, count))
  await stream.append()
  await attempts(1)
  const second = await stream.append()
  const waits = [1, 2, 4, 8, 16, 32, 60, 60]
  for (const [n, seconds] of waits.entries()) {
    answer({ status: 500 + n })
    await w.eventually(async () => {
      const { status, last_error } = await subscription.shown()
      assert.deepEqual([status, last_error], ['failed', `the webhook answered ${500 + n}`])
    })
    await w.advance(seconds * 800 - 1)
    await w.settle()
    assert.equal(hook.all.length, n + 1, `before ${seconds * 800} ms`)
    await w.advance(seconds * 400 + 1)
    await attempts(n + 2)
  }
  answer({ status: 200 })
  await w.eventually(async () => {
    const shown = await subscription.shown()
    assert.deepEqual([shown.status, shown.last_error], ['active', undefined])
  })
  const first = await subscription.woken(hook)
  for (let n = 0; n < waits.length; n++) {
    const again = await subscription.woken(hook)
    for (const same of ['wake_id', 'generation', 'callback_token']) assert.equal(again.body[same], first.body[same])
    assert.equal(again.body.streams[0].tail_offset, second, 'the streams are told afresh')
  }
  assert.equal((await first.done()).json.next_wake, true)
})

for (const failure of [{ status: 302 }, { status: 404 }, 'hang up']) {
  test(`a delivery has failed when the endpoint says ${failure.status ?? failure}`, async (t) => {
    const { w, hook, stream, subscription } = await hooked(t)
    hook.answerOnce(failure)
    await stream.append()
    const wake = await subscription.woken(hook)
    await w.eventually(async () => assert.equal((await subscription.shown()).status, 'failed'))
    const again = await w.advanceUntil(subscription.woken(hook), { step: 100 })
    assert.equal(again.body.wake_id, wake.body.wake_id)
  })
}

test('a wake that was called back needs no good answer', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t)
  hook.answerOnce(async ({ json }) => {
    const body = { wake_id: json.wake_id, generation: json.generation, acks: [{ stream: stream.bare, offset: json.streams[0].tail_offset }], done: true }
    assert.equal((await subscription.call('callback', body, json.callback_token)).status, 200)
    return { status: 500 }
  })
  await stream.append()
  await subscription.woken(hook)
  await w.settle()
  await w.advance(120_000)
  assert.equal(hook.all.length, 1)
  assert.equal((await subscription.shown()).status, 'active')
})

test('a late {"done":true} says nothing of the wake after', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t)
  let answerLate
  hook.answerOnce(() => new Promise((resolve) => (answerLate = () => resolve({ status: 200, body: { done: true } }))))
  await stream.append()
  await w.eventually(() => assert.equal(hook.all.length, 1))
  const { json } = hook.all[0]
  const proof = { wake_id: json.wake_id, generation: json.generation }
  assert.equal((await subscription.call('callback', { ...proof, done: true }, json.callback_token)).json.next_wake, true)
  await w.eventually(() => assert.equal(hook.all.length, 2))
  answerLate()
  const wakes = [await subscription.woken(hook), await subscription.woken(hook)]
  const next = wakes.find(({ body }) => body.generation === 2)
  await w.settle()
  assert.deepEqual(await subscription.links(), [[stream.bare, 'explicit', START]])
  assert.equal((await next.answer()).status, 200)
})

// Leases.

test('a wake is lost when its lease ends, and the next one fences it', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t, { lease_ttl_ms: 5_000 })
  await stream.append()
  const wake = await subscription.woken(hook)
  for (let n = 0; n < 3; n++) {
    assert.equal((await wake.answer()).status, 200, 'each answer extends it')
    await w.advance(4_999)
  }
  assert.equal(hook.all.length, 1)
  await w.advance(1)
  const next = await subscription.woken(hook)
  assert.equal(next.body.generation, 2)
  assert.notEqual(next.body.callback_token, wake.body.callback_token)
  refuses(await wake.done(), 409, 'FENCED')
  assert.equal((await next.done()).json.next_wake, false)
})

test('a retry is dropped when its wake is over', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t)
  hook.answerOnce({ status: 500 })
  await stream.append()
  const wake = await subscription.woken(hook)
  await w.eventually(async () => assert.equal((await subscription.shown()).status, 'failed'))
  assert.equal((await wake.done()).json.next_wake, false)
  await w.advance(120_000)
  await w.settle()
  assert.equal(hook.all.length, 1)
})

// Ends.

test('once its subscription is deleted a wake is nothing', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t, { lease_ttl_ms: 1_000 })
  await stream.append()
  const wake = await subscription.woken(hook)
  await subscription.delete()
  refuses(await wake.done(), 404, 'SUBSCRIPTION_NOT_FOUND')
  await stream.append()
  await w.advance(120_000)
  await w.settle()
  assert.equal(hook.all.length, 1)
})

test('a stream that is deleted is no longer pending, and its acknowledgement is passed over', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t)
  const other = await jsonStream(w, 'other')
  await subscription.add([other.bare])
  await stream.append()
  const wake = await subscription.woken(hook)
  await w.delete(stream.path)
  const tail = await other.append()
  const answer = await wake.done([...wake.acks.slice(0, 1), { stream: other.bare, offset: tail }])
  assert.deepEqual(answer.json, { ok: true, next_wake: false })
  assert.deepEqual(await subscription.links(), [[other.bare, 'explicit', tail]])
})

test('a webhook subscription cannot be claimed', async (t) => {
  const { stream, subscription } = await hooked(t)
  await stream.append()
  refuses(await subscription.tryClaim(), 400, 'INVALID_REQUEST', 'Subscription is not pull-wake')
  for (const verb of ['ack', 'release']) refuses(await subscription.call(verb, {}, 'x'), 400, 'INVALID_REQUEST', 'Subscription is not pull-wake')
})

test('each subscription of a stream is told by itself', async (t) => {
  const { w, hook, stream, subscription } = await hooked(t)
  const second = await Subscription.make(w, { type: 'webhook', pattern: `plain/${w.name}/**`, webhook: { url: hook.url } }, { id: `${w.name}-2` })
  const tail = await stream.append()
  const wakes = [await subscription.woken(hook), await second.woken(hook)]
  assert.equal((await wakes[0].done()).json.next_wake, false)
  assert.deepEqual(await second.links(), [[stream.bare, 'glob', START]])
  like(tail, OFFSET)
  assert.equal((await wakes[1].done()).json.next_wake, false)
})
