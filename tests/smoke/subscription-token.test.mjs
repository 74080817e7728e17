// Who holds a wake proves it with its token, and acknowledges within bounds. Whatever is refused changes nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { START } from '../harness/like.mjs'
import { jsonStream, refuses, Subscription } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

/** A claimed wake of two streams: `offsets` are those of the first, which is acknowledged up to the first of them. */
async function held(t) {
  const w = await world(t)
  const [a, b] = [await jsonStream(w, 'a'), await jsonStream(w, 'b')]
  const config = { type: 'pull-wake', streams: [a.bare, b.bare], wake_stream: `wakes/${w.name}`, lease_ttl_ms: 5_000 }
  const subscription = await Subscription.make(w, config)
  const offsets = [await a.append(), await a.append()]
  await b.append()
  const wake = await subscription.claim()
  await wake.answer({ acks: [{ stream: a.bare, offset: offsets[0] }] })
  return { w, a, b, config, subscription, offsets, wake }
}

/** Nothing has changed: the cursors stand, and the lease ends when it would have. */
async function untouched({ w, subscription, a, b, offsets }) {
  assert.deepEqual(await subscription.links(), [[a.bare, 'explicit', offsets[0]], [b.bare, 'explicit', START]])
  assert.equal((await w.read(`/wakes/${w.name}`)).length, 1)
  await w.advance(2_000)
  assert.equal((await w.read(`/wakes/${w.name}`)).length, 2)
}

const verbs = ['ack', 'release', 'callback']

const authorizations = [
  [undefined, 'TOKEN_INVALID', 'Missing or malformed Authorization header'],
  ['', 'TOKEN_INVALID', 'Missing or malformed Authorization header'],
  ['Bearer', 'TOKEN_INVALID', 'Missing or malformed Authorization header'],
  ['Bearer ', 'TOKEN_INVALID', 'Missing or malformed Authorization header'],
  ['Basic TOKEN', 'TOKEN_INVALID', 'Missing or malformed Authorization header'],
  ['TOKEN', 'TOKEN_INVALID', 'Missing or malformed Authorization header'],
  ['Bearer nonsense', 'TOKEN_INVALID', /./],
  ['Bearer TOKENx', 'TOKEN_INVALID', /./],
  ['Bearer OTHER', 'TOKEN_INVALID', /./],
]
for (const [authorization, code, message] of authorizations) {
  test(`a token is refused: ${authorization ?? 'none'}`, async (t) => {
    const all = await held(t)
    const { w, config, subscription, wake, a } = all
    const second = await Subscription.make(w, { ...config, wake_stream: `wakes/${w.name}-2` }, { id: `${w.name}-2` })
    await a.append()
    const { token: other } = await second.claim()
    await w.advance(3_000)
    const given = authorization?.replace('TOKEN', wake.token).replace('OTHER', other)
    for (const verb of verbs) {
      const headers = given === undefined ? {} : { authorization: given }
      refuses(await w.post(`${subscription.path}/${verb}`, { ...wake.proof, acks: wake.acks, done: true }, { headers }), 401, code, message)
    }
    await untouched(all)
  })
}

test('the scheme of the header may be in any case', async (t) => {
  const { w, subscription, wake } = await held(t)
  for (const scheme of ['bearer', 'BEARER']) {
    const answer = await w.post(`${subscription.path}/ack`, wake.proof, { headers: { authorization: `${scheme} ${wake.token}` } })
    assert.equal(answer.status, 200, scheme)
  }
})

const proofs = [
  ['no wake id', { wake_id: undefined }],
  ['another wake id', { wake_id: 'w_000000000000000000000000' }],
  ['a wake id that is no text', { wake_id: 1 }],
  ['no generation', { generation: undefined }],
  ['an older generation', { generation: 0 }],
  ['a newer generation', { generation: 2 }],
  ['a generation that is a text', { generation: '1' }],
]
for (const [what, wrong] of proofs) {
  test(`a wake is fenced: ${what}`, async (t) => {
    const all = await held(t)
    await all.w.advance(3_000)
    for (const verb of verbs) {
      const body = { ...all.wake.proof, ...wrong, acks: all.wake.acks, done: true }
      refuses(await all.subscription.call(verb, body, all.wake.token), 409, 'FENCED')
    }
    await untouched(all)
  })
}

test('a wake that is over is fenced, whether another has begun or not', async (t) => {
  const { subscription, wake } = await held(t)
  assert.equal((await wake.done([])).json.next_wake, true)
  const next = await subscription.claim()
  for (const verb of verbs) refuses(await subscription.call(verb, wake.proof, wake.token), 409, 'FENCED')
  // An old token with the new proof, too.
  refuses(await subscription.call('ack', next.proof, wake.token), 409, 'FENCED')
  assert.equal((await next.done()).json.next_wake, false)
  for (const verb of verbs) refuses(await subscription.call(verb, next.proof, next.token), 409, 'FENCED')
})

