// The key that signs webhooks is changed without a gap: nobody ever sees a signature by a key that they cannot find.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { ISO, like } from '../harness/like.mjs'
import { keyId, parseSignature, signatureProblem } from '../harness/signature.mjs'
import { jsonStream, refuses, Subscription } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const path = '/_reveille/signing-keys'

// A server of this file's own, for its keys are everybody's.
let own
after(async () => (await own)?.dispose())

/** A way to have something signed, by a server that has one key. */
async function signing(t, { host, fresh = true } = {}) {
  own ??= startHost()
  const w = host ? await world(t, { host }) : await world(t)
  w.url = (host ?? (await own)).url
  if (fresh) assert.equal((await w.post(path, { at_once: true })).status, 201)
  const hook = await w.hook()
  const stream = await jsonStream(w, 's')
  const subscription = await Subscription.make(w, { type: 'webhook', streams: [stream.bare], webhook: { url: hook.url } })
  hook.answer({ status: 200, body: { done: true } })
  const published = async () => (await w.get('/__ds/jwks.json')).json.keys.map(({ kid }) => kid)
  return {
    w,
    published,
    rotate: (body) => w.post(path, body),
    /** The `kid` of a signature that is made now, as good as the key set says. */
    async signs() {
      await stream.append()
      const { headers, text } = await hook.next()
      const header = headers['webhook-signature']
      const jwks = (await w.get('/__ds/jwks.json')).json
      assert.equal(signatureProblem({ header, body: text, jwks, now: await w.now(), tolerance: 0 }), undefined)
      await w.eventually(async () => assert.equal((await subscription.shown()).streams[0].acked_offset, await w.tail(stream.path)))
      assert.equal((await subscription.shown()).webhook.signing.kid, parseSignature(header).kid)
      return parseSignature(header).kid
    },
  }
}

test('at first there is one key, which signs', async (t) => {
  const { w, published } = await signing(t, { fresh: false })
  const [kid] = await published()
  assert.deepEqual((await w.get(path)).json, { keys: [{ kid, signs: true, signs_from: null, retires_at: null }] })
})

test('a new key is published at once, signs after five minutes, and the old one retires ten minutes after that', async (t) => {
  const { w, published, rotate, signs } = await signing(t)
  const [old] = await published()
  const start = await w.now()
  const answer = await rotate({})
  assert.equal(answer.status, 201, answer.text)
  const at = (seconds) => new Date(start + seconds * 1_000).toISOString()
  const fresh = (await published())[1]
  assert.deepEqual(answer.json.keys, [
    { kid: old, signs: true, signs_from: at(0), retires_at: at(900) },
    { kid: fresh, signs: false, signs_from: at(300), retires_at: null },
  ])
  assert.deepEqual((await w.get(path)).json, answer.json)
  for (const key of (await w.get('/__ds/jwks.json')).json.keys) assert.equal(key.kid, keyId(key))

  assert.equal(await signs(), old)
  await w.advance(299_999)
  assert.equal(await signs(), old)
  await w.advance(1)
  assert.equal(await signs(), fresh)
  assert.deepEqual((await w.get(path)).json.keys.map((key) => key.signs), [false, true])

  await w.advance(599_999)
  assert.deepEqual(await published(), [old, fresh])
  await w.advance(1)
  assert.deepEqual(await published(), [fresh])
  assert.equal(await signs(), fresh)
})

test('a key that got out is replaced at once', async (t) => {
  const { published, rotate, signs } = await signing(t)
  const [old] = await published()
  await rotate({})
  const answer = await rotate({ at_once: true })
  assert.equal(answer.status, 201)
  const [only, ...others] = await published()
  assert.deepEqual(others, [])
  assert.notEqual(only, old)
  like(answer.json, { keys: [{ kid: only, signs: true, signs_from: ISO, retires_at: null }] })
  assert.equal(await signs(), only)
})

test('a key that was replaced at once does not come back, nor does its retirement take another', async (t) => {
  const { w, published, rotate, signs } = await signing(t)
  await rotate({})
  await rotate({ at_once: true })
  const [only] = await published()
  await w.advance(2_000_000)
  assert.deepEqual(await published(), [only])
  assert.equal(await signs(), only)
})

test('keys may be rotated again before the last rotation is over, up to eight', async (t) => {
  const { w, published, rotate, signs } = await signing(t)
  for (let n = 2; n <= 8; n++) {
    await w.advance(1_000)
    assert.equal((await rotate()).status, 201)
    assert.equal((await published()).length, n)
  }
  const refused = await rotate({})
  assert.equal(refused.status, 409)
  const keys = await published()
  assert.equal(await signs(), keys[0])
  await w.advance(300_000)
  assert.equal(await signs(), keys[7])
  await w.advance(600_000)
  assert.deepEqual(await published(), [keys[7]])
})

for (const body of ['{', '[]', { at_once: 'yes' }, { at_once: 1 }]) {
  test(`a rotation is refused and changes nothing: ${JSON.stringify(body)}`, async (t) => {
    const w = await world(t)
    const keys = (await w.get('/__ds/jwks.json')).text
    refuses(await w.post(path, body), 400, 'INVALID_REQUEST')
    assert.equal((await w.get('/__ds/jwks.json')).text, keys)
  })
}

test('keys are the system’s: nobody else sees or changes them', async (t) => {
  const w = await world(t)
  const keys = (await w.get('/__ds/jwks.json')).text
  for (const as of ['user:alice', 'agent:x', 'system:anything-else']) {
    refuses(await w.get(path, { as }), 401, 'UNAUTHORIZED')
    refuses(await w.post(path, {}, { as }), 401, 'UNAUTHORIZED')
  }
  assert.equal((await w.get('/__ds/jwks.json')).text, keys)
  assert.equal((await w.get(path, { as: 'system:framework' })).status, 200)
})

test('a rotation goes on after a restart', async (t) => {
  const host = await startHost()
  const { w, published, rotate, signs } = await signing(t, { host })
  await rotate({})
  const { text } = await w.get(path)
  const [old, fresh] = await published()
  const again = async (id) => {
    await host.stop()
    await host.restart()
    w.testId = `${w.name}-${id}`
  }
  await again('once')
  assert.equal((await w.get(path)).text, text)
  assert.equal(await signs(), old)
  await w.advance(300_000)
  await again('twice')
  assert.equal(await signs(), fresh)
  await w.advance(600_000)
  await again('thrice')
  assert.deepEqual(await published(), [fresh])
})
