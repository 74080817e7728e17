// A subscription is made by its configuration, and confirmed, shown, changed and deleted by its id.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, START } from '../harness/like.mjs'
import { jsonStream, refuses, Subscription } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const url = 'https://agents.example/hook'

// Making one.

test('a webhook subscription is made, and shown as it was made', async (t) => {
  const w = await world(t)
  const stream = await jsonStream(w, 's', [1])
  const subscription = new Subscription(w, w.name)
  const body = { type: 'webhook', pattern: ` ${w.name}/* `, streams: [`/${stream.bare}/`, `plain/${w.name}/none`], webhook: { url }, lease_ttl_ms: 5_000, description: 'mine', more: 1 }
  const made = await subscription.put(body)
  assert.equal(made.status, 201, made.text)
  assert.match(made.headers['content-type'], /^application\/json/)
  const { keys } = (await w.get('/__ds/jwks.json')).json
  const expected = {
    id: w.name,
    subscription_id: w.name,
    type: 'webhook',
    pattern: `${w.name}/*`,
    streams: [
      { path: stream.bare, link_type: 'explicit', acked_offset: stream.tail },
      { path: `plain/${w.name}/none`, link_type: 'explicit', acked_offset: START },
    ],
    webhook: { url, signing: { alg: 'ed25519', kid: keys.at(-1).kid, jwks_url: `${w.url}/__ds/jwks.json` } },
    lease_ttl_ms: 5_000,
    created_at: made.json.created_at,
    status: 'active',
    description: 'mine',
  }
  // The order of the members, too.
  assert.equal(made.text, JSON.stringify(expected))
  like(made.json.created_at, ISO)
  assert.equal((await subscription.get()).text, made.text)
})

test('a pull-wake subscription is made, and has no webhook', async (t) => {
  const w = await world(t)
  const subscription = new Subscription(w, w.name)
  const made = await subscription.put({ type: 'pull-wake', streams: ['a/b', 'a/b', '/a/b/'], wake_stream: ` /wake/${w.name}/ `, webhook: { url } })
  assert.equal(made.status, 201, made.text)
  assert.equal(made.text, JSON.stringify({
    id: w.name,
    subscription_id: w.name,
    type: 'pull-wake',
    streams: [{ path: 'a/b', link_type: 'explicit', acked_offset: START }],
    wake_stream: `wake/${w.name}`,
    lease_ttl_ms: 30_000,
    created_at: made.json.created_at,
    status: 'active',
  }))
})

test('a webhook subscription keeps a wake stream, and does not use it', async (t) => {
  const w = await world(t)
  const subscription = await Subscription.make(w, { type: 'webhook', streams: ['a'], webhook: { url }, wake_stream: 'x/y' })
  assert.deepEqual(Object.keys(await subscription.shown()), [
    'id', 'subscription_id', 'type', 'streams', 'webhook', 'wake_stream', 'lease_ttl_ms', 'created_at', 'status',
  ])
})

test('an id may be any text', async (t) => {
  const w = await world(t)
  const id = `${w.name} a/b%2F é?#`
  const subscription = await Subscription.make(w, { type: 'webhook', streams: ['a'], webhook: { url } }, { id })
  assert.equal((await subscription.shown()).id, id)
  assert.equal((await subscription.delete()).status, 204)
  refuses(await subscription.get(), 404, 'SUBSCRIPTION_NOT_FOUND')
})

// Making it again.

const base = { type: 'webhook', pattern: 'never/*', streams: ['b', 'a'], webhook: { url }, description: 'd' }
const same = [
  base,
  { ...base, streams: ['a', 'b', '/b/'] },
  { ...base, pattern: ' never/* ' },
  { ...base, lease_ttl_ms: 30_000 },
  { ...base, unknown: true, webhook: { url, secret: 'x' } },
]
const other = [
  { ...base, type: 'pull-wake', wake_stream: 'w' },
  { ...base, pattern: 'never/**' },
  { ...base, pattern: undefined },
  { ...base, streams: ['a'] },
  { ...base, streams: ['a', 'b', 'c'] },
  { ...base, webhook: { url: `${url}2` } },
  { ...base, wake_stream: 'w' },
  { ...base, lease_ttl_ms: 30_001 },
  { ...base, description: 'e' },
  { ...base, description: undefined },
  // Nothing else is looked at once the id is taken.
  { ...base, webhook: { url: 'http://10.0.0.1/hook' } },
]

