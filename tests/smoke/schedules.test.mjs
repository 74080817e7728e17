// What an entity is to be told, and when: at each tick of a clock, or once. A schedule is a row of its manifest, written
// by whoever may.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { edited } from '../harness/database.mjs'
import { startHost } from '../harness/host.mjs'
import { like, OFFSET, UUID } from '../harness/like.mjs'
import { coming, cronPath, iso, registrations } from '../harness/observer.mjs'
import { refuses } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000]
const devLocal = '/principal/system%3Adev-local'
const INVALID = 'INVALID_REQUEST'
const SCHEMA = 'Request body does not match API schema'

/** An entity with its schedules. */
async function scheduled(t, { host, as } = {}) {
  const w = await world(t, { host })
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, { as })
  const path = (id, of = url) => `/_electric/entities${of}/schedules/${id}`
  const put = (id, body, options) => w.put(path(id, options?.of), body, options)
  const remove = (id, options) => w.delete(path(id, options?.of), options)
  const schedule = async (id, body, options) => {
    const answer = await put(id, body, options)
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }
  const wakes = () => w.events(url, 'wake')
  const rows = (of = url) => w.events(of, 'manifest')
  return { w, url, put, remove, schedule, wakes, rows }
}

const cron = (expression, more) => ({ scheduleType: 'cron', expression, payload: 'do', ...more })
const send = (fireAt, more) => ({ scheduleType: 'future_send', fireAt, payload: 'hello', ...more })
const nine = '0 9 * * *'
const everyMinute = '* * * * *'

// Each test that ticks has a spelling, and so a chain, of its own.
const minuteAfter = (now) => (Math.floor(now / MINUTE) + 1) * MINUTE

// Ticks.

test('a schedule of ticks is a row, a registration and a stream', async (t) => {
  const { w, url, schedule, rows } = await scheduled(t)
  const now = await w.now()
  const expression = '0 9 * * 1-5'
  const { txid } = await schedule('daily', cron(expression, { payload: { a: [1] }, debounceMs: 5, timeoutMs: 86_400_000 }))
  assert.match(txid, UUID)
  like(await rows(), [
    {
      type: 'manifest',
      key: 'schedule:daily',
      value: {
        key: 'schedule:daily',
        kind: 'schedule',
        id: 'daily',
        scheduleType: 'cron',
        expression,
        timezone: 'UTC',
        payload: { a: [1] },
        wake: { on: 'change', debounceMs: 5, timeoutMs: 86_400_000 },
      },
      headers: { operation: 'upsert', timestamp: iso(now), txid, offset: OFFSET },
    },
  ])
  assert.deepEqual(await registrations(w, url), [[cronPath(expression), { on: 'change' }]])
  assert.deepEqual(await w.read(cronPath(expression)), [])
})

test('the answer says nothing but its txid, and the payload stays as it was sent', async (t) => {
  const { w, url, put } = await scheduled(t)
  const payload = '{"n":12345678901234567890,"f":1.0,"s":"é"}'
  const answer = await put('s', `{"scheduleType":"cron","expression":"${nine}","payload":${payload}}`)
  like(answer.json, { txid: UUID })
  const { text } = await w.get(`${url}/main?offset=-1`)
  assert.ok(text.includes(payload), text)
})

test('at its time a chain ticks, and whoever has the schedule wakes', async (t) => {
  const { w, schedule, wakes } = await scheduled(t)
  const path = cronPath('*  * * * *')
  const due = minuteAfter(await w.now())
  await schedule('s', cron('*  * * * *'))
  await w.advance(due - (await w.now()) - 1)
  assert.deepEqual(await w.read(path), [])
  await w.advance(1)
  like(await w.read(path), [
    {
      type: 'cron_tick',
      key: 'tick-0',
      value: { expression: '*  * * * *', timezone: 'UTC', firedAt: iso(due), tickNumber: 0 },
      headers: { operation: 'insert', timestamp: iso(due), offset: OFFSET },
    },
  ])
  const [{ value }, ...more] = await wakes()
  assert.deepEqual(more, [])
  assert.deepEqual(value, {
    timestamp: iso(due),
    source: path,
    timeout: false,
    changes: [{ collection: 'cron_tick', kind: 'insert', key: 'tick-0' }],
  })
  await w.advance(2 * MINUTE)
  assert.deepEqual((await wakes()).map((row) => row.value.changes[0].key), ['tick-0', 'tick-1', 'tick-2'])
})

