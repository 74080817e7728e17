// The streams that the server owns, each way to a stream against each kind of them: whoever may not read one learns
// nothing of what it says, and nobody writes to one, ends it or makes one by hand. Whose they are, and what else they do,
// is in the tests of each kind.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { cronPath } from '../harness/observer.mjs'
import { refuses, Subscription } from '../harness/subscription.mjs'
import { sourced } from '../harness/webhook-catalogue.mjs'
import { change } from '../harness/world.mjs'

const alice = { as: 'user:alice' }
const bob = { as: 'user:bob' }
const system = { as: 'system:framework' }
const json = { 'content-type': 'application/json' }
const SECRET = 'of-alices'

/** An answer that must be 200, as JSON. */
async function ok(asked) {
  const answer = await asked
  assert.equal(answer.status, 200, answer.text)
  return answer.json
}

/**
 * The kinds of streams that the server owns. `make` has one hold something that is alice's, and gives its path; `reader`
 * may read it, everybody where there is none; `writers` may write to it as to any stream; `beside` gives other paths of the
 * kind, where there is nothing.
 */
const kinds = {
  'the stream of an entity': {
    make: async (w) => `${(await w.spawn(w.name, 'own', { initialMessage: SECRET }, alice)).url}/main`,
    reader: alice,
  },
  'the stream of an attachment': {
    async make(w) {
      const { url } = await w.spawn(w.name, 'filed', {}, alice)
      const field = (name, value) => `--b\r\nContent-Disposition: form-data; name="${name}\r\n\r\n${value}\r\n`
      const form = field('file"; filename="f"', SECRET) + field('subject"', '{"type":"inbox","key":"m"}') + field('id"', 'a') + '--b--\r\n'
      const answer = await w.post(`/_electric/entities${url}/attachments`, form, { ...alice, headers: { 'content-type': 'multipart/form-data; boundary=b' } })
      assert.equal(answer.status, 201, answer.text)
      return answer.json.attachment.streamPath
    },
    reader: alice,
    beside: (w) => `/${w.name}/unborn/attachments/a`,
  },
  'the stream of a runner': {
    async make(w) {
      const runner = await w.runner(w.name, alice)
      await w.spawn(w.name, SECRET, { dispatch_policy: runner.policy, initialMessage: 'go' }, alice)
      return `/runners/${runner.id}/wake`
    },
    reader: alice,
  },
  'the stream of a principal': {
    async make(w) {
      const as = `user:${w.name}`
      const { url } = await ok(w.get(`/_electric/entities/principal/${as}`, { as }))
      await w.send(url, SECRET, {}, { as })
      const read = { subject_kind: 'principal', subject_value: '/principal/user%3Aalice', permission: 'read' }
      assert.equal((await w.post(`/_electric/entities${url}/grants`, read, { as })).status, 201)
      return `${url}/main`
    },
    reader: alice,
    beside: (w) => `/principal/user%3A${w.name}-unborn/main`,
  },
  'a membership stream': {
    async make(w) {
      const { streamUrl } = await ok(w.post('/_electric/observations/entities/ensure-stream', { tags: { team: w.name } }, alice))
      await w.spawn(w.name, SECRET, { tags: { team: w.name } }, alice)
      return streamUrl
    },
    reader: alice,
    beside: (w) => `/_entities/${w.name}`,
  },
  'the stream of a shape': {
    async make(w) {
      const shape = await w.shape()
      const { streamUrl } = await ok(w.post('/_electric/pg-sync/register', { options: { url: shape.url, table: 'todos' } }, alice))
      shape.change('insert', { id: '1', tags: `{${SECRET}}` })
      await w.eventually(async () => {
        await w.advance(1_000)
        assert.equal((await w.read(streamUrl, alice)).length, 1)
      })
      return streamUrl
    },
    reader: alice,
    beside: (w) => `/_electric/pg-sync/default/${w.name}`,
    refusal: 404,
  },
  'a shared state': {
    async make(w) {
      const { url } = await w.spawn(w.name, 'sharing', {}, alice)
      const path = `/_electric/shared-state/${w.name}`
      assert.equal((await w.put(path, [change('note', SECRET, {})], { ...alice, headers: { ...json, 'electric-owner-entity': url } })).status, 201)
      return path
    },
    reader: alice,
    writers: [alice, system],
    beside: (w) => [`/_electric/shared-state/${w.name}-unborn`, `/_electric/shared-state/${w.name}/deeper`],
  },
  'what comes by webhooks that nobody is shown': {
    async make(w) {
      const path = `/_webhooks/hidden/${w.name}`
      assert.equal((await w.put(path, [change('webhook_event', SECRET, {})], system)).status, 201)
      return path
    },
    reader: system,
    writers: [system],
    beside: (w) => `/_webhooks/hidden/${w.name}-none`,
  },
  'what comes by webhooks': {
    async make(w) {
      const path = `/_webhooks/gh/${w.name}`
      assert.equal((await w.put(path, [change('webhook_event', SECRET, {})], system)).status, 201)
      return path
    },
    writers: [system],
    beside: (w) => `/_webhooks/gh/${w.name}-none`,
  },
  'the ticks of a cron': {
    async make(w) {
      return (await ok(w.post('/_electric/observations/cron/ensure-stream', { expression: '0 0 29 2 *' }, alice))).streamUrl
    },
    beside: () => cronPath('0 0 30 4 *'),
  },
}

