// Membership streams: which entities have some tags, as one principal may see them. What changes of an entity is
// written to the streams that it is in, in the commit that changes it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { like, OFFSET } from '../harness/like.mjs'
import { ensure, membership, team, told } from '../harness/membership.mjs'
import { iso, registrations } from '../harness/observer.mjs'
import { refuses } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

// What it says.

test('a stream begins with those who are there, the oldest first', async (t) => {
  const w = await world(t)
  const schemas = { inbox_schemas: { q: { type: 'object' } }, state_schemas: { s: { type: 'object' } } }
  await w.type()
  const strict = await w.type(schemas)
  const tags = { team: w.name, role: 'lead' }
  await w.spawn(w.name, 'first', { tags, args: { a: 1 } })
  await w.spawn(w.name, 'another', { tags: { team: 'other' } })
  await w.spawn(strict, 'second', { tags: { team: w.name }, parent: `/${w.name}/first` })
  await w.spawn(w.name, 'dead', { tags })
  await w.delete(`/_electric/entities/${w.name}/dead`)
  const path = await membership(w, { team: w.name })
  const rows = await w.read(path)
  const row = async (url, more) => {
    const { type, status, tags: has, spawn_args, created_at, updated_at, parent = null } = await w.entity(url)
    const value = { url, type, status, tags: has, spawn_args, sandbox: null, parent, type_revision: 1, inbox_schemas: null, state_schemas: null, created_at, updated_at, ...more }
    return { type: 'members', key: url, value, headers: { operation: 'insert', timestamp: iso(await w.now()), offset: OFFSET } }
  }
  like(rows, [await row(`/${w.name}/first`), await row(`/${strict}/second`, schemas), await row(`/${w.name}/dead`)])
  assert.equal(rows[2].value.status, 'killed')
})

test('who is spawned with the tags joins, and nobody else', async (t) => {
  const { tags, spawn, told } = await team(t)
  const url = await spawn('a')
  await spawn('b', { team: 'other' })
  await spawn('c', {})
  const more = await spawn('d', { ...tags, more: 'tags' })
  assert.deepEqual(await told(), [['insert', url], ['insert', more]])
})

test('who is tagged joins, and who loses a tag leaves', async (t) => {
  const { w, spawn, tag, untag, told } = await team(t)
  const url = await spawn('a', {})
  await tag(url, 'team', w.name)
  await tag(url, 'team', 'other')
  await tag(url, 'team', w.name)
  await untag(url, 'team')
  assert.deepEqual(await told(), [['insert', url], ['delete', url], ['insert', url], ['delete', url]])
})

test('who leaves is told as it was known last', async (t) => {
  const { w, path, spawn, tag, untag } = await team(t)
  const url = await spawn('a')
  await tag(url, 'x', '1')
  await w.advance(1_000)
  await untag(url, 'team')
  const [, update, left] = await w.read(path)
  like(left, {
    type: 'members',
    key: url,
    old_value: update.value,
    headers: { operation: 'delete', timestamp: iso(await w.now()), offset: OFFSET },
  })
  assert.deepEqual(left.old_value.tags, { team: w.name, x: '1' })
})

test('of who stays, each change is told: tags, status and time', async (t) => {
  const { w, path, spawn, tag, signal, tags } = await team(t)
  const url = await spawn('a')
  await w.advance(1_000)
  await tag(url, 'x', '1')
  await tag(url, 'x', '1')
  await signal(url, 'SIGSTOP')
  await signal(url, 'SIGCONT')
  await w.delete(`/_electric/entities${url}`)
  const rows = await w.read(path)
  assert.deepEqual(rows.map(({ headers, value }) => [headers.operation, value.status, value.tags]), [
    ['insert', 'idle', tags],
    ['update', 'idle', { ...tags, x: '1' }],
    ['update', 'paused', { ...tags, x: '1' }],
    ['update', 'idle', { ...tags, x: '1' }],
    ['update', 'killed', { ...tags, x: '1' }],
  ])
  const { updated_at } = await w.entity(url)
  assert.equal(rows.at(-1).value.updated_at, updated_at)
})

test('an entity that works is told to be running, and idle again', async (t) => {
  const { w, path, tags } = await team(t)
  const work = await w.working(w.name, 'a', { tags })
  await work.done()
  const statuses = (await w.read(path)).map(({ value }) => value.status)
  assert.deepEqual(statuses.filter((status, n) => status !== statuses[n - 1]), ['idle', 'running', 'idle'])
})

