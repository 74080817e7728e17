// An entity's manifest is what it observes: rows of its own stream, and what they stand for is made, changed or undone with
// the append that carries them. Messages that it schedules are in manifest-messages.test.mjs.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { author, change, child } from '../harness/author.mjs'
import { changedKeys, cronPath, manifestRow, note, refusals, registrations } from '../harness/observer.mjs'
import { run } from '../harness/world.mjs'

// What a row observes.

const source = (sourceType, config, sourceRef) => ({ kind: 'source', sourceType, config, sourceRef })
const nine = '0 9 * * *'
const observed = [
  [{ kind: 'child', entity_type: 'x', entity_url: '/x/a', id: 'a', observed: false }, '/x/a'],
  [{ kind: 'observe', entity_url: '/x/a' }, '/x/a'],
  [{ kind: 'child' }, undefined],
  [source('entity', { entityUrl: '/x/a' }, '/x/b'), '/x/a'],
  [source('entity', {}, '/x/b'), '/x/b'],
  [source('entity'), undefined],
  [source('cron', { expression: nine }, 'whatever'), cronPath(nine)],
  [source('cron', { expression: nine, timezone: 'europe/paris' }), cronPath(nine, 'Europe/Paris')],
  [source('cron', { timezone: 'UTC' }), undefined],
  [source('cron', undefined, 'whatever'), undefined],
  [source('db', { id: 'board', collections: {} }, 'board'), '/_electric/shared-state/board'],
  [source('pgSync', { url: 'http://x', table: 't', streamUrl: '/_electric/pg-sync/default/ref' }, 'ref'), '/_electric/pg-sync/default/ref'],
  [source('pgSync', { url: 'http://x', table: 't' }, 'ref'), undefined],
  [source('webhook', { endpointKey: 'e', streamUrl: '/_webhooks/e/s' }), '/_webhooks/e/s'],
  [source('webhook', { endpointKey: 'e', bucket: 'b' }), '/_webhooks/e/b'],
  [source('webhook', { endpointKey: 'e' }), '/_webhooks/e'],
  [source('webhook', {}), undefined],
  [source('carrier-pigeon', {}, '/x/a'), undefined],
  [{ kind: 'shared-state', id: 'board', mode: 'create', collections: {} }, '/_electric/shared-state/board'],
  [{ kind: 'schedule', scheduleType: 'cron', expression: nine, timezone: 'Asia/Tokyo' }, cronPath(nine, 'Asia/Tokyo')],
  [{ kind: 'schedule', scheduleType: 'cron' }, undefined],
  [{ kind: 'schedule', scheduleType: 'future_send', targetUrl: '/x/a' }, undefined],
  [{ kind: 'effect', id: 'e', function_ref: 'f', config: {} }, undefined],
  [{ kind: 'attachment', id: 'a', streamPath: '/x/a/attachments/a' }, undefined],
  [{ kind: 'context', id: 'c', name: 'n', attrs: {}, content: '' }, undefined],
  [{ kind: 'goal', id: 'g', objective: 'o', status: 'active' }, undefined],
  [{ kind: 'something new', entity_url: '/x/a' }, undefined],
  [{ entity_url: '/x/a' }, undefined],
  ['/x/a', undefined],
  [null, undefined],
]

test('each kind of row observes its source, or nothing', async (t) => {
  const { write, held } = await author(t)
  for (const [row, path] of observed) {
    const value = typeof row === 'object' && row ? { ...row, wake: change } : row
    await write('k', value)
    assert.deepEqual(await held(), path ? [[path, change]] : [], JSON.stringify(row))
    await write('k')
  }
})

test('a row of a membership observes its stream', async (t) => {
  const { w, write, held } = await author(t)
  const ensured = await w.post('/_electric/observations/entities/ensure-stream', { tags: { of: w.name } })
  const { sourceRef, streamUrl } = ensured.json
  await write('k', { ...source('entities', { tags: { of: w.name }, streamUrl }, sourceRef), wake: change })
  assert.deepEqual(await held(), [[streamUrl, change]])
})

