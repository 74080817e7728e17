// An agent's endpoint believes a webhook because of its signature. Ours pass a verifier that was written from the
// protocol; what somebody has touched does not.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { request } from '../harness/http.mjs'
import { random } from '../harness/random.mjs'
import { keyId, parseSignature } from '../harness/signature.mjs'
import { jsonStream, Subscription } from '../harness/subscription.mjs'
import { verifier } from '../harness/verifier.mjs'
import { world } from '../harness/world.mjs'

const invalid = { status: 401, message: 'Invalid webhook signature' }
const expired = { status: 401, message: 'Webhook signature expired' }
const unknown = { status: 401, message: 'Unknown webhook signing key' }
const noKeys = { status: 503, message: 'JWKS response did not contain Ed25519 keys' }
const signatureOf = (delivery) => delivery.headers['webhook-signature']

/** A delivery of ours, the published keys, and a verifier at the time of sending, which `at` moves in its eyes only. */
async function delivered(t, options = {}) {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, tags: { word: 'Grüße, 世界 🎂' }, initialMessage: 'go' })
  const { text: body, headers } = await hook.next()
  const keys = (await w.get('/__ds/jwks.json')).json.keys
  const sent = parseSignature(headers['webhook-signature']).t * 1_000
  let later = 0
  const { verify } = verifier({ fetch: (headers) => w.get('/__ds/jwks.json', { headers }), now: () => sent + later, ...options })
  return {
    w,
    body,
    keys,
    header: headers['webhook-signature'],
    verify,
    at: (seconds) => (later = seconds * 1_000),
  }
}

test('a delivery of ours is believed', async (t) => {
  const { header, body, keys, verify } = await delivered(t)
  assert.match(header, /^t=\d+,kid=ds_[A-Za-z0-9_-]{43},ed25519=[A-Za-z0-9_-]{86}$/)
  assert.ok(body.includes('世界'))
  assert.equal(await verify(header, body), undefined)
  const { kid } = parseSignature(header)
  assert.equal(kid, keyId(keys.find((key) => key.kid === kid)))
})

test('a delivery that is repeated is signed again, at its own time', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  hook.answer({ status: 500 })
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 'go' })
  const get = (headers) => w.get('/__ds/jwks.json', { headers })
  const times = []
  for (let attempt = 1; attempt <= 4; attempt++) {
    const delivery = await w.advanceUntil(hook.next(), { step: 1_000 })
    const { t: time } = parseSignature(signatureOf(delivery))
    const { verify } = verifier({ fetch: get, now: () => time * 1_000, tolerance: 0 })
    assert.equal(await verify(signatureOf(delivery), delivery.text), undefined)
    times.push(time)
    await w.eventually(async () => assert.equal((await w.entity(url)).status, 'idle'))
  }
  // The second attempt may come within the same second, the fourth may not.
  assert.deepEqual(times, times.toSorted((a, b) => a - b))
  assert.ok(times[3] > times[0], `${times}`)
})

test('a plain subscription’s delivery is believed by the same rules', async (t) => {
  const w = await world(t)
  const hook = await w.hook()
  const stream = await jsonStream(w, 's')
  await Subscription.make(w, { type: 'webhook', streams: [stream.bare], webhook: { url: hook.url } })
  await stream.append()
  const delivery = await hook.next()
  const time = await w.now()
  const { verify } = verifier({ fetch: (headers) => w.get('/__ds/jwks.json', { headers }), now: () => time })
  assert.equal(await verify(signatureOf(delivery), delivery.text), undefined)
})

test('a body that anybody has touched is refused', async (t) => {
  const { header, body, verify } = await delivered(t)
  const bytes = Buffer.from(body)
  const draw = random(bytes.length)
  const somewhere = () => Math.floor(draw() * bytes.length)
  const flip = (at, bit) => bytes.map((byte, n) => (n === at ? byte ^ (1 << bit) : byte))
  const touched = [
    '',
    ` ${body}`,
    `${body}\n`,
    body.slice(1),
    body.slice(0, -1),
    JSON.stringify({ ...JSON.parse(body), epoch: 2 }),
    JSON.stringify(JSON.parse(body), null, 1),
    ...Array.from({ length: 64 }, (_, n) => flip(somewhere(), n % 8)),
  ]
  for (const text of touched) assert.deepEqual(await verify(header, text), invalid, String(text).slice(0, 80))
  assert.equal(await verify(header, bytes), undefined)
})

