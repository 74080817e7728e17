// The published clients work against plain streams, unchanged: the stream client, and the state client on top of it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DurableStream, IdempotentProducer, StaleEpochError, stream } from '@durable-streams/client'
import { MaterializedState, createStateSchema } from '@durable-streams/state'
import { createStreamDB } from '@durable-streams/state/db'

import { world } from '../harness/world.mjs'

async function create(t, contentType = 'application/json', more = {}) {
  const w = await world(t)
  const url = `${w.url}/plain/${w.name}/s`
  const headers = { 'reveille-test-id': w.name }
  return [w, url, await DurableStream.create({ url, contentType, headers, ...more })]
}

const counted = (count) => Array.from({ length: count }, (_, n) => ({ n }))

// Writing.

test('the client creates, appends, reads, describes and deletes', async (t) => {
  const [w, url, handle] = await create(t)
  await handle.append(JSON.stringify({ n: 1 }))
  await handle.append(JSON.stringify({ n: 2 }))
  assert.deepEqual(await (await stream({ url, live: false })).json(), [{ n: 1 }, { n: 2 }])
  const head = await handle.head()
  assert.equal(head.offset, await w.tail(`/plain/${w.name}/s`))
  assert.equal(head.contentType, 'application/json')
  assert.deepEqual(await (await stream({ url, live: false, offset: head.offset })).json(), [])
  await handle.delete()
  assert.equal((await DurableStream.head({ url })).exists, false)
})

test('appends that the client is given together it sends together, in order', async (t) => {
  const [, url, handle] = await create(t)
  await Promise.all(counted(100).map((message) => handle.append(JSON.stringify(message))))
  assert.deepEqual(await (await stream({ url, live: false })).json(), counted(100))
})

test('the client creates a stream that lasts a while, with content, closed', async (t) => {
  const [w, url] = await create(t, 'text/plain', { ttlSeconds: 60, body: 'all there is', closed: true })
  const { headers } = await w.head(new URL(url).pathname)
  assert.deepEqual([headers['stream-ttl'], headers['stream-closed']], ['60', 'true'])
  assert.equal(await (await stream({ url, live: false })).text(), 'all there is')
  assert.equal((await DurableStream.head({ url })).streamClosed, true)
})

test('the client finds what exists, and is told what conflicts and what is missing', async (t) => {
  const [w, url] = await create(t)
  assert.equal((await DurableStream.connect({ url })).contentType, 'application/json')
  await assert.rejects(DurableStream.create({ url, contentType: 'text/plain' }), { status: 409 })
  await assert.rejects(stream({ url: `${w.url}/plain/${w.name}/none`, live: false }), { status: 404 })
})

test('the client pipes a stream of bytes', async (t) => {
  const [, url, handle] = await create(t, 'application/octet-stream')
  const pieces = [new Uint8Array([0, 255]), new Uint8Array([10, 13]), new Uint8Array(70_000).fill(7)]
  await handle.appendStream(ReadableStream.from(pieces))
  const bytes = await (await stream({ url, live: false })).body()
  assert.deepEqual(Buffer.from(bytes), Buffer.concat(pieces))
})

test('the client closes a stream, with last words, and is told when it is too late', async (t) => {
  const [w, url, handle] = await create(t)
  await handle.append('"first"')
  const { finalOffset } = await handle.close({ body: '"last"' })
  assert.equal(finalOffset, await w.tail(new URL(url).pathname))
  await assert.rejects(handle.append('"late"'), ({ status, headers }) => status === 409 && headers['stream-closed'] === 'true')
  assert.deepEqual(await (await stream({ url, live: true })).json(), ['first', 'last'])
})

// Producers.

function producing(handle, options) {
  const problems = []
  const producer = new IdempotentProducer(handle, 'p', { onError: (error) => problems.push(error), ...options })
  return [producer, problems]
}

