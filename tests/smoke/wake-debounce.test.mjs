// A debounced registration gathers what matches until nothing more has come for a while; then there is one wake of all
// of it. Neither a steady source nor a busy one puts that off for ever, and a restart loses nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { ISO, like, OFFSET } from '../harness/like.mjs'
import { changedKeys, iso, note, observing } from '../harness/observer.mjs'
import { change, run } from '../harness/world.mjs'

const HOUR = 3_600_000
const big = (key, bytes) => note(key, { value: 'x'.repeat(bytes) })

test('what comes in a burst is one wake, a debounce after the last of it and not before', async (t) => {
  const o = await observing(t, { debounceMs: 1_000 })
  await o.notes('one')
  await o.w.advance(999)
  await o.notes('two', 'three')
  await o.w.advance(999)
  assert.deepEqual(await o.wakes(), [])
  const now = await o.w.advance(1)
  assert.deepEqual(await o.wakes(), [['one', 'two', 'three']])
  const [row] = await o.rows()
  assert.equal(row.value.timestamp, iso(now))
})

test('the wake row of what was gathered', async (t) => {
  const o = await observing(t, { debounceMs: 10 })
  await o.notes('one')
  await o.w.post(o.source, [change('note', 'two', { value: 2, old_value: 1 }, 'update')])
  await o.w.advance(10)
  like(await o.rows(), [
    {
      type: 'wake',
      key: /^wake-\d+-.+$/,
      value: {
        timestamp: ISO,
        source: o.source,
        timeout: false,
        changes: [
          { collection: 'note', kind: 'insert', key: 'one' },
          { collection: 'note', kind: 'update', key: 'two', value: 2, oldValue: 1 },
        ],
      },
      headers: { operation: 'insert', offset: OFFSET },
    },
  ])
})

test('after its wake a registration gathers anew', async (t) => {
  const o = await observing(t, { debounceMs: 1_000 })
  for (const key of ['one', 'two']) {
    await o.notes(key)
    await o.w.advance(1_000)
  }
  await o.w.advance(HOUR)
  assert.deepEqual(await o.wakes(), [['one'], ['two']])
  const keys = (await o.rows()).map((row) => row.key)
  assert.equal(new Set(keys).size, 2)
})

test('the same row changed twice is told twice, in one wake', async (t) => {
  const o = await observing(t, { debounceMs: 10 })
  await o.notes('one')
  await o.notes('one')
  await o.w.advance(10)
  assert.deepEqual(await o.wakes(), [['one', 'one']])
})

test('only what matches is gathered, and only that puts the wake off', async (t) => {
  const o = await observing(t, { condition: { on: 'change', collections: ['note'], ops: ['insert'] }, debounceMs: 100 })
  await o.notes('one')
  await o.w.advance(60)
  await o.w.post(o.source, [change('note', 'one', {}, 'delete'), change('other', 'o', {})])
  await o.w.advance(40)
  assert.deepEqual(await o.wakes(), [['one']])
})

test('two registrations gather apart, each for its time', async (t) => {
  const o = await observing(t, { debounceMs: 100, manifestKey: 'short' })
  await o.observes({ debounceMs: 250, manifestKey: 'long' })
  await o.notes('one')
  await o.w.advance(100)
  await o.notes('two')
  await o.w.advance(100)
  assert.deepEqual(await o.wakes(), [['one'], ['two']])
  await o.w.advance(150)
  assert.deepEqual(await o.wakes(), [['one'], ['two'], ['one', 'two']])
})

test('a debounce in the condition counts, as the runtime sends it', async (t) => {
  const o = await observing(t, { condition: { on: 'change', debounceMs: 50 } })
  await o.notes('one')
  assert.deepEqual(await o.wakes(), [])
  await o.w.advance(50)
  assert.deepEqual(await o.wakes(), [['one']])
})

for (const [debounceMs, waits] of [[0, 0], [-5, 0], [0.2, 1], [9.1, 10]]) {
  test(`a debounce of ${debounceMs} waits for ${waits} ms`, async (t) => {
    const o = await observing(t, { debounceMs })
    await o.notes('one')
    if (waits > 0) {
      await o.w.advance(waits - 1)
      assert.deepEqual(await o.wakes(), [])
      await o.w.advance(1)
    }
    assert.deepEqual(await o.wakes(), [['one']])
  })
}

