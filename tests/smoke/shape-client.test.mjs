// The published clients of shapes: `@electric-sql/client`, and a collection of TanStack DB.
import '../harness/long-timers.mjs'

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Shape, ShapeStream } from '@electric-sql/client'
import { electricCollectionOptions } from '@tanstack/electric-db-collection'

import { startHost } from '../harness/host.mjs'
import { world } from '../harness/world.mjs'

// The collection's own TanStack DB, which may be another than ours.
const { createCollection } = createRequire(fileURLToPath(import.meta.resolve('@tanstack/electric-db-collection')))('@tanstack/db')

const mine = (w) => ({ table: 'entities', where: 'type = $1', params: { 1: w.name } })

function options(w, as) {
  const headers = { 'reveille-test-id': w.testId, ...(as && { 'electric-principal': as }) }
  return { url: `${w.url}/_electric/electric/v1/shape`, params: mine(w), headers, parser: { int8: Number } }
}

/** A live shape, ended with the test. */
function live(t, w, as) {
  const aborter = new AbortController()
  t.after(() => aborter.abort())
  const errors = []
  const stream = new ShapeStream({ ...options(w, as), signal: aborter.signal, onError: (error) => void errors.push(error) })
  return { shape: new Shape(stream), stream, errors }
}

const urls = (shape) => shape.currentRows.map((row) => row.url).sort()

test('the published client reads a snapshot once', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'a', { tags: { k: 'v' } })
  const [row] = await new Shape(new ShapeStream({ ...options(w), subscribe: false })).rows
  assert.deepEqual([row.url, row.tags, row.created_at], [url, { k: 'v' }, await w.now()])
})

test('the published client follows what changes, for each principal what is theirs', async (t) => {
  const w = await world(t)
  await w.type()
  const [alice, all] = [live(t, w, 'user:alice'), live(t, w)]
  await Promise.all([alice.shape.rows, all.shape.rows])
  const a = await w.spawn(w.name, 'a', {}, { as: 'user:alice' })
  const b = await w.spawn(w.name, 'b', {}, { as: 'user:bob' })
  await w.eventually(() => assert.deepEqual([urls(alice.shape), urls(all.shape)], [[a.url], [a.url, b.url]]))
  await w.post(`/_electric/entities${a.url}/tags/k`, { value: 'v' }, { as: 'user:alice' })
  await w.eventually(() => assert.deepEqual(alice.shape.currentRows[0].tags, { k: 'v' }))
  await w.delete(`/_electric/entities${a.url}`, { as: 'user:alice' })
  await w.eventually(() => assert.match(alice.shape.currentRows[0].status, /stopp|killed/))
  assert.deepEqual([alice.errors, all.errors], [[], []])
})

test('the published client goes on after a restart', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const { shape, stream } = live(t, w)
  await shape.rows
  const a = await w.spawn(w.name, 'a')
  await w.eventually(() => assert.deepEqual(urls(shape), [a.url]))
  const { shapeHandle } = stream
  await host.kill()
  await host.restart()
  w.testId += ' again'
  const b = await w.spawn(w.name, 'b')
  await w.eventually(() => assert.deepEqual(urls(shape), [a.url, b.url]), 15_000)
  assert.equal(stream.shapeHandle, shapeHandle, 'it did not begin anew')
})

test('the published client, waiting, asks no more than it must', async (t) => {
  const w = await world(t)
  await w.type()
  let asked = 0
  const fetchClient = (...args) => {
    asked++
    return fetch(...args)
  }
  const aborter = new AbortController()
  t.after(() => aborter.abort())
  const shape = new Shape(new ShapeStream({ ...options(w), fetchClient, signal: aborter.signal }))
  await shape.rows
  await w.settle()
  await w.spawn(w.name, 'a')
  await w.eventually(() => assert.equal(shape.currentRows.length, 1))
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.ok(asked <= 4, `it asked ${asked} times`)
})

test('an optimistic collection learns of its transactions', async (t) => {
  const w = await world(t)
  await w.type()
  const collection = createCollection(
    electricCollectionOptions({ id: w.name, shapeOptions: options(w), getKey: (row) => row.url }),
  )
  t.after(() => collection.cleanup())
  await collection.preload()
  const { txid, url } = await w.spawn(w.name, 'a')
  assert.equal(await collection.utils.awaitTxId(txid, 5_000), true)
  assert.equal(collection.get(url).status, 'idle')
  const tagged = await w.post(`/_electric/entities${url}/tags/title`, { value: 'x' })
  assert.equal(await collection.utils.awaitTxId(tagged.json.txid, 5_000), true)
  assert.deepEqual(collection.get(url).tags, { title: 'x' })
  // A signal that changes no status is seen, too, also in the same moment.
  const signalled = await w.post(`/_electric/entities${url}/signal`, { signal: 'SIGUSR' })
  assert.equal(await collection.utils.awaitTxId(signalled.json.txid, 5_000), true)
  const killed = await w.post(`/_electric/entities${url}/signal`, { signal: 'SIGKILL' })
  assert.equal(await collection.utils.awaitTxId(killed.json.txid, 5_000), true)
  assert.match(collection.get(url).status, /stopp|killed/)
})
