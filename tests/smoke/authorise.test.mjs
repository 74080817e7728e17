// A host that has the last word on who may do what. The native one is a Rust program: native/tests/it/authorise.rs.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hostName, startHost } from '../harness/host.mjs'
import { everybody, world } from '../harness/world.mjs'

const hosts = {
  native: {},
  wasm: { 'router in Node': ['--authorise', 'tests/harness/hosted/authorise.js'] },
  worker: {
    'class of the Worker': ['--entry', 'tests/harness/hosted/worker.js'],
    'router in workerd': ['--entry', 'tests/harness/hosted/router.js'],
  },
}[hostName]

const alice = { as: 'user:alice' }
const bob = { as: 'user:bob' }
const types = '/_electric/entity-types'

for (const [what, args] of Object.entries(hosts)) {
  test(`what the host of a ${what} says holds, and what it leaves is as decided`, async (t) => {
    const host = await startHost({ args })
    const w = await world(t, { host })
    const type = await w.type()
    const statuses = { closed: [401, 401], open: [200, 200], broken: [401, 401], late: [401, 401], wrong: [401, 401], hers: [200, 401] }
    for (const id of Object.keys(statuses)) await w.spawn(type, id, {}, alice)
    const check = async () => {
      for (const [id, [hers, his]] of Object.entries(statuses)) {
        const url = `/${type}/${id}`
        for (const [by, status] of [[alice, hers], [bob, his], [{}, 200]]) {
          for (const path of [`/_electric/entities${url}`, `${url}/main?offset=-1`]) {
            assert.equal((await w.get(path, by)).status, status, `${path} by ${by.as ?? 'the system'}`)
          }
        }
      }
      const send = await w.post(`/_electric/entities/${type}/open/send`, { payload: 1 }, bob)
      assert.equal(send.json.error.message, `Principal is not allowed to write /${type}/open`)
    }
    await check()

    // It is asked in every instance, those that follow a panic included.
    assert.equal((await w.post('/_reveille/dev/panic')).status, 500)
    await check()
    assert.equal(host.output().match(/authorise returned a promise/g).length, 1)
    assert.match(host.output(), /authorise threw/)
    assert.match(host.output(), /authorise returned a string/)
  })

  test(`types and their registration are the host's to decide in a ${what}`, async (t) => {
    const w = await world(t, { host: await startHost({ args }) })
    await w.type({ name: 'shown' })
    await w.type({ name: 'hidden' })
    assert.equal((await w.put('/_electric/entities/hidden/e', {}, alice)).status, 401)
    assert.deepEqual((await w.get(types, alice)).json.map(({ name }) => name), ['shown'])
    const mine = { name: 'mine', description: 'd', permission_grants: everybody }
    const refused = await w.post(types, mine, alice)
    assert.equal(refused.status, 401)
    assert.equal(refused.json.error.message, 'Principal is not allowed to register entity types')
    assert.equal((await w.post(types, mine, bob)).status, 201)
  })

  test(`a shared state is the host's to decide in a ${what}`, async (t) => {
    const w = await world(t, { host: await startHost({ args }) })
    const [path, json] = ['/_electric/shared-state/board', { headers: { 'content-type': 'application/json' } }]
    assert.equal((await w.put(path, [], { ...alice, ...json })).status, 401)
    assert.equal((await w.put(path, [], { ...bob, ...json })).status, 201)
    assert.equal((await w.get(`${path}?offset=-1`, alice)).status, 401)
    assert.equal((await w.get(`${path}?offset=-1`, bob)).status, 200)
  })
}