const offsets = [
  ['a stream that is not followed', (h) => ({ stream: 'some/where', offset: h.offsets[1] }), 409, 'INVALID_OFFSET'],
  ['before the cursor', (h) => ({ stream: h.a.bare, offset: START }), 409, 'INVALID_OFFSET'],
  ['-1', (h) => ({ stream: h.a.bare, offset: '-1' }), 409, 'INVALID_OFFSET'],
  ['an empty offset', (h) => ({ stream: h.a.bare, offset: '' }), 409, 'INVALID_OFFSET'],
  ['beyond the tail', (h) => ({ stream: h.a.bare, offset: h.offsets[1].replace(/.$/, '9') }), 409, 'INVALID_OFFSET'],
  ['far beyond the tail', (h) => ({ stream: h.a.bare, offset: '9999999999999999_9999999999999999' }), 409, 'INVALID_OFFSET'],
  ['nonsense', (h) => ({ stream: h.a.bare, offset: 'nonsense' }), 409, 'INVALID_OFFSET'],
  ['the path is good, but the stream wins', (h) => ({ stream: 'some/where', path: h.a.bare, offset: h.offsets[1] }), 409, 'INVALID_OFFSET'],
  ['no offset', (h) => ({ stream: h.a.bare }), 400, 'INVALID_REQUEST'],
  ['an offset that is a number', (h) => ({ stream: h.a.bare, offset: 5 }), 400, 'INVALID_REQUEST'],
  ['no stream', (h) => ({ offset: h.offsets[1] }), 400, 'INVALID_REQUEST'],
]
for (const [what, ack, status, code] of offsets) {
  test(`an acknowledgement is refused, and all others with it: ${what}`, async (t) => {
    const all = await held(t)
    const { w, wake, b } = all
    await w.advance(3_000)
    const good = { stream: b.bare, offset: await w.tail(b.path) }
    refuses(await wake.answer({ acks: [good, ack(all)], done: true }), status, code)
    await untouched(all)
  })
}

test('an acknowledgement may repeat the cursor, or the one before it', async (t) => {
  const { subscription, wake, a, offsets } = await held(t)
  for (const offset of [offsets[0], offsets[1], offsets[1]]) {
    assert.equal((await wake.answer({ acks: [{ stream: `/${a.bare}/`, offset }] })).status, 200)
  }
  const twice = [offsets[1], offsets[0]].map((offset) => ({ stream: a.bare, offset }))
  refuses(await wake.answer({ acks: twice }), 409, 'INVALID_OFFSET')
  assert.equal((await subscription.links())[0][2], offsets[1])
})

test('an acknowledgement of a stream that was unlinked meanwhile is passed over', async (t) => {
  const { subscription, wake, a, b } = await held(t)
  await subscription.remove(a.bare)
  assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false })
  assert.deepEqual((await subscription.links()).map(([path]) => path), [b.bare])
})

test('which refusal wins', async (t) => {
  const { w, subscription, wake } = await held(t)
  const nobody = new Subscription(w, 'nobody')
  const webhook = await Subscription.make(w, { type: 'webhook', streams: ['a'], webhook: { url: 'https://agents.example' } }, { id: `${w.name}-3` })
  const bad = { wake_id: 'x', acks: [{ stream: 'some/where', offset: '-1' }] }
  // First the header, then the body, then the subscription, its type, the token, the wake, and last what it says.
  refuses(await nobody.call('ack', '{'), 401, 'TOKEN_INVALID')
  refuses(await nobody.call('ack', '{', 'x'), 400, 'INVALID_REQUEST', 'Invalid JSON body')
  refuses(await nobody.call('ack', bad, 'x'), 404, 'SUBSCRIPTION_NOT_FOUND')
  refuses(await webhook.call('ack', bad, 'x'), 400, 'INVALID_REQUEST', 'Subscription is not pull-wake')
  refuses(await subscription.call('ack', bad, 'x'), 401, 'TOKEN_INVALID')
  refuses(await subscription.call('ack', { ...bad, acks: [{}] }, wake.token), 409, 'FENCED')
  refuses(await subscription.call('ack', { ...wake.proof, acks: bad.acks }, wake.token), 409, 'INVALID_OFFSET')
})

test('a token is enough: whoever has it may use it', async (t) => {
  const { w, subscription, wake } = await held(t)
  const headers = { authorization: `Bearer ${wake.token}` }
  assert.equal((await w.post(`${subscription.path}/ack`, { ...wake.proof, acks: wake.acks, done: true }, { as: 'agent:somebody', headers })).status, 200)
})
