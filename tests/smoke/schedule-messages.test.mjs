// What an entity is to be told once, at a moment: a message that waits, and schedules that take one another's place.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, OFFSET, UUID } from '../harness/like.mjs'
import { coming, cronPath, iso, registrations } from '../harness/observer.mjs'
import { MINUTE, HOUR, DAY, cron, everyMinute, nine, scheduled, send } from '../harness/schedules.mjs'
import { refuses } from '../harness/subscription.mjs'

const devLocal = '/principal/system%3Adev-local'
const INVALID = 'INVALID_REQUEST'

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

test('a payload may be null, or anything else that is there', async (t) => {
  const { schedule, rows } = await scheduled(t)
  const payloads = [null, false, 0, '', [], {}]
  for (const payload of payloads) await schedule('s', cron(nine, { payload }))
  assert.deepEqual((await rows()).map(({ value }) => value.payload), payloads)
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

test('a fork sends in its own name what somebody had its source send, and only where its owner may', async (t) => {
  const { w, url, put, rows } = await scheduled(t, { as: 'user:alice' })
  const may = (permission) => ({ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission })
  await w.post(`/_electric/entities${url}/grants`, may('fork'), { as: 'user:alice' })
  const { url: hers } = await w.spawn(w.name, 'hers', {}, { as: 'user:alice' })
  const { url: open } = await w.spawn(w.name, 'open', { grants: [may('write')] }, { as: 'user:alice' })
  const now = await w.now()
  for (const targetUrl of [hers, open, url]) {
    assert.equal((await put(targetUrl.slice(-4).replace('/', ''), send(iso(now + MINUTE), { targetUrl }), { as: 'user:alice' })).status, 200)
  }
  const forked = await w.post(`/_electric/entities${url}/fork`, {}, { as: 'user:bob' })
  assert.equal(forked.status, 201, forked.text)
  const fork = forked.json.root.url
  await w.advance(MINUTE)
  const from = async (of) => (await w.events(of, 'inbox')).map(({ value }) => [value.from, value.from_agent]).sort()
  const alice = ['/principal/user%3Aalice', undefined]
  assert.deepEqual(await from(hers), [alice], 'he may not write to it')
  assert.deepEqual(await from(open), [alice], 'one producer’s message arrives once')
  assert.deepEqual([await from(url), await from(fork)], [[alice], [[fork, fork]]])
  assert.equal((await rows(fork)).filter(({ value }) => value?.status === 'sent').length, 2)
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

test('an entity at its end is scheduled nothing, and nothing is left behind', async (t) => {
  const { w, url, put, rows } = await scheduled(t)
  await w.delete(`/_electric/entities${url}`)
  refuses(await put('s', cron('foo')), 400, INVALID, 'Invalid cron expression: "foo"')
  refuses(await put('s', cron('*/7 * * * *', { timezone: 'Pacific/Chatham' })), 409, 'NOT_RUNNING')
  refuses(await put('s', send('2030-01-01T00:00:00Z')), 409, 'NOT_RUNNING')
  assert.deepEqual([await rows(), await coming(w, url)], [[], []])
  assert.equal((await w.get(cronPath('*/7 * * * *', 'Pacific/Chatham'))).status, 404)
})
