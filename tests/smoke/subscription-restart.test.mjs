// Subscriptions outlive the process: what they follow, what is in flight, who holds it, and what is due.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { START } from '../harness/like.mjs'
import { jsonStream, refuses, Subscription } from '../harness/subscription.mjs'
import { world } from '../harness/world.mjs'

for (const end of ['stop', 'kill']) {
  test(`subscriptions, wakes, leases and retries outlive a ${end}`, async (t) => {
    const host = await startHost()
    const w = await world(t, { host })
    const stream = await jsonStream(w, 's')
    const hook = await w.hook()
    const follow = (id, body) => Subscription.make(w, { streams: [stream.bare], ...body }, { id })
    const pull = { type: 'pull-wake', wake_stream: 'wakes', lease_ttl_ms: 10_000 }
    const held = await follow('held', pull)
    const lost = await follow('lost', pull)
    const waiting = await follow('waiting', pull)
    const failing = await follow('failing', { type: 'webhook', webhook: { url: hook.url } })
    const pattern = await follow('pattern', { ...pull, streams: ['plain/to/come'], pattern: 'told/**' })

    hook.answer({ status: 500 })
    await stream.append()
    const [wake, old] = [await held.claim(), await lost.claim()]
    const first = await failing.woken(hook)
    await w.eventually(async () => assert.equal((await failing.shown()).status, 'failed'))
    const all = [held, lost, waiting, failing, pattern]
    const shown = await Promise.all(all.map((one) => one.shown()))

    await host[end]()
    hook.answer({ status: 200, body: { done: true } })
    await host.restart()
    w.testId += ' after the restart'
    assert.deepEqual(await Promise.all(all.map((one) => one.shown())), shown)

    // Who holds a wake still does, by the same token, and keeps it.
    assert.equal((await held.tryClaim('another')).json.error.current_holder, 'worker')
    await w.advance(9_999)
    assert.equal((await wake.answer()).status, 200)
    // Who says nothing loses it; what nobody claimed is announced again.
    await w.advance(1)
    refuses(await old.answer(), 409, 'FENCED')
    assert.equal((await lost.claim()).body.generation, 2)
    const events = (await w.read('/wakes')).map((event) => [event.subscription_id, event.generation])
    assert.deepEqual(events.slice(3).sort(), [['lost', 2], ['waiting', 1]])
    assert.equal((await wake.done()).json.next_wake, false)

    // What failed is tried again, as the same wake.
    const again = await failing.woken(hook)
    for (const same of ['wake_id', 'generation', 'callback_token']) assert.equal(again.body[same], first.body[same])
    await w.eventually(async () => assert.equal((await failing.shown()).status, 'active'))

    // What was awaited comes, and what matches.
    await w.put('/plain/to/come', [1])
    await w.put('/told/of', [1])
    assert.deepEqual(await pattern.links(), [['plain/to/come', 'explicit', START], ['told/of', 'glob', '-1']])
    assert.equal((await pattern.claim()).body.generation, 1)
  })
}
