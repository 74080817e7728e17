// A healthy server says so; what is not a route of the control plane is a bare 404.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

for (const path of ['/_electric/health', '/_electric/health/', '/_electric/health//']) {
  test(`GET ${path} says ok`, async (t) => {
    const w = await world(t)
    const answer = await w.get(path)
    assert.equal(answer.status, 200)
    assert.match(answer.headers['content-type'], /^application\/json/)
    assert.deepEqual(answer.json, { status: 'ok' })
  })
}

const nowhere = [
  ['GET', '/_electric'],
  ['GET', '/_electric/nothing'],
  ['HEAD', '/_electric/health'],
  ['DELETE', '/_electric/health'],
  ['PUT', '/_electric/entity-types'],
  ['HEAD', '/_electric/entities'],
  ['GET', '/_electric/entities//task/t1'],
  ['POST', '/_electric/pg-sync/anything'],
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
