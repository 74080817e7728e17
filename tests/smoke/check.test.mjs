// A check looks whether every entity is dispatched in exactly one way, and nothing that waits has been forgotten. What is
// done over the wire never brings a problem; so this file breaks its server's database, and has it mended.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { edited } from '../harness/database.mjs'
import { startHost } from '../harness/host.mjs'
import { change, world } from '../harness/world.mjs'

const path = '/_reveille/check'
/** Whoever spawns is an entity, too. */
const principal = 1

async function own(t) {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  return { host, w }
}

async function check(w) {
  const answer = await w.get(path)
  assert.equal(answer.status, 200, answer.text)
  return answer.json
}

test('a server in good health has no problems, whatever goes on', async (t) => {
  const { w } = await own(t)
  assert.deepEqual(await check(w), { checked: 0, problems: [], next: null })
  const runner = await w.runner()
  const hook = await w.hook()
  const signal = (url, name) => w.post(`/_electric/entities${url}/signal`, { signal: name })
  await w.spawn(w.name, 'nobody', { initialMessage: 1 })
  await w.spawn(w.name, 'idle', { dispatch_policy: runner.policy })
  await w.spawn(w.name, 'outstanding', { dispatch_policy: runner.policy, initialMessage: 1 })
  const working = await w.working(w.name, 'working')
  const stopping = await w.working(w.name, 'stopping')
  await signal(stopping.entity, 'SIGTERM')
  const paused = await w.spawn(w.name, 'paused', { dispatch_policy: runner.policy })
  await signal(paused.url, 'SIGSTOP')
  await w.send(paused.url, 1, { mode: 'paused' })
  const locked = await w.spawn(w.name, 'locked', { dispatch_policy: runner.policy })
  await w.post('/_reveille/dev/lock', { entity: locked.url, ms: 60_000 })
  await w.send(locked.url, 1)
  hook.answer({ status: 500 })
  await w.spawn(w.name, 'failing', { dispatch_policy: hook.policy, initialMessage: 1 })
  await w.woken(hook)
  const killed = await w.spawn(w.name, 'killed', { dispatch_policy: runner.policy, initialMessage: 1 })
  await w.delete(`/_electric/entities${killed.url}`)
  const disabled = await w.runner(`${w.name}-disabled`)
  await w.spawn(w.name, 'unclaimed', { dispatch_policy: disabled.policy, initialMessage: 1 })
  await w.post(`/_electric/runners/${disabled.id}/disable`)
  assert.deepEqual(await check(w), { checked: 10 + principal, problems: [], next: null })

  const repaired = await w.post(path)
  assert.equal(repaired.status, 200, repaired.text)
  assert.deepEqual(repaired.json, { checked: 10 + principal, problems: [], next: null, repaired: 0, left: [] })
  assert.equal((await working.heartbeat()).status, 200, 'nothing was touched')
  await w.advance(30_000)
  assert.deepEqual((await check(w)).problems, [], 'nor when leases have run out')
})

// What is done to the database of a stopped server, and the problem that an entity has by it; `id` is the entity's,
// `dispatch` its subscription's. Whoever is `over` is dispatched no more.
const broken = {
  unlinked: { sql: 'DELETE FROM link WHERE stream = :id' },
  ended: { sql: "UPDATE entity SET status = 'killed' WHERE id = :id", over: true },
  'many-paths': { sql: 'UPDATE link SET stream = :id WHERE stream = (SELECT id FROM entity WHERE url = :robbed)' },
  'wrong-path': { sql: "UPDATE entity SET policy = replace(policy, :gone, :other) WHERE id = :id", moved: true },
  'no-runner': { sql: 'DELETE FROM runner WHERE id = :gone' },
  'no-timer': { prepare: ({ w, url }) => w.send(url, 'waits'), sql: 'DELETE FROM timer WHERE subject = :dispatch' },
  forgotten: {
    async prepare({ w, url }) {
      await w.post(`/_electric/entities${url}/signal`, { signal: 'SIGSTOP' })
      await w.send(url, 'waits', { mode: 'paused' })
    },
    sql: "UPDATE entity SET status = 'idle' WHERE id = :id",
  },
  'not-running': { sql: "UPDATE entity SET status = 'running' WHERE id = :id" },
  'not-idle': {
    async prepare(subject) {
      await subject.w.send(subject.url, 'waits')
      subject.held = await subject.runner.claim((await subject.runner.tail())[0])
    },
    sql: "UPDATE entity SET status = 'idle' WHERE id = :id",
  },
}