const wakes = [
  [undefined, undefined],
  [null, undefined],
  ['runFinished', 'runFinished'],
  [{ on: 'runFinished' }, 'runFinished'],
  [{ on: 'runFinished', includeResponse: false }, 'runFinished'],
  [change, change],
  [{ on: 'change', collections: [], ops: [] }, change],
  [{ on: 'change', collections: ['b', 'a', 'b'], ops: ['update', 'insert'] }, { on: 'change', collections: ['a', 'b'], ops: ['insert', 'update'] }],
  [{ on: 'change', collections: ['a', 7, null] }, { on: 'change', collections: ['a'] }],
  [{ on: 'change', ops: ['insert', 'upsert'] }, { on: 'change', ops: ['insert'] }],
  [{ on: 'change', collections: 'a' }, change],
  [{ on: 'sometimes' }, undefined],
  ['sometimes', undefined],
  [7, undefined],
]

test('each wake of a row is a condition, or none', async (t) => {
  const { write, held } = await author(t)
  for (const [wake, condition] of wakes) {
    await write('k', { kind: 'child', entity_url: '/x/a', wake })
    assert.deepEqual(await held(), condition ? [['/x/a', condition]] : [], JSON.stringify(wake))
    await write('k')
  }
})

test('a schedule wakes at each tick, also without a wake; no other row does', async (t) => {
  const { write, held } = await author(t)
  await write('a', { kind: 'schedule', scheduleType: 'cron', expression: nine })
  await write('b', source('cron', { expression: nine }))
  assert.deepEqual(await held(), [[cronPath(nine), change]])
})

// What it keeps, changes and undoes.

test('a row that stays the same keeps its registration, whatever the operation and whatever else changes', async (t) => {
  const { write, ids } = await author(t)
  await write('k', { ...child('/x/a'), observed: false })
  const before = await ids()
  for (const operation of ['insert', 'update', 'upsert']) await write('k', { ...child('/x/a'), observed: true }, operation)
  assert.deepEqual(await ids(), before)
})

test('a row that changes has another registration, and only that one', async (t) => {
  const { write, held, ids } = await author(t)
  const rows = [
    [child('/x/a'), '/x/a', change],
    [child('/x/b'), '/x/b', change],
    [child('/x/b', 'runFinished'), '/x/b', 'runFinished'],
    [source('entity', { entityUrl: '/x/c' }), undefined],
    [{ kind: 'shared-state', id: 's', wake: change }, '/_electric/shared-state/s', change],
  ]
  const seen = new Set()
  for (const [row, path, condition] of rows) {
    await write('k', row, 'upsert')
    assert.deepEqual(await held(), path ? [[path, condition]] : [])
    for (const id of await ids()) seen.add(id)
  }
  assert.equal(seen.size, 4)
})

test('whether the answer comes along, the debounce and the timeout are parts of a registration', async (t) => {
  const { write, ids } = await author(t)
  const wakes = [
    { on: 'runFinished' },
    { on: 'runFinished', includeResponse: false },
    { on: 'change' },
    { on: 'change', debounceMs: 100 },
    { on: 'change', debounceMs: 100, timeoutMs: 100_000 },
  ]
  const seen = []
  for (const wake of wakes) {
    await write('k', child('/x/a', wake), 'update')
    seen.push(...(await ids()))
  }
  assert.equal(new Set(seen).size, wakes.length)
})

test('a row that goes takes its registration along, and no other', async (t) => {
  const { write, held } = await author(t)
  await write('a', child('/x/a'))
  await write('b', child('/x/b'))
  await write('a')
  assert.deepEqual(await held(), [['/x/b', change]])
  await write('b', child('/x/b'), 'delete')
  assert.deepEqual(await held(), [], 'whatever value it goes with')
})

test('rows of one append count in their order', async (t) => {
  const { work, held } = await author(t)
  await work.append([
    manifestRow('a', child('/x/a')),
    manifestRow('b', child('/x/b')),
    manifestRow('a'),
    manifestRow('b', child('/x/c'), 'update'),
    manifestRow('c'),
    manifestRow('c', child('/x/d')),
  ])
  assert.deepEqual(await held(), [['/x/c', change], ['/x/d', change]])
})

