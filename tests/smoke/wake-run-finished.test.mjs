// A child that finishes wakes its parent with its answer.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, OFFSET } from '../harness/like.mjs'
import { change, finish, run, world } from '../harness/world.mjs'

// A parent without an agent, and a child of it that has been claimed. What wakes the parent stands on its stream.
async function family(t, { wake = {}, ...child } = {}) {
  const w = await world(t)
  await w.type()
  const parent = await w.spawn(w.name, 'parent')
  const work = await w.working(w.name, 'child', {
    parent: parent.url,
    wake: { subscriberUrl: parent.url, condition: 'runFinished', ...wake },
    ...child,
  })
  const wakes = () => w.events(parent.url, 'wake')
  return { w, parent: parent.url, work, wakes }
}

test('the wake row carries the child and its response', async (t) => {
  const { w, work, wakes } = await family(t)
  await work.append(run('run-0', 'hello world'))
  const [row, ...more] = await wakes()
  assert.deepEqual(more, [])
  like(row, {
    type: 'wake',
    key: /^wake-\d+-.+$/,
    value: {
      timestamp: ISO,
      source: work.entity,
      timeout: false,
      changes: [{ collection: 'runs', kind: 'update', key: 'run-0' }],
      finished_child: { url: work.entity, type: w.name, run_status: 'completed', response: 'hello world' },
    },
    headers: { operation: 'insert', offset: OFFSET },
  })
})

test('the parent’s agent is woken by it', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const parent = await w.spawn(w.name, 'parent', { dispatch_policy: hook.policy })
  const work = await w.working(w.name, 'child', {
    parent: parent.url,
    wake: { subscriberUrl: parent.url, condition: 'runFinished' },
  })
  await work.append(run('run-0', '42'))
  const woken = await w.woken(hook)
  assert.equal(woken.entity, parent.url)
  assert.equal(woken.offset, (await w.events(parent.url, 'wake'))[0].headers.offset)
})

const delta = (run_id, text) => change('text_delta', `${run_id}:${text}`, { run_id, delta: text })
const failure = (run_id, message) => change('error', `${run_id}:${message}`, { run_id, message })

// What the child writes, in appends, and the finished_child that comes of it (with the child's url and type).
const responses = [
  ['text is joined in stream order', [[delta('r', 'a')], [delta('r', 'b'), delta('r', 'c'), finish('r')]], { run_status: 'completed', response: 'abc' }],
  ['only this run’s text counts', [[delta('q', 'x'), delta('r', 'a'), change('text_delta', 'k', { delta: 'y' }), finish('r')]], { run_status: 'completed', response: 'a' }],
  ['without text there is no response', [[finish('r')]], { run_status: 'completed' }],
  ['an empty text is none', [[delta('r', ''), finish('r')]], { run_status: 'completed' }],
  ['a failed run brings its errors', [[failure('r', 'no'), failure('q', 'other'), change('error', 'k', { message: 'unscoped' }), failure('r', 'way'), finish('r', 'failed')]], { run_status: 'failed', error: 'no\nway' }],
  ['a failed run brings its text too', [[delta('r', 'so far'), failure('r', 'oh'), finish('r', 'failed')]], { run_status: 'failed', response: 'so far', error: 'oh' }],
  ['a failed run without errors has none', [[finish('r', 'failed')]], { run_status: 'failed' }],
  ['a completed run has no errors', [[failure('r', 'recovered'), delta('r', 'fine'), finish('r')]], { run_status: 'completed', response: 'fine' }],
]
for (const [what, appends, expected] of responses) {
  test(`finished_child: ${what}`, async (t) => {
    const { w, work, wakes } = await family(t)
    for (const events of appends) await work.append(events)
    const rows = await wakes()
    assert.equal(rows.length, 1)
    assert.deepEqual(rows[0].value.finished_child, { url: work.entity, type: w.name, ...expected })
  })
}