test('what is broken is found, named and mended', async (t) => {
  const { host, w } = await own(t)
  const other = await w.runner(`${w.name}-other`)
  const robbed = await w.spawn(w.name, 'robbed', { dispatch_policy: other.policy })
  const subjects = []
  for (const [kind, how] of Object.entries(broken)) {
    const runner = await w.runner(`${w.name}-${kind}`)
    const { url } = await w.spawn(w.name, kind, { dispatch_policy: runner.policy })
    const subject = { w, kind, how, url, runner, name: (await w.explain(url)).dispatch.subscription }
    await how.prepare?.(subject)
    subjects.push(subject)
  }
  assert.deepEqual((await check(w)).problems, [])

  await host.stop()
  edited(host, (database) => {
    for (const { how, url, name, runner } of subjects) {
      const { id } = database.prepare('SELECT id FROM entity WHERE url = ?').get(url)
      const { id: dispatch } = database.prepare('SELECT id FROM subscription WHERE name = ?').get(name)
      const values = { id, dispatch, robbed: robbed.url, other: other.id, gone: runner.id }
      const used = Object.entries(values).filter(([name]) => how.sql.includes(`:${name}`))
      assert.equal(database.prepare(how.sql).run(Object.fromEntries(used)).changes, 1, how.sql)
    }
  })
  await host.restart()
  w.testId += ' after the restart'

  const found = await check(w)
  const expected = [...subjects.map(({ kind, url }) => [kind, url]), ['unlinked', robbed.url]]
  assert.deepEqual(found.problems.map(({ kind, entity }) => [kind, entity]).sort(), expected.sort())
  assert.deepEqual([found.checked, found.next], [subjects.length + 1 + principal, null])
  for (const { entity, message, repair } of found.problems) {
    assert.ok(message.includes(entity), message)
    assert.ok(repair.length > 0)
  }
  assert.deepEqual(await check(w), found, 'to look changes nothing')

  const repaired = await w.post(path)
  assert.equal(repaired.status, 200, repaired.text)
  assert.deepEqual(repaired.json.problems, found.problems)
  assert.ok(repaired.json.repaired >= found.problems.length - 1, `${repaired.json.repaired}`)
  const left = (await check(w)).problems
  assert.deepEqual(left.map(({ kind }) => kind), ['no-runner'], 'only what needs somebody')

  // Whoever was mended is dispatched, once, and by its own policy.
  await w.delete(`/runners/${w.name}-no-runner/wake`)
  await w.runner(`${w.name}-no-runner`)
  assert.deepEqual((await check(w)).problems, [])
  for (const { how, kind, url, runner: own, held } of [...subjects, { kind: 'robbed', how: {}, url: robbed.url, runner: other }]) {
    const runner = how.moved ? other : own
    if (how.over) {
      assert.deepEqual((await w.explain(url)).dispatch, { state: 'none' })
      continue
    }
    if (held) {
      assert.equal((await w.entity(url)).status, 'running')
      await held.append([change('note', 'n', {})])
      assert.equal((await held.done()).status, 200)
    }
    await w.send(url, 'go')
    const announced = (await w.read(`/runners/${runner.id}/wake`)).filter((event) => event.stream.includes(kind))
    assert.deepEqual(announced.map((event) => event.stream), [`${url.slice(1)}/main`], kind)
    const wake = await runner.claim(announced[0])
    wake.offset = await w.tail(`${url}/main`)
    assert.deepEqual((await wake.done()).json, { ok: true, next_wake: false }, kind)
    assert.equal((await w.entity(url)).status, 'idle')
  }
  assert.deepEqual((await check(w)).problems, [])
})

test('a subscription that leads elsewhere than its name says is mended', async (t) => {
  const { host, w } = await own(t)
  const [runner, other] = [await w.runner(`${w.name}-own`), await w.runner(`${w.name}-other`)]
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: runner.policy })
  await host.stop()
  edited(host, (database) => database.prepare('UPDATE subscription SET runner = ?').run(other.id))
  await host.restart()
  w.testId += ' after the restart'
  assert.deepEqual((await check(w)).problems.map(({ kind }) => kind), ['wrong-path'])
  assert.equal((await w.post(path)).json.repaired, 1)
  assert.deepEqual((await check(w)).problems, [])
  assert.deepEqual((await w.explain(url)).dispatch.target, runner.policy.targets[0])
})

test('a check goes page by page', async (t) => {
  const { w } = await own(t)
  const entities = 1_100
  const spawn = (n) => w.put(`/_electric/entities/${w.name}/e${n}`, {})
  for (let n = 0; n < entities; n += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, more) => spawn(n + more)))
    assert.ok(answers.every((answer) => answer.status === 201))
  }
  for (const method of ['GET', 'POST']) {
    let [after, checked, pages] = ['', 0, 0]
    for (; after !== null; pages++) {
      const { json } = await w.http(method, path + (after && `?after=${after}`))
      assert.deepEqual(json.problems, [])
      checked += json.checked
      after = json.next
    }
    assert.equal(checked, entities + principal, method)
    assert.ok(pages > 1, `${pages} pages`)
  }
})

test('only who runs the server checks it', async (t) => {
  const w = await world(t)
  for (const method of ['GET', 'POST']) {
    for (const as of ['user:alice', 'agent:x', 'system:anything-else']) {
      const answer = await w.http(method, path, { as })
      assert.equal(answer.status, 403, answer.text)
      assert.equal(answer.json.error.code, 'UNAUTHORIZED')
    }
    assert.equal((await w.http(method, path, { as: 'system:framework' })).status, 200)
  }
})

for (const after of ['x', '', '1.5', '0x1']) {
  test(`a check is refused after ${JSON.stringify(after)}`, async (t) => {
    const w = await world(t)
    for (const method of ['GET', 'POST']) {
      const answer = await w.http(method, `${path}?after=${after}`)
      assert.equal(answer.status, 400, answer.text)
      assert.equal(answer.json.error.code, 'INVALID_REQUEST')
    }
  })
}
