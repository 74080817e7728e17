// Every answer carries the CORS headers: a browser must be able to read a refusal too.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const requests = [
  ['GET', '/_electric/health', 200],
  ['GET', '/_electric/entities/none/none', 404],
  ['GET', '/_electric/nothing', 404],
  ['POST', '/_electric/entity-types', 400],
  ['POST', '/_electric/wake/unregister', 400],
  ['POST', '/_electric/runners', 400],
  ['GET', '/_electric/runners/none', 404],
  ['GET', '/plain/cors/none', 404],
  ['POST', '/plain/cors/none', 404],
  ['GET', '/__ds/jwks.json', 200],
  ['OPTIONS', '/_electric/health', 204],
  ['OPTIONS', '/_electric/entities/none/none', 204],
  ['OPTIONS', '/plain/cors/none', 204],
  ['OPTIONS', '/_electric/nothing', 204],
]

for (const [method, path, status] of requests) {
  test(`${method} ${path} (${status}) carries the CORS headers`, async (t) => {
    const w = await world(t)
    const answer = await w.http(method, path, { body: method === 'POST' ? '{}' : undefined })
    assert.equal(answer.status, status, answer.text)
    if (status === 204) assert.equal(answer.text, '')
    assert.equal(answer.headers['access-control-allow-origin'], '*')
    assert.equal(answer.headers['access-control-expose-headers'], '*')
    contains(answer.headers['access-control-allow-methods'], 'GET, POST, PUT, PATCH, DELETE, OPTIONS')
    contains(
      answer.headers['access-control-allow-headers'],
      'content-type, authorization, electric-claim-token, electric-owner-entity, electric-principal, ngrok-skip-browser-warning',
    )
  })
}

function contains(header, names) {
  const present = new Set(header?.toLowerCase().split(/,\s*/))
  for (const name of names.toLowerCase().split(', ')) assert.ok(present.has(name), `${name} is not in ${header}`)
}
