// A body that never ends is given up. The virtual clock does not move this limit, since the request is not in the engine
// yet: so it is begun before the first test of a run, and by the time that this file comes its answer is there.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'

import { raw } from '../harness/http.mjs'
import { server, world } from '../harness/world.mjs'

let answer
before(async () => {
  const bytes = 'POST /_electric/entity-types HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"name":'
  answer = raw((await server()).url, bytes, { timeout: 60_000 })
  answer.catch(() => {})
})

test('a body that never ends is answered 408', async (t) => {
  const w = await world(t)
  assert.equal((await answer).status, 408)
  assert.equal((await w.get('/_electric/health')).status, 200)
})
