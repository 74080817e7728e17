// Rows are the budget: what each command may write, a table row or an index entry each, beside the commit row. One of them
// is the change log's for each entity or runner that changes.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { Subscription } from '../harness/subscription.mjs'
import { change, finish, world } from '../harness/world.mjs'

const producer = { 'producer-id': 'p', 'producer-epoch': '0', 'producer-seq': '0' }

/** Keeps the costs of a test's commands: `cost` notes one and hands its answer on, `check` fails over budget. */
function ledger(t) {
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
  const check = () => {
    const width = Math.max(...costs.map(({ command }) => command.length))
    for (const { command, rows, budget, statements } of costs) {
      t.diagnostic(`${command.padEnd(width)}  ${String(rows).padStart(2)} of ${String(budget).padStart(2)} rows, ${statements} statements`)
    }
    assert.deepEqual(costs.filter(({ rows, budget }) => rows > budget), [])
  }
  return { cost, check }
}

// On a server of its own: while somebody looks at dispatches, what changes in them is logged, too.
test('commands stay within their rows', async (t) => {
  const w = await world(t, { host: await startHost() })
  await w.type()
  const runner = await w.runner()
  const hook = await w.hook()
  const { cost, check } = ledger(t)
  const entity = (id) => `/_electric/entities/${w.name}/${id}`

  // Everything is warm: the tables of the first of anything are not what is measured.
  const parent = await w.spawn(w.name, 'parent', { dispatch_policy: hook.policy })
  const wake = { subscriberUrl: parent.url, condition: 'runFinished' }

  cost('spawn', 9, await w.put(entity('plain'), { args: { a: 1 }, tags: { a: '1' } }))
  cost('spawn with a policy', 10, await w.put(entity('hooked'), { dispatch_policy: hook.policy }))
  cost('spawn with a first message', 10 + 4, await w.put(entity('told'), { dispatch_policy: hook.policy, initialMessage: 1 }))
  cost('spawn with a parent and a wake', 10 + 4, await w.put(entity('child'), { parent: parent.url, wake }))

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
  cost('done by a runner', 6, await callback({ epoch: 1, acks: notified.json.streams, done: true }))

  // From its second wake on, an entity's journal files the one before.
  cost('send to a runner again', 4, await w.post(`${entity('pulled')}/send`, { payload: 2 }))
  const [next] = await runner.tail()
  const again = cost('claim by a runner, and the wake before is filed', 5, await runner.tryClaim(next))
  const ended = { epoch: 2, acks: again.json.streams, done: true }
  const headers = { authorization: `Bearer ${again.json.claimToken}` }
  cost('done by a runner again', 6, await w.post(new URL(again.json.callback).pathname, ended, { headers }))
  const observed = await w.spawn(w.name, 'observed', { dispatch_policy: hook.policy, initialMessage: 1 })
  await w.observe(observed.url, path, { on: 'change' })
  const busy = await w.woken(hook, (body) => body.entity.url === observed.url)
  await busy.claim()
  cost('append that emits a wake to who is awake', 2 + 12, await w.post(path, [change('note', 'n', {})]))
  await busy.done([{ path: busy.body.streamPath, offset: await w.tail(busy.body.streamPath) }])
  cost('heartbeat of a runner', 2, await w.post(`/_electric/runners/${runner.id}/heartbeat`, { lease_ms: 1_000 }))
  cost('read', 0, await w.get(`${path}?offset=-1`))

  for (const id of ['plain', 'hooked', 'told', 'child']) await w.delete(entity(id))

  const shape = (query) => w.get(`/_electric/electric/v1/shape?${new URLSearchParams({ table: 'consumer_claims', ...query })}`)
  const looked = await shape({ offset: '-1' })
  // The first look is remembered; from then on changes are told, and nobody begins anew.
  const told = { handle: looked.headers['electric-handle'], offset: looked.headers['electric-offset'] }
  await w.eventually(async () => assert.equal((await shape(told)).status, 409))
  cost('send to a runner, while somebody looks', 4 + 4, await w.post(`${entity('pulled')}/send`, { payload: 3 }))
  const [seen] = await runner.tail()
  const work = cost('claim by a runner, while somebody looks', 5 + 3, await runner.tryClaim(seen))
  const bearer = { authorization: `Bearer ${work.json.claimToken}` }
  const callbackPath = new URL(work.json.callback).pathname
  cost('heartbeat of a claim, while somebody looks', 1 + 2, await w.post(callbackPath, { epoch: 3 }, { headers: bearer }))
  const over = { epoch: 3, acks: work.json.streams, done: true }
  cost('done by a runner, while somebody looks', 6 + 3, await w.post(callbackPath, over, { headers: bearer }))
  check()
})