test('the same configuration confirms a subscription, another conflicts with it', async (t) => {
  const w = await world(t)
  const subscription = await Subscription.make(w, base)
  const { text } = await subscription.get()
  for (const body of same) {
    const again = await subscription.put(body)
    assert.equal(again.status, 200, JSON.stringify(body))
    assert.equal(again.text, text)
  }
  for (const body of other) refuses(await subscription.put(body), 409, 'SUBSCRIPTION_ALREADY_EXISTS')
  assert.equal((await subscription.get()).text, text)
})

test('streams that are added or removed later are no part of the configuration', async (t) => {
  const w = await world(t)
  const subscription = await Subscription.make(w, base)
  await subscription.add(['c'])
  await subscription.remove('a')
  const again = await subscription.put(base)
  assert.equal(again.status, 200)
  assert.deepEqual(again.json.streams.map(({ path }) => path), ['b', 'c'])
  refuses(await subscription.put({ ...base, streams: ['b', 'c'] }), 409, 'SUBSCRIPTION_ALREADY_EXISTS')
})

// What is refused. Each body has what is wrong in the row and in every row below it, so each row says what wins.

const wrongs = [
  ['the body is no JSON', () => '{', 'Invalid JSON body'],
  ['the body is a list', () => '[]', /./],
  ['the body is a text', () => '"webhook"', /./],
  ['there is no body', () => '', /`type`/],
  ['there is no type', () => ({ streams: [7], lease_ttl_ms: 0 }), /`type`/],
  ['the type is another', () => ({ type: 'push', streams: [7], lease_ttl_ms: 0 }), /`type`/],
  ['a stream is no text', () => ({ type: 'webhook', streams: ['a', 7], lease_ttl_ms: 0 }), /`streams`/],
  ['it follows nothing', () => ({ type: 'webhook', lease_ttl_ms: 0 }), /`pattern`/],
  ['its streams are none', () => ({ type: 'webhook', streams: [], lease_ttl_ms: 0 }), /`pattern`/],
  ['its streams are no list', () => ({ type: 'webhook', streams: 'a', lease_ttl_ms: 0 }), /`pattern`/],
  ['its pattern is blank', () => ({ type: 'webhook', pattern: ' ', lease_ttl_ms: 0 }), /`pattern`/],
  ...[0, 999, 600_001, 1_000.5, -1, '30000', true, []].map((lease) => [
    `its lease is ${JSON.stringify(lease)}`,
    () => ({ type: 'webhook', streams: ['a'], lease_ttl_ms: lease, webhook: {} }),
    /`lease_ttl_ms`/,
  ]),
  ['a webhook has no URL', () => ({ type: 'webhook', streams: ['a'], webhook: {} }), /`webhook.url`/],
  ['a webhook’s URL is empty', () => ({ type: 'webhook', streams: ['a'], webhook: { url: '' } }), /`webhook.url`/],
  ['a webhook’s URL is no text', () => ({ type: 'webhook', streams: ['a'], webhook: { url: 7 } }), /`webhook.url`/],
  ['a pull-wake has no wake stream', () => ({ type: 'pull-wake', streams: ['a'], webhook: { url } }), /`wake_stream`/],
  ['a pull-wake’s wake stream is empty', () => ({ type: 'pull-wake', streams: ['a'], wake_stream: '/' }), /`wake_stream`/],
]
for (const [what, body, message] of wrongs) {
  test(`a subscription is refused: ${what}`, async (t) => {
    const w = await world(t)
    const subscription = new Subscription(w, w.name)
    refuses(await subscription.put(body()), 400, 'INVALID_REQUEST', message)
    refuses(await subscription.get(), 404, 'SUBSCRIPTION_NOT_FOUND')
  })
}