test('a debounce that is no number is refused', async (t) => {
  const { w, url, source } = await observing(t, null)
  const answer = await w.post('/_electric/wake', {
    subscriberUrl: url,
    sourceUrl: source,
    condition: { on: 'change' },
    debounceMs: '100',
  })
  assert.equal(answer.status, 400, answer.text)
  assert.deepEqual(answer.json.error, {
    code: 'INVALID_REQUEST',
    message: 'Request body does not match API schema',
    details: [{ path: '/debounceMs', message: 'must be number' }],
  })
})

// Its ceilings.

test('a steady source puts a wake off for ten times the debounce, no longer', async (t) => {
  const o = await observing(t, { debounceMs: 1_000 })
  const keys = Array.from({ length: 12 }, (_, n) => `n${n}`)
  for (const key of keys.slice(0, 11)) {
    await o.notes(key)
    await o.w.advance(900)
  }
  assert.deepEqual(await o.wakes(), [], '9,900 ms')
  await o.w.advance(99)
  assert.deepEqual(await o.wakes(), [])
  await o.w.advance(1)
  assert.deepEqual(await o.wakes(), [keys.slice(0, 11)])
})

test('ten times a long debounce is an hour at most', async (t) => {
  const o = await observing(t, { debounceMs: 1_000_000 })
  for (let n = 0; n < 4; n++) {
    await o.notes(`n${n}`)
    await o.w.advance(900_000 - (n === 3 ? 1 : 0))
  }
  assert.deepEqual(await o.wakes(), [])
  await o.w.advance(1)
  assert.deepEqual(await o.wakes(), [['n0', 'n1', 'n2', 'n3']])
})

test('a debounce of two hours is two hours, and no more', async (t) => {
  const o = await observing(t, { debounceMs: 2 * HOUR })
  await o.notes('one')
  await o.w.advance(HOUR)
  await o.notes('two')
  await o.w.advance(HOUR - 1)
  assert.deepEqual(await o.wakes(), [])
  await o.w.advance(1)
  assert.deepEqual(await o.wakes(), [['one', 'two']])
})

test('a hundred changes are a wake at once', async (t) => {
  const o = await observing(t, { debounceMs: 1_000 })
  const keys = Array.from({ length: 250 }, (_, n) => `n${n}`)
  for (let at = 0; at < keys.length; at += 50) await o.notes(...keys.slice(at, at + 50))
  assert.deepEqual(await o.wakes(), [keys.slice(0, 100), keys.slice(100, 200)])
  await o.w.advance(999)
  assert.equal((await o.wakes()).length, 2)
  await o.w.advance(1)
  assert.deepEqual((await o.wakes())[2], keys.slice(200))
})

test('one append of many changes is cut the same way', async (t) => {
  const o = await observing(t, { debounceMs: 1_000 })
  const keys = Array.from({ length: 150 }, (_, n) => `n${n}`)
  await o.notes(...keys)
  // On an object the last of them are looked at a moment later.
  await o.w.advance(0)
  assert.deepEqual(await o.wakes(), [keys.slice(0, 100)])
  await o.w.advance(1_000)
  assert.deepEqual((await o.wakes())[1], keys.slice(100))
})

test('64 kB of changes are a wake at once', async (t) => {
  const o = await observing(t, { debounceMs: 1_000 })
  await o.w.post(o.source, [big('a', 30_000), big('b', 30_000)])
  assert.deepEqual(await o.wakes(), [])
  await o.w.post(o.source, [big('c', 10_000)])
  assert.deepEqual(await o.wakes(), [['a', 'b', 'c']])
  await o.notes('d')
  await o.w.advance(1_000)
  assert.deepEqual((await o.wakes())[1], ['d'])
})

// What becomes of it.

test('a debounced wake is one webhook', async (t) => {
  const o = await observing(t, null)
  const hook = await o.w.hook()
  const woken = (await o.w.spawn(o.w.name, 'hooked', { dispatch_policy: hook.policy })).url
  await o.w.observe(woken, o.source, { on: 'change' }, { debounceMs: 100 })
  for (const key of ['one', 'two', 'three']) await o.notes(key)
  await o.w.settle()
  assert.equal(hook.all.length, 0)
  await o.w.advance(100)
  const wake = await o.w.woken(hook)
  await wake.claim()
  assert.equal((await wake.done()).json.next_wake, false)
  assert.equal(hook.all.length, 1)
})

