// The list of entities: newest first, filtered by exact match, and only what the caller may read.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

test('the list is filtered, newest first', async (t) => {
  const w = await world(t)
  const type = await w.type()
  const parent = await w.spawn(type, 'a')
  await w.advance(1)
  const child = await w.spawn(type, 'b', { parent: parent.url })
  await w.advance(1)
  const dead = await w.spawn(type, 'c')
  await w.delete(`/_electric/entities${dead.url}`)
  await w.advance(1)
  const hers = await w.spawn(type, 'd', {}, { as: 'user:alice' })

  const list = async (query) => (await w.get(`/_electric/entities?${query}`)).json.map((entity) => entity.url)
  const all = [hers.url, dead.url, child.url, parent.url]
  assert.deepEqual(await list(`type=${type}`), all)
  assert.deepEqual(await list(`type=${type}&status=&parent=&created_by=`), all)
  assert.deepEqual(await list(`type=${type}&status=killed`), [dead.url])
  assert.deepEqual(await list(`type=${type}&status=nonsense`), [])
  assert.deepEqual(await list(`parent=${encodeURIComponent(parent.url)}`), [child.url])
  assert.deepEqual(await list(`type=${type}&created_by=${encodeURIComponent('/principal/user%3Aalice')}`), [hers.url])
  assert.deepEqual(await list(`type=${type}&type=other`), all)
  assert.deepEqual(await list('type=no-such-type'), [])
})
