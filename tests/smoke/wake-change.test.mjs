// A change on a source wakes those who observe it, if the condition matches: a table of what does.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, OFFSET } from '../harness/like.mjs'
import { change, run, world } from '../harness/world.mjs'

async function observed(t, ...conditions) {
  const w = await world(t)
  await w.type()
  const observer = await w.spawn(w.name, 'observer')
  const work = await w.working(w.name, 'source')
  for (const condition of conditions) await w.observe(observer.url, work.entity, condition)
  const changes = async () => (await w.events(observer.url, 'wake')).map((row) => row.value.changes)
  return { w, observer: observer.url, work, changes }
}

const todo = (operation, value) => change('state:todos', 't1', value, operation)

// condition, event, the change that it makes or undefined
const matches = [
  [{}, todo('insert', { a: 1 }), { collection: 'state:todos', kind: 'insert', key: 't1' }],
  [{}, todo('update', { a: 1 }), { collection: 'state:todos', kind: 'update', key: 't1' }],
  [{}, todo('delete'), { collection: 'state:todos', kind: 'delete', key: 't1' }],
  [{}, todo('upsert', {}), { collection: 'state:todos', kind: 'insert', key: 't1' }],
  [{}, { type: 'x', key: 'k', value: {} }, { collection: 'x', kind: 'insert', key: 'k' }],
  [{}, { type: 'x', value: {}, headers: { operation: 'insert' } }, { collection: 'x', kind: 'insert', key: '' }],
  [{}, { key: 'k', value: {}, headers: { operation: 'insert' } }, undefined],
  [{}, { type: '', key: 'k', headers: { operation: 'insert' } }, undefined],
  [{}, { type: 5, key: 'k', headers: { operation: 'insert' } }, undefined],
  [{ collections: [] }, todo('insert', {}), { collection: 'state:todos', kind: 'insert', key: 't1' }],
  [{ collections: ['state:todos'] }, todo('insert', {}), { collection: 'state:todos', kind: 'insert', key: 't1' }],
  [{ collections: ['todos'] }, todo('insert', {}), undefined],
  [{ collections: ['runs'] }, change('run', 'r', {}, 'update'), undefined],
  [{ collections: ['run'] }, change('run', 'r', {}, 'update'), { collection: 'run', kind: 'update', key: 'r' }],
  [{ ops: [] }, todo('delete'), { collection: 'state:todos', kind: 'delete', key: 't1' }],
  [{ ops: ['update', 'delete'] }, todo('insert', {}), undefined],
  [{ ops: ['insert'] }, todo('upsert', {}), { collection: 'state:todos', kind: 'insert', key: 't1' }],
  [{ collections: ['state:todos'], ops: ['update'] }, todo('update', {}), { collection: 'state:todos', kind: 'update', key: 't1' }],
  [{ collections: ['other'], ops: ['update'] }, todo('update', {}), undefined],
  [{}, todo('update', { value: { n: 1 }, oldValue: 0, old_value: 9 }), { collection: 'state:todos', kind: 'update', key: 't1', value: { n: 1 }, oldValue: 0 }],
  [{}, todo('update', { value: null, old_value: [1] }), { collection: 'state:todos', kind: 'update', key: 't1', value: null, oldValue: [1] }],
  [{}, todo('update', 'value'), { collection: 'state:todos', kind: 'update', key: 't1' }],
  [{}, { ...todo('update', {}), old_value: { n: 1 } }, { collection: 'state:todos', kind: 'update', key: 't1' }],
]
for (const [[condition, event, expected], n] of matches.map((row, n) => [row, n])) {
  const told = expected ? `wakes with ${JSON.stringify(expected)}` : 'wakes nobody'
  test(`change ${n}: ${JSON.stringify(condition)} and ${JSON.stringify(event)} ${told}`, async (t) => {
    const { work, changes } = await observed(t, { on: 'change', ...condition })
    await work.append([event])
    assert.deepEqual(await changes(), expected ? [[expected]] : [])
  })
}

test('the wake row of a change', async (t) => {
  const { w, observer, work } = await observed(t, { on: 'change' })
  await work.append([todo('insert', {})])
  like(await w.events(observer, 'wake'), [
    {
      type: 'wake',
      key: /^wake-\d+-.+$/,
      value: {
        timestamp: ISO,
        source: work.entity,
        timeout: false,
        changes: [{ collection: 'state:todos', kind: 'insert', key: 't1' }],
      },
      headers: { operation: 'insert', offset: OFFSET },
    },
  ])
})

test('two appends that update the same row wake twice', async (t) => {
  const { w, observer, work, changes } = await observed(t, { on: 'change' })
  await work.append([todo('update', { n: 1 })])
  await work.append([todo('update', { n: 2 })])
  assert.equal((await changes()).length, 2)
  const keys = (await w.events(observer, 'wake')).map((row) => row.key)
  assert.equal(new Set(keys).size, 2)
  assert.equal(keys[0].split('-')[1], keys[1].split('-')[1], 'the same registration')
})