for (const lease of [1_000, 600_000, 5e3]) {
  test(`a lease may be ${lease} ms`, async (t) => {
    const w = await world(t)
    const subscription = await Subscription.make(w, { type: 'webhook', streams: ['a'], webhook: { url }, lease_ttl_ms: lease })
    assert.equal((await subscription.shown()).lease_ttl_ms, lease)
  })
}

for (const bad of ['http://10.0.0.1/hook', 'https://192.168.1.1', 'https://[::ffff:10.0.0.1]/', 'https://100.64.0.1', 'http://example.com', 'ftp://example.com', 'nonsense']) {
  test(`a webhook may not go there: ${bad}`, async (t) => {
    const w = await world(t)
    const subscription = new Subscription(w, w.name)
    refuses(await subscription.put({ type: 'webhook', streams: ['a'], webhook: { url: bad } }), 400, 'WEBHOOK_URL_REJECTED')
    refuses(await subscription.get(), 404, 'SUBSCRIPTION_NOT_FOUND')
  })
}

// More streams, and fewer.

test('streams are added at their tails, and keep their cursors when they are added again', async (t) => {
  const w = await world(t)
  const [a, b] = [await jsonStream(w, 'a', [1]), await jsonStream(w, 'b', [1])]
  const subscription = await Subscription.make(w, { type: 'pull-wake', streams: [a.bare], wake_stream: `plain/${w.name}/w` })
  await a.append()
  assert.equal((await subscription.add([b.path, a.bare])).status, 204)
  assert.deepEqual(await subscription.links(), [[a.bare, 'explicit', a.tail], [b.bare, 'explicit', b.tail]])
  assert.equal((await subscription.add([])).status, 204)
})

test('streams are removed by path, its slashes encoded or not, and once is enough', async (t) => {
  const w = await world(t)
  const subscription = await Subscription.make(w, { type: 'webhook', streams: ['a/b', 'a/c', 'a%20d', 'e'], webhook: { url } })
  for (const path of ['a%2Fb', 'a/c', 'a%2520d', '%2Fe%2F', 'e', 'none']) {
    const answer = await subscription.remove(path)
    assert.equal(answer.status, 204, path)
    assert.equal(answer.text, '')
  }
  assert.deepEqual(await subscription.links(), [])
})

for (const streams of [undefined, 'a', {}, [7], [''], ['a', ''], ['/'], [null]]) {
  test(`streams to add are refused: ${JSON.stringify(streams)}`, async (t) => {
    const w = await world(t)
    // The body is looked at before the subscription is looked for.
    refuses(await new Subscription(w, w.name).add(streams), 400, 'INVALID_REQUEST')
    const subscription = await Subscription.make(w, { type: 'webhook', streams: ['x'], webhook: { url } })
    refuses(await subscription.add(streams), 400, 'INVALID_REQUEST')
    assert.equal((await subscription.links()).length, 1)
  })
}

test('a subscription follows 10,000 streams at most, those included that do not exist yet', async (t) => {
  const w = await world(t)
  const subscription = await Subscription.make(w, { type: 'webhook', streams: ['x'], webhook: { url } })
  const paths = Array.from({ length: 9_999 }, (_, n) => `${w.name}/${n}`)
  assert.equal((await subscription.add(paths)).status, 204)
  refuses(await subscription.add(['one/more']), 400, 'INVALID_REQUEST')
  assert.equal((await subscription.add(['x'])).status, 204)
  await subscription.delete()
})

// Routes.

