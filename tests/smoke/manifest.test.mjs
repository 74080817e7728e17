// An entity's manifest is what it observes and what it schedules: rows of its own stream, and what they stand for is
// made, changed or undone with the append that carries them.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { ISO, like, OFFSET } from '../harness/like.mjs'
import { changedKeys, cronPath, iso, manifestRow, note, refusals, registrationIds, registrations } from '../harness/observer.mjs'
import { finish, run, world } from '../harness/world.mjs'

const HOUR = 3_600_000
const change = { on: 'change' }

/** An entity at work: `write` appends a row of its manifest, `held` says what it observes. */
async function author(t, { host, ...body } = {}) {
  const w = await world(t, { host })
  await w.type()
  const work = await w.working(w.name, 'author', body)
  const write = (...row) => work.append([manifestRow(...row)])
  const held = () => registrations(w, work.entity)
  const ids = () => registrationIds(w, work.entity)
  const refused = () => refusals(w, work.entity)
  const wakes = () => w.events(work.entity, 'wake')
  return { w, work, url: work.entity, write, held, ids, refused, wakes }
}

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

const child = (url, wake = change) => ({ kind: 'child', entity_url: url, wake })

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

// Messages.

const message = (targetUrl, fireAt, more) => ({
  kind: 'schedule',
  id: 'x',
  scheduleType: 'future_send',
  fireAt: typeof fireAt === 'number' ? iso(fireAt) : fireAt,
  targetUrl,
  payload: 'hello',
  producerId: 'p1',
  status: 'pending',
  ...more,
})

/** An author with a `target`, and the time. `told` are the statuses that its manifest says of its messages. */
async function sender(t, options) {
  const made = await author(t, options)
  const { w, url } = made
  const target = (await w.spawn(w.name, 'target')).url
  const inbox = async () => (await w.events(target, 'inbox')).map((event) => event.value.payload)
  const told = async () => {
    const rows = await w.events(url, 'manifest')
    return rows.map(({ value }) => value?.status).filter((status) => status === 'sent' || status === 'failed')
  }
  return { ...made, target, inbox, told, now: await w.now() }
}

test('a message arrives when its row says so, and the row says that it was sent', async (t) => {
  const { w, url, target, write, now } = await sender(t)
  const row = message(target, now + 5_000, { payload: { a: 1 }, messageType: 'q', more: 'stays' })
  await write('schedule:x', row)
  await w.advance(4_999)
  assert.deepEqual(await w.events(target, 'inbox'), [])
  await w.advance(1)
  const at = iso(now + 5_000)
  like(await w.events(target, 'inbox'), [
    {
      type: 'inbox',
      key: 'scheduled-p1',
      value: {
        from: url,
        from_agent: url,
        payload: { a: 1 },
        timestamp: at,
        message_type: 'q',
        mode: 'immediate',
        status: 'processed',
        processed_at: at,
      },
      headers: { txid: String, operation: 'insert', offset: OFFSET },
    },
  ])
  const [, status, ...more] = await w.events(url, 'manifest')
  assert.deepEqual(more, [])
  like(status, {
    type: 'manifest',
    key: 'schedule:x',
    value: { ...row, key: 'schedule:x', senderUrl: url, status: 'sent', sentAt: at },
    headers: { operation: 'update', timestamp: at, offset: OFFSET },
  })
  await w.advance(10_000)
  assert.equal((await w.events(target, 'inbox')).length, 1)
})

test('a row may name its sender, write its time as it likes and leave its status out', async (t) => {
  const { w, url, target, write, now } = await sender(t)
  const local = new Date(now + HOUR + 5_000).toISOString().replace(/\.\d+Z$/, '+01:00')
  const at = Math.floor((now + 5_000) / 1_000) * 1_000
  const senderUrl = '/principal/user%3Aalice'
  await write('schedule:x', message(target, local, { senderUrl, status: undefined }))
  await w.advance(at - now)
  const [{ value }] = await w.events(target, 'inbox')
  assert.deepEqual([value.from, value.from_agent, value.timestamp], [senderUrl, senderUrl, iso(at)])
  assert.equal((await w.events(url, 'manifest')).at(-1).value.fireAt, iso(at))
})

test('a time that is over is now', async (t) => {
  const { w, target, write, inbox, told, now } = await sender(t)
  await write('schedule:x', message(target, now - HOUR))
  await w.advance(0)
  assert.deepEqual([await inbox(), await told()], [['hello'], ['sent']])
})

test('a message wakes its target, also one that was never sent anything', async (t) => {
  const { w, write, now } = await sender(t)
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy })
  await write('schedule:x', message(url, now + 1_000))
  await w.advance(1_000)
  assert.equal((await w.woken(hook)).entity, url)
})

test('an entity may send itself a message', async (t) => {
  const { w, work, url, write, now } = await sender(t)
  await write('schedule:x', message(url, now + 1_000))
  await w.advance(1_000)
  const [, own] = await w.events(url, 'inbox')
  assert.deepEqual([own.key, own.value.from], ['scheduled-p1', url])
  assert.equal((await work.done()).json.next_wake, true)
})