test('a tick wakes the agent', async (t) => {
  const { w, schedule } = await scheduled(t)
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'hooked', { dispatch_policy: hook.policy })
  await schedule('s', cron('*/2 * * * *'), { of: url })
  const written = await w.woken(hook)
  await written.claim()
  assert.equal((await written.done()).json.next_wake, false)
  await w.advance(2 * MINUTE)
  assert.equal((await w.woken(hook)).entity, url)
})

test('a sixth field is seconds', async (t) => {
  const { w, schedule, wakes } = await scheduled(t)
  const now = await w.now()
  await schedule('s', cron('*/10 * * * * *'))
  await w.advance(MINUTE)
  const at = (await wakes()).map((row) => Date.parse(row.value.timestamp))
  assert.equal(at.length, 6)
  assert.ok(at.every((ms) => ms % (10 * SECOND) === 0 && ms > now))
})

test('ticks may be gathered', async (t) => {
  const { w, schedule, wakes } = await scheduled(t)
  await schedule('s', cron('*/10 * * * * *', { debounceMs: 15_000 }))
  await w.advance(160 * SECOND)
  const [row] = await wakes()
  assert.ok(row.value.changes.length >= 10, 'ten times the debounce is the most')
})

test('one chain serves all who have its expression, and numbers its ticks for all', async (t) => {
  const { w, url, schedule, wakes } = await scheduled(t)
  const expression = '* *  * * *'
  const other = (await w.spawn(w.name, 'other')).url
  await schedule('s', cron(expression))
  await w.advance(MINUTE)
  await schedule('s', cron(expression), { of: other })
  await w.advance(MINUTE)
  const keys = async (of) => (await w.events(of, 'wake')).map((row) => row.value.changes[0].key)
  assert.deepEqual([await keys(url), await keys(other)], [['tick-0', 'tick-1'], ['tick-1']])
  assert.equal((await wakes())[1].value.timestamp, (await w.events(other, 'wake'))[0].value.timestamp)
})

test('an expression is what it is, letter by letter', async (t) => {
  const { w, url, schedule } = await scheduled(t)
  await schedule('a', cron(nine))
  await schedule('b', cron('0  9 * * *'))
  assert.deepEqual((await registrations(w, url)).map(([source]) => source), [cronPath(nine), cronPath('0  9 * * *')])
})

test('a chain that nobody observes ends, and goes on with its numbers when somebody does again', async (t) => {
  const { w, schedule, remove, wakes } = await scheduled(t)
  const expression = '* * *  * *'
  const path = cronPath(expression)
  await schedule('s', cron(expression))
  await w.advance(2 * MINUTE)
  assert.equal((await remove('s')).status, 200)
  await w.advance(HOUR)
  const told = (await w.read(path)).length
  assert.ok(told <= 3, `${told} ticks`)
  assert.equal((await wakes()).length, 2)
  await schedule('s', cron(expression))
  await w.advance(MINUTE)
  const ticks = await w.read(path)
  assert.deepEqual(ticks.map(({ key }) => key), Array.from({ length: told + 1 }, (_, n) => `tick-${n}`))
  assert.deepEqual((await wakes()).map((row) => row.value.changes[0].key), ['tick-0', 'tick-1', `tick-${told}`])
})

test('a chain goes on when its schedule is put away and back at once', async (t) => {
  const { w, schedule, remove, wakes } = await scheduled(t)
  for (let n = 0; n < 3; n++) {
    await schedule('s', cron(everyMinute))
    await remove('s')
    await schedule('s', cron(everyMinute))
    await w.advance(MINUTE)
  }
  assert.equal((await wakes()).length, 3)
})

test('after a downtime there is one tick for all that were missed', async (t) => {
  const host = await startHost()
  const { w, schedule, wakes } = await scheduled(t, { host })
  await schedule('s', cron(everyMinute))
  await w.advance(MINUTE)
  const before = await w.now()
  await host.stop()
  edited(host, (database) => database.prepare('UPDATE clock SET now = now + ?').run(DAY + SECOND))
  await host.restart()
  w.testId += ' after the downtime'
  const now = await w.now()
  assert.ok(now >= before + DAY, 'a day has passed')
  assert.deepEqual((await wakes()).map((row) => row.value.changes[0].key), ['tick-0', 'tick-1'])
  assert.ok(Date.parse((await wakes())[1].value.timestamp) >= before + DAY)
  await w.advance(minuteAfter(now) - now)
  assert.deepEqual((await wakes()).map((row) => row.value.changes[0].key), ['tick-0', 'tick-1', 'tick-2'])
})

