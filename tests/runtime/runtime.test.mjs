// Plays the part of the published runtime, call for call, as it was recorded against the reference: the answers must
// have the same shape. Same status, same headers that matter, same members, same literal values, where ids, tokens,
// times, offsets and ports stand for each other. The recording's one `subscription-webhooks` request was made by the
// reference's stream server; here the webhook comes to the runtime directly, with the body that a runtime gets.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { receiver } from '../harness/receiver.mjs'
import { signatureProblem } from '../harness/signature.mjs'
import { world } from '../harness/world.mjs'

const recording = readFileSync(new URL('recording.jsonl', import.meta.url), 'utf8').trim().split('\n').map((line) => JSON.parse(line))
const firstOfPullWake = recording.findIndex(({ url }) => url === '/_electric/runners')
const byWebhook = recording.slice(0, firstOfPullWake)
const byPullWake = recording.slice(firstOfPullWake)

// What stood in the recording for the server and for the runtime's own endpoint.
const recordedServer = 'http://127.0.0.1:14439'
const recordedRuntime = 'http://127.0.0.1:43835'

test('the recording is whole', () => {
  assert.equal(byWebhook.length, 22)
  assert.equal(byPullWake.length, 25)
})

test('the runtime, woken by webhook', (t) => play(t, byWebhook))
test('the runtime, woken by pull-wake', (t) => play(t, byPullWake))

async function play(t, exchanges) {
  const w = await world(t)
  const runtime = await receiver()
  t.after(() => runtime.close())
  const counterparts = new Counterparts([
    [recordedServer, w.url],
    [recordedRuntime, new URL(runtime.url).origin],
  ])

  const call = async (exchange) => {
    const headers = { 'content-type': undefined }
    for (const [name, value] of Object.entries(exchange.reqHeaders)) {
      if (!connectionHeaders.has(name)) headers[name] = counterparts.translate(value)
    }
    if (!headers['content-type']) delete headers['content-type']
    const body = exchange.reqBody ? counterparts.translate(exchange.reqBody) : undefined
    const answer = await w.http(exchange.method, counterparts.translate(exchange.url), { headers, body })
    compareAnswer(exchange, answer, counterparts)
  }

  // Long-polls are begun in their place in the order of arrival, and each is answered by the next write.
  const live = exchanges.filter(({ url }) => url.includes('live=long-poll'))
  const begun = new Map()
  for (const exchange of exchanges) {
    for (const poll of live) {
      if (poll.id < exchange.id && !begun.has(poll)) begun.set(poll, call(poll))
    }
    if (live.includes(exchange)) continue
    await w.settle()
    if (exchange.url.startsWith('/_electric/subscription-webhooks/')) {
      compareWebhook(exchange, await runtime.next(), counterparts, (await w.get('/__ds/jwks.json')).json)
    } else {
      await call(exchange)
    }
    if (exchange.method === 'POST') await Promise.all(begun.values())
  }
  assert.equal(begun.size, live.length)
  assert.deepEqual(runtime.untaken, [])
}

const connectionHeaders = new Set([
  'host', 'connection', 'content-length', 'accept-language', 'accept-encoding', 'sec-fetch-mode', 'user-agent',
])
const comparedHeaders = [
  'access-control-allow-origin', 'access-control-expose-headers', 'cache-control', 'content-type', 'producer-epoch',
  'producer-seq', 'stream-closed', 'stream-cursor', 'stream-next-offset', 'stream-up-to-date', 'x-write-token',
]
// The reference's stream server answered a webhook's done itself; a media type is all that a client looks at.
const mediaType = (value) => value?.split(';')[0]

function compareAnswer(exchange, answer, counterparts) {
  const at = `${exchange.id} ${exchange.method} ${exchange.url}`
  assert.equal(answer.status, exchange.status, `${at}: ${answer.text}`)
  for (const name of comparedHeaders) {
    const [recorded, actual] = [exchange.resHeaders[name], answer.headers[name]]
    if (name === 'content-type' && exchange.url.includes('/wake-callbacks/')) {
      assert.equal(mediaType(actual), mediaType(recorded), `${at}: ${name}`)
    } else if (recorded !== undefined) {
      counterparts.compare(recorded, actual, `${at}: ${name}`)
    } else if (name !== 'cache-control') {
      assert.equal(actual, undefined, `${at}: ${name}`)
    }
  }
  if (exchange.resHeaders.etag) assert.match(answer.headers.etag ?? '', /^".+"$/, `${at}: etag`)
  if (exchange.resBody === '') assert.equal(answer.text, '', at)
  else counterparts.compare(JSON.parse(exchange.resBody), answer.json, at)
}