test('one producer’s message arrives once, however often its row is written', async (t) => {
  const { w, target, write, inbox, now } = await sender(t)
  await write('schedule:x', message(target, now + 1_000))
  await write('schedule:x', message(target, now + 1_000), 'update')
  await w.advance(1_000)
  await write('schedule:x', message(target, now + 2_000, { payload: 'again' }), 'update')
  await w.advance(1_000)
  await write('schedule:y', message(target, now + 3_000, { payload: 'under another key' }))
  await w.advance(1_000)
  assert.deepEqual(await inbox(), ['hello'])
  await write('schedule:x', message(target, now + 4_000, { producerId: 'p2', payload: 'by another' }), 'update')
  await w.advance(1_000)
  assert.deepEqual(await inbox(), ['hello', 'by another'])
})

test('a row that changes has its new message sent, and not the old one', async (t) => {
  const { w, target, write, inbox, now } = await sender(t)
  await write('schedule:x', message(target, now + 1_000))
  await write('schedule:x', message(target, now + 2_000, { payload: 'later' }), 'update')
  await w.advance(1_000)
  assert.deepEqual(await inbox(), [])
  await write('schedule:x', message(target, now + 2_000, { payload: 'other words' }), 'update')
  await w.advance(10_000)
  assert.deepEqual(await inbox(), ['other words'])
})

test('two rows are two messages', async (t) => {
  const { w, work, target, inbox, told, now } = await sender(t)
  await work.append([
    manifestRow('schedule:b', message(target, now + 2_000, { producerId: 'b', payload: 'b' })),
    manifestRow('schedule:a', message(target, now + 1_000, { producerId: 'a', payload: 'a' })),
  ])
  await w.advance(2_000)
  assert.deepEqual([await inbox(), await told()], [['a', 'b'], ['sent', 'sent']])
})

const cancels = [
  ['the row goes', undefined],
  ['the row says that it was sent', (row) => ({ ...row, status: 'sent' })],
  ['the row says that it failed', (row) => ({ ...row, status: 'failed' })],
  ['the row becomes a schedule of ticks', (row) => ({ ...row, scheduleType: 'cron', expression: nine })],
  ['the row becomes something else', () => ({ kind: 'goal', id: 'g' })],
]
for (const [what, becomes] of cancels) {
  test(`no message is sent when ${what}`, async (t) => {
    const { w, target, write, inbox, told, now } = await sender(t)
    const row = message(target, now + 1_000)
    await write('schedule:x', row)
    await write('schedule:x', becomes?.(row), becomes ? 'update' : 'delete')
    await w.advance(10_000)
    assert.deepEqual(await inbox(), [])
    const own = [becomes?.(row).status].filter((status) => status === 'sent' || status === 'failed')
    assert.deepEqual(await told(), own, 'what the author says itself')
  })
}

for (const [what, becomes] of [
  ['a schedule of ticks that cannot be', (row) => ({ ...row, scheduleType: 'cron', expression: 'foo' })],
  ['a message to nobody', (row) => ({ ...row, targetUrl: '/nobody/there' })],
]) {
  test(`no message is sent when the row becomes ${what}`, async (t) => {
    const { w, target, write, inbox, refused, now } = await sender(t)
    const row = message(target, now + 1_000)
    await write('schedule:x', row)
    await write('schedule:x', becomes(row), 'update')
    await w.advance(10_000)
    assert.equal((await refused()).length, 1)
    assert.deepEqual(await inbox(), [])
  })
}

for (const broken of [{ fireAt: 'tomorrow' }, { fireAt: 7 }, { targetUrl: null }, { producerId: undefined }]) {
  test(`a row that cannot be understood, with ${JSON.stringify(broken)}, changes nothing`, async (t) => {
    const { w, target, write, inbox, now } = await sender(t)
    await write('schedule:x', message(target, now + 1_000))
    await write('schedule:x', message(target, now + 9_000, { payload: 'other words', ...broken }), 'update')
    await w.advance(1_000)
    assert.deepEqual(await inbox(), ['hello'])
  })
}

test('a schedule of ticks that becomes a message ticks no longer', async (t) => {
  const { w, target, write, held, inbox, now } = await sender(t)
  await write('schedule:x', { kind: 'schedule', id: 'x', scheduleType: 'cron', expression: nine })
  assert.equal((await held()).length, 1)
  await write('schedule:x', message(target, now + 1_000), 'update')
  assert.deepEqual(await held(), [])
  await w.advance(1_000)
  assert.deepEqual(await inbox(), ['hello'])
})

test('a message that cannot arrive is told to have failed, and why', async (t) => {
  const { w, url, target, write, now } = await sender(t)
  await write('schedule:x', message(target, now + 1_000))
  await w.delete(`/_electric/entities${target}`)
  await w.advance(1_000)
  const at = iso(now + 1_000)
  const { value } = (await w.events(url, 'manifest')).at(-1)
  assert.deepEqual(
    [value.status, value.failedAt, value.lastError, value.sentAt],
    ['failed', at, 'Entity is not accepting writes', undefined],
  )
})

