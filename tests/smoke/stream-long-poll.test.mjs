// A long-poll answers at once when there is something, and otherwise when something comes or its time is over.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { START } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

async function stream(t, options) {
  const w = await world(t, options)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
  const poll = (offset, more = '') => w.get(`${path}?offset=${offset}&live=long-poll${more}`)
  return [w, path, poll]
}

test('what is there already is answered at once, with a cursor', async (t) => {
  const [w, path, poll] = await stream(t)
  await w.post(path, ['a'])
  const answer = await poll('-1')
  assert.equal(answer.status, 200)
  assert.deepEqual(answer.json, ['a'])
  assert.match(answer.headers['stream-cursor'], /^\d+$/)
  assert.equal(answer.headers['stream-up-to-date'], 'true')
})

for (const from of [START, '-1', 'now', '9999999999999999_9999999999999999']) {
  test(`a reader that waits from ${from} gets what comes`, async (t) => {
    const [w, path, poll] = await stream(t)
    const waiting = poll(from)
    await w.settle()
    const { headers } = await w.post(path, ['a', 'b'])
    const answer = await waiting
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.json, ['a', 'b'])
    assert.equal(answer.headers['stream-next-offset'], headers['stream-next-offset'])
  })
}

test('many readers that wait all get the same bytes', async (t) => {
  const [w, path, poll] = await stream(t)
  const waiting = Array.from({ length: 20 }, () => poll(START))
  await w.settle()
  await w.post(path, { headers: { operation: 'insert' }, n: 12345 })
  const answers = await Promise.all(waiting)
  assert.equal(new Set(answers.map((answer) => answer.text)).size, 1)
  assert.equal(answers[0].json[0].headers.offset, answers[0].headers['stream-next-offset'])
})

test('when nothing comes in 30 s, the reader is sent away with its own offset', async (t) => {
  const [w, path, poll] = await stream(t)
  await w.post(path, ['a'])
  const tail = await w.tail(path)
  const waiting = poll(tail)
  await w.settle()
  await w.advance(29_000)
  assert.equal(await Promise.race([waiting, w.settle()]), undefined)
  const answer = await w.advanceUntil(waiting, { step: 1_000, steps: 40 })
  assert.equal(answer.status, 204)
  assert.equal(answer.text, '')
  assert.equal(answer.headers['stream-next-offset'], tail)
  assert.equal(answer.headers['stream-up-to-date'], 'true')
  assert.match(answer.headers['stream-cursor'], /^\d+$/)
})

test('a cursor never stands still', async (t) => {
  const [w, path, poll] = await stream(t)
  await w.post(path, ['a'])
  const first = Number((await poll('-1')).headers['stream-cursor'])
  const second = Number((await poll('-1', `&cursor=${first}`)).headers['stream-cursor'])
  assert.ok(second > first, `${first} then ${second}`)
  const third = Number((await poll('-1', '&cursor=nonsense')).headers['stream-cursor'])
  assert.ok(third >= first)
})

test('a reader that waits hears of the end', async (t) => {
  const [w, path, poll] = await stream(t)
  const waiting = poll(START)
  await w.settle()
  await w.http('POST', path, { headers: { 'stream-closed': 'true' } })
  const answer = await waiting
  assert.equal(answer.status, 204)
  assert.equal(answer.headers['stream-closed'], 'true')
  assert.equal(answer.headers['stream-next-offset'], START)
  const late = await poll(START)
  assert.equal(late.status, 204)
  assert.equal(late.headers['stream-closed'], 'true')
})

test('a reader that waits hears that the stream was deleted', async (t) => {
  const [w, path, poll] = await stream(t)
  const waiting = poll(START)
  await w.settle()
  await w.delete(path)
  assert.equal((await waiting).status, 404)
})

test('how long a reader waits is an option of the server', async (t) => {
  const [w, , poll] = await stream(t, { host: await startHost({ args: ['--long-poll', 1_500] }) })
  const waiting = poll(START)
  await w.settle()
  await w.advance(1_499)
  assert.equal(await Promise.race([waiting, w.settle()]), undefined)
  await w.advance(1)
  assert.equal((await waiting).status, 204)
})