/** Each way to read a stream at `path` or to hear of it, for `by`, whose entity is at `url`: `[what, ask, status when one may]`. */
function waysToRead(w, path, tail, url, by) {
  const [bare, id] = [path.slice(1), `${w.name}-${by.as.split(':')[1]}`]
  const subscribe = (name, body) => w.put(`/__ds/subscriptions/${id}-${name}`, { type: 'pull-wake', wake_stream: `plain/${id}/wakes`, ...body }, by)
  const at = `/_reveille/entities${url}/explain?${new URLSearchParams({ source: path, offset: tail })}`
  return [
    ['a read', () => w.get(`${path}?offset=-1`, by), 200],
    ['a read from the end', () => w.get(`${path}?offset=now`, by), 200],
    ['its metadata', () => w.head(path, by), 200],
    ['a long poll', () => w.get(`${path}?offset=-1&live=long-poll`, by), 200],
    ['a fork', () => w.http('PUT', `/plain/${id}/fork`, { ...by, headers: { 'stream-forked-from': path } }), 201],
    ['a subscription', () => subscribe('names', { streams: [bare] }), 201],
    ['a subscription’s next stream', async () => {
      await subscribe('adds', { streams: [`plain/${id}/x`] })
      return w.post(`/__ds/subscriptions/${id}-adds/streams`, { streams: [bare] }, by)
    }, 204],
    ['a wake', () => w.post('/_electric/wake', { subscriberUrl: url, sourceUrl: path, condition: { on: 'change' } }, by), 204],
    ['an explanation', () => w.get(at, by), 200],
  ]
}

/** A world with an entity for each reader, and with a stream that is asked for before it is there, and afterwards, by patterns. */
async function owned(t, { make, reader }) {
  const w = await sourced(t)
  await w.type()
  for (const by of [bob, alice, system]) await w.spawn(w.name, `${by.as.replace(':', '-')}s`, {}, by)
  const url = (by) => `/${w.name}/${by.as.replace(':', '-')}s`
  const everything = { type: 'pull-wake', pattern: '**', wake_stream: `plain/${w.name}/wakes` }
  const before = await Subscription.make(w, everything, { id: `${w.name}-before`, ...bob })
  const path = await make(w)
  const after = await Subscription.make(w, everything, { id: `${w.name}-after`, ...bob })
  t.after(async () => {
    for (const one of [before, after]) await one.delete()
  })
  const followed = async () => (await Promise.all([before, after].map((one) => one.links()))).map((links) => links.some(([link]) => link === path.slice(1)))
  const shown = async () => {
    const { status, text, headers } = await w.get(`${path}?offset=-1`, reader)
    return [status, text, headers['stream-closed']]
  }
  const tail = (await w.head(path, reader)).headers['stream-next-offset']
  return { w, path, url, shown, tail, followed }
}