for (const maxInFlight of [1, 5]) {
  test(`a producer with ${maxInFlight} requests in flight keeps its order`, async (t) => {
    const [, url, handle] = await create(t)
    const [producer, problems] = producing(handle, { maxInFlight, maxBatchBytes: 64, lingerMs: 0 })
    for (const message of counted(200)) producer.append(JSON.stringify(message))
    await producer.flush()
    assert.deepEqual(problems, [])
    assert.deepEqual(await (await stream({ url, live: false })).json(), counted(200))
  })
}

test('a second producer of the same name takes over, and the first is told', async (t) => {
  const [, url, handle] = await create(t)
  const [first, problems] = producing(handle, { epoch: 1 })
  first.append('"first"')
  await first.flush()
  const [second, none] = producing(handle, { autoClaim: true })
  second.append('"second"')
  await second.flush()
  assert.equal(second.epoch, 2)
  first.append('"zombie"')
  await first.flush().catch(() => {})
  assert.deepEqual([problems.map((problem) => problem.constructor), none], [[StaleEpochError], []])
  assert.deepEqual(await (await stream({ url, live: false })).json(), ['first', 'second'])
})

test('a producer that starts anew goes on under the next epoch', async (t) => {
  const [, url, handle] = await create(t)
  const [producer, problems] = producing(handle)
  producer.append('1')
  await producer.flush()
  await producer.restart()
  producer.append('2')
  const { finalOffset } = await producer.close('3')
  assert.deepEqual([producer.epoch, problems], [1, []])
  const read = await stream({ url, live: true })
  assert.deepEqual(await read.json(), [1, 2, 3])
  assert.equal(read.offset, finalOffset)
})

// Reading: what is there, what comes, and the end.

const kinds = {
  json: {
    type: 'application/json',
    sent: ['{"n":1}', '[2]', '"three"', '{"big":1.5}'],
    whole: [{ n: 1 }, [2], 'three', { big: 1.5 }],
    read: (session) => session.json(),
    follow: (session, seen) => session.subscribeJson(({ items }) => void seen.push(...items)),
    join: (seen) => seen,
  },
  text: {
    type: 'text/plain',
    sent: ['Once', ' upon a', ' time,\n', '  it was: "é😀"\n\n'],
    whole: 'Once upon a time,\n  it was: "é😀"\n\n',
    read: (session) => session.text(),
    follow: (session, seen) => session.subscribeText(({ text }) => void seen.push(text)),
    join: (seen) => seen.join(''),
  },
  bytes: {
    type: 'application/octet-stream',
    sent: [Buffer.from([0]), Buffer.from('\r\n\n'), Buffer.from(Array.from({ length: 256 }, (_, n) => n)), Buffer.from([255])],
    whole: Buffer.from([0, 13, 10, 10, ...Array.from({ length: 256 }, (_, n) => n), 255]),
    read: async (session) => Buffer.from(await session.body()),
    follow: (session, seen) => session.subscribeBytes(({ data }) => void seen.push(data)),
    join: (seen) => Buffer.concat(seen),
  },
}
for (const [kind, { type, sent, whole, read, follow, join }] of Object.entries(kinds)) {
  test(`the client reads what is there: ${kind}`, async (t) => {
    const [, url, handle] = await create(t, type)
    for (const body of sent) await handle.append(body)
    const session = await stream({ url, live: false })
    assert.deepEqual(await read(session), whole)
    assert.equal(session.upToDate, true)
    assert.equal(session.streamClosed, false)
    assert.equal(session.offset, (await handle.head()).offset)
  })

  for (const live of ['long-poll', 'sse']) {
    test(`the client follows to the end by ${live}: ${kind}`, async (t) => {
      const [w, url, handle] = await create(t, type)
      await handle.append(sent[0])
      const session = await stream({ url, live, offset: '-1' })
      const seen = []
      follow(session, seen)
      for (const body of sent.slice(1)) await handle.append(body)
      await handle.close()
      await session.closed
      // The session ends when all has come; the client hands the last of it over afterwards.
      await w.eventually(() => assert.deepEqual(join(seen), whole))
      assert.equal(session.streamClosed, true)
      assert.equal(session.offset, (await handle.head()).offset)
    })
  }
}