test('what does not exist is not found; only deleting it succeeds', async (t) => {
  const w = await world(t)
  const subscription = new Subscription(w, w.name)
  refuses(await subscription.get(), 404, 'SUBSCRIPTION_NOT_FOUND')
  refuses(await subscription.add(['a']), 404, 'SUBSCRIPTION_NOT_FOUND')
  refuses(await subscription.remove('a'), 404, 'SUBSCRIPTION_NOT_FOUND')
  refuses(await subscription.tryClaim(), 404, 'SUBSCRIPTION_NOT_FOUND')
  const gone = await subscription.delete()
  assert.deepEqual([gone.status, gone.text], [204, ''])
})

const routes = [
  [404, 'GET', '/__ds'],
  [404, 'PUT', '/__ds/'],
  [404, 'GET', '/__ds/subscriptions'],
  [404, 'PUT', '/__ds/subscriptions/'],
  [404, 'POST', '/__ds/x'],
  [404, 'PUT', '/__ds/a/stream'],
  [404, 'GET', '/__ds/subscriptions/x/other'],
  [404, 'POST', '/__ds/subscriptions/x/claim/more'],
  [405, 'POST', '/__ds/subscriptions/x'],
  [405, 'PATCH', '/__ds/subscriptions/x'],
  [405, 'GET', '/__ds/subscriptions/x/streams'],
  [405, 'PUT', '/__ds/subscriptions/x/streams'],
  [405, 'GET', '/__ds/subscriptions/x/streams/a/b'],
  [405, 'POST', '/__ds/jwks.json'],
]
for (const [status, method, path] of routes) {
  test(`${method} ${path} is answered ${status}`, async (t) => {
    const w = await world(t)
    const answer = await w.http(method, path)
    assert.equal(answer.status, status, answer.text)
    if (status === 404) refuses(answer, 404, 'SUBSCRIPTION_NOT_FOUND', 'Durable Streams control route not found')
    else assert.equal(answer.text, 'Method not allowed')
  })
}

// Whose it is.

test('a subscription belongs to who made it', async (t) => {
  const w = await world(t)
  const config = { type: 'pull-wake', streams: ['a'], wake_stream: `plain/${w.name}/w` }
  const alices = await Subscription.make(w, config, { as: 'user:alice' })
  const { text } = await alices.get()
  const bobs = new Subscription(w, w.name, 'user:bob')
  for (const answer of [await bobs.get(), await bobs.delete(), await bobs.add(['b']), await bobs.remove('a'), await bobs.tryClaim()]) {
    refuses(answer, 401, 'UNAUTHORIZED')
  }
  refuses(await bobs.put(config), 409, 'SUBSCRIPTION_ALREADY_EXISTS')
  assert.equal((await alices.get()).text, text)
  assert.equal((await new Subscription(w, w.name).put(config)).status, 200, 'the system may')
})

test('nobody follows what they may not read', async (t) => {
  const w = await world(t)
  await w.type()
  const { url: entity } = await w.spawn(w.name, 'e', {}, { as: 'user:alice' })
  const main = `${entity.slice(1)}/main`
  const config = { type: 'pull-wake', streams: [main], wake_stream: `plain/${w.name}/w` }
  refuses(await new Subscription(w, 'bobs', 'user:bob').put(config), 401, 'UNAUTHORIZED')
  const bobs = await Subscription.make(w, { ...config, streams: [], pattern: `${w.name}/**` }, { id: `${w.name}-bob`, as: 'user:bob' })
  refuses(await bobs.add([main]), 401, 'UNAUTHORIZED')
  // Nor when they asked before it was somebody's.
  assert.equal((await bobs.add([`${w.name}/later/main`, 'runners/x/wake'])).status, 204)
  await w.spawn(w.name, 'later', { initialMessage: 'secret' }, { as: 'user:alice' })
  const links = await bobs.links()
  assert.ok(links.every(([, , acked]) => acked === START), JSON.stringify(links))
  assert.equal((await bobs.tryClaim()).json.error.code, 'NO_PENDING_WORK')
  const alices = await Subscription.make(w, config, { id: `${w.name}-alice`, as: 'user:alice' })
  assert.deepEqual((await alices.links()).map(([path]) => path), [main])
})