for (const [what, kind] of Object.entries(kinds)) {
  const { make, reader, beside, writers = [], refusal = 401 } = kind

  if (reader) test(`who may not read ${what} learns nothing of it`, async (t) => {
    const { w, path, url, tail, shown, followed } = await owned(t, kind)
    assert.ok((await shown())[1].includes(SECRET), 'it says something')
    for (const [way, ask] of waysToRead(w, path, tail, url(bob), bob)) {
      const answer = await ask()
      assert.equal(answer.status, 401, `${way}: ${answer.status} ${answer.text}`)
      assert.ok(!answer.text.includes(SECRET), way)
    }
    const live = await w.get(`${path}?offset=-1&live=sse`, bob)
    assert.deepEqual([live.status, live.text.includes(SECRET)], [401, false])
    assert.deepEqual(await followed(), [false, false], 'a pattern passes it over, whether it was there first or not')
    assert.equal((await w.get(`/plain/${w.name}-bob/fork`, bob)).status, 404)
    for (const [way, ask, status] of waysToRead(w, path, tail, url(reader), reader)) {
      const answer = await ask()
      assert.equal(answer.status, status, `${way}, by who may: ${answer.status} ${answer.text}`)
    }
  })

  test(`nobody writes to ${what}, ends it, or makes one`, async (t) => {
    const { w, path, shown } = await owned(t, kind)
    const was = await shown()
    assert.equal(was[0], 200)
    const near = [beside?.(w) ?? []].flat()
    await w.put(`/plain/${w.name}/forked`, [change('note', 'planted', {})])
    const forks = { ...json, 'stream-forked-from': `/plain/${w.name}/forked` }
    const planted = [change('note', 'planted', {})]
    const may = (by) => writers.some(({ as }) => as === by.as)
    for (const by of [alice, bob, system].filter((one) => !may(one))) {
      for (const at of [path, ...near]) {
        for (const [deed, ask] of [
          ['a creation', () => w.put(at, planted, by)],
          ['a creation of none', () => w.put(at, undefined, { ...by, headers: json })],
          ['a fork', () => w.http('PUT', at, { ...by, headers: forks })],
          ['an append', () => w.post(at, planted, by)],
          ['a last append', () => w.post(at, planted, { ...by, headers: { ...json, 'stream-closed': 'true' } })],
          ['an end', () => w.http('POST', at, { ...by, headers: { 'stream-closed': 'true' } })],
          ['a deletion', () => w.delete(at, by)],
        ]) {
          const answer = await ask()
          assert.equal(answer.status, refusal, `${deed} at ${at} by ${by.as}: ${answer.status} ${answer.text}`)
        }
        if (by !== system) {
          const wakes = { type: 'pull-wake', streams: [`plain/${w.name}/x`], wake_stream: at.slice(1) }
          refuses(await w.put(`/__ds/subscriptions/${w.name}-onto`, wakes, by), 401, 'UNAUTHORIZED')
        }
      }
    }
    assert.deepEqual(await shown(), was)
    for (const at of near) assert.notEqual((await w.head(at, system)).status, 200, 'nothing came to be')
  })
}

// What belongs to an entity, with alice's entity at `url`: its path, and how it comes to say something more.
const lent = {
  'an entity': async (w, url) => [`${url}/main`, () => w.send(url, SECRET, {}, alice)],
  async 'a shared state'(w, url) {
    const path = `/_electric/shared-state/${w.name}`
    assert.equal((await w.put(path, [], { ...alice, headers: { ...json, 'electric-owner-entity': url } })).status, 201)
    return [path, () => w.post(path, [change('note', SECRET, {})], alice)]
  },
  async 'the stream of a shape'(w, url) {
    const shape = await w.shape()
    const asks = { options: { url: shape.url, table: 'todos' }, metadata: { entityUrl: url } }
    const { streamUrl } = await ok(w.post('/_electric/pg-sync/register', asks, alice))
    const says = async () => {
      shape.change('insert', { id: '1', tags: `{${SECRET}}` })
      await w.eventually(async () => {
        await w.advance(1_000)
        assert.equal((await w.read(streamUrl, alice)).length, 1)
      })
    }
    return [streamUrl, says]
  },
}