test('one append that updates a row twice wakes twice, in order', async (t) => {
  const { work, changes } = await observed(t, { on: 'change' })
  await work.append([todo('update', { value: 1 }), todo('update', { value: 2 }), change('other', 'o', {})])
  assert.deepEqual((await changes()).flat().map(({ value }) => value), [1, 2, undefined])
})

test('an append that is repeated wakes once', async (t) => {
  const { work, changes } = await observed(t, { on: 'change' })
  const headers = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }
  assert.equal((await work.append([todo('update', {})], headers)).status, 200)
  assert.equal((await work.append([todo('update', {})], headers)).status, 204)
  assert.equal((await changes()).length, 1)
})

test('an append that is refused wakes nobody', async (t) => {
  const { work, changes } = await observed(t, { on: 'change' })
  assert.equal((await work.write([todo('update', {})], { authorization: 'Bearer nonsense' })).status, 401)
  assert.equal((await work.write('[{"type":"x"},')).status, 400)
  assert.deepEqual(await changes(), [])
})

test('a send wakes whoever names the inbox, with the message', async (t) => {
  const { w, observer, work } = await observed(t, { on: 'change', collections: ['inbox'] })
  await w.send(work.entity, { text: 'hi' }, { key: 'm1', type: 'q' })
  const [row] = await w.events(observer, 'wake')
  const from = '/principal/system%3Adev-local'
  like(row.value.changes, [
    { collection: 'inbox', kind: 'insert', key: 'm1', from, from_principal: from, payload: { text: 'hi' }, timestamp: ISO, message_type: 'q' },
  ])
})

test('a send wakes nobody who names nothing, or something else', async (t) => {
  const { w, work, changes } = await observed(t, { on: 'change' }, { on: 'change', collections: ['run'] }, 'runFinished')
  await w.send(work.entity, 1)
  await w.send(work.entity, 1, { afterMs: 10 })
  await w.advance(10)
  assert.deepEqual(await changes(), [])
})

test('a delayed send wakes when it arrives', async (t) => {
  const { w, work, changes } = await observed(t, { on: 'change', collections: ['inbox'] })
  await w.send(work.entity, 1, { afterMs: 10 })
  assert.deepEqual(await changes(), [])
  await w.advance(10)
  assert.equal((await changes()).length, 1)
})

test('wake rows wake nobody', async (t) => {
  const { w, observer, work, changes } = await observed(t, { on: 'change' })
  const { url } = await w.spawn(w.name, 'onlooker')
  await w.observe(url, observer, { on: 'change' })
  await w.observe(url, observer, { on: 'change', collections: ['wake'] })
  await work.append([todo('insert', {})])
  assert.equal((await changes()).length, 1)
  assert.deepEqual(await w.events(url, 'wake'), [])
})

test('an append to a plain stream wakes its observers', async (t) => {
  const { w, observer } = await observed(t)
  const source = `/plain/${w.name}/s`
  await w.http('PUT', source, { headers: { 'content-type': 'application/json' } })
  await w.observe(observer, source, { on: 'change', collections: ['tick'] })
  await w.post(source, [change('tick', 'a', {}), change('tock', 'b', {})])
  const [row, ...more] = await w.events(observer, 'wake')
  assert.deepEqual(more, [])
  assert.equal(row.value.source, source)
  assert.deepEqual(row.value.changes, [{ collection: 'tick', kind: 'insert', key: 'a' }])
})

test('an entity is not woken by what it wrote under its own claim, others are', async (t) => {
  const { w, work, changes } = await observed(t, { on: 'change' })
  await w.observe(work.entity, work.entity, { on: 'change' })
  await w.observe(work.entity, work.entity, 'runFinished')
  await work.append([todo('insert', {}), ...run('run-0', 'x')])
  assert.equal((await changes()).length, 4)
  assert.deepEqual(await w.events(work.entity, 'wake'), [])
  assert.equal((await work.done()).json.next_wake, false)
})

test('an entity is woken by what others send it, if it asked for that', async (t) => {
  const { w, observer } = await observed(t)
  await w.observe(observer, observer, { on: 'change', collections: ['inbox'] })
  await w.send(observer, 1)
  assert.equal((await w.events(observer, 'wake')).length, 1)
})

test('everyone who observes is woken', async (t) => {
  const { w, work } = await observed(t)
  const urls = []
  for (let n = 0; n < 10; n++) {
    urls.push((await w.spawn(w.name, `o${n}`)).url)
    await w.observe(urls[n], work.entity, { on: 'change' })
  }
  await work.append([todo('insert', {})])
  for (const url of urls) assert.equal((await w.events(url, 'wake')).length, 1)
})

test('more observers than one transaction takes are all woken, in the order of their registration', async (t) => {
  const { w, observer, work } = await observed(t)
  const keys = Array.from({ length: 300 }, (_, n) => `k${n}`)
  await Promise.all(keys.map((manifestKey) => w.observe(observer, work.entity, { on: 'change' }, { manifestKey })))
  await work.append([todo('insert', {})])
  await w.advance(1_000)
  const registrations = (await w.events(observer, 'wake')).map((row) => Number(row.key.split('-')[1]))
  assert.equal(new Set(registrations).size, keys.length)
  assert.deepEqual(registrations, registrations.toSorted((a, b) => a - b))
})
