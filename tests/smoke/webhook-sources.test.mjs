// Webhook sources: an entity subscribes to what comes by webhooks from elsewhere, as the host's catalogue has it, through
// a filter and for a while if it likes. What comes is appended by whoever takes it in.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { changedKeys, coming, iso, manifestRow, refusals, registrationIds, registrations } from '../harness/observer.mjs'
import { sourced } from '../harness/webhook-catalogue.mjs'
import { change, world } from '../harness/world.mjs'

const at = (url, id = 's') => `/_electric/entities${url}/webhook-source-subscriptions/${id}`
const event = (key, event_type = 'push') => change('webhook_event', key, { key, body: '{}', event_type, endpoint_key: 'gh' })
const told = async (w, url) => (await w.events(url, 'wake')).flatMap(changedKeys)

/** An entity, and what it subscribes to. */
async function subscribed(w, body, id = 'agent') {
  const { url } = await w.spawn(w.name, id)
  const answer = await w.put(at(url), body)
  assert.equal(answer.status, 200, answer.text)
  return { url, txid: answer.json.txid, subscription: answer.json.subscription }
}

test('a subscription is a row of the manifest, and what comes wakes who has it', async (t) => {
  const w = await sourced(t)
  await w.type()
  const params = { owner: 'o', repo: 'r' }
  const { url, txid, subscription } = await subscribed(w, { webhookKey: 'github', bucketKey: 'repo', params, reason: 'to know' })
  const now = iso(await w.now())
  const kept = {
    id: 's', webhookKey: 'github', bucketKey: 'repo', params, filterApplied: false, contractRevision: 3,
    lifetime: { kind: 'until_entity_stopped' }, reason: 'to know', createdBy: 'tool', createdAt: now,
  }
  const streamUrl = '/_webhooks/gh/repos/o/r'
  const more = { entityUrl: url, sourceUrl: streamUrl, sourceType: 'webhook', manifestKey: 'webhook-source:s' }
  assert.deepEqual(subscription, { ...kept, ...more })
  const [row] = await w.events(url, 'manifest')
  assert.deepEqual([row.key, row.headers.operation, row.headers.txid], ['webhook-source:s', 'upsert', txid])
  assert.deepEqual(row.value, {
    key: 'webhook-source:s', kind: 'source', sourceType: 'webhook', sourceRef: 'gh/repos/o/r',
    config: { endpointKey: 'gh', streamUrl, bucket: 'repos/o/r', webhookSource: kept },
    wake: { on: 'change', collections: ['webhook_event'], ops: ['insert'] },
  })
  assert.equal((await w.post(streamUrl, event('e1'))).status, 204)
  assert.equal((await w.post('/_webhooks/gh/repos/o/other', event('e2'))).status, 404, 'nobody has subscribed to it')
  assert.deepEqual(await told(w, url), ['e1'])
  // The same again is the same registration; another source takes its place.
  const ids = await registrationIds(w, url)
  assert.equal((await w.put(at(url), { webhookKey: 'github', bucketKey: 'repo', params })).status, 200)
  assert.deepEqual(await registrationIds(w, url), ids)
  const root = await w.put(at(url), { webhookKey: 'github', params: { unchecked: [] } })
  assert.deepEqual([root.json.subscription.sourceUrl, root.json.subscription.params], ['/_webhooks/gh', { unchecked: [] }])
  assert.deepEqual((await registrations(w, url)).map(([source]) => source), ['/_webhooks/gh'])
  const gone = await w.delete(at(url))
  assert.deepEqual([gone.status, typeof gone.json.txid], [200, 'string'])
  assert.deepEqual(await registrations(w, url), [])
  assert.equal((await w.delete(at(url, 'unknown'))).status, 200)
})

test('a filter lets through what it describes, and explain says what it kept back', async (t) => {
  const w = await sourced(t)
  await w.type()
  const wish = { webhookKey: 'github', bucketKey: 'repo', params: { owner: 'filter', repo: 'r' } }
  const { url, subscription } = await subscribed(w, { ...wish, filterKey: 'pushes' })
  assert.deepEqual([subscription.filterKey, subscription.filterApplied], ['pushes', true])
  const open = await subscribed(w, { ...wish, filterKey: 'everything' }, 'open')
  assert.deepEqual([open.subscription.filterKey, open.subscription.filterApplied], ['everything', false])
  await w.post(subscription.sourceUrl, event('i', 'issues'))
  const offset = await w.tail(subscription.sourceUrl)
  await w.post(subscription.sourceUrl, event('p', 'push'))
  await w.post(subscription.sourceUrl, change('other', 'x', {}))
  assert.deepEqual([await told(w, url), await told(w, open.url)], [['p'], ['i', 'p']])
  const { event: explained } = await w.explain(url, { source: subscription.sourceUrl, offset })
  const [{ matched, why, condition }] = explained.events[0].registrations
  assert.equal(matched, false)
  assert.equal(condition.filter, 'pushes')
  assert.match(why, /the filter `pushes` keeps it back: its value\/event_type must be equal to constant/)
  // An agent's own row has its filter from the same place, and none that is not there.
  const agent = await w.working(w.name, 'author')
  const row = (filterKey) => ({
    kind: 'source', sourceType: 'webhook', wake: { on: 'change', collections: ['webhook_event'] },
    config: { endpointKey: 'gh', bucket: 'repos/filter/r', webhookSource: { webhookKey: 'github', bucketKey: 'repo', filterKey } },
  })
  await agent.append([manifestRow('good', row('pushes')), manifestRow('bad', row('secrets'))])
  assert.deepEqual(await refusals(w, agent.entity), [['bad', 'Unknown filter "secrets" for webhook source "github"']])
  assert.deepEqual((await registrations(w, agent.entity)).map(([, { filter }]) => filter), ['pushes'])
})