for (const [what, make] of Object.entries(lent)) {
  test(`who may read ${what} no more reads no further`, async (t) => {
    const w = await sourced(t)
    await w.type()
    const { url } = await w.spawn(w.name, 'lent', {}, alice)
    const [path, says] = await make(w, url)
    const grants = `/_electric/entities${url}/grants`
    const read = { subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'read' }
    const { id } = (await w.post(grants, read, alice)).json
    const { url: his } = await w.spawn(w.name, 'his', {}, bob)
    const observes = { subscriberUrl: his, sourceUrl: path.replace(/\/main$/, ''), condition: { on: 'change', collections: ['inbox', 'note', 'pg_sync_change'] } }
    assert.equal((await w.post('/_electric/wake', observes, bob)).status, 204)
    const wakes = { type: 'pull-wake', streams: [path.slice(1)], wake_stream: `plain/${w.name}/wakes` }
    const subscription = await Subscription.make(w, wakes, bob)
    const follower = await w.follow(`${path}?offset=now&live=sse`, bob)
    assert.equal((await follower.next()).event, 'control')
    const poll = w.get(`${path}?offset=now&live=long-poll`, bob)
    await w.settle()
    assert.equal((await w.delete(`${grants}/${id}`, alice)).status, 204)
    await says()
    for (let event = await follower.next(); event; event = await follower.next()) assert.ok(!JSON.stringify(event).includes(SECRET))
    const { status, text, headers } = await poll
    assert.deepEqual([status, text.includes(SECRET), headers['access-control-allow-origin']], [401, false, '*'])
    assert.ok((await w.get(`${path}?offset=-1`, alice)).text.includes(SECRET))
    assert.deepEqual(await w.read(`${his}/main`, bob).then((events) => events.filter((event) => event.type === 'wake')), [])
    assert.deepEqual(await subscription.links(), [])
    assert.equal((await subscription.delete()).status, 204)
  })
}

// Who asks for a path while it is nobody's has no part in it when it is somebody's.

test('a subscription that was to announce itself on a stream announces nothing there once that is somebody’s', async (t) => {
  const w = await sourced(t)
  await w.type()
  const [plain, id] = [`/plain/${w.name}/x`, `${w.name}-late`]
  const later = { [`${w.name}/later/main`]: () => w.spawn(w.name, 'later', {}, alice), [`runners/${id}/wake`]: () => w.runner(id, alice) }
  for (const [n, [wake_stream, comes]] of Object.entries(later).entries()) {
    const subscription = await Subscription.make(w, { type: 'pull-wake', streams: [plain.slice(1)], wake_stream }, { id: `${w.name}-${n}`, ...bob })
    await comes()
    const was = await w.read(`/${wake_stream}`, alice)
    await w.put(plain, [])
    assert.equal((await w.post(plain, [1], bob)).status, 204)
    await w.advance(60_000)
    assert.deepEqual(await w.read(`/${wake_stream}`, alice), was)
    assert.equal((await subscription.delete()).status, 204)
  }
})

test('a subscription that awaited a stream follows it not, once that is somebody else’s', async (t) => {
  const w = await sourced(t)
  await w.type()
  const id = `${w.name}-late`
  const later = { [`${w.name}/later/main`]: () => w.spawn(w.name, 'later', {}, alice), [`runners/${id}/wake`]: () => w.runner(id, alice) }
  const subscription = await Subscription.make(w, { type: 'pull-wake', streams: Object.keys(later), wake_stream: `plain/${w.name}/wakes` }, bob)
  for (const comes of Object.values(later)) await comes()
  await w.spawn(w.name, 'works', { dispatch_policy: { targets: [{ type: 'runner', runnerId: id }] }, initialMessage: 'go' }, alice)
  assert.equal((await w.read(`/runners/${id}/wake`, alice)).length, 1)
  await w.send(`/${w.name}/later`, 'go', {}, alice)
  assert.equal((await subscription.tryClaim()).json.error.code, 'NO_PENDING_WORK')
  assert.equal((await subscription.delete()).status, 204)
})

test('an entity that observed a path hears nothing of it, once that is somebody else’s', async (t) => {
  const w = await sourced(t)
  await w.type()
  const id = `${w.name}-late`
  const { url } = await w.spawn(w.name, 'bobs', {}, bob)
  for (const sourceUrl of [`/runners/${id}/wake`, `/${w.name}/later`, `/principal/user%3A${w.name}`, `/${w.name}/later/main`]) {
    for (const condition of [{ on: 'change' }, { on: 'change', collections: ['wake', 'inbox', 'entity_created', 'identity'] }]) {
      const answer = await w.post('/_electric/wake', { subscriberUrl: url, sourceUrl, condition }, bob)
      assert.ok([204, 401].includes(answer.status), answer.text)
    }
  }
  await w.runner(id, alice)
  await w.spawn(w.name, 'later', { dispatch_policy: { targets: [{ type: 'runner', runnerId: id }] }, initialMessage: SECRET }, alice)
  assert.equal((await w.read(`/runners/${id}/wake`, alice)).length, 1)
  const as = `user:${w.name}`
  await w.send((await ok(w.get(`/_electric/entities/principal/${as}`, { as }))).url, SECRET, {}, { as })
  assert.deepEqual((await w.read(`${url}/main`, bob)).filter((event) => event.type === 'wake'), [])
})