test('an append that is repeated is not projected again', async (t) => {
  const { work, write, held } = await author(t)
  const headers = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
  const row = [manifestRow('k', child('/x/a'))]
  assert.equal((await work.append(row, headers)).status, 200)
  await write('k')
  assert.equal((await work.append(row, headers)).status, 204)
  assert.deepEqual(await held(), [])
})

test('an append that is refused is not projected', async (t) => {
  const { work, held } = await author(t)
  const row = [manifestRow('k', child('/x/a'))]
  assert.equal((await work.write(row, { authorization: 'Bearer nonsense' })).status, 401)
  assert.deepEqual(await held(), [])
})

test('a row without a key stands for nothing, nor does one that is no manifest', async (t) => {
  const { work, held } = await author(t)
  const row = manifestRow('k', child('/x/a'))
  await work.append([{ ...row, key: undefined }, { ...row, key: '' }, { ...row, key: 7 }, { ...row, type: 'manifests' }])
  assert.deepEqual(await held(), [])
})

test('a manifest on a plain stream is nobody’s', async (t) => {
  const { w, url, held } = await author(t)
  const path = `/plain/${w.name}/s`
  assert.equal((await w.put(path, [manifestRow('k', child('/x/a'))])).status, 201)
  assert.deepEqual(await held(), [])
  assert.deepEqual(await w.events(url, 'manifest'), [])
})

test('what was unregistered comes back with its row', async (t) => {
  const { w, url, write, held } = await author(t)
  await write('k', child('/x/a'))
  await w.post('/_electric/wake/unregister', { subscriberUrl: url, manifestKey: 'k' })
  assert.deepEqual(await held(), [])
  await write('k', child('/x/a'), 'upsert')
  assert.equal((await held()).length, 1)
})

test('a row and POST /_electric/wake with its key are one registration', async (t) => {
  const { w, url, write, ids } = await author(t)
  await w.observe(url, '/x/a', { on: 'change', debounceMs: 5 }, { manifestKey: 'k', debounceMs: 5 })
  const before = await ids()
  await write('k', child('/x/a', { on: 'change', debounceMs: 5 }))
  assert.deepEqual(await ids(), before)
})

// What comes of it.

test('a child that a manifest observes wakes its parent with its answer, or without', async (t) => {
  for (const [id, wake, response] of [['told', 'runFinished', 'done'], ['bare', { on: 'runFinished', includeResponse: false }, undefined]]) {
    await t.test(id, async (t) => {
      const { w, url, write, wakes } = await author(t)
      const other = await w.working(w.name, id, { parent: url })
      await write(`child:${w.name}:${id}`, child(other.entity, wake))
      await other.append(run('run-0', 'done'))
      const [row] = await wakes()
      assert.deepEqual(row.value.finished_child, { url: other.entity, type: w.name, run_status: 'completed', ...(response && { response }) })
    })
  }
})

test('a manifest may gather, and give up', async (t) => {
  const { w, write, wakes } = await author(t)
  const path = `/plain/${w.name}/s`
  await w.put(path, [])
  const wake = { on: 'change', collections: ['note'], debounceMs: 100, timeoutMs: 1_000 }
  await write('k', { ...source('webhook', { streamUrl: path }), wake })
  await w.advance(600)
  await write('k', { ...source('webhook', { streamUrl: path }), wake }, 'upsert')
  await w.advance(400)
  assert.deepEqual((await wakes()).map((row) => row.value.timeout), [true], 'the same row does not begin its time anew')
  await w.post(path, [note('one')])
  await w.post(path, [note('two')])
  await w.advance(100)
  assert.deepEqual((await wakes()).map(changedKeys), [[], ['one', 'two']])
})