for (const end of ['stop', 'kill']) {
  test(`chains and messages outlive a ${end}`, async (t) => {
    const host = await startHost()
    const { w, url, schedule, wakes } = await scheduled(t, { host })
    const now = await w.now()
    await schedule('s', cron(everyMinute))
    await schedule('m', send(iso(now + 90 * SECOND)))
    await w.advance(MINUTE)
    const next = await coming(w, url)
    await host[end]()
    await host.restart()
    w.testId += ' after the restart'
    assert.deepEqual(await coming(w, url), next)
    await w.advance(MINUTE)
    assert.deepEqual((await wakes()).map((row) => row.value.changes[0].key), ['tick-0', 'tick-1'])
    assert.deepEqual((await w.events(url, 'inbox')).map((event) => event.value.payload), ['hello'])
  })
}

// Zones.

test('a zone is what JavaScript calls it, and UTC when there is none', async (t) => {
  const { w, url, schedule, rows } = await scheduled(t)
  for (const [given, named] of [
    [undefined, 'UTC'],
    ['utc', 'UTC'],
    ['Zulu', 'UTC'],
    ['US/Pacific', 'America/Los_Angeles'],
    ['europe/paris', 'Europe/Paris'],
    ['Asia/Kolkata', 'Asia/Calcutta'],
    ['EST', 'America/Panama'],
  ]) {
    await schedule('s', cron(nine, { timezone: given }))
    assert.equal((await rows()).at(-1).value.timezone, named)
    assert.deepEqual(await registrations(w, url), [[cronPath(nine, named), { on: 'change' }]])
  }
})

test('nine in the morning is when it is nine there', async (t) => {
  const { w, url, schedule } = await scheduled(t)
  const now = await w.now()
  for (const [timezone, at] of [['UTC', 9 * HOUR], ['Asia/Kolkata', 3.5 * HOUR], ['America/Phoenix', 16 * HOUR]]) {
    await schedule('s', cron(nine, { timezone }))
    const midnight = Math.floor(now / DAY) * DAY
    const due = midnight + at > now ? midnight + at : midnight + DAY + at
    assert.deepEqual((await coming(w, url, 'schedule')).map((one) => one.at), [iso(due)], timezone)
  }
})

test('days on which clocks are put forward and back', async (t) => {
  const host = await startHost()
  const { w, schedule, remove } = await scheduled(t, { host })
  const until = async (moment) => w.advance(Date.parse(moment) - (await w.now()))
  const timezone = 'America/New_York'
  const ticks = async (expression) => (await w.read(cronPath(expression, timezone))).map(({ value }) => value.firedAt.slice(5, 16))
  const names = ['a', 'b', 'c']
  const all = (...expressions) => Promise.all(expressions.map((one, n) => schedule(names[n], cron(one, { timezone }))))

  await until('2027-03-13T12:00:00Z')
  await all('30 2 * * *', '0 2 * * *', '0 * * * *')
  await until('2027-03-15T12:00:00Z')
  assert.deepEqual(await ticks('30 2 * * *'), ['03-14T07:30', '03-15T06:30'])
  assert.deepEqual(await ticks('0 2 * * *'), ['03-14T07:00', '03-15T06:00'])
  const hours = await ticks('0 * * * *')
  assert.equal(hours.length, 48, 'each hour that passes')
  assert.equal(new Set(hours).size, 48)
  await Promise.all(names.map((name) => remove(name)))

  await until('2027-11-06T12:00:00Z')
  await all('30 1 * * *', '*/30 1 * * *', '*/30 * * * *')
  await until('2027-11-08T12:00:00Z')
  assert.deepEqual(await ticks('30 1 * * *'), ['11-07T05:30', '11-08T06:30'])
  assert.deepEqual(await ticks('*/30 1 * * *'), ['11-07T05:00', '11-07T05:30', '11-08T06:00', '11-08T06:30'])
  assert.equal((await ticks('*/30 * * * *')).length, 96, 'each half hour that passes')
})

// Messages.

test('a message that is scheduled is a row, in the caller’s name', async (t) => {
  const { w, url, schedule, rows } = await scheduled(t)
  const now = await w.now()
  const { txid } = await schedule('s', send(iso(now + HOUR), { messageType: 'q', payload: { a: 1 } }), { as: 'system:framework' })
  like(await rows(), [
    {
      type: 'manifest',
      key: 'schedule:s',
      value: {
        key: 'schedule:s',
        kind: 'schedule',
        id: 's',
        scheduleType: 'future_send',
        fireAt: iso(now + HOUR),
        targetUrl: url,
        senderUrl: '/principal/system%3Aframework',
        payload: { a: 1 },
        producerId: (id) => id.startsWith('future-send-') && UUID.test(id.slice(12)),
        messageType: 'q',
        status: 'pending',
      },
      headers: { operation: 'upsert', timestamp: iso(now), txid, offset: OFFSET },
    },
  ])
  assert.deepEqual(await registrations(w, url), [])
})