test('streams and their subscriptions stay within their rows', async (t) => {
  const w = await world(t)
  const hook = await w.hook()
  const { cost, check } = ledger(t)
  const at = (name) => `/plain/${w.name}/${name}`
  const json = { 'content-type': 'application/json' }
  const create = (name, headers, body) => w.http('PUT', at(name), { headers: { ...json, ...headers }, body })
  const fork = (offset, sub) => ({ 'stream-forked-from': at('plain'), 'stream-fork-offset': offset, 'stream-fork-sub-offset': sub })

  cost('create', 2, await create('plain', {}))
  cost('create with content', 3, await create('full', {}, '[1]'))
  cost('create with a window', 3, await create('lasting', { 'stream-ttl': '600' }))
  const offset = (await w.head(at('plain'))).headers['stream-next-offset']
  await w.post(at('plain'), [1, 2])
  cost('append within the window', 2, await w.post(at('lasting'), [1]))
  await w.advance(30_000)
  cost('append that slides the window', 2, await w.post(at('lasting'), [1]))
  cost('read', 0, await w.get(at('lasting')))
  cost('close', 1, await w.http('POST', at('full'), { headers: { 'stream-closed': 'true' } }))
  cost('fork', 3, await create('fork', fork(offset, '0')))
  cost('fork with a copy', 4, await create('copy', fork(offset, '1')))
  cost('append to a fork', 2, await w.post(at('fork'), [1]))
  cost('delete a fork', 3, await w.delete(at('fork')))

  const webhook = new Subscription(w, `${w.name}-hook`)
  const pulled = new Subscription(w, `${w.name}-pull`)
  const streams = [at('a'), at('b')]
  for (const name of ['a', 'b', 'c']) await create(name, {})
  await w.put(at('wakes'), [])
  cost('subscribe to two streams', 8, await webhook.put({ type: 'webhook', streams, webhook: { url: hook.url } }))
  cost('subscribe to a pattern', 5, await pulled.put({ type: 'pull-wake', pattern: `plain/${w.name}/p/*`, wake_stream: at('wakes') }))
  cost('subscribe again', 0, await webhook.put({ type: 'webhook', streams, webhook: { url: hook.url } }))
  cost('follow one more', 2, await webhook.add([at('c')]))
  cost('follow it no longer', 1, await webhook.remove(encodeURIComponent(at('c').slice(1))))

  cost('append that wakes a webhook', 2 + 12, await w.post(at('a'), [1]))
  const wake = await webhook.woken(hook)
  await w.settle()
  cost('append while a wake is in flight', 2, await w.post(at('b'), [1]))
  cost('callback that keeps it', 1, await wake.answer())
  cost('callback that acknowledges', 2, await wake.answer({ acks: wake.acks }))
  cost('callback that is done, and wakes again', 5, await wake.answer({ done: true }))
  const again = await webhook.woken(hook)
  await w.settle()
  cost('callback that is done', 5, await again.done())

  await create('p/a', {})
  cost('first append, that a pattern follows and announces', 2 + 12, await w.post(at('p/a'), [1]))
  await pulled.claim().then((first) => first.done())
  cost('append that announces a wake', 2 + 12, await w.post(at('p/a'), [1]))
  const claimed = cost('claim', 4, await pulled.tryClaim())
  const { wake_id, generation, token, streams: links } = claimed.json
  const acks = links.map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset }))
  cost('heartbeat', 1, await pulled.call('ack', { wake_id, generation }, token))
  cost('ack', 2, await pulled.call('ack', { wake_id, generation, acks }, token))
  cost('done', 5, await pulled.call('ack', { wake_id, generation, done: true }, token))
  await w.post(at('p/a'), [1])
  const released = await pulled.claim()
  cost('release, that announces again', 5, await released.release())
  cost('delete a subscription', 5, await webhook.delete())
  check()
})