for (const id of ['board', 'a b', 'ü']) {
  test(`what is written to the shared state "${id}" wakes who observes it`, async (t) => {
    const { w, write, held, wakes } = await author(t)
    const encoded = encodeURIComponent(`${w.name} ${id}`)
    const path = `/_electric/shared-state/${encoded}`
    assert.equal((await w.put(path, [])).status, 201)
    await write('k', { kind: 'shared-state', id: `${w.name} ${id}`, wake: change })
    assert.equal((await held()).length, 1)
    await w.post(path, [note('n')])
    assert.deepEqual((await wakes()).map(changedKeys), [['n']])
  })
}

// What it may not have.

test('what an entity may not observe is refused in its journal; its append is not', async (t) => {
  const { w, work, url, held, refused } = await author(t)
  const mine = await w.hook()
  const { url: hers } = await w.spawn(w.name, 'hers', { dispatch_policy: mine.policy, initialMessage: 'go' }, { as: 'user:alice' })
  const alice = await w.woken(mine)
  await alice.claim()
  const ensured = await w.post('/_electric/observations/entities/ensure-stream', { tags: { of: w.name } })
  const runner = await w.runner(w.name, { as: 'user:bob' })
  const all = { on: 'change' }
  await alice.append([
    manifestRow('stranger', child(url)),
    manifestRow('fine', child(hers)),
    manifestRow('members', { ...source('entities', {}, ensured.json.sourceRef), wake: all }),
    manifestRow('runner', { ...source('webhook', { streamUrl: `/runners/${runner.id}/wake` }), wake: all }),
    manifestRow('no wake', { kind: 'child', entity_url: url }),
  ])
  assert.deepEqual(await registrations(w, hers), [[hers, change]])
  assert.deepEqual(await refusals(w, hers), [
    ['stranger', `Principal is not allowed to read ${url}`],
    ['members', `Principal is not allowed to read ${ensured.json.streamUrl}`],
    ['runner', `Principal is not allowed to read /runners/${runner.id}/wake`],
  ])
  // Whoever wrote under dev-local's own claim may see everything.
  await work.append([manifestRow('k', child(hers))])
  assert.equal((await held()).length, 1)
  assert.deepEqual(await refused(), [])
})

test('a row that may not have what it asks for has nothing, not what was there before', async (t) => {
  const { w, url } = await author(t)
  const hook = await w.hook()
  const { url: hers } = await w.spawn(w.name, 'hers', { dispatch_policy: hook.policy, initialMessage: 'go' }, { as: 'user:alice' })
  const alice = await w.woken(hook)
  await alice.claim()
  await alice.append([manifestRow('k', child('/x/a'))])
  assert.equal((await registrations(w, hers)).length, 1)
  await alice.append([manifestRow('k', child(url), 'update')])
  assert.deepEqual(await registrations(w, hers), [])
})

const badTicks = [
  [{ expression: '61 * * * *' }, 'Invalid cron expression: "61 * * * *"'],
  [{ expression: 'foo' }, 'Invalid cron expression: "foo"'],
  [{ expression: nine, timezone: 'Mars/Olympus' }, 'Invalid cron timezone: "Mars/Olympus"'],
  [{ expression: 'foo', timezone: '+05:30' }, 'Invalid cron timezone: "+05:30"'],
]
test('a bad expression in a row is told in the journal, and the rows after it count', async (t) => {
  const { work, held, refused } = await author(t)
  const rows = badTicks.flatMap(([spec], n) => [
    manifestRow(`schedule:${n}`, { kind: 'schedule', scheduleType: 'cron', ...spec }),
    manifestRow(`source:${n}`, { ...source('cron', spec), wake: change }),
  ])
  await work.append([...rows, manifestRow('k', child('/x/a'))])
  assert.deepEqual(await held(), [['/x/a', change]])
  assert.deepEqual(await refused(), badTicks.flatMap(([, why], n) => [[`schedule:${n}`, why], [`source:${n}`, why]]))
})

test('an expression that never comes is refused too', async (t) => {
  const { w, write, held, refused } = await author(t)
  await write('k', { kind: 'schedule', scheduleType: 'cron', expression: '0 0 31 2,4 *' })
  assert.deepEqual(await held(), [])
  assert.deepEqual((await refused()).map(([key]) => key), ['k'])
  assert.equal((await w.get(cronPath('0 0 31 2,4 *'))).status, 404)
})
