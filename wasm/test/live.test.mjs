// Live reads: what moves reaches who waits, and who goes leaves nothing behind.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { events, pause, reveille } from './fixture.mjs'

const waitingFor = (w, path, headers) => w.ask('GET', `${path}?offset=now&live=long-poll`, undefined, headers)

test('a long-poll is answered by the append that it waits for', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  const polls = [waitingFor(w, '/s'), waitingFor(w, '/s')]
  await pause(5)
  await w.ask('POST', '/s', [1, 2])
  for (const answer of await Promise.all(polls)) {
    assert.equal(answer.status, 200)
    assert.deepEqual(await answer.json(), [1, 2])
  }
})

test('a long-poll for which nothing comes ends when its time is over', async (t) => {
  const w = reveille(t, { longPoll: 30 })
  await w.stream('/s')
  const start = Date.now()
  assert.equal((await waitingFor(w, '/s')).status, 204)
  assert.ok(Date.now() - start >= 29)
})

test('a follower is sent what comes, in order, and is let go when its time is over', async (t) => {
  const w = reveille(t, { sse: 150 })
  await w.stream('/s')
  const answer = await w.ask('GET', '/s?offset=-1&live=sse')
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  const reader = events(answer)
  assert.equal((await reader.next()).data.upToDate, true)
  const sent = Array.from({ length: 50 }, (_, n) => n)
  await Promise.all(sent.map((n) => w.ask('POST', '/s', [n])))
  const seen = []
  for (let event = await reader.next(); event; event = await reader.next()) if (event.event === 'data') seen.push(...event.data)
  assert.deepEqual(seen, sent)
})

test('a follower who is slow is not read ahead for, and misses nothing', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  const answer = await w.ask('GET', '/s?offset=-1&live=sse')
  const text = 'x'.repeat(300_000)
  for (let n = 0; n < 12; n++) assert.ok((await w.ask('POST', '/s', [text])).ok)
  const reader = events(answer)
  let messages = 0
  while (messages < 12) {
    const event = await reader.next()
    if (event.event === 'data') messages += event.data.length
  }
  await reader.cancel()
})

test('a follower who leaves is forgotten', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  const reader = events(await w.ask('GET', '/s?offset=-1&live=sse'))
  await reader.next()
  await reader.cancel()
  const gone = new AbortController()
  const poll = waitingFor(w, '/s', { signal: gone.signal })
  await pause(5)
  gone.abort()
  await Promise.race([poll, pause(1_000).then(() => assert.fail('the poll still waits'))])
  assert.ok((await w.ask('POST', '/s', [1])).ok)
  assert.deepEqual(w.problems, [])
})

test('a stream that is deleted lets its readers go', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  const poll = waitingFor(w, '/s')
  await pause(5)
  await w.ask('DELETE', '/s')
  assert.equal((await poll).status, 404)
})

test('an open follower ends when the router closes', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  const reader = events(await w.ask('GET', '/s?offset=-1&live=sse'))
  await reader.next()
  await w.router.close()
  assert.equal(await reader.next(), undefined)
})
