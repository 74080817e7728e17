// What a probe asks, and what is not a route of the control plane (control plane, sections 1.2 and 15).
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ISO } from '../../harness/like.mjs'
import { route } from '../../harness/route.mjs'
import { world } from '../../harness/world.mjs'

const everybody = [['anybody', {}], ['a user', { by: 'user:alice' }], ['who is nobody', { by: 'nobody' }], ['a query', { query: '?a=%zz' }]]

route('GET /_electric/health', { answers: everybody.map(([what, asked]) => [what, asked, 200, { status: 'ok' }]) })

route('GET /', {
  answers: everybody.map(([what, asked]) => [what, asked, 200, {
    name: 'reveille', version: String, now: ISO,
    see: { health: '/_electric/health', entities: '/_electric/entities', types: '/_electric/entity-types', runners: '/_electric/runners' },
  }]),
})

route('HEAD /', { answers: everybody.map(([what, asked]) => [what, asked, 200]) })

const nowhere = [
  ['GET', '/_electric'],
  ['GET', '/_electric/'],
  ['GET', '/_electric/nothing'],
  ['HEAD', '/_electric/health'],
  ['DELETE', '/_electric/health'],
  ['PUT', '/_electric/entity-types'],
  ['HEAD', '/_electric/entities'],
  ['GET', '/_electric/entities/task'],
  ['GET', '/_electric/entities//task/t1'],
  ['GET', '/_electric/entities/task/t1/nothing'],
  ['POST', '/_electric/entities/task/t1'],
  ['POST', '/_electric/pg-sync/anything'],
  ['PUT', '/_electric/pg-sync/anything'],
  ['POST', '/_electric/mock-agent-handler'],
  ['POST', '/'],
  ['PUT', '/__agent_ui/app.js'],
  ['POST', '/__agent_ui/'],
  ['DELETE', '/__agent_ui'],
]
for (const [method, path] of nowhere) {
  test(`${method} ${path} is a bare 404`, async (t) => {
    const w = await world(t)
    const answer = await w.http(method, path)
    assert.equal(answer.status, 404)
    assert.equal(answer.text, '')
    assert.equal(answer.headers['content-type'], undefined)
    assert.equal(answer.headers['access-control-allow-origin'], '*')
  })
}

test('where no web app is served there is nothing else either', async (t) => {
  const w = await world(t)
  for (const path of ['/__agent_ui', '/__agent_ui/', '/__agent_ui/assets/app.js']) {
    const answer = await w.get(path)
    assert.equal(answer.status, 404, path)
    assert.deepEqual(answer.json, { error: { code: 'AGENT_UI_NOT_FOUND', message: 'Agent UI build artifacts are missing' } })
    assert.equal((await w.head(path)).status, 404, path)
  }
  assert.equal((await w.put(`/__agent_ui-${w.name}`, undefined)).status, 201, 'a stream')
})

test('dots in a path are resolved before it is matched', async (t) => {
  const w = await world(t)
  for (const path of ['/_electric/./health', '/_electric/nothing/../health', '/_electric/%2e/health', '/x/%2E%2e/_electric/health']) {
    assert.equal((await w.get(path)).status, 200, path)
  }
})
