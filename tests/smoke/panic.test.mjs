// A command that panics harms no other; a timer whose handler panics stops no other timer.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const panic = (w) => w.post('/_reveille/dev/panic', '')

test('a command that panics is answered 500, and the server goes on', async (t) => {
  const w = await world(t)
  await w.type()
  const before = await w.spawn(w.name, 'before')
  const answer = await panic(w)
  assert.equal(answer.status, 500)
  assert.deepEqual(answer.json, { error: { code: 'INTERNAL_SERVER_ERROR', message: 'Internal server error' } })
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal((await w.get('/_electric/health')).status, 200)
  assert.equal((await w.entity(before.url)).status, 'idle')
  const after = await w.spawn(w.name, 'after')
  assert.ok(after.txid > before.txid)
})

test('the commands of the same batch are unharmed', async (t) => {
  const w = await world(t)
  await w.type()
  const commands = []
  for (let n = 0; n < 30; n++) {
    commands.push(w.spawn(w.name, `e${n}`, { initialMessage: n }))
    if (n % 10 === 5) commands.push(panic(w))
  }
  const answers = await Promise.all(commands)
  assert.equal(answers.filter((answer) => answer.status === 500).length, 3)
  for (let n = 0; n < 30; n++) {
    assert.deepEqual((await w.events(`/${w.name}/e${n}`)).map((event) => event.type), ['entity_created', 'inbox'])
  }
})

test('live reads outlive a panic', async (t) => {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
  const reader = await w.follow(`${path}?offset=-1&live=sse`)
  await reader.next()
  await panic(w)
  await w.post(path, ['still here'])
  assert.deepEqual((await reader.next()).data, ['still here'])
})

test('a timer whose handler panics stops no other timer', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const timer = async (in_ms) => {
    const answer = await w.post('/_reveille/dev/timer', { in_ms, panic: true })
    assert.equal(answer.status, 204, answer.text)
  }
  await w.send(url, 'before', { afterMs: 999 })
  await timer(1_000)
  await w.send(url, 'with', { afterMs: 1_000 })
  await timer(1_000)
  await w.send(url, 'after', { afterMs: 1_001 })
  await w.advance(1_000)
  await w.advance(1)
  const payloads = async () => (await w.events(url, 'inbox')).map((event) => event.value.payload)
  assert.deepEqual(await payloads(), ['before', 'with', 'after'])

  // However often it is tried again, and after it has been given up.
  await w.send(url, 'next', { afterMs: 5_000 })
  await w.advance(5_000)
  await w.advance(86_400_000)
  await w.send(url, 'last', { afterMs: 1 })
  await w.advance(1)
  assert.deepEqual(await payloads(), ['before', 'with', 'after', 'next', 'last'])
})
