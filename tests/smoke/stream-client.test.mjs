// The published Durable Streams client works against plain streams, unchanged.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DurableStream, IdempotentProducer, stream } from '@durable-streams/client'

import { world } from '../harness/world.mjs'

async function create(t, contentType = 'application/json') {
  const w = await world(t)
  const url = `${w.url}/plain/${w.name}/s`
  const headers = { 'reveille-test-id': w.name }
  return [w, url, await DurableStream.create({ url, contentType, headers })]
}

test('the client creates, appends, reads, describes and deletes', async (t) => {
  const [w, url, handle] = await create(t)
  await handle.append(JSON.stringify({ n: 1 }))
  await handle.append(JSON.stringify({ n: 2 }))
  assert.deepEqual(await (await stream({ url, live: false })).json(), [{ n: 1 }, { n: 2 }])
  const head = await handle.head()
  assert.equal(head.offset, await w.tail(`/plain/${w.name}/s`))
  assert.deepEqual(await (await stream({ url, live: false, offset: head.offset })).json(), [])
  await handle.delete()
  assert.equal((await DurableStream.head({ url })).exists, false)
})

test('the client’s producer batches and is idempotent', async (t) => {
  const [, url, handle] = await create(t)
  const problems = []
  const producer = new IdempotentProducer(handle, 'p', { autoClaim: true, onError: (error) => problems.push(error) })
  for (let n = 0; n < 50; n++) producer.append(JSON.stringify({ n }))
  await producer.flush()
  assert.deepEqual(problems, [])
  const read = await (await stream({ url, live: false })).json()
  assert.deepEqual(read.map(({ n }) => n), Array.from({ length: 50 }, (_, n) => n))
})

test('a second producer of the same name takes over', async (t) => {
  const [, url, handle] = await create(t)
  for (const who of ['first', 'second']) {
    const problems = []
    const producer = new IdempotentProducer(handle, 'p', { epoch: who === 'first' ? 1 : 0, autoClaim: true, onError: (error) => problems.push(error) })
    producer.append(JSON.stringify(who))
    await producer.flush()
    assert.deepEqual(problems, [])
  }
  assert.deepEqual(await (await stream({ url, live: false })).json(), ['first', 'second'])
})

for (const live of ['long-poll', 'sse']) {
  test(`the client follows by ${live}`, async (t) => {
    const [, url, handle] = await create(t)
    await handle.append(JSON.stringify({ n: 0 }))
    const session = await stream({ url, live, offset: '-1' })
    const reader = session.jsonStream().getReader()
    t.after(() => session.cancel?.())
    const seen = [(await reader.read()).value]
    for (let n = 1; n < 4; n++) {
      await handle.append(JSON.stringify({ n }))
      seen.push((await reader.read()).value)
    }
    assert.deepEqual(seen, [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }])
    await handle.close()
    assert.equal((await reader.read()).done, true)
  })
}

test('the client reads text and octets', async (t) => {
  const [, url, handle] = await create(t, 'text/plain')
  await handle.append('héllo\n')
  await handle.append('wörld')
  assert.equal(await (await stream({ url, live: false })).text(), 'héllo\nwörld')
})