test('what is refused is not told', async (t) => {
  const { w, spawn, tag, told } = await team(t)
  const url = await spawn('a')
  assert.equal((await w.put(`/_electric/entities${url}`, { tags: { team: w.name, x: '1' } })).status, 409)
  assert.equal((await tag(url, 'x', '1', { as: 'user:eve' })).status, 401)
  assert.deepEqual(await told(), [['insert', url]])
})

test('an entity may be in several streams', async (t) => {
  const { w, path, spawn, tag, untag } = await team(t)
  const leads = await membership(w, { team: w.name, role: 'lead' })
  const roles = await membership(w, { role: 'lead', of: w.name })
  const url = await spawn('a', { team: w.name, of: w.name })
  await tag(url, 'role', 'lead')
  await untag(url, 'team')
  assert.deepEqual(await told(w, path), [['insert', url], ['update', url], ['delete', url]])
  assert.deepEqual(await told(w, leads), [['insert', url], ['delete', url]])
  assert.deepEqual(await told(w, roles), [['insert', url], ['update', url]])
})

test('what is asked for again goes on as it was', async (t) => {
  const { w, tags, path, spawn, told } = await team(t)
  const url = await spawn('a')
  const tail = await w.tail(path)
  assert.equal(await membership(w, tags), path)
  assert.equal(await w.tail(path), tail)
  assert.deepEqual(await told(), [['insert', url]])
})

test('who reads along is told as it happens', async (t) => {
  const { w, path, spawn } = await team(t)
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  const url = await spawn('a')
  for (;;) {
    const event = await reader.next()
    if (event.event !== 'data') continue
    if (event.data.length === 0) continue
    assert.deepEqual(event.data.map(({ key }) => key), [url])
    break
  }
})

test('more than one transaction looks at are all told, each as it is in the end', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const tags = { team: 'all' }
  const urls = Array.from({ length: 600 }, (_, n) => `/${w.name}/e${n}`)
  for (let at = 0; at < urls.length; at += 100) {
    await Promise.all(urls.slice(at, at + 100).map((url) => w.put(`/_electric/entities${url}`, { tags })))
  }
  const { streamUrl } = (await ensure(w, tags)).json
  // The first of them are there at once; of the last it depends.
  const [early, late] = [(await w.read(streamUrl))[0].key, urls.at(-1)]
  for (const url of [early, late]) await w.delete(`/_electric/entities${url}/tags/team`)
  await w.put(`/_electric/entities/${w.name}/new`, { tags })
  await host.stop()
  await host.restart()
  w.testId += ' after the restart'
  await w.advance(1)
  const all = await told(w, streamUrl)
  const of = (url) => all.filter(([, key]) => key === url).map(([operation]) => operation)
  assert.deepEqual(of(early), ['insert', 'delete'])
  assert.ok(['', 'insert,delete'].includes(String(of(late))), String(of(late)))
  for (const url of [...urls, `/${w.name}/new`].filter((url) => url !== early && url !== late)) {
    assert.deepEqual(of(url), ['insert'], url)
  }
})

// Whose it is.

test('a stream shows what its principal may see', async (t) => {
  const { w, tags, path, spawn } = await team(t)
  const alice = { as: 'user:alice' }
  const hers = await membership(w, tags, alice)
  assert.notEqual(hers, path)
  const [own, other] = [await spawn('own', tags, alice), await spawn('other', tags, { as: 'user:bob' })]
  assert.deepEqual(await told(w, hers, alice), [['insert', own]])
  assert.deepEqual(await told(w, path), [['insert', own], ['insert', other]])
})

test('its principal reads it, and the system; others do not, nor observe it', async (t) => {
  const { w, tags, path, spawn } = await team(t)
  const alice = { as: 'user:alice' }
  const hers = await membership(w, tags, alice)
  const [bobs, own] = [await spawn('bobs', {}, { as: 'user:bob' }), await spawn('own', {}, alice)]
  for (const [stream, as, status] of [
    [hers, 'user:alice', 200],
    [hers, undefined, 200],
    [hers, 'system:framework', 200],
    [hers, 'user:bob', 401],
    [path, 'user:alice', 401],
  ]) {
    assert.equal((await w.get(stream, { as })).status, status)
    assert.equal((await w.head(stream, { as })).status, status)
    assert.equal((await w.get(`${stream}?offset=now&live=sse`, { as, timeout: 1_000 }).catch(() => ({ status: 200 }))).status, status)
  }
  const observe = (subscriberUrl, sourceUrl, as) =>
    w.post('/_electric/wake', { subscriberUrl, sourceUrl, condition: { on: 'change' } }, { as })
  assert.equal((await observe(own, hers, 'user:alice')).status, 204)
  refuses(await observe(bobs, hers, 'user:bob'), 401, 'UNAUTHORIZED', `Principal is not allowed to read ${hers}`)
  assert.deepEqual(await registrations(w, bobs), [])
})