// A header of ours, rewritten; `t`, `kid` and `ed25519` are its parts.
const headers = [
  ['', { status: 401, message: 'Missing webhook signature' }],
  [undefined, { status: 401, message: 'Missing webhook signature' }],
  // The same, said otherwise.
  [(h) => ` t = ${h.t} ,\tkid= ${h.kid}, ed25519 =${h.ed25519} `, undefined],
  [(h) => `ed25519=${h.ed25519},kid=${h.kid},t=${h.t}`, undefined],
  [(h) => `v=1,t=${h.t},kid=${h.kid},ed25519=${h.ed25519},note=a=b`, undefined],
  [(h) => `t=0,kid=x,ed25519=AAAA,t=${h.t},kid=${h.kid},ed25519=${h.ed25519}`, undefined],
  // Malformed.
  ['nonsense', invalid],
  [(h) => `t=${h.t},kid=${h.kid}`, invalid],
  [(h) => `t=${h.t},ed25519=${h.ed25519}`, invalid],
  [(h) => `kid=${h.kid},ed25519=${h.ed25519}`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${h.ed25519},`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${h.ed25519},note`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${h.ed25519},note=`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${h.ed25519},=note`, invalid],
  [(h) => `t=${h.t},kid=,ed25519=${h.ed25519}`, invalid],
  [(h) => `t=-${h.t},kid=${h.kid},ed25519=${h.ed25519}`, invalid],
  [(h) => `t=${h.t}.5,kid=${h.kid},ed25519=${h.ed25519}`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${h.ed25519}==`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${h.ed25519.slice(0, -4)}+/+/`, invalid],
  [(h) => `T=${h.t},kid=${h.kid},ed25519=${h.ed25519}`, invalid],
  [(h) => `t=${h.t};kid=${h.kid};ed25519=${h.ed25519}`, invalid],
  // Well formed, and not ours.
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${h.ed25519.slice(0, -2)}`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=AAAA`, invalid],
  [(h) => `t=${h.t},kid=${h.kid},ed25519=${[...h.ed25519].reverse().join('')}`, invalid],
  [(h) => `t=${Number(h.t) + 1},kid=${h.kid},ed25519=${h.ed25519}`, invalid],
  [(h) => `t=${Number(h.t) - 300},kid=${h.kid},ed25519=${h.ed25519}`, invalid],
  [(h) => `t=${Number(h.t) + 301},kid=${h.kid},ed25519=${h.ed25519}`, expired],
  [(h) => `t=${Number(h.t) - 301},kid=${h.kid},ed25519=${h.ed25519}`, expired],
  [(h) => `t=${h.t}000,kid=${h.kid},ed25519=${h.ed25519}`, expired],
  [(h) => `t=${h.t},kid=${h.kid}x,ed25519=${h.ed25519}`, unknown],
  [(h) => `t=${h.t},kid=${h.kid.toUpperCase()},ed25519=${h.ed25519}`, unknown],
]
test('a header that anybody has touched is refused, and why', async (t) => {
  const { header, body, verify } = await delivered(t)
  const parts = Object.fromEntries(header.split(',').map((part) => part.split('=')))
  for (const [rewritten, problem] of headers) {
    const given = typeof rewritten === 'function' ? rewritten(parts) : rewritten
    assert.deepEqual(await verify(given, body), problem, given)
  }
})

test('a signature is good for five minutes, either way', async (t) => {
  const { header, body, verify, at } = await delivered(t)
  const seconds = [[0], [300], [-300], [300.999], [301, expired], [-300.001, expired], [3_600, expired], [-3_600, expired]]
  for (const [later, problem] of seconds) {
    at(later)
    assert.deepEqual(await verify(header, body), problem, `${later} s later`)
  }
})

test('the tolerance may be another', async (t) => {
  const { header, body, verify, at } = await delivered(t, { tolerance: 5 })
  for (const [later, problem] of [[5], [-5], [6, expired], [-6, expired]]) {
    at(later)
    assert.deepEqual(await verify(header, body), problem, `${later} s later`)
  }
})

