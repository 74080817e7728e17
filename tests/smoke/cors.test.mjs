// What is no route carries the CORS headers, too: a browser must be able to read any refusal. The routes are in routes/.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const requests = [
  ['GET', '/plain/cors/none', 404],
  ['POST', '/plain/cors/none', 404],
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