test('includeResponse false leaves the response out', async (t) => {
  const { w, work, wakes } = await family(t, { wake: { includeResponse: false } })
  await work.append(run('run-0', 'secret'))
  assert.deepEqual((await wakes())[0].value.finished_child, { url: work.entity, type: w.name, run_status: 'completed' })
})

test('who is not the parent is told that a run ended, not what it said', async (t) => {
  const { w, work } = await family(t)
  const { url } = await w.spawn(w.name, 'observer')
  await w.observe(url, work.entity, 'runFinished')
  await work.append(run('run-0', 'secret'))
  const [row] = await w.events(url, 'wake')
  like(row.value, {
    timestamp: ISO,
    source: work.entity,
    timeout: false,
    changes: [{ collection: 'runs', kind: 'update', key: 'run-0' }],
  })
})

const nothing = [
  ['a run that is inserted as completed', change('run', 'r', { status: 'completed' })],
  ['a run that goes on', finish('r', 'started')],
  ['another type', { ...finish('r'), type: 'step' }],
  ['a run without an operation', { ...finish('r'), headers: {} }],
]
for (const [what, event] of nothing) {
  test(`runFinished does not match ${what}`, async (t) => {
    const { work, wakes } = await family(t)
    await work.append([event])
    assert.deepEqual(await wakes(), [])
  })
}

test('a run without a key is called run', async (t) => {
  const { work, wakes } = await family(t)
  await work.append([{ type: 'run', value: { status: 'completed' }, headers: { operation: 'update' } }])
  assert.deepEqual((await wakes())[0].value.changes, [{ collection: 'runs', kind: 'update', key: 'run' }])
})

test('each run wakes once, also in one append', async (t) => {
  const { work, wakes } = await family(t)
  await work.append([...run('run-0', 'one'), ...run('run-1', 'two')])
  await work.append(run('run-2', 'three'))
  const rows = await wakes()
  assert.deepEqual(rows.map((row) => row.value.finished_child.response), ['one', 'two', 'three'])
  assert.equal(new Set(rows.map((row) => row.key)).size, 3)
})

test('a run that begins anew under its name has the answer of that time', async (t) => {
  const { work, wakes } = await family(t)
  await work.append(run('r', 'one'))
  await work.append([change('text_delta', 'k', { run_id: 'r', delta: 'between' })])
  await work.append(run('r', 'two'))
  assert.deepEqual((await wakes()).map((row) => row.value.finished_child.response), ['one', 'two'])
})

test('an answer is looked for in the first four megabytes of its run, and one with more behind them is marked', async (t) => {
  const { w, work, wakes } = await family(t)
  const [started] = run('r', '')
  await work.append([started, delta('r', 'early')])
  for (let n = 0; n < 5; n++) await work.append([change('note', `n${n}`, 'x'.repeat(1_000_000))])
  await work.append([delta('r', 'late'), finish('r')])
  const answer = { url: work.entity, type: w.name, run_status: 'completed', response: 'early', response_truncated: true }
  assert.deepEqual((await wakes())[0].value.finished_child, answer)
})

test('two children that finish together wake the parent with both', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const parent = await w.spawn(w.name, 'parent', { dispatch_policy: hook.policy })
  const wake = { subscriberUrl: parent.url, condition: 'runFinished' }
  const children = []
  for (const id of ['b', 'c']) children.push(await w.working(w.name, id, { parent: parent.url, wake }))
  await Promise.all(children.map((child) => child.append(run('run-0', child.entity))))

  const rows = await w.events(parent.url, 'wake')
  assert.deepEqual(rows.map((row) => row.value.finished_child.response).sort(), children.map((child) => child.entity))
  // One wake may serve both; if it served the first only, done announces the second.
  let served = 0
  for (let more = true; more; ) {
    const woken = await w.woken(hook)
    await woken.claim()
    served = rows.filter((row) => row.headers.offset <= woken.offset).length
    more = (await woken.done()).json.next_wake
  }
  assert.equal(served, 2)
})
