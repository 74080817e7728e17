// Messages that an entity's manifest schedules: each is sent once, at its time, unless its row says otherwise before.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { author, change, child } from '../harness/author.mjs'
import { startHost } from '../harness/host.mjs'
import { ISO, like, OFFSET } from '../harness/like.mjs'
import { iso, manifestRow, refusals, registrations } from '../harness/observer.mjs'
import { finish } from '../harness/world.mjs'

const HOUR = 3_600_000
const nine = '0 9 * * *'

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

test('a row may write its time as it likes and leave its status out, and is from its entity whatever it says', async (t) => {
  const { w, url, target, write, now } = await sender(t)
  const local = new Date(now + HOUR + 5_000).toISOString().replace(/\.\d+Z$/, '+01:00')
  const at = Math.floor((now + 5_000) / 1_000) * 1_000
  for (const [n, senderUrl] of ['/principal/user%3Aalice', '/principal/system%3Adev-local', target, 7].entries()) {
    await write(`schedule:${n}`, message(target, local, { senderUrl, status: undefined, producerId: `p${n}` }))
  }
  await w.advance(at - now)
  const said = (await w.events(target, 'inbox')).map(({ value }) => [value.from, value.from_agent, value.from_principal, value.timestamp])
  assert.deepEqual(said, Array(4).fill([url, url, undefined, iso(at)]))
  const told = (await w.events(url, 'manifest')).slice(-4).map(({ value }) => [value.senderUrl, value.fireAt])
  assert.deepEqual(told, Array(4).fill([url, iso(at)]))
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

test('whether an entity’s owner may write to whom it sends is asked again when the message arrives', async (t) => {
  const { w, now } = await sender(t)
  const [alice, bob] = [{ as: 'user:alice' }, { as: 'user:bob' }]
  const hook = await w.hook()
  const { url: his } = await w.spawn(w.name, 'his', { dispatch_policy: hook.policy, initialMessage: 'go' }, bob)
  const agent = await w.woken(hook)
  await agent.claim()
  const { url: hers } = await w.spawn(w.name, 'hers', {}, alice)
  const may = { subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'write' }
  const grants = `/_electric/entities${hers}/grants`
  const granted = (await w.post(grants, may, alice)).json
  const write = (n) => agent.append([manifestRow(`m${n}`, message(hers, now + n * 1_000, { producerId: `p${n}`, payload: n }))])
  for (const n of [1, 2]) await write(n)
  await w.advance(1_000)
  assert.equal((await w.delete(`${grants}/${granted.id}`, alice)).status, 204)
  await w.advance(1_000)
  assert.equal((await w.post(grants, may, alice)).status, 201)
  // Whose agent it is counts when the message arrives, not when it was written.
  for (const n of [3, 4]) await write(n)
  await w.advance(1_000)
  assert.equal((await w.post(`/_reveille/entities${his}/owner`, { principal: 'user:carol' })).status, 200)
  await w.advance(1_000)
  assert.deepEqual((await w.events(hers, 'inbox')).map(({ value }) => [value.payload, value.from]), [[1, his], [3, his]])
  const told = (await w.events(his, 'manifest')).filter(({ value }) => value.status !== 'pending')
  assert.deepEqual(told.map(({ key, value }) => [key, value.status]), [['m1', 'sent'], ['m2', 'failed'], ['m3', 'sent'], ['m4', 'failed']])
  assert.equal(told[1].value.lastError, `Principal is not allowed to write ${hers}`)
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
    const { w, target, write, held, ids, inbox, told, wakes, now } = await sender(t, { host })
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