/** Schedules a message and lets its time come: the message, and what the manifest says of it then. */
async function arrived({ w, url, schedule, rows }, body, options) {
  const now = await w.now()
  await schedule('s', send(iso(now + MINUTE), body), options)
  await w.advance(MINUTE - 1)
  assert.deepEqual(await w.events(body?.targetUrl ?? url, 'inbox'), [])
  await w.advance(1)
  const [message, ...more] = await w.events(body?.targetUrl ?? url, 'inbox')
  assert.deepEqual(more, [])
  return { at: iso(now + MINUTE), message, rows: await rows() }
}

test('at its time it arrives, and its row says so', async (t) => {
  const made = await scheduled(t)
  const { at, message, rows } = await arrived(made, { payload: { n: 1 }, messageType: 'q' })
  const { from_agent, ...value } = message.value
  assert.deepEqual(
    { ...value, key: message.key },
    {
      key: `scheduled-${rows[0].value.producerId}`,
      from: devLocal,
      payload: { n: 1 },
      timestamp: at,
      message_type: 'q',
      mode: 'immediate',
      status: 'processed',
      processed_at: at,
    },
  )
  assert.deepEqual(rows[1].value, { ...rows[0].value, status: 'sent', sentAt: at })
  assert.deepEqual([rows[1].key, rows[1].headers.operation, rows[1].headers.timestamp], ['schedule:s', 'update', at])
  await made.w.advance(DAY)
  assert.equal((await made.w.events(made.url, 'inbox')).length, 1)
})

test('it is from a principal and not from an agent', async (t) => {
  const { message } = await arrived(await scheduled(t))
  assert.equal(message.value.from_agent, undefined)
})

test('it may go to another entity', async (t) => {
  const made = await scheduled(t)
  const { url: targetUrl } = await made.w.spawn(made.w.name, 'target')
  const { rows } = await arrived(made, { targetUrl })
  assert.equal(rows[1].value.status, 'sent')
  assert.deepEqual(await made.w.events(made.url, 'inbox'), [])
})

test('a message whose time is over arrives at once', async (t) => {
  const { w, url, schedule } = await scheduled(t)
  await schedule('s', send('2020-01-01T00:00:00Z'))
  await w.advance(0)
  assert.equal((await w.events(url, 'inbox')).length, 1)
})

test('a time may be a day, which begins at midnight', async (t) => {
  const { schedule, rows } = await scheduled(t)
  await schedule('s', send('2028-02-29'))
  assert.equal((await rows())[0].value.fireAt, '2028-02-29T00:00:00.000Z')
})

for (const written of ['2028-02-29T08:00:00Z', '2028-02-29T10:00:00.000+02:00', '2028-02-29T08:00Z', '2028-02-29T08:00:00.0009Z']) {
  test(`a time may be written as ${written}`, async (t) => {
    const { schedule, rows } = await scheduled(t)
    await schedule('s', send(written))
    assert.equal((await rows())[0].value.fireAt, '2028-02-29T08:00:00.000Z')
  })
}

test('a message fails when its target is gone, and its row says why', async (t) => {
  const { w, schedule, rows } = await scheduled(t)
  const { url: targetUrl } = await w.spawn(w.name, 'target')
  const now = await w.now()
  await schedule('s', send(iso(now + MINUTE), { targetUrl }))
  await w.delete(`/_electric/entities${targetUrl}`)
  await w.advance(MINUTE)
  const [first, last] = (await rows()).map(({ value }) => value)
  assert.deepEqual(last, { ...first, status: 'failed', failedAt: iso(now + MINUTE), lastError: 'Entity is not accepting writes' })
})

test('a message to an entity that a fork reads waits for it', async (t) => {
  const { w, url, schedule, rows } = await scheduled(t)
  const now = await w.now()
  await schedule('s', send(iso(now + MINUTE)))
  await w.post('/_reveille/dev/lock', { entity: url, ms: 2 * MINUTE })
  await w.advance(2 * MINUTE - 1)
  assert.deepEqual(await w.events(url, 'inbox'), [])
  await w.advance(1)
  assert.equal((await w.events(url, 'inbox')).length, 1)
  assert.equal((await rows())[1].value.status, 'sent')
})

// One in the place of another.