test('runs of a child that end together are one wake, with the answer of the last', async (t) => {
  const { w, url } = await observing(t, null)
  const child = await w.working(w.name, 'child', { parent: url })
  await w.observe(url, child.entity, 'runFinished', { debounceMs: 100 })
  await child.append(run('run-0', 'first'))
  await child.append(run('run-1', 'second', 'failed'))
  await w.advance(100)
  const [row, ...more] = await w.events(url, 'wake')
  assert.deepEqual(more, [])
  assert.deepEqual(changedKeys(row), ['run-0', 'run-1'])
  assert.deepEqual(row.value.finished_child, {
    url: child.entity,
    type: w.name,
    run_status: 'failed',
    response: 'second',
  })
})

test('what was gathered goes with its registration', async (t) => {
  const o = await observing(t, { debounceMs: 100, manifestKey: 'k' })
  await o.notes('one')
  await o.unregister({ manifestKey: 'k' })
  await o.w.advance(HOUR)
  assert.deepEqual(await o.wakes(), [])
  await o.observes({ debounceMs: 100, manifestKey: 'k' })
  await o.notes('two')
  await o.w.advance(100)
  assert.deepEqual(await o.wakes(), [['two']])
})

test('registering the same again keeps what was gathered, and when it is due', async (t) => {
  const o = await observing(t, { debounceMs: 100, manifestKey: 'k' })
  await o.notes('one')
  await o.w.advance(60)
  await o.observes({ debounceMs: 100, manifestKey: 'k' })
  await o.w.advance(40)
  assert.deepEqual(await o.wakes(), [['one']])
})

test('what was gathered for an entity that was killed goes with it, and stops nothing', async (t) => {
  const o = await observing(t, { debounceMs: 100 })
  const other = (await o.w.spawn(o.w.name, 'other')).url
  await o.w.observe(other, o.source, { on: 'change' }, { debounceMs: 100 })
  await o.notes('one')
  await o.w.delete(`/_electric/entities${o.url}`)
  await o.w.advance(100)
  assert.deepEqual(await o.wakes(), [])
  assert.equal((await o.w.events(other, 'wake')).length, 1)
})

test('an entity does not gather what it writes under its own claim', async (t) => {
  const { w } = await observing(t, null)
  const work = await w.working(w.name, 'work')
  await w.observe(work.entity, work.entity, { on: 'change' }, { debounceMs: 10 })
  await work.append([note('mine')])
  await w.advance(10)
  assert.deepEqual(await w.events(work.entity, 'wake'), [])
})

test('an append that is repeated is gathered once', async (t) => {
  const o = await observing(t, { debounceMs: 10 })
  const headers = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
  for (const status of [200, 204]) {
    assert.equal((await o.w.post(o.source, [note('one')], { headers })).status, status)
  }
  await o.w.advance(10)
  assert.deepEqual(await o.wakes(), [['one']])
})

test('the journal says what is waited for, and until when', async (t) => {
  const o = await observing(t, { debounceMs: 100 })
  const now = await o.w.now()
  await o.notes('one')
  await o.notes('two')
  const [step, ...more] = (await o.w.journal(o.url)).filter(({ what }) => what === 'debounced')
  assert.deepEqual(more, [], 'once for all that is gathered')
  assert.equal(new Date(step.until).getTime(), now + 100)
})

for (const end of ['stop', 'kill']) {
  test(`what was gathered, and when it is due, outlives a ${end}`, async (t) => {
    const host = await startHost()
    const o = await observing(t, { debounceMs: 1_000 }, { host })
    await o.notes('one')
    await o.w.advance(600)
    await o.notes('two')
    await o.w.advance(600)
    await host[end]()
    await host.restart()
    o.w.testId += ' after the restart'
    await o.w.advance(399)
    assert.deepEqual(await o.wakes(), [])
    await o.w.advance(1)
    assert.deepEqual(await o.wakes(), [['one', 'two']])
    await o.w.advance(HOUR)
    assert.equal((await o.wakes()).length, 1)
  })
}