// Key sets that a verifier does not believe, made of our own.
const sets = [
  ['no JSON', () => '{'],
  ['null', () => 'null'],
  ['no keys', () => ({})],
  ['an empty set', () => ({ keys: [] })],
  ['keys that are no array', ([key]) => ({ keys: key })],
  ['a key of another type', ([key]) => ({ keys: [{ ...key, kty: 'RSA' }] })],
  ['a key of another curve', ([key]) => ({ keys: [{ ...key, crv: 'X25519' }] })],
  ['a key without its x', ([{ x, ...key }]) => ({ keys: [key] })],
  ['a key without an id', ([{ kid, ...key }]) => ({ keys: [key] })],
  ['an id that is no text', ([key]) => ({ keys: [{ ...key, kid: 5 }] })],
  ['a key for another use', ([key]) => ({ keys: [{ ...key, use: 'enc' }] })],
  ['a key for another algorithm', ([key]) => ({ keys: [{ ...key, alg: 'ES256' }] })],
  ['a good key and a bad one', ([key]) => ({ keys: [key, { ...key, kty: 'EC' }] })],
]
test('without keys nothing is believed, and it is not the sender’s fault', async (t) => {
  const { w, header, body, keys } = await delivered(t)
  const published = await w.hook()
  const time = await w.now()
  const judged = () => {
    const fetch = (headers) => request(published.url, 'GET', '/jwks.json', { headers })
    return verifier({ fetch, now: () => time }).verify(header, body)
  }
  for (const [what, set] of sets) {
    published.answer({ status: 200, body: set(keys) })
    assert.deepEqual(await judged(), noKeys, what)
  }
  for (const status of [301, 404, 500, 503]) {
    published.answer({ status, body: { keys } })
    assert.deepEqual(await judged(), { status: 503, message: `JWKS fetch failed: ${status}` })
  }
  published.answer('hang up')
  assert.equal((await judged()).status, 503)

  published.answer({ status: 200, body: { keys: keys.map(({ use, alg, ...key }) => key) } })
  assert.equal(await judged(), undefined, 'use and alg may be left out')
  published.answer({ status: 200, body: { keys: [{ ...keys[0], kid: 'another' }] } })
  assert.deepEqual(await judged(), unknown)
  published.answer({ status: 200, body: { keys: [{ ...keys[0], x: Buffer.alloc(32, 7).toString('base64url') }] } })
  assert.deepEqual(await judged(), invalid)
  assert.equal(published.all[0].headers.accept, 'application/jwk-set+json, application/json')
})

test('keys are fetched when they are needed, and then kept as long as they may be', async (t) => {
  const { w, header, body } = await delivered(t)
  const sent = await w.now()
  let [later, fetched] = [0, 0]
  const fetch = (headers) => (fetched++, w.get('/__ds/jwks.json', { headers }))
  const { verify } = verifier({ fetch, now: () => sent + later, tolerance: 1_000 })
  for (const nothing of [undefined, 'nonsense', header.replace('t=', 't=9')]) await verify(nothing, body)
  assert.equal(fetched, 0, 'neither for what is malformed nor for what is too old')
  for (const [seconds, fetches] of [[0, 1], [0, 1], [299.999, 1], [300, 2], [599, 2], [600, 3]]) {
    later = seconds * 1_000
    assert.equal(await verify(header, body), undefined)
    assert.equal(fetched, fetches, `after ${seconds} s`)
  }
  assert.deepEqual(await verify(header.replace('kid=', 'kid=x'), body), unknown)
  assert.equal(fetched, 3, 'an unknown key is no reason to fetch')
})

// The keys of a server are everybody's, so this one is of the test's own.
test('who keeps our keys as long as they may be kept believes every delivery while they are rotated', async (t) => {
  const w = await world(t, { host: await startHost() })
  const hook = await w.hook()
  hook.answer({ status: 200, body: { done: true } })
  const stream = await jsonStream(w, 's')
  const subscription = await Subscription.make(w, { type: 'webhook', streams: [stream.bare], webhook: { url: hook.url } })
  let time = await w.now()
  const fetch = (headers) => w.get('/__ds/jwks.json', { headers })
  // Each of them fetched the keys at another time before the rotation.
  const verifiers = []
  const kids = new Set()
  for (let minute = 0; minute < 22; minute++) {
    if (minute === 4) assert.equal((await w.post('/_reveille/signing-keys', {})).status, 201)
    verifiers.push(verifier({ fetch, now: () => time }))
    const tail = await stream.append()
    const delivery = await hook.next()
    for (const { verify } of verifiers) assert.equal(await verify(signatureOf(delivery), delivery.text), undefined, `minute ${minute}`)
    kids.add(parseSignature(signatureOf(delivery)).kid)
    await w.eventually(async () => assert.equal((await subscription.shown()).streams[0].acked_offset, tail))
    time = await w.advance(60_000)
  }
  assert.equal(kids.size, 2)
})
