// What an entity is to be told at each tick of a clock: a schedule is a row of its manifest, an observation, and a stream.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { edited } from '../harness/database.mjs'
import { startHost } from '../harness/host.mjs'
import { like, OFFSET, UUID } from '../harness/like.mjs'
import { coming, cronPath, iso, registrations } from '../harness/observer.mjs'
import { SECOND, MINUTE, HOUR, DAY, cron, everyMinute, nine, scheduled, send } from '../harness/schedules.mjs'
import { refuses } from '../harness/subscription.mjs'

// Each test that ticks has a spelling, and so a chain, of its own.
const minuteAfter = (now) => (Math.floor(now / MINUTE) + 1) * MINUTE

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

// Streams of ticks.

const ensure = (w, body, options) => w.post('/_electric/observations/cron/ensure-stream', body, options)

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