test('a message of a type that its target does not take fails when it would arrive', async (t) => {
  const { w, url, write, now } = await sender(t)
  const strict = await w.type({ inbox_schemas: { known: { type: 'object' } } })
  const { url: target } = await w.spawn(strict, 'strict')
  await write('schedule:x', message(target, now + 1_000, { messageType: 'unknown', payload: {} }))
  await write('schedule:y', message(target, now + 1_000, { messageType: 'known', payload: 7, producerId: 'p2' }))
  await w.advance(1_000)
  const told = (await w.events(url, 'manifest')).slice(2).map(({ key, value }) => [key, value.status, value.lastError])
  assert.deepEqual(told, [
    ['schedule:x', 'failed', 'Unknown message type "unknown"'],
    ['schedule:y', 'failed', 'Validation failed'],
  ])
  assert.deepEqual(await w.events(target, 'inbox'), [])
})

test('a message to nobody, or to whom its author may not write, is refused in the journal', async (t) => {
  const { w, target, now } = await sender(t)
  const hook = await w.hook()
  const { url: hers } = await w.spawn(w.name, 'hers', { dispatch_policy: hook.policy, initialMessage: 'go' }, { as: 'user:alice' })
  const alice = await w.woken(hook)
  await alice.claim()
  await alice.append([
    manifestRow('nobody', message('/nobody/there', now + 1_000)),
    manifestRow('stranger', message(target, now + 1_000, { producerId: 'p2' })),
    manifestRow('fine', message(hers, now + 1_000, { producerId: 'p3' })),
  ])
  assert.deepEqual(await refusals(w, hers), [
    ['nobody', 'Entity not found at /nobody/there'],
    ['stranger', `Principal is not allowed to write ${target}`],
  ])
  await w.advance(1_000)
  assert.deepEqual(await w.events(target, 'inbox'), [])
  assert.equal((await w.events(hers, 'inbox')).length, 2)
})

test('the row that says what became of a message wakes those who name manifests, and nobody else', async (t) => {
  const { w, url, target, write, now } = await sender(t)
  const [open, named] = [await w.spawn(w.name, 'open'), await w.spawn(w.name, 'named')]
  await write('schedule:x', message(target, now + 1_000))
  await w.observe(open.url, url, change)
  await w.observe(named.url, url, { on: 'change', collections: ['manifest'] })
  await w.advance(1_000)
  assert.deepEqual(await w.events(open.url, 'wake'), [])
  const [{ value }] = await w.events(named.url, 'wake')
  assert.deepEqual(value.changes, [{ collection: 'manifest', kind: 'update', key: 'schedule:x' }])
})

test('an entity that is at its end meanwhile has its message sent, and is told nothing', async (t) => {
  const { w, url, target, write, inbox, now } = await sender(t)
  await write('schedule:x', message(target, now + 1_000))
  const later = (await w.spawn(w.name, 'later')).url
  await w.send(later, 1, { afterMs: 1_000 })
  await w.delete(`/_electric/entities${url}`)
  await w.advance(1_000)
  assert.deepEqual(await inbox(), ['hello'])
  assert.equal((await w.events(url, 'manifest')).length, 1)
  assert.equal((await w.events(later, 'inbox')).length, 1, 'and nobody waits for that')
})

for (const end of ['stop', 'kill']) {
  test(`registrations, ticks and messages of a manifest outlive a ${end}`, async (t) => {
    const host = await startHost()
    const { w, work, target, write, held, ids, inbox, told, wakes, now } = await sender(t, { host })
    const other = await w.working(w.name, 'other')
    await write('child', child(other.entity, 'runFinished'))
    await write('ticks', { kind: 'schedule', scheduleType: 'cron', expression: '* * * * * *' })
    await write('sent', message(target, now, { producerId: 'p0', payload: 'before' }))
    await w.advance(0)
    await write('message', message(target, now + 2_000))
    const before = [await held(), await ids()]
    await host[end]()
    await host.restart()
    w.testId += ' after the restart'
    assert.deepEqual([await held(), await ids()], before)
    await write('child', child(other.entity, 'runFinished'), 'upsert')
    await write('sent', message(target, now, { producerId: 'p0', payload: 'before' }), 'update')
    assert.deepEqual((await ids()).toSorted(), before[1].toSorted())
    await other.append([finish('run-0')])
    await w.advance(2_000)
    assert.deepEqual(await inbox(), ['before', 'hello'])
    assert.deepEqual([...new Set(await told())], ['sent'])
    assert.deepEqual((await wakes()).map((row) => row.value.changes[0].collection), ['runs', 'cron_tick', 'cron_tick'])
    assert.match((await wakes())[0].value.timestamp, ISO)
  })
}
