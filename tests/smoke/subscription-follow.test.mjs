// Which streams a subscription follows, and from where: those that it names, and those that match its pattern.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { START } from '../harness/like.mjs'
import { jsonStream, Subscription } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

/** A subscription that nobody hears of: what counts is what it follows. */
function follower(w, asks, id = w.name) {
  return Subscription.make(w, { type: 'pull-wake', wake_stream: `wakes/${w.name}`, ...asks }, { id })
}

test('a stream that is named is followed from its tail', async (t) => {
  const w = await world(t)
  const stream = await jsonStream(w, 's', [1, 2])
  const subscription = await follower(w, { streams: [stream.bare] })
  assert.deepEqual(await subscription.links(), [[stream.bare, 'explicit', stream.tail]])
  assert.equal((await subscription.tryClaim()).json.error.code, 'NO_PENDING_WORK')
})

test('a stream that is named before it exists is followed from its start', async (t) => {
  const w = await world(t)
  const subscription = await follower(w, { streams: [`plain/${w.name}/s`] })
  assert.deepEqual(await subscription.links(), [[`plain/${w.name}/s`, 'explicit', START]])
  const stream = await jsonStream(w, 's', ['first'])
  assert.deepEqual(await subscription.links(), [[stream.bare, 'explicit', START]])
  const wake = await subscription.claim()
  assert.deepEqual(wake.body.streams, [
    { path: stream.bare, link_type: 'explicit', acked_offset: START, tail_offset: stream.tail, has_pending: true },
  ])
})

test('a pattern follows what exists, from its tail', async (t) => {
  const w = await world(t)
  const [a, b] = [await jsonStream(w, 'a', [1]), await jsonStream(w, 'b')]
  await jsonStream(w, 'deep/c', [1])
  const subscription = await follower(w, { pattern: `plain/${w.name}/*` })
  assert.deepEqual(await subscription.links(), [[a.bare, 'glob', a.tail], [b.bare, 'glob', START]])
})

test('a pattern follows what comes later with its first append, from before its start', async (t) => {
  const w = await world(t)
  const subscription = await follower(w, { pattern: `plain/${w.name}/*` })
  const empty = await jsonStream(w, 'empty')
  assert.deepEqual(await subscription.links(), [])
  await empty.append()
  await jsonStream(w, 'full', [1, 2])
  assert.deepEqual(await subscription.links(), [
    [empty.bare, 'glob', '-1'],
    [`plain/${w.name}/full`, 'glob', '-1'],
  ])
})

test('what a fork inherited is pending too, once it is appended to', async (t) => {
  const w = await world(t)
  const source = await jsonStream(w, 'source', [1])
  const subscription = await follower(w, { pattern: `plain/${w.name}/forks/*` })
  const fork = `/plain/${w.name}/forks/f`
  await w.http('PUT', fork, { headers: { 'stream-forked-from': source.path } })
  assert.deepEqual(await subscription.links(), [])
  const { headers } = await w.post(fork, [2])
  const { body } = await subscription.claim()
  assert.deepEqual(body.streams.map((s) => [s.acked_offset, s.tail_offset]), [['-1', headers['stream-next-offset']]])
})

