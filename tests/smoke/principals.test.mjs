// Who calls decides what they may do: what one creates is one's own, and the system may do everything.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { change, world } from '../harness/world.mjs'

const forms = [
  ['user:alice', '/principal/user%3Aalice'],
  ['/principal/user%3Aalice', '/principal/user%3Aalice'],
  ['/principal/user:alice', '/principal/user%3Aalice'],
  ['user:alice@example.com', '/principal/user%3Aalice%40example.com'],
  ['user:clerk:user_123', '/principal/user%3Aclerk%3Auser_123'],
  ["agent:a-b_c.d!e~f*g'h(i)", "/principal/agent%3Aa-b_c.d!e~f*g'h(i)"],
  ['service:50%', '/principal/service%3A50%25'],
  ['/principal/user%3A%C3%A9%E2%82%AC', '/principal/user%3A%C3%A9%E2%82%AC'],
  ['user:a b', '/principal/user%3Aa%20b'],
  ['system:framework', '/principal/system%3Aframework'],
  ['system:anything-else', '/principal/system%3Aanything-else'],
]
for (const [header, url] of forms) {
  test(`electric-principal: ${header} is ${url}`, async (t) => {
    const w = await world(t)
    await w.type()
    const entity = await w.spawn(w.name, 'e', {}, { as: header })
    assert.equal(entity.created_by, url)
  })
}

test('without the header, development is done by dev-local', async (t) => {
  const w = await world(t)
  await w.type()
  for (const headers of [{}, { 'electric-principal': '' }]) {
    const answer = await w.put(`/_electric/entities/${w.name}/${Object.keys(headers).length}`, {}, { headers })
    assert.equal(answer.json.created_by, '/principal/system%3Adev-local')
  }
})

for (const malformed of ['alice', ':alice', 'user:', 'robot:x', 'user:a/b', '/principal/', '/principal/user%3A', '/principal/%E0%A4%A', 'user:é', 'user:Ã©']) {
  test(`a malformed principal is nobody, and not the developer: ${malformed}`, async (t) => {
    const w = await world(t)
    await w.type()
    const answer = await w.put(`/_electric/entities/${w.name}/e`, {}, { as: malformed })
    assert.equal(answer.status, 401, answer.text)
    assert.deepEqual(answer.json, { error: { code: 'UNAUTHORIZED', message: 'Missing Electric-Principal' } })
    assert.equal(answer.headers['access-control-allow-origin'], '*')
  })
}

// What bob may not do to what alice made.
const deeds = [
  ['read', 'GET', (url) => `/_electric/entities${url}`],
  ['read', 'GET', (url) => `${url}/main?offset=-1`],
  ['read', 'GET', (url) => `${url}/main?offset=-1&live=long-poll`],
  ['read', 'GET', (url) => `${url}/main?offset=-1&live=sse`],
  ['write', 'POST', (url) => `/_electric/entities${url}/send`, { payload: 1 }],
  ['write', 'POST', (url) => `/_electric/entities${url}/send`, { payload: 1, afterMs: 5 }],
  ['delete', 'DELETE', (url) => `/_electric/entities${url}`],
]
for (const [permission, method, path, body] of deeds) {
  test(`a stranger may not ${permission}: ${method} ${path('/type/e')}${body ? ` ${JSON.stringify(body)}` : ''}`, async (t) => {
    const w = await world(t)
    await w.type()
    const { url } = await w.spawn(w.name, 'e', {}, { as: 'user:alice' })
    for (const as of ['user:bob', 'agent:alice', 'user:Alice', 'system:anything-else']) {
      const answer = await w.http(method, path(url), { as, body })
      assert.equal(answer.status, 401, `${as}: ${answer.text}`)
      assert.deepEqual(answer.json.error, {
        code: 'UNAUTHORIZED',
        message: `Principal is not allowed to ${permission} ${url}`,
      })
    }
    await w.advance(5)
    assert.deepEqual(await w.events(url, 'inbox'), [])
    assert.equal((await w.entity(url)).status, 'idle')
  })
}

for (const as of ['user:alice', 'system:framework', 'system:auth-sync', 'system:dev-local']) {
  test(`${as} may do all of it to what alice made`, async (t) => {
    const w = await world(t)
    await w.type()
    const { url } = await w.spawn(w.name, 'e', {}, { as: 'user:alice' })
    await w.send(url, 1, {}, { as })
    assert.equal((await w.get(`/_electric/entities${url}`, { as })).status, 200)
    assert.equal((await w.head(`${url}/main`, { as })).status, 200)
    assert.equal((await w.read(`${url}/main`, { as })).length, 2)
    assert.equal((await w.delete(`/_electric/entities${url}`, { as })).status, 200)
  })
}

test('HEAD tells a stranger nothing either', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, { as: 'user:alice' })
  for (const path of [`/_electric/entities${url}`, `${url}/main`]) {
    const answer = await w.head(path, { as: 'user:bob' })
    assert.equal(answer.status, 401)
    assert.equal(answer.headers['stream-next-offset'], undefined)
  }
})

test('a claim token is enough to work, whoever calls', async (t) => {
  const w = await world(t)
  await w.type()
  const hook = await w.hook()
  await w.spawn(w.name, 'e', { dispatch_policy: hook.policy, initialMessage: 1 }, { as: 'user:alice' })
  const wake = await w.woken(hook)
  await wake.claim()
  const headers = { authorization: `Bearer ${wake.writeToken}` }
  const answer = await w.post(`${wake.entity}/main`, [change('note', 'n', {})], { as: 'agent:somebody', headers })
  assert.equal(answer.status, 204, answer.text)
})