test('a subscription for a while ends by itself, and says so', async (t) => {
  const w = await sourced(t)
  await w.type()
  const until = iso((await w.now()) + 60_000)
  const wish = { webhookKey: 'github', bucketKey: 'repo', params: { owner: 'while', repo: 'r' } }
  const { url, subscription } = await subscribed(w, { ...wish, lifetime: { kind: 'expires_at', at: until } })
  assert.deepEqual(subscription.lifetime, { kind: 'expires_at', at: until })
  assert.deepEqual(await coming(w, url, 'end'), [{ at: until, what: 'it no longer observes /_webhooks/gh/repos/while/r' }])
  const ever = await subscribed(w, { ...wish, lifetime: { kind: 'manual' } }, 'ever')
  await w.advance(59_999)
  await w.post(subscription.sourceUrl, event('in-time'))
  await w.advance(1)
  await w.post(subscription.sourceUrl, event('late'))
  assert.deepEqual([await told(w, url), await told(w, ever.url)], [['in-time'], ['in-time', 'late']])
  assert.deepEqual(await registrations(w, url), [])
  assert.deepEqual((await w.events(url, 'manifest')).map(({ headers }) => headers.operation), ['upsert', 'delete'])
  // Prolonged in time it goes on; what was to end it does nothing.
  const soon = iso((await w.now()) + 1_000)
  await w.put(at(url), { ...wish, lifetime: { kind: 'expires_at', at: soon } })
  await w.put(at(url), wish)
  await w.advance(2_000)
  assert.equal((await registrations(w, url)).length, 1)
  // What is over already never begins.
  const over = await subscribed(w, { ...wish, lifetime: { kind: 'expires_at', at: '2020-01-01T00:00:00Z' } }, 'over')
  await w.advance(0)
  await w.post(subscription.sourceUrl, event('for-others'))
  assert.deepEqual([await told(w, over.url), await registrations(w, over.url)], [[], []])
})

test('what comes by webhooks is written by the system alone, and read by those to whom the source is shown', async (t) => {
  const w = await sourced(t)
  const shown = '/_webhooks/gh/access'
  const hidden = '/_webhooks/hidden'
  for (const stream of [shown, hidden]) {
    assert.equal((await w.put(stream, [], { as: 'user:alice' })).status, 401)
    assert.equal((await w.put(stream, [], { as: 'system:framework' })).status, 201)
    assert.equal((await w.post(stream, [event('e')], { as: 'user:alice' })).status, 401)
    assert.equal((await w.post(stream, [event('e')], { as: 'system:framework' })).status, 204)
    assert.equal((await w.delete(stream, { as: 'user:alice' })).status, 401)
  }
  assert.equal((await w.get(shown, { as: 'user:alice' })).status, 200)
  assert.equal((await w.get(hidden, { as: 'user:alice' })).status, 401)
  assert.equal((await w.get(hidden)).status, 200)
  await w.type()
  const { url } = await w.spawn(w.name, 'alices', {}, { as: 'user:alice' })
  const observe = (sourceUrl) =>
    w.post('/_electric/wake', { subscriberUrl: url, sourceUrl, condition: { on: 'change', collections: ['webhook_event'] } }, { as: 'user:alice' })
  assert.equal((await observe(shown)).status, 204)
  assert.equal((await observe(hidden)).status, 401)
  // What is no event of a webhook wakes only by its name, whoever is the source.
  await w.observe(url, shown, { on: 'change' })
  await w.post(shown, [event('named')])
  assert.deepEqual(await told(w, url), ['named'])
})

test('whoever awaits the stream of a source is told when a subscription makes it', async (t) => {
  const w = await sourced(t)
  await w.type()
  const stream = '/_webhooks/gh/repos/awaited/r'
  const wake_stream = `/wakes/${w.name}`
  const body = { type: 'pull-wake', streams: [stream.slice(1)], wake_stream: wake_stream.slice(1) }
  const made = await w.put(`/__ds/subscriptions/${w.name}`, body)
  assert.equal(made.status, 201, made.text)
  await subscribed(w, { webhookKey: 'github', bucketKey: 'repo', params: { owner: 'awaited', repo: 'r' } })
  assert.equal((await w.post(stream, event('e'))).status, 204)
  assert.equal((await w.read(wake_stream)).length, 1)
})

test('a path that is longer than a stream may have, or is kept for forks, is no source', async (t) => {
  const w = await sourced(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'agent')
  const wish = (owner) => ({ webhookKey: 'github', bucketKey: 'repo', params: { owner, repo: 'r' } })
  const long = await w.put(at(url), wish('o'.repeat(3_000)))
  assert.deepEqual([long.status, long.json.error.message], [400, 'the path of this bucket would be longer than 2048 bytes'])
  const stream = '/_webhooks/gh/repos/kept/r'
  await w.put(stream, [])
  const fork = await w.http('PUT', `/forks/${w.name}`, { headers: { 'content-type': 'application/json', 'stream-forked-from': stream } })
  assert.equal(fork.status, 201, fork.text)
  assert.equal((await w.delete(stream)).status, 204)
  assert.equal((await w.put(at(url), wish('kept'))).status, 409)
})
