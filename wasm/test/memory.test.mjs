// What is checked against a schema leaves nothing behind: the memory of an instance never shrinks, so it shows whether
// anything is kept for each message.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { read, reveille } from './fixture.mjs'

/** Takes note of the memories of the instances that are made while the test runs. */
function memories(t) {
  const { Instance } = WebAssembly
  const made = []
  WebAssembly.Instance = class extends Instance {
    constructor(...args) {
      super(...args)
      made.push(this.exports.memory)
    }
  }
  t.after(() => (WebAssembly.Instance = Instance))
  return () => made.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
}

/** Gives an entity's agent what it writes with: the entity is pulled by a runner and has a message. */
async function token(w, url) {
  const [event] = await read(w, '/runners/r/wake')
  const claimed = await (await w.ask('POST', '/_electric/runners/r/claim', event)).json()
  assert.equal(claimed.entity.url, url)
  const headers = { authorization: `Bearer ${claimed.claimToken}` }
  const callback = new URL(claimed.callback).pathname
  const answer = await w.ask('POST', callback, { epoch: claimed.epoch, wakeId: claimed.wakeId }, { headers })
  return (await answer.json()).writeToken
}

test('what is checked against a large schema does not make the memory grow', async (t) => {
  const size = memories(t)
  const w = reveille(t)
  const property = (n) => [`p${n}`, { type: 'string', pattern: `^[a-z]{0,${n % 50}}$`, maxLength: 50 }]
  const large = { type: 'object', properties: Object.fromEntries(Array.from({ length: 200 }, (_, n) => property(n))) }
  const schemas = { creation_schema: large, inbox_schemas: { say: large }, state_schemas: { note: large } }
  assert.equal((await w.ask('POST', '/_electric/entity-types', { name: 't', description: 'd', ...schemas })).status, 201)
  assert.equal((await w.ask('POST', '/_electric/runners', { id: 'r', label: 'r' })).status, 201)
  const value = { p1: 'a', p49: 'abc' }
  const dispatch_policy = { targets: [{ type: 'runner', runnerId: 'r' }] }
  const spawned = await w.ask('PUT', '/_electric/entities/t/a', { args: value, dispatch_policy, initialMessage: 'go' })
  assert.equal(spawned.status, 201, await spawned.text())
  const headers = { authorization: `Bearer ${await token(w, '/t/a')}` }
  let spawns = 0
  const requests = {
    message: () => w.ask('POST', '/_electric/entities/t/a/send', { type: 'say', payload: value }),
    event: () => w.ask('POST', '/t/a/main', [{ type: 'note', key: 'n', value, headers: { operation: 'upsert' } }], { headers }),
    spawn: () => w.ask('PUT', `/_electric/entities/t/s${spawns++}`, { args: value }),
    refusal: () => w.ask('PUT', '/_electric/entities/t/refused', { args: { p1: 'ABC' } }),
  }
  for (const [what, ask] of Object.entries(requests)) {
    const often = async (times) => {
      for (let n = 0; n < times; n++) {
        const answer = await ask()
        assert.equal(answer.status < 300, what !== 'refusal', `${what}: ${answer.status} ${await answer.text()}`)
      }
    }
    await often(25)
    const before = size()
    assert.ok(before > 0, 'an instance was seen')
    await often(200)
    assert.equal(size(), before, what)
  }
})
