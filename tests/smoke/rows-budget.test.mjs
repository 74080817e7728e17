// Rows are the budget: what each command may write, a table row or an index entry each, beside the commit row.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { change, finish, world } from '../harness/world.mjs'

const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }

test('commands stay within their rows', async (t) => {
  const w = await world(t)
  await w.type()
  const runner = await w.runner()
  const hook = await w.hook()
  const costs = []
  const cost = (command, budget, answer) => {
    assert.ok(answer.status < 300, `${command}: ${answer.status} ${answer.text}`)
    const rows = answer.headers['reveille-rows-written']
    const statements = answer.headers['reveille-statements']
    assert.match(rows ?? '', /^\d+$/, `${command} does not tell its rows`)
    assert.match(statements ?? '', /^\d+$/, `${command} does not tell its statements`)
    costs.push({ command, rows: Number(rows), budget, statements: Number(statements) })
    return answer
  }
  const entity = (id) => `/_electric/entities/${w.name}/${id}`

  // Everything is warm: the tables of the first of anything are not what is measured.
  const parent = await w.spawn(w.name, 'parent', { dispatch_policy: hook.policy })
  const wake = { subscriberUrl: parent.url, condition: 'runFinished' }

  cost('spawn', 9, await w.put(entity('plain'), { args: { a: 1 }, tags: { a: '1' } }))
  cost('spawn with a policy', 9, await w.put(entity('hooked'), { dispatch_policy: hook.policy }))
  cost('spawn with a first message', 9 + 4, await w.put(entity('told'), { dispatch_policy: hook.policy, initialMessage: 1 }))
  cost('spawn with a parent and a wake', 9 + 3, await w.put(entity('child'), { parent: parent.url, wake }))

  cost('send to nobody', 4, await w.post(`${entity('plain')}/send`, { payload: 1 }))
  cost('send to a webhook', 4, await w.post(`${entity('child')}/send`, { payload: 1 }))
  const pulled = await w.spawn(w.name, 'pulled', { dispatch_policy: runner.policy })
  cost('send to a runner', 4, await w.post(`${entity('pulled')}/send`, { payload: 1 }))

  const path = `/plain/${w.name}/s`
  await w.put(path, [])
  cost('append to a plain stream', 2, await w.post(path, [1]))
  cost('append with a producer', 3, await w.post(path, [1], { headers: producer }))

  const child = await w.woken(hook, (body) => body.entity.url === `/${w.name}/child`)
  const claimed = cost('claim of a webhook', 4, await child.callback({ epoch: 1, wakeId: child.body.wakeId }))
  child.writeToken = claimed.json.writeToken
  cost('heartbeat', 1, await child.heartbeat())
  cost('append to an entity', 2, await child.append([change('note', 'n', {})]))
  cost('append to an entity with a producer', 3, await child.append([change('note', 'n', {})], producer))
  cost('append that emits a wake', 2 + 12, await child.append([finish('run-0')]))
  cost('done', 5, await child.done())

  const [event] = await runner.tail()
  assert.equal(event.stream, `${pulled.url.slice(1)}/main`)
  const notified = cost('claim by a runner', 4, await runner.tryClaim(event))
  const callback = (body) => w.post(new URL(notified.json.callback).pathname, body, { headers: { authorization: `Bearer ${notified.json.claimToken}` } })
  cost('claim callback of a runner', 4, await callback({ epoch: 1, wakeId: notified.json.wakeId }))
  cost('heartbeat of a claim', 1, await callback({ epoch: 1 }))
  cost('done by a runner', 5, await callback({ epoch: 1, acks: notified.json.streams, done: true }))
  cost('heartbeat of a runner', 1, await w.post(`/_electric/runners/${runner.id}/heartbeat`, { lease_ms: 1_000 }))
  cost('read', 0, await w.get(`${path}?offset=-1`))

  const width = Math.max(...costs.map(({ command }) => command.length))
  for (const { command, rows, budget, statements } of costs) {
    t.diagnostic(`${command.padEnd(width)}  ${String(rows).padStart(2)} of ${String(budget).padStart(2)} rows, ${statements} statements`)
  }
  for (const id of ['plain', 'hooked', 'told', 'child']) await w.delete(entity(id))
  assert.deepEqual(costs.filter(({ rows, budget }) => rows > budget), [])
})
