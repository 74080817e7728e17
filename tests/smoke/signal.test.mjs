// A signal moves an entity's status, or leaves it to the agent, who reads the event.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO, like, MS, OFFSET } from '../harness/like.mjs'
import { change, world } from '../harness/world.mjs'

const signals = ['SIGINT', 'SIGHUP', 'SIGTERM', 'SIGKILL', 'SIGSTOP', 'SIGCONT', 'SIGUSR']

// The status after each of them; with a star where the server has handled the signal itself.
const table = {
  idle: ['idle', 'idle', 'stopped*', 'killed*', 'paused*', 'idle', 'idle'],
  running: ['running', 'running', 'stopping', 'killed*', 'paused', 'running', 'running'],
  paused: ['paused*', 'paused*', 'stopped*', 'killed*', 'paused*', 'idle', 'paused*'],
  stopping: ['stopping', 'stopping', 'stopping', 'killed*', 'stopping', 'stopping', 'stopping'],
}

const signal = (w, url, name, more, options) => w.post(`/_electric/entities${url}/signal`, { signal: name, ...more }, options)

async function signalled(w, url, name, more) {
  const answer = await signal(w, url, name, more)
  assert.equal(answer.status, 200, answer.text)
  return answer.json
}

/** An entity that has got into a status. */
async function inStatus(w, status, id = 'e') {
  if (status === 'running' || status === 'stopping') {
    const { entity } = await w.working(w.name, id)
    if (status === 'stopping') await signalled(w, entity, 'SIGTERM')
    return entity
  }
  const { url } = await w.spawn(w.name, id)
  const way = { paused: 'SIGSTOP', stopped: 'SIGTERM', killed: 'SIGKILL' }[status]
  if (way) await signalled(w, url, way)
  return url
}

for (const [before, row] of Object.entries(table)) {
  test(`every signal to an entity that is ${before}`, async (t) => {
    const w = await world(t)
    await w.type()
    for (const [index, name] of signals.entries()) {
      const after = row[index].replace('*', '')
      const handled = row[index].endsWith('*')
      const terminal = after === 'stopped' || after === 'killed'
      const url = await inStatus(w, before, name)
      const now = await w.advance(5)

      const answer = await signal(w, url, name)
      assert.equal(answer.status, 200, answer.text)
      assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
      like(answer.json, { url, signal: name, previous_state: before, new_state: after, created_at: now, txid: MS })

      const entity = await w.entity(url)
      assert.equal(entity.status, after, name)
      assert.equal(entity.updated_at, now, name)

      const whole = await w.get(`${url}/main?offset=-1`)
      assert.equal(whole.headers['stream-closed'], terminal ? 'true' : undefined, name)
      const { timestamp } = whole.json.at(-1).value
      assert.equal(Date.parse(timestamp), now)
      const outcome = {
        handled_at: timestamp,
        handled_by: '/_electric/server',
        outcome: after === before ? 'ignored' : 'transitioned',
        previous_state: before,
        new_state: after,
      }
      like(whole.json.at(-1), {
        type: 'signal',
        key: new RegExp(`^sig-${now}-[0-9a-f]{8}$`),
        value: {
          signal: name,
          status: handled ? 'handled' : 'unhandled',
          sender: '/_electric/server',
          timestamp: ISO,
          ...(handled && outcome),
        },
        headers: { operation: 'insert', timestamp, txid: String(answer.json.txid), offset: OFFSET },
      })
    }
  })
}

for (const end of ['stopped', 'killed']) {
  test(`a ${end} entity takes no signal`, async (t) => {
    const w = await world(t)
    await w.type()
    const url = await inStatus(w, end)
    const events = await w.events(url)
    for (const name of signals) {
      const answer = await signal(w, url, name)
      assert.equal(answer.status, 409, answer.text)
      assert.deepEqual(answer.json, { error: { code: 'INVALID_SIGNAL', message: `Cannot signal a ${end} entity` } })
    }
    assert.equal((await w.entity(url)).status, end)
    assert.deepEqual(await w.events(url), events)
  })
}

test('a reason and a payload go with the event', async (t) => {
  const w = await world(t)
  await w.type()
  const url = await inStatus(w, 'idle')
  const more = { reason: 'because', payload: { deep: [1, null, 'ü'] } }
  await signalled(w, url, 'SIGUSR', more)
  const [{ value }] = await w.events(url, 'signal')
  like(value, { signal: 'SIGUSR', status: 'unhandled', sender: '/_electric/server', timestamp: ISO, ...more })
})

test('nothing wakes a paused entity until it is continued', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  await signalled(w, url, 'SIGSTOP')
  await w.send(url, 'later', { mode: 'paused' })
  await w.advance(120_000)
  assert.deepEqual(hook.all, [])
  assert.equal((await w.entity(url)).status, 'paused')
  await signalled(w, url, 'SIGCONT')
  const wake = await w.woken(hook)
  await wake.claim()
  wake.offset = await w.tail(`${url}/main`)
  assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false })
  assert.equal(hook.all.length, 1)
})

test('a runner hears of a paused entity when it is continued', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy })
  await signalled(w, url, 'SIGSTOP')
  await w.send(url, 'later', { mode: 'paused' })
  await w.advance(120_000)
  assert.deepEqual(await w.read(`/runners/${runner.id}/wake`), [])
  await signalled(w, url, 'SIGCONT')
  const wake = await runner.claim((await runner.tail())[0])
  assert.equal(wake.entity, url)
})

