// A killed entity takes nothing more: its stream is closed, its claim is dead, its wakes are gone.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, MS, OFFSET } from '../harness/like.mjs'
import { change, world } from '../harness/world.mjs'

test('a kill answers with a txid and leaves its signal as the last event', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  const answer = await w.delete(`/_electric/entities${url}`)
  assert.equal(answer.status, 200, answer.text)
  like(answer.json, { txid: MS })
  assert.equal((await w.entity(url)).status, 'killed')

  const whole = await w.get(`${url}/main?offset=-1`)
  assert.equal(whole.headers['stream-closed'], 'true')
  const last = whole.json.at(-1)
  like(last, {
    type: 'signal',
    key: /^sig-\d+-[0-9a-f]{8}$/,
    value: {
      signal: 'SIGKILL',
      status: 'handled',
      sender: '/_electric/server',
      timestamp: ISO,
      reason: 'Legacy kill command',
      handled_at: last.value.timestamp,
      handled_by: '/_electric/server',
      outcome: 'transitioned',
      previous_state: 'idle',
      new_state: 'killed',
    },
    headers: { operation: 'insert', timestamp: last.value.timestamp, txid: String(answer.json.txid), offset: OFFSET },
  })
})

test('a killed entity refuses sends, appends, claims and another kill', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  const { url } = { url: work.entity }
  await w.delete(`/_electric/entities${url}`)
  const last = (await w.events(url)).at(-1)
  assert.equal(last.value.previous_state, 'running')

  const sent = await w.post(`/_electric/entities${url}/send`, { payload: 1 })
  assert.equal(sent.status, 409)
  assert.deepEqual(sent.json.error, { code: 'NOT_RUNNING', message: 'Entity is not accepting writes' })
  const later = await w.post(`/_electric/entities${url}/send`, { payload: 1, afterMs: 5 })
  assert.equal(later.status, 409)

  const written = await work.write([change('note', 'n', {})])
  assert.equal(written.status, 401)
  assert.equal(written.json.error.message, 'Invalid write token')
  assert.ok((await work.callback({ epoch: 1, wakeId: work.body.wakeId })).status >= 400)

  const again = await w.delete(`/_electric/entities${url}`)
  assert.equal(again.status, 409)
  assert.deepEqual(again.json.error, { code: 'INVALID_SIGNAL', message: 'Cannot signal a killed entity' })

  // Its lease runs out without a word.
  await w.advance(120_000)
  assert.equal(work.hook.all.length, 1)
  assert.equal((await w.entity(url)).status, 'killed')
  assert.deepEqual((await w.events(url)).at(-1), last)
})

test('a killed entity stays readable, and its name taken', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  await w.delete(`/_electric/entities${url}`)
  assert.equal((await w.get(`/_electric/entities?type=${w.name}&status=killed`)).json[0].url, url)
  assert.equal((await w.put(`/_electric/entities${url}`, {})).status, 409)
})

test('a kill drops the wakes that the entity has and those that others have on it', async (t) => {
  const w = await world(t)
  await w.type()
  const source = await w.working(w.name, 'source')
  const dead = await w.spawn(w.name, 'dead')
  const alive = await w.spawn(w.name, 'alive')
  for (const { url } of [dead, alive]) await w.observe(url, source.entity, { on: 'change' })
  await w.delete(`/_electric/entities${dead.url}`)
  await source.append([change('note', 'n', {})])
  assert.deepEqual(await w.events(dead.url, 'wake'), [])
  assert.equal((await w.events(alive.url, 'wake')).length, 1)
})

test('children outlive their parent', async (t) => {
  const w = await world(t)
  await w.type()
  const parent = await w.spawn(w.name, 'parent')
  const child = await w.spawn(w.name, 'child', { parent: parent.url })
  await w.delete(`/_electric/entities${parent.url}`)
  assert.equal((await w.entity(child.url)).status, 'idle')
})