test('the client follows a fork over the place where it branched', async (t) => {
  const [w, url, handle] = await create(t)
  await handle.append('"inherited"')
  const fork = `${url}-fork`
  await w.http('PUT', new URL(fork).pathname, { headers: { 'stream-forked-from': new URL(url).pathname } })
  const session = await stream({ url: fork, live: 'sse', offset: '-1' })
  const seen = []
  session.subscribeJson(({ items }) => void seen.push(...items))
  await handle.append('"not mine"')
  await new DurableStream({ url: fork, contentType: 'application/json' }).close({ body: '"mine"' })
  await session.closed
  assert.deepEqual(seen, ['inherited', 'mine'])
})

// State.

const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
const schema = createStateSchema({
  users: { schema: anything, type: 'user', primaryKey: 'id' },
  notes: { schema: anything, type: 'note', primaryKey: 'id' },
})
const ann = { id: 'ann', name: 'Ann' }

test('state is materialised from what a stream holds', async (t) => {
  const [, url, handle] = await create(t)
  for (const event of [
    schema.users.insert({ value: ann }),
    schema.notes.insert({ value: { id: '1', text: 'a' } }),
    schema.users.update({ value: { ...ann, name: 'Anna' } }),
    schema.notes.delete({ key: '1' }),
    schema.notes.upsert({ value: { id: '2', text: 'b' } }),
  ]) {
    await handle.append(JSON.stringify(event))
  }
  const state = new MaterializedState()
  const events = await (await stream({ url, live: false })).json()
  state.applyBatch(events)
  assert.deepEqual(state.get('user', 'ann'), { ...ann, name: 'Anna' })
  assert.deepEqual([...state.getType('note').keys()], ['2'])
  assert.equal(events.at(-1).headers.offset, (await handle.head()).offset)
})

for (const live of ['long-poll', 'sse']) {
  test(`a database follows its stream by ${live}, and confirms a transaction when it comes back`, async (t) => {
    const [, url, handle] = await create(t)
    await handle.append(JSON.stringify(schema.users.insert({ value: ann })))
    const db = createStreamDB({ streamOptions: { url, contentType: 'application/json' }, live, state: schema })
    t.after(() => db.close())
    await db.preload()
    assert.deepEqual(db.collections.users.get('ann').name, 'Ann')

    const txid = 'tx-1'
    const confirmed = db.utils.awaitTxId(txid, 5_000)
    await handle.append(JSON.stringify(schema.users.update({ value: { ...ann, name: 'Anna' }, headers: { txid } })))
    await confirmed
    assert.equal(db.collections.users.get('ann').name, 'Anna')
    assert.equal(db.offset, (await handle.head()).offset)
  })
}

test('a database that changes at once writes to the stream, and others see it', async (t) => {
  const [, url] = await create(t)
  const open = (actions) => {
    const db = createStreamDB({ streamOptions: { url, contentType: 'application/json' }, live: 'sse', state: schema, actions })
    t.after(() => db.close())
    return db
  }
  const mine = open(({ db, stream: target }) => ({
    addUser: {
      onMutate: (user) => db.collections.users.insert(user),
      mutationFn: async (user) => {
        const txid = `add-${user.id}`
        await target.append(JSON.stringify(schema.users.insert({ value: user, headers: { txid } })))
        await db.utils.awaitTxId(txid, 5_000)
      },
    },
  }))
  const theirs = open()
  await Promise.all([mine.preload(), theirs.preload()])
  const seen = theirs.utils.awaitTxId('add-ann', 5_000)
  await mine.actions.addUser(ann).isPersisted.promise
  await seen
  assert.equal(mine.collections.users.get('ann').name, 'Ann')
  assert.equal(theirs.collections.users.get('ann').name, 'Ann')
})