test('a message that does not wait continues a paused entity', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  for (const mode of ['immediate', 'queued', 'steer', undefined]) {
    const { url } = await w.spawn(w.name, `e-${mode}`, { dispatch_policy: hook.policy })
    await signalled(w, url, 'SIGSTOP')
    await w.send(url, 'now', { mode })
    const wake = await w.woken(hook)
    assert.equal(wake.entity, url)
    assert.notEqual((await w.entity(url)).status, 'paused')
  }
})

test('an idle entity is woken to read a signal, a paused one when it is continued', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: hook.policy })
  const handle = async (generation) => {
    const wake = await w.woken(hook)
    assert.equal(wake.body.generation, generation)
    await wake.claim()
    assert.equal((await wake.done()).json.next_wake, false)
  }
  await signalled(w, url, 'SIGINT')
  await handle(1)
  await signalled(w, url, 'SIGSTOP')
  await signalled(w, url, 'SIGINT')
  await w.advance(120_000)
  assert.equal(hook.all.length, 1)
  await signalled(w, url, 'SIGCONT')
  await handle(2)
})

test('what runs when it is paused may finish, and stays paused', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  await signalled(w, work.entity, 'SIGSTOP')
  assert.equal((await work.heartbeat()).status, 200)
  await work.append([change('note', 'n', {})])
  await w.send(work.entity, 'later', { mode: 'paused' })
  assert.equal((await work.done()).json.ok, true)
  assert.equal((await w.entity(work.entity)).status, 'paused')
  await w.advance(120_000)
  assert.equal(work.hook.all.length, 1)
  await signalled(w, work.entity, 'SIGCONT')
  assert.equal((await w.woken(work.hook)).body.generation, 2)
})

test('SIGTERM lets a running entity finish, and then it is stopped for good', async (t) => {
  const w = await world(t)
  await w.type()
  const other = await w.working(w.name, 'other')
  const observer = await w.spawn(w.name, 'observer')
  const work = await w.working(w.name, 'e')
  const url = work.entity
  const condition = { on: 'change', collections: ['note'] }
  await w.observe(url, other.entity, condition)
  await w.observe(observer.url, url, condition)
  const wakes = async (of) => (await w.events(of, 'wake')).length
  await other.append([change('note', 'n', {})])
  assert.equal(await wakes(url), 1)

  await signalled(w, url, 'SIGTERM')
  const sent = await w.post(`/_electric/entities${url}/send`, { payload: 1 })
  assert.equal(sent.status, 409)
  assert.deepEqual(sent.json.error, { code: 'NOT_RUNNING', message: 'Entity is not accepting writes' })

  // Its claim is as it was, and so are the wakes on it.
  assert.equal((await work.heartbeat()).status, 200)
  await work.append([change('note', 'last words', {})])
  assert.equal(await wakes(observer.url), 1)

  work.offset = await w.tail(`${url}/main`)
  assert.deepEqual((await work.done()).json, { ok: true, next_wake: false })
  assert.equal((await w.entity(url)).status, 'stopped')
  assert.equal((await w.head(`${url}/main`)).headers['stream-closed'], 'true')
  const late = await work.write([change('note', 'too late', {})])
  assert.ok(late.status >= 400, `${late.status}`)
  await other.append([change('note', 'm', {})])
  assert.equal(await wakes(url), 1)
  assert.equal((await signal(w, url, 'SIGCONT')).json.error.message, 'Cannot signal a stopped entity')
  await w.advance(120_000)
  assert.equal(work.hook.all.length, 1)
})

test('SIGTERM to a running entity whose agent is gone ends with its lease', async (t) => {
  const w = await world(t)
  await w.type()
  const work = await w.working(w.name, 'e')
  await signalled(w, work.entity, 'SIGTERM')
  await w.advance(120_000)
  assert.equal((await w.entity(work.entity)).status, 'stopped')
  assert.equal((await w.head(`${work.entity}/main`)).headers['stream-closed'], 'true')
  assert.equal(work.hook.all.length, 1)
})

test('SIGTERM and SIGKILL drop the wakes of an entity', async (t) => {
  const w = await world(t)
  await w.type()
  const source = await w.working(w.name, 'source')
  const condition = { on: 'change', collections: ['note'] }
  const observers = {}
  for (const name of ['SIGTERM', 'SIGKILL', 'SIGINT']) {
    const { url } = await w.spawn(w.name, name)
    await w.observe(url, source.entity, condition)
    await signalled(w, url, name)
    observers[name] = url
  }
  await source.append([change('note', 'n', {})])
  const count = async (name) => (await w.events(observers[name], 'wake')).length
  assert.deepEqual([await count('SIGTERM'), await count('SIGKILL'), await count('SIGINT')], [0, 0, 1])
})

test('who watches signals is woken by each but the last', async (t) => {
  const w = await world(t)
  await w.type()
  const observer = (await w.spawn(w.name, 'observer')).url
  const { url } = await w.spawn(w.name, 'e')
  await w.observe(observer, url, { on: 'change', collections: ['signal'] })
  await signalled(w, url, 'SIGUSR')
  assert.equal((await w.events(observer, 'wake')).length, 1)
  await signalled(w, url, 'SIGSTOP')
  assert.equal((await w.events(observer, 'wake')).length, 2)
  await signalled(w, url, 'SIGTERM')
  assert.equal((await w.events(observer, 'wake')).length, 2)
})

test('signals do not reach children', async (t) => {
  const w = await world(t)
  await w.type()
  const parent = await w.spawn(w.name, 'parent')
  const child = await w.spawn(w.name, 'child', { parent: parent.url })
  for (const name of ['SIGSTOP', 'SIGTERM']) await signalled(w, parent.url, name)
  assert.equal((await w.entity(child.url)).status, 'idle')
  assert.deepEqual(await w.events(child.url, 'signal'), [])
})