// Neither wakes anybody: they are no appends.
const silent = {
  'a close': (w, path) => w.http('POST', path, { headers: { 'stream-closed': 'true' } }),
  'a PUT of what exists': (w, path) => w.put(path, [2]),
  'a PUT without content': (w, path) => w.put(`${path}-new`, '[]'),
  'a fork': (w, path) => w.http('PUT', `${path}-fork`, { headers: { 'stream-forked-from': path } }),
  'a producer’s repeat': (w, path) => w.post(path, [1], { headers: { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' } }),
}
for (const [what, act] of Object.entries(silent)) {
  test(`no append, and so no wake: ${what}`, async (t) => {
    const w = await world(t)
    const stream = await jsonStream(w, 's')
    await w.post(stream.path, [1], { headers: { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' } })
    const subscription = await follower(w, { pattern: `plain/${w.name}/*`, streams: [stream.bare] })
    const links = await subscription.links()
    assert.ok((await act(w, stream.path)).status < 300)
    assert.deepEqual(await subscription.links(), links)
    assert.equal((await subscription.tryClaim()).json.error.code, 'NO_PENDING_WORK')
  })
}

test('an append that closes is an append', async (t) => {
  const w = await world(t)
  const stream = await jsonStream(w, 's')
  const subscription = await follower(w, { streams: [stream.bare] })
  await w.post(stream.path, [1], { headers: { 'stream-closed': 'true' } })
  assert.equal((await subscription.claim()).body.streams[0].has_pending, true)
})

// Pattern, path, and whether they match. All paths are below the test's own.
const patterns = [
  ['*', ['a', 'b'], ['a/b', '']],
  ['a/*', ['a/b'], ['a', 'a/b/c', 'b/a']],
  ['a/**', ['a', 'a/b', 'a/b/c'], ['ab', 'b/a']],
  ['**/z', ['z', 'a/z', 'a/b/z'], ['z/a', 'az']],
  ['a/**/z', ['a/z', 'a/b/z', 'a/b/c/z'], ['a', 'z', 'a/z/b']],
  ['a*', ['a*'], ['ab']],
  ['a%2Ab', ['a*b'], ['ab', 'axb', 'a%2Ab']],
  ['%41', ['%41'], ['A']],
]
for (const [pattern, matching, other] of patterns) {
  test(`the pattern ${pattern} matches ${matching.join(', ')} and not ${other.filter((o) => o).join(', ')}`, async (t) => {
    const w = await world(t)
    const root = `plain/${w.name}`
    const names = [...matching, ...other].filter((name) => name)
    const later = await follower(w, { pattern: `/${root}//${pattern}/` })
    for (const name of names) await w.put(`/${root}/${name}`, [1])
    const sooner = await follower(w, { pattern: `${root}/${pattern}` }, `${w.name}-2`)
    const want = matching.map((name) => `${root}/${name}`).sort()
    assert.deepEqual((await later.links()).map(([path]) => path).sort(), want)
    assert.deepEqual((await sooner.links()).map(([path]) => path).sort(), want)
  })
}

test('a stream may be followed for both reasons, and loses one at a time', async (t) => {
  const w = await world(t)
  const stream = await jsonStream(w, 's', [1])
  const subscription = await follower(w, { pattern: `plain/${w.name}/*` })
  assert.deepEqual(await subscription.links(), [[stream.bare, 'glob', stream.tail]])
  await stream.append()
  await subscription.add([stream.bare])
  assert.deepEqual(await subscription.links(), [[stream.bare, 'explicit', stream.tail]], 'its cursor stays')
  await subscription.remove(stream.bare)
  assert.deepEqual(await subscription.links(), [[stream.bare, 'glob', stream.tail]])
  await subscription.remove(stream.bare)
  assert.deepEqual(await subscription.links(), [[stream.bare, 'glob', stream.tail]], 'the pattern still matches')
})

test('links are listed in the order in which they were made', async (t) => {
  const w = await world(t)
  const path = (name) => `plain/${w.name}/${name}`
  const subscription = await follower(w, { streams: [path('c'), path('a')] })
  await subscription.add([path('b')])
  await jsonStream(w, 'b', [1])
  await jsonStream(w, 'a', [1])
  assert.deepEqual((await subscription.links()).map(([p]) => p), [path('c'), path('a'), path('b')])
})

test('a stream that is deleted is followed no longer, and its successor only by pattern', async (t) => {
  const w = await world(t)
  const stream = await jsonStream(w, 's', [1])
  const named = await follower(w, { streams: [stream.bare] })
  const matched = await follower(w, { pattern: `plain/${w.name}/*` }, `${w.name}-2`)
  await w.delete(stream.path)
  assert.deepEqual([await named.links(), await matched.links()], [[], []])
  await jsonStream(w, 's', [1])
  assert.deepEqual(await named.links(), [])
  assert.deepEqual(await matched.links(), [[stream.bare, 'glob', '-1']])
})

test('a subscription does not follow its own wake stream, nor is it woken by another’s', async (t) => {
  const w = await world(t)
  const stream = await jsonStream(w, 's')
  const own = `plain/${w.name}/wakes`
  const all = await Subscription.make(w, { type: 'pull-wake', pattern: `plain/${w.name}/*`, wake_stream: own })
  const other = await Subscription.make(w, { type: 'pull-wake', streams: [stream.bare], wake_stream: `${own}-2` }, { id: `${w.name}-2` })
  await stream.append()
  assert.equal((await w.read(`/${own}`)).length, 1)
  assert.equal((await w.read(`/${own}-2`)).length, 1)
  const wake = await all.claim()
  assert.equal((await wake.done()).json.next_wake, false)
  assert.equal((await w.read(`/${own}`)).length, 1)
  assert.deepEqual((await all.links()).map(([path]) => path), [stream.bare])
  assert.deepEqual((await other.links()).map(([path]) => path), [stream.bare])
})

test('an id that is free again is another subscription', async (t) => {
  const w = await world(t)
  const stream = await jsonStream(w, 's')
  const subscription = await follower(w, { streams: [stream.bare] })
  await stream.append()
  const old = await subscription.claim()
  await subscription.delete()
  await follower(w, { streams: [stream.bare] })
  assert.equal((await old.answer()).json.error.code, 'TOKEN_INVALID')
  assert.equal((await subscription.tryClaim()).json.error.code, 'NO_PENDING_WORK')
  await stream.append()
  assert.equal((await subscription.claim()).body.generation, 1)
})
