// The server ends between a spawn and the event that must wake the entity. Each cause wakes all the same, for a
// webhook target and for a runner target, whether the server was asked to end or killed.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { run, world } from '../harness/world.mjs'

// How to aim an entity at a target, and how to take the wake of one generation there.
const targets = {
  async webhook(w) {
    const hook = await w.hook()
    return { policy: hook.policy, wake: (generation) => w.woken(hook, (body) => body.generation === generation) }
  },
  async runner(w) {
    const runner = await w.runner()
    const wake = async (generation) => {
      const events = await runner.tail()
      return runner.claim(events.find((event) => event.generation === generation))
    }
    return { policy: runner.policy, wake }
  },
}

// What is done before the server ends, and what must wake the entity afterwards.
const causes = {
  'a send': async (w, spawn) => {
    const url = await spawn()
    return () => w.send(url, 'wake up')
  },
  'a delayed send': async (w, spawn) => {
    await w.send(await spawn(), 'wake up', { afterMs: 60_000 })
    return () => w.advance(60_000)
  },
  'a child that finishes': async (w, spawn) => {
    const parent = await spawn()
    const wake = { subscriberUrl: parent, condition: 'runFinished' }
    const work = await w.working(w.name, 'child', { parent, wake })
    return () => work.append(run('run-0', 'finished'))
  },
  'a lease that expires': async (w, spawn, target) => {
    await spawn({ initialMessage: 'go' })
    await (await target.wake(1)).claim()
    return () => w.advance(30_000)
  },
}

for (const end of ['stop', 'kill']) {
  for (const [cause, prepare] of Object.entries(causes)) {
    for (const [kind, make] of Object.entries(targets)) {
      test(`${end}: ${cause} wakes a ${kind} after a restart`, async (t) => {
        const host = await startHost()
        const w = await world(t, { host })
        await w.type()
        const target = await make(w)
        const url = `/${w.name}/sleeper`
        const spawn = async (body = {}) => (await w.spawn(w.name, 'sleeper', { dispatch_policy: target.policy, ...body })).url
        const trigger = await prepare(w, spawn, target)

        await host[end]()
        await host.restart()
        w.testId += ' after the restart'

        await trigger()
        const wake = await target.wake(cause === 'a lease that expires' ? 2 : 1)
        assert.equal(wake.entity, url)
        await wake.claim()
        await wake.append(run('run-awake', 'here'))
        assert.equal((await wake.done()).json.next_wake, false)
      })
    }
  }
}
