// Path segments are names, raw: nothing decodes them, so two spellings are two entities.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

test('an instance id is kept as it was written, everywhere', async (t) => {
  const w = await world(t)
  await w.type()
  const ids = ['a%20b', 'a%2Fb', 'a%2fb', 'a%25b', '%C3%A9', 'a+b', 'a:b', "a!~'()b", 'a@b,c;d=e&f']
  for (const id of ids) {
    const url = `/${w.name}/${id}`
    const entity = await w.spawn(w.name, id)
    assert.equal(entity.url, url)
    assert.equal(entity.streams.main, `${url}/main`)
    await w.send(url, id)
    assert.equal((await w.entity(url)).url, url)
    assert.deepEqual((await w.events(url, 'inbox')).map((event) => event.value.payload), [id])
    const forked = await w.post(`/_electric/entities${url}/fork`, {})
    assert.equal(forked.status, 201, forked.text)
    const copy = forked.json.root.url
    assert.ok(copy.startsWith(`${url}-fork-`), copy)
    assert.deepEqual((await w.events(copy, 'inbox')).map((event) => event.value.payload), [id])
  }
})

test('hex digits keep their case and an unescaped form is another name', async (t) => {
  const w = await world(t)
  await w.type()
  await w.spawn(w.name, 'a%2Fb')
  for (const other of ['a%2fb', 'a%252Fb']) {
    assert.equal((await w.get(`/_electric/entities/${w.name}/${other}`)).status, 404)
  }
  assert.equal((await w.get(`/_electric/entities/${w.name}/a/b`)).status, 404)
})

test('the name of a type is kept as it was written, too', async (t) => {
  const w = await world(t)
  const names = ['a%20b', 'a%2Fb', 'a%2fb', 'a:b'].map((name) => `${w.name}-${name}`)
  for (const name of names) await w.type({ name })
  for (const name of names) {
    assert.equal((await w.get(`/_electric/entity-types/${name}`)).json.name, name)
    const { url } = await w.spawn(name, 'e', { initialMessage: name })
    assert.equal(url, `/${name}/e`)
    assert.deepEqual((await w.entity(url)).type, name)
    assert.deepEqual((await w.events(url, 'inbox')).map((event) => event.value.payload), [name])
    assert.deepEqual((await w.get(`/_electric/entities?type=${encodeURIComponent(name)}`)).json.map((one) => one.url), [url])
  }
  for (const other of ['a%2520b', 'a%3Ab']) {
    assert.equal((await w.get(`/_electric/entity-types/${w.name}-${other}`)).status, 404)
    assert.equal((await w.put(`/_electric/entities/${w.name}-${other}/e`, {})).status, 404)
  }
})