test('a schedule takes the place of the one before, of either kind', async (t) => {
  const { w, url, schedule, wakes } = await scheduled(t)
  const now = await w.now()
  const held = async () => (await registrations(w, url)).map(([source]) => source)
  await schedule('s', cron(nine))
  await schedule('s', cron('0 10 * * *'))
  assert.deepEqual(await held(), [cronPath('0 10 * * *')])
  await schedule('s', send(iso(now + MINUTE), { payload: 'first' }))
  assert.deepEqual(await held(), [])
  await schedule('s', send(iso(now + 2 * MINUTE), { payload: 'second' }))
  await w.advance(MINUTE)
  assert.deepEqual(await w.events(url, 'inbox'), [])
  await schedule('s', cron('* * * *  *'))
  await w.advance(MINUTE)
  assert.deepEqual(await w.events(url, 'inbox'), [], 'no message is left behind')
  assert.equal((await wakes()).length, 1)
  assert.deepEqual(await held(), [cronPath('* * * *  *')])
})

test('schedules of two names are two', async (t) => {
  const { w, url, schedule, remove } = await scheduled(t)
  await schedule('a', cron(nine))
  await schedule('b', cron('0 10 * * *'))
  await remove('a')
  assert.deepEqual((await registrations(w, url)).map(([source]) => source), [cronPath('0 10 * * *')])
})

test('a schedule that is taken away is a row, and nothing comes of it any more', async (t) => {
  const { w, url, schedule, remove, rows, wakes } = await scheduled(t)
  const now = await w.now()
  await schedule('ticks', cron(everyMinute))
  await schedule('message', send(iso(now + MINUTE)))
  for (const id of ['ticks', 'message']) {
    const answer = await remove(id)
    assert.equal(answer.status, 200, answer.text)
    like(answer.json, { txid: UUID })
    like((await rows()).at(-1), {
      type: 'manifest',
      key: `schedule:${id}`,
      headers: { operation: 'delete', timestamp: iso(now), txid: answer.json.txid, offset: OFFSET },
    })
  }
  await w.advance(HOUR)
  assert.deepEqual([await wakes(), await w.events(url, 'inbox'), await coming(w, url)], [[], [], []])
})

test('taking away a schedule that never was is fine', async (t) => {
  const { remove, rows } = await scheduled(t)
  const answer = await remove('never')
  assert.equal(answer.status, 200, answer.text)
  assert.match(answer.json.txid, UUID)
  assert.equal((await rows()).length, 1)
})

test('the name of a schedule may be anything that a path can say', async (t) => {
  const { schedule, remove, rows } = await scheduled(t)
  await schedule(encodeURIComponent('a b/ü:'), cron(nine))
  await remove(encodeURIComponent('a b/ü:'))
  const [put, deleted] = await rows()
  assert.deepEqual([put.key, put.value.id, put.value.key, deleted.key], ['schedule:a b/ü:', 'a b/ü:', 'schedule:a b/ü:', 'schedule:a b/ü:'])
})

test('the rows of schedules wake those who name manifests, and nobody else', async (t) => {
  const { w, url, schedule, remove } = await scheduled(t)
  const [open, named] = [(await w.spawn(w.name, 'open')).url, (await w.spawn(w.name, 'named')).url]
  await w.observe(open, url, { on: 'change' })
  await w.observe(named, url, { on: 'change', collections: ['manifest'] })
  await schedule('s', cron(nine))
  await remove('s')
  assert.deepEqual(await w.events(open, 'wake'), [])
  const changes = (await w.events(named, 'wake')).map((row) => row.value.changes)
  assert.deepEqual(changes, [
    [{ collection: 'manifest', kind: 'insert', key: 'schedule:s' }],
    [{ collection: 'manifest', kind: 'delete', key: 'schedule:s' }],
  ])
})

// What is refused, and which refusal wins: each of these has the faults of all below it, too.