test('nobody writes to it or deletes it, and nobody makes one by hand', async (t) => {
  const { w, path, spawn, told } = await team(t)
  const url = await spawn('a')
  const event = [{ type: 'members', key: '/x/y', value: {}, headers: { operation: 'insert' } }]
  for (const as of [undefined, 'user:alice', 'system:framework']) {
    for (const target of [path, '/_entities/by-hand']) {
      for (const answer of [
        await w.post(target, event, { as }),
        await w.put(target, [], { as }),
        await w.delete(target, { as }),
        await w.http('POST', target, { as, headers: { 'stream-closed': 'true' } }),
      ]) {
        refuses(answer, 401, 'UNAUTHORIZED', `Principal is not allowed to write ${target}`)
      }
    }
  }
  assert.deepEqual(await told(), [['insert', url]])
})

/** What FNV-1a makes of a text: 64 bits over its UTF-16 units. */
function fnv64(text) {
  let hash = 0xcbf29ce484222325n
  for (let n = 0; n < text.length; n++) hash = ((hash ^ BigInt(text.charCodeAt(n))) * 0x100000001b3n) & 0xffffffffffffffffn
  return hash.toString(16).padStart(16, '0')
}

/** The path of the stream that alice has not asked for yet. */
async function unasked(t) {
  const w = await world(t)
  await w.type()
  const tags = { team: w.name }
  const whose = { principalKind: 'user', principalUrl: '/principal/user%3Aalice' }
  const path = `/_entities/${fnv64(JSON.stringify(tags))}-${fnv64(JSON.stringify(whose))}`
  return { w, tags, path, alice: { as: 'user:alice' }, bob: { as: 'user:bob' } }
}

for (const [what, streams] of [['its path', (path) => ({ streams: [path.slice(1)] })], ['a pattern', () => ({ pattern: '_entities/*' })]]) {
  test(`who follows ${what} before a stream is there is not told what it may not see`, async (t) => {
    const { w, tags, path, alice, bob } = await unasked(t)
    const subscription = `/__ds/subscriptions/${encodeURIComponent(w.name)}`
    const made = await w.put(subscription, { type: 'pull-wake', wake_stream: `plain/${w.name}/wakes`, ...streams(path) }, bob)
    assert.ok([201, 401, 403].includes(made.status), made.text)
    assert.equal(await membership(w, tags, alice), path)
    await w.spawn(w.name, 'hers', { tags }, alice)
    const claimed = await w.post(`${subscription}/claim`, { worker: 'bob' }, bob)
    const pending = claimed.status === 200 ? claimed.json.streams.map((one) => one.path) : []
    assert.ok(!pending.includes(path.slice(1)), claimed.text)
    await w.delete(subscription, bob)
  })
}

test('who asks before a stream is there is not told what it may not see', async (t) => {
  const { w, tags, path, alice, bob } = await unasked(t)
  const { url: bobs } = await w.spawn(w.name, 'bobs', {}, bob)
  const early = { subscriberUrl: bobs, sourceUrl: path, condition: { on: 'change', collections: ['members'] } }
  const registered = await w.post('/_electric/wake', early, bob)
  assert.ok([204, 401].includes(registered.status), registered.text)
  assert.equal(await membership(w, tags, alice), path)
  const { url } = await w.spawn(w.name, 'hers', { tags }, alice)
  assert.deepEqual(await told(w, path, alice), [['insert', url]])
  assert.deepEqual(await w.events(bobs, 'wake'), [])
})

test('a subscription follows it for its principal, and not for others', async (t) => {
  const { w, path, spawn } = await team(t)
  const make = (id, as) =>
    w.put(`/__ds/subscriptions/${w.name}-${id}`, { type: 'pull-wake', wake_stream: `plain/${w.name}/wakes`, streams: [path.slice(1)] }, { as })
  assert.equal((await make('mine')).status, 201)
  const foreign = await make('foreign', 'user:eve')
  assert.ok([201, 401, 403].includes(foreign.status), foreign.text)
  await spawn('a')
  const claimed = await w.post(`/__ds/subscriptions/${w.name}-mine/claim`, { worker: 'me' })
  assert.equal(claimed.status, 200, claimed.text)
  if (foreign.status === 201) {
    const claim = await w.post(`/__ds/subscriptions/${w.name}-foreign/claim`, { worker: 'eve' }, { as: 'user:eve' })
    assert.notEqual(claim.status, 200, 'a stranger is woken by what it may not see')
  }
})
