// The native host shows on /metrics what everyone will need to watch, and counts what must not pass unseen.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hostName } from '../harness/host.mjs'
import { world } from '../harness/world.mjs'

const native = { skip: hostName !== 'native' && 'only the native host has /metrics' }

async function metrics(w) {
  const answer = await w.get('/metrics')
  assert.equal(answer.status, 200)
  assert.match(answer.headers['content-type'], /^text\/plain/)
  const lines = answer.text.split('\n').filter((line) => line && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]))
}

test('batch size, commit time, queue depth, timer lag, log size and deliveries are shown', native, async (t) => {
  const w = await world(t)
  const shown = await metrics(w)
  for (const name of ['batch_commands_count', 'commit_seconds_count', 'queue_depth', 'timer_lag_seconds_count', 'log_bytes', 'deliveries_in_flight']) {
    assert.ok(Number.isFinite(shown.get(`reveille_${name}`)), name)
  }
})

test('commands, wakes and panics are counted', native, async (t) => {
  const w = await world(t)
  await w.type()
  const before = await metrics(w)
  const work = await w.working(w.name, 'source')
  const { url } = await w.spawn(w.name, 'observer')
  await w.observe(url, work.entity, { on: 'change' })
  await work.append([{ type: 'note', key: 'n', value: {}, headers: { operation: 'insert' } }])
  await w.post('/_reveille/dev/panic', '')
  const now = await metrics(w)
  const grown = (name) => now.get(`reveille_${name}`) - before.get(`reveille_${name}`)
  assert.equal(grown('wakes_total'), 1)
  assert.equal(grown('panics_total'), 1)
  assert.ok(grown('dispatches_total') >= 1)
  assert.ok(grown('commands_total') >= 6)
})