const fine = cron(nine)
const refusedPuts = [
  ['a type that nobody registered', { of: '/no-such-type/e', as: 'user:eve', body: '{' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found'],
  ['an entity that is not there', { of: 'nobody', as: 'user:eve', body: '{' }, 404, 'NOT_FOUND', /^Entity not found at \/.+\/nobody$/],
  ['a body that is no JSON', { as: 'user:eve', body: '{' }, 400, INVALID, 'Invalid JSON body'],
  ['a body that is no object', { as: 'user:eve', body: '[]' }, 400, INVALID, SCHEMA],
  ['no body', { as: 'user:eve', body: undefined }, 400, INVALID, SCHEMA],
  ['no kind', { as: 'user:eve', body: { expression: nine, payload: 1 } }, 400, INVALID, SCHEMA],
  ['an unknown kind', { as: 'user:eve', body: { ...fine, scheduleType: 'moon' } }, 400, INVALID, SCHEMA],
  ['ticks without an expression', { as: 'user:eve', body: cron(undefined) }, 400, INVALID, SCHEMA],
  ['an expression that is no text', { as: 'user:eve', body: cron(5) }, 400, INVALID, SCHEMA],
  ['a zone that is no text', { as: 'user:eve', body: cron('foo', { timezone: 1 }) }, 400, INVALID, SCHEMA],
  ['a debounce that is no number', { as: 'user:eve', body: cron('foo', { debounceMs: '1' }) }, 400, INVALID, SCHEMA],
  ['a timeout that is no number', { as: 'user:eve', body: cron('foo', { timeoutMs: null }) }, 400, INVALID, SCHEMA],
  ['a message without a time', { as: 'user:eve', body: send(undefined) }, 400, INVALID, SCHEMA],
  ['a time that is no text', { as: 'user:eve', body: send(7) }, 400, INVALID, SCHEMA],
  ['a target that is no text', { as: 'user:eve', body: send('tomorrow', { targetUrl: 1 }) }, 400, INVALID, SCHEMA],
  ['a sender that is no text', { as: 'user:eve', body: send('tomorrow', { from: {} }) }, 400, INVALID, SCHEMA],
  ['who may not', { as: 'user:eve', body: cron('foo') }, 401, 'UNAUTHORIZED', /^Principal is not allowed to schedule \/.+\/e$/],
  ['a zone that does not exist', { body: cron('foo', { timezone: 'Mars/Olympus' }) }, 400, INVALID, 'Invalid cron timezone: "Mars/Olympus"'],
  ['an offset instead of a zone', { body: cron(nine, { timezone: '+05:30' }) }, 400, INVALID, 'Invalid cron timezone: "+05:30"'],
  ['an expression that is none', { body: cron('foo') }, 400, INVALID, 'Invalid cron expression: "foo"'],
  ['a day that no month has', { body: cron('0 0 31 2 *') }, 400, INVALID, 'Invalid cron expression: "0 0 31 2 *"'],
  ['an expression that never comes', { body: cron('0 0 31 2,4 *') }, 400, INVALID],
  ['another sender', { body: send('tomorrow', { from: '/principal/user%3Aeve', targetUrl: '/nobody/there' }) }, 400, INVALID, 'Request from must match Electric-Principal'],
  ['a time that is none', { body: send('tomorrow', { targetUrl: '/nobody/there', from: devLocal }) }, 400, INVALID, 'Invalid fireAt timestamp: tomorrow'],
  ['a target that is not there', { body: send('2030-01-01T00:00:00Z', { targetUrl: '/nobody/there' }) }, 404, 'NOT_FOUND', /^Entity not found/],
]

test('what is refused, with which words, and that it leaves nothing behind', async (t) => {
  const { w, url, put, rows } = await scheduled(t)
  for (const [what, { of, as, body }, status, code, message] of refusedPuts) {
    const answer = await put('s', body, { of: of === 'nobody' ? `/${w.name}/nobody` : of, as })
    await t.test(what, () => {
      refuses(answer, status, code, message)
      if (message === SCHEMA) assert.ok(answer.json.error.details.length > 0)
      else assert.equal(answer.json.error.details, undefined)
    })
  }
  assert.deepEqual([await rows(), await registrations(w, url), await coming(w, url)], [[], [], []])
  assert.equal((await w.get(cronPath('0 0 31 2,4 *'))).status, 404)
})

test('a schedule without a payload does not fit the schema, whoever asks', async (t) => {
  const { put } = await scheduled(t)
  for (const body of [{ ...cron('foo'), payload: undefined }, { ...send('tomorrow'), payload: undefined }]) {
    const answer = await put('s', body, { as: 'user:eve' })
    refuses(answer, 400, INVALID, SCHEMA)
    assert.ok(answer.json.error.details.some((detail) => detail.message === "must have required property 'payload'"))
  }
})

test('a payload may be null, or anything else that is there', async (t) => {
  const { schedule, rows } = await scheduled(t)
  const payloads = [null, false, 0, '', [], {}]
  for (const payload of payloads) await schedule('s', cron(nine, { payload }))
  assert.deepEqual((await rows()).map(({ value }) => value.payload), payloads)
})

test('members that nobody knows are passed over', async (t) => {
  const { schedule } = await scheduled(t)
  await schedule('s', cron(nine, { fireAt: 7, more: true }))
})

test('a target must take the message already when it is scheduled', async (t) => {
  const { w, put } = await scheduled(t)
  const later = '2030-01-01T00:00:00Z'
  const strict = await w.type({ inbox_schemas: { known: { type: 'object' } } })
  const { url: fussy } = await w.spawn(strict, 'fussy')
  const { url: dead } = await w.spawn(strict, 'dead')
  await w.delete(`/_electric/entities${dead}`)
  for (const [more, status, code, message] of [
    [{ targetUrl: dead, messageType: 'unknown' }, 409, 'NOT_RUNNING', 'Entity is not accepting writes'],
    [{ targetUrl: fussy, messageType: 'unknown' }, 422, 'UNKNOWN_MESSAGE_TYPE', 'Unknown message type "unknown"'],
    [{ targetUrl: fussy, messageType: 'known' }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
    [{ targetUrl: fussy }, 200],
    [{ targetUrl: fussy, messageType: 'known', payload: {} }, 200],
  ]) {
    const answer = await put('s', send(later, more))
    if (status === 200) assert.equal(answer.status, 200, answer.text)
    else refuses(answer, status, code, message)
  }
})

test('who may schedule for an entity, and to whom', async (t) => {
  const { w, url, put, remove } = await scheduled(t, { as: 'user:alice' })
  const { url: his } = await w.spawn(w.name, 'his', {}, { as: 'user:bob' })
  const later = '2030-01-01T00:00:00Z'
  for (const [as, status] of [['user:alice', 200], ['system:framework', 200], [undefined, 200], ['user:bob', 401]]) {
    assert.equal((await put('s', cron(nine), { as })).status, status)
    assert.equal((await remove('s', { as })).status, status)
  }
  assert.equal((await put('s', send(later, { from: '/principal/user%3Aalice' }), { as: 'user:alice' })).status, 200)
  const answer = await put('s', send(later, { targetUrl: his }), { as: 'user:alice' })
  refuses(answer, 401, 'UNAUTHORIZED', `Principal is not allowed to write ${his}`)
  refuses(await remove('s', { as: 'user:bob' }), 401, 'UNAUTHORIZED', `Principal is not allowed to schedule ${url}`)
})

test('who may write to a target may have another’s entity send to it', async (t) => {
  const { w, url, put, rows } = await scheduled(t, { as: 'user:alice' })
  const { url: his } = await w.spawn(w.name, 'his', {}, { as: 'user:bob' })
  const now = await w.now()
  assert.equal((await put('s', send(iso(now + MINUTE), { targetUrl: his }))).status, 200)
  assert.equal((await coming(w, url)).length, 1)
  await w.advance(MINUTE)
  assert.equal((await w.events(his, 'inbox')).length, 1)
  assert.equal((await rows()).at(-1).value.status, 'sent')
})

test('what is refused when a schedule is taken away, and which refusal wins', async (t) => {
  const { w, url, remove } = await scheduled(t)
  refuses(await remove('s', { of: '/no-such-type/e', as: 'user:eve' }), 404, 'UNKNOWN_ENTITY_TYPE')
  refuses(await remove('s', { of: `/${w.name}/nobody`, as: 'user:eve' }), 404, 'NOT_FOUND', `Entity not found at /${w.name}/nobody`)
  await w.delete(`/_electric/entities${url}`)
  refuses(await remove('s', { as: 'user:eve' }), 401, 'UNAUTHORIZED')
  refuses(await remove('s'), 409, 'NOT_RUNNING')
})

test('an entity at its end is scheduled nothing, and nothing is left behind', async (t) => {
  const { w, url, put, rows } = await scheduled(t)
  await w.delete(`/_electric/entities${url}`)
  refuses(await put('s', cron('foo')), 400, INVALID, 'Invalid cron expression: "foo"')
  refuses(await put('s', cron('*/7 * * * *', { timezone: 'Pacific/Chatham' })), 409, 'NOT_RUNNING')
  refuses(await put('s', send('2030-01-01T00:00:00Z')), 409, 'NOT_RUNNING')
  assert.deepEqual([await rows(), await coming(w, url)], [[], []])
  assert.equal((await w.get(cronPath('*/7 * * * *', 'Pacific/Chatham'))).status, 404)
})

// Streams of ticks.

const ensure = (w, body, options) => w.post('/_electric/observations/cron/ensure-stream', body, options)

test('a stream of ticks stands where clients compute it to stand', async (t) => {
  const w = await world(t)
  for (const [body, path] of [
    [{ expression: nine }, '/_cron/eyJleHByZXNzaW9uIjoiMCA5ICogKiAqIiwidGltZXpvbmUiOiJVVEMifQ'],
    [
      { expression: '*/1 * * * * *', timezone: 'America/Denver' },
      '/_cron/eyJleHByZXNzaW9uIjoiKi8xICogKiAqICogKiIsInRpbWV6b25lIjoiQW1lcmljYS9EZW52ZXIifQ',
    ],
    [{ expression: nine, timezone: 'us/pacific' }, cronPath(nine, 'America/Los_Angeles')],
  ]) {
    for (const _ of ['first', 'again']) {
      const answer = await ensure(w, body)
      assert.equal(answer.status, 200, answer.text)
      assert.deepEqual(answer.json, { streamUrl: path })
    }
    const head = await w.head(path)
    assert.deepEqual([head.status, head.headers['content-type']], [200, 'application/json'])
  }
})

test('what is refused when a stream of ticks is asked for', async (t) => {
  const w = await world(t)
  for (const [body, message] of [
    ['{', 'Invalid JSON body'],
    [undefined, SCHEMA],
    [{ timezone: 'Mars/Olympus' }, SCHEMA],
    [{ expression: 1 }, SCHEMA],
    [{ expression: 'foo', timezone: null }, SCHEMA],
    [{ expression: 'foo', timezone: 'Mars/Olympus' }, 'Invalid cron timezone: "Mars/Olympus"'],
    [{ expression: 'foo' }, 'Invalid cron expression: "foo"'],
    ...['60 * * * *', '0 24 * * *', '50-10 * * * *', '0 0 15W * *', '0 0 31 2 *', '* * * * * * *', '@reboot'].map(
      (expression) => [{ expression }, `Invalid cron expression: "${expression}"`],
    ),
  ]) {
    refuses(await ensure(w, body), 400, INVALID, message)
  }
})

test('a stream of ticks that is only asked for ticks once, until somebody observes it', async (t) => {
  const { w, url } = await scheduled(t)
  const expression = '*   * * * *'
  const path = cronPath(expression)
  await ensure(w, { expression })
  await w.advance(HOUR)
  assert.deepEqual((await w.read(path)).map(({ key }) => key), ['tick-0'])
  await w.observe(url, path, { on: 'change' })
  await ensure(w, { expression })
  await w.advance(2 * MINUTE)
  assert.deepEqual((await w.read(path)).map(({ key }) => key), ['tick-0', 'tick-1', 'tick-2'])
  assert.equal((await w.events(url, 'wake')).length, 2)
})

test('who registers on a chain’s path has it tick, however the path was made', async (t) => {
  const { w } = await scheduled(t)
  const bare = `/_cron/${Buffer.from('*  *  * * *').toString('base64url')}`
  for (const [n, path] of [cronPath('* *  *  * *'), cronPath('* *  *  * *', 'Asia/Kolkata'), bare].entries()) {
    const { url } = await w.spawn(w.name, `o${n}`)
    await w.observe(url, path, { on: 'change' })
    await w.advance(MINUTE)
    assert.deepEqual((await w.events(url, 'wake')).map((row) => row.value.source), [path])
  }
})

test('a path that says no expression may be observed, and never ticks', async (t) => {
  const { w, url } = await scheduled(t)
  await w.observe(url, '/_cron/nonsense', { on: 'change' })
  await w.advance(HOUR)
  assert.equal((await w.get('/_cron/nonsense')).status, 404)
})

test('a stream of ticks is everybody’s to read, and nobody’s to write or to delete', async (t) => {
  const { w, url, schedule } = await scheduled(t)
  const expression = '* *   * * *'
  const path = cronPath(expression)
  await schedule('s', cron(expression))
  const tick = [{ type: 'cron_tick', key: 'tick-0', value: {}, headers: { operation: 'insert' } }]
  for (const as of [undefined, 'user:alice', 'system:framework']) {
    for (const target of [path, '/_cron/elsewhere']) {
      for (const answer of [
        await w.post(target, tick, { as }),
        await w.put(target, [], { as }),
        await w.delete(target, { as }),
        await w.http('POST', target, { as, headers: { 'stream-closed': 'true' } }),
      ]) {
        refuses(answer, 401, 'UNAUTHORIZED', `Principal is not allowed to write ${target}`)
      }
    }
    assert.equal((await w.get(path, { as })).status, 200)
  }
  assert.deepEqual(await w.events(url, 'wake'), [])
  await w.advance(MINUTE)
  assert.equal((await w.events(url, 'wake')).length, 1)
})
