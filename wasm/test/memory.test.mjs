// What is checked against a schema leaves nothing behind: the memory of an instance never shrinks, so it shows whether
// anything is kept for each message.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { reveille } from './fixture.mjs'

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

test('messages that are checked against a large schema do not make the memory grow', async (t) => {
  const size = memories(t)
  const w = reveille(t)
  const property = (n) => [`p${n}`, { type: 'string', pattern: `^[a-z]{0,${n % 50}}$`, maxLength: 50 }]
  const properties = Object.fromEntries(Array.from({ length: 200 }, (_, n) => property(n)))
  const type = { name: 't', description: 'd', inbox_schemas: { say: { type: 'object', properties } } }
  assert.equal((await w.ask('POST', '/_electric/entity-types', type)).status, 201)
  assert.equal((await w.ask('PUT', '/_electric/entities/t/a', {})).status, 201)
  const say = async (times) => {
    for (let n = 0; n < times; n++) {
      const sent = await w.ask('POST', '/_electric/entities/t/a/send', { type: 'say', payload: { p1: 'a', p49: 'abc' } })
      assert.equal(sent.status, 200, await sent.text())
    }
  }
  await say(50)
  const before = size()
  assert.ok(before > 0, 'an instance was seen')
  await say(400)
  assert.equal(size(), before)
})