// The runtime's endpoint gets what the stream server said, enriched. Of the recorded request, the members that the
// enrichment keeps are compared; the others are written here as they were recorded elsewhere.
function compareWebhook(exchange, delivery, counterparts, jwks) {
  const header = delivery.headers['webhook-signature']
  assert.equal(signatureProblem({ header, body: delivery.text, jwks }), undefined)
  assert.equal(delivery.path, '/electric-agents')
  const said = JSON.parse(exchange.reqBody)
  const path = `/${said.streams[0].path}`
  const url = path.replace(/\/main$/, '')
  const { callback_url, callback, ...body } = delivery.json
  assert.equal(new URL(callback).pathname, `/_electric/wake-callbacks/${body.wake_id}`)
  assert.ok(new URL(callback_url).pathname.endsWith(`/__ds/subscriptions/${encodeURIComponent(said.subscription_id)}/callback`))
  counterparts.compare(
    {
      subscription_id: said.subscription_id,
      wake_id: said.wake_id,
      generation: said.generation,
      streams: [{ path, offset: said.streams[0].tail_offset }],
      callback_token: said.callback_token,
      entity: {
        type: url.split('/')[1],
        status: 'idle',
        url,
        streams: { main: path },
        tags: {},
        spawnArgs: {},
        createdBy: '/principal/system%3Adev-local',
      },
      principal: { url: '/principal/system%3Adev-local', key: 'system:dev-local', kind: 'system', id: 'dev-local' },
      triggerEvent: 'inbox',
      consumerId: said.wake_id,
      epoch: said.generation,
      wakeId: said.wake_id,
      streamPath: path,
      claimToken: said.callback_token,
    },
    body,
    `${exchange.id} webhook`,
  )
}

// Values that are other in every run: what they look like, in the recording and here. A token is opaque.
const varying = [
  [/^\d{4}-\d\d-\d\dT[\d:]+\.\d{3}Z$/],
  [/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/],
  [/^\d{16}_\d{16}$/],
  [/^w_[0-9a-f]{24}$/],
  [/^msg-in-\d+-[0-9a-z]{6}$/],
  [/^ds_[\w-]{43}$/],
  [/^[\w-]{43}$/],
  [/^333\d{4}$/, /^\d+$/],
  [/^eyJ[\w-]+\.[\w-]+$/, /^\S{16,}$/],
]

/** What stands here for each varying value of the recording, learnt from the answers. */
class Counterparts {
  #known

  constructor(known) {
    this.#known = new Map(known)
  }

  translate(text) {
    for (const [recorded, actual] of this.#known) text = text.replaceAll(recorded, actual)
    return text
  }

  compare(recorded, actual, at) {
    if (Array.isArray(recorded)) {
      assert.ok(Array.isArray(actual), at)
      assert.equal(actual.length, recorded.length, `${at}: length`)
      recorded.forEach((part, index) => this.compare(part, actual[index], `${at}[${index}]`))
    } else if (recorded !== null && typeof recorded === 'object') {
      assert.ok(actual !== null && typeof actual === 'object', at)
      assert.deepEqual(Object.keys(actual).sort(), Object.keys(recorded).sort(), `${at}: members`)
      for (const name of Object.keys(recorded)) this.compare(recorded[name], actual[name], `${at}.${name}`)
    } else if (typeof recorded === 'string') {
      this.#compareText(recorded, actual, at)
    } else if (typeof recorded === 'number' && (recorded > 1e12 || at.endsWith('.txid'))) {
      assert.ok(Number.isSafeInteger(actual), `${at}: ${actual}`)
      if (recorded > 1e12) this.#learn(String(recorded), String(actual), at)
    } else {
      assert.equal(actual, recorded, at)
    }
  }

  #compareText(recorded, actual, at) {
    assert.equal(typeof actual, 'string', at)
    const [looks, looksHere] = varying.find(([pattern]) => pattern.test(recorded)) ?? []
    if (!looks) return assert.equal(actual, this.translate(recorded), at)
    assert.match(actual, looksHere ?? looks, at)
    this.#learn(recorded, actual, at)
  }

  // Offsets, ids and tokens stand for each other one to one; two moments may well be one.
  #learn(recorded, actual, at) {
    const moment = /^\d{13}$|^[\d-]{10}T/.test(recorded)
    if (!moment && this.#known.has(recorded)) assert.equal(actual, this.#known.get(recorded), at)
    this.#known.set(recorded, actual)
  }
}
