// The router: one engine a tenant, callers believed as the options say, requests of one macrotask in one batch.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createRouter } from '../npm/index-node.js'
import { openDatabase } from '../npm/sqlite-node.js'
import { eventually, pause, read, reveille } from './fixture.mjs'

test('tenants know nothing of each other', async (t) => {
  const w = reveille(t)
  for (const tenant of ['a', 'b']) await w.stream('/s', { tenant })
  await w.ask('POST', '/s', ['mine'], { tenant: 'a' })
  assert.deepEqual(await read(w, '/s', { tenant: 'a' }), ['mine'])
  assert.deepEqual(await read(w, '/s', { tenant: 'b' }), [])
  assert.equal((await w.ask('GET', '/s?offset=-1', undefined, { tenant: 'c' })).status, 404)
})

test('a router that cannot authenticate is not made', () => {
  const open = () => openDatabase(':memory:')
  assert.throws(() => createRouter({ open }), /exactly one of/)
  assert.throws(() => createRouter({ open, dev: true, apiKeys: 'k user:a' }), /exactly one of/)
  assert.throws(() => createRouter({ dev: true }), /wants `open`/)
  assert.throws(() => createRouter({ open, apiKeys: 'k' }), /line 1/)
  assert.throws(() => createRouter({ open, apiKeys: 'k user:a', virtual: true }), /only with `dev/)
})

test('a router with an option that cannot be is not made', () => {
  const open = () => openDatabase(':memory:')
  for (const [option, problem] of [
    [{ allowWebhooks: ['10.0.0.1', 'http://10.0.0.2'] }, /allowWebhooks: `http:\/\/10\.0\.0\.2` is not HOST or HOST:PORT/],
    [{ allowWebhooks: 'agents.corp' }, /an array/],
    [{ streamRoot: 'v1/stream' }, /streamRoot: `v1\/stream` is not a path/],
    [{ streamRoot: '/__ds' }, /streamRoot: .* belongs to the server itself/],
    [{ longPoll: 0 }, /longPoll: `0` is not/],
    [{ longPoll: NaN }, /longPoll/],
  ]) {
    assert.throws(() => createRouter({ open, dev: true, ...option }), problem)
  }
})

test('webhooks of a production router go to this machine only when told to', async (t) => {
  const calls = []
  const fetch = async (url) => (calls.push(url), new Response('{"done":true}'))
  const more = { trustedHeader: 'x-user', fetch }
  const permission_grants = [{ subject_kind: 'principal_kind', subject_value: 'user', permission: 'spawn' }]
  const type = { name: 'task', description: 'a task', serve_endpoint: 'http://127.0.0.1:9/task', permission_grants }
  const headers = { 'x-user': 'user:alice' }
  const closed = reveille(t, { ...more, allowWebhooks: ['127.0.0.1:8'] })
  const refused = await closed.ask('POST', '/_electric/entity-types', type, { headers })
  assert.equal(refused.status, 400)
  assert.match((await refused.json()).error.message, /allow it with `--allow-webhook 127\.0\.0\.1:9`/)

  const open = reveille(t, { ...more, allowWebhooks: ['127.0.0.1:8', '127.0.0.1:9'] })
  assert.equal((await open.ask('POST', '/_electric/entity-types', type, { headers })).status, 201)
  assert.equal((await open.ask('PUT', '/_electric/entities/task/a', { initialMessage: 1 }, { headers })).status, 201)
  await eventually(() => assert.deepEqual(calls, [type.serve_endpoint]))
})

test('nobody opens a tenant without being known', async (t) => {
  const w = reveille(t, { apiKeys: 'secret user:alice' })
  assert.equal((await w.ask('GET', '/_electric/entities')).status, 401)
  assert.equal((await w.ask('PUT', '/s', undefined, { headers: { authorization: 'Bearer wrong' } })).status, 401)
  assert.equal(w.databases.length, 0)
  const headers = { authorization: 'Bearer secret' }
  assert.equal((await w.ask('GET', '/_electric/entities', undefined, { headers })).status, 200)
  assert.equal(w.databases.length, 1)
})

test('what `authenticate` says counts, and what the caller says of itself does not', async (t) => {
  const asked = []
  const authenticate = async (request, tenant) => {
    asked.push(tenant)
    return request.headers.get('x-user')
  }
  const w = reveille(t, { authenticate })
  assert.equal((await w.ask('GET', '/_electric/entities', undefined, { headers: { 'reveille-principal': 'system:framework' } })).status, 401)
  assert.equal(w.databases.length, 0)
  const body = { id: 'r', label: 'a runner' }
  const headers = { 'x-user': 'user:alice', 'reveille-principal': 'user:mallory' }
  const answer = await w.ask('POST', '/_electric/runners', body, { headers, tenant: 'mine' })
  assert.equal(answer.status, 201)
  assert.match((await answer.json()).owner_principal, /alice/)
  assert.deepEqual(asked, ['default', 'mine'])
  const other = reveille(t, { authenticate: () => 'user:josé 学' })
  const owned = await other.ask('POST', '/_electric/runners', { id: 'r', label: 'a runner' })
  assert.equal((await owned.json()).owner_principal, `/principal/${encodeURIComponent('user:josé 学')}`)
})

test('requests of one macrotask are one transaction', async (t) => {
  let outermost = 0
  const counting = (db) => {
    let depth = 0
    return {
      run: (...a) => db.run(...a),
      written: () => db.written(),
      intact: () => db.intact(),
      close: () => db.close(),
      transaction(work) {
        if (depth++ === 0) outermost++
        try {
          db.transaction(work)
        } finally {
          depth--
        }
      },
    }
  }
  const w = reveille(t, { open: () => counting(openDatabase(':memory:')) })
  await w.stream('/s')
  outermost = 0
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => w.ask('POST', '/s', [n])))
  assert.ok(answers.every(({ status }) => status === 204 || status === 200))
  assert.equal(outermost, 1)
  assert.deepEqual(await read(w, '/s'), Array.from({ length: 20 }, (_, n) => n))
  assert.equal(outermost, 1, 'a read needs no transaction')
})

test('a database that cannot be opened is asked for again', async (t) => {
  let times = 0
  const w = reveille(t, {
    open: () => {
      if (times++ === 0) throw new Error('not yet')
      return openDatabase(':memory:')
    },
  })
  await assert.rejects(w.ask('GET', '/_electric/entities'), /not yet/)
  assert.equal((await w.ask('GET', '/_electric/entities')).status, 200)
})

test('a database of a newer release is left alone, and its caller told', async (t) => {
  const db = openDatabase(':memory:')
  db.run('CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT', [])
  db.run('INSERT INTO schema_version (version) VALUES (?1)', [999])
  const w = reveille(t, { open: () => db })
  for (const [method, path] of [['GET', '/s?offset=-1'], ['POST', '/_electric/wake']]) {
    const answer = await w.ask(method, path, method === 'POST' ? {} : undefined)
    assert.equal(answer.status, 503)
    assert.equal(answer.headers.get('retry-after'), '1')
  }
  assert.match(w.problems.join('\n'), /999/)
})

test('bodies are held to their limit, and to a pace', async (t) => {
  const { readBody, TooLarge, TooSlow } = await import('../npm/body.js')
  const body = (chunks, wait) =>
    new Request('http://x', {
      method: 'POST',
      duplex: 'half',
      body: new ReadableStream({
        async pull(stream) {
          if (chunks.length === 0) return wait ? new Promise(() => {}) : stream.close()
          stream.enqueue(new Uint8Array(chunks.shift()))
        },
      }),
    })
  const patience = { silence: 20, rate: 16 }
  assert.equal((await readBody(body([5, 5, 0]), 10, patience)).length, 10)
  assert.equal((await readBody(new Request('http://x', { method: 'POST' }), 10)).length, 0)
  await assert.rejects(readBody(body([5, 6]), 10, patience), TooLarge)
  await assert.rejects(readBody(body([5], true), 10, patience), TooSlow)

  const w = reveille(t)
  const large = 'x'.repeat(2 << 20)
  const answer = await w.ask('POST', '/_electric/entity-types', large)
  assert.equal(answer.status, 413)
  assert.equal((await answer.json()).error.code, 'INVALID_REQUEST')
})

test('an answer to HEAD, and a 204, have no body', async (t) => {
  const w = reveille(t)
  await w.stream('/s')
  for (const [method, path, status] of [['HEAD', '/s', 200], ['OPTIONS', '/s', 204], ['DELETE', '/s', 204]]) {
    const answer = await w.ask(method, path)
    assert.equal(answer.status, status)
    assert.equal(answer.body, null)
  }
})

test('paths keep their escapes', async (t) => {
  const w = reveille(t)
  await w.stream('/a%2Fb')
  assert.equal((await w.ask('HEAD', '/a%2Fb')).status, 200)
  assert.equal((await w.ask('HEAD', '/x/../a%2Fb#there')).status, 200)
  assert.equal((await w.ask('HEAD', '/a/b')).status, 404)
  assert.equal((await w.ask('GET', '/a%zz?offset=-1')).status, 400)
})

test('closing answers what was accepted, and nothing after it', async (t) => {
  const w = reveille(t)
  for (const path of ['/s', '/quiet']) await w.stream(path)
  const accepted = w.ask('POST', '/s', ['last'])
  const poll = w.ask('GET', '/quiet?offset=now&live=long-poll')
  await pause(0)
  await w.router.close()
  assert.ok((await accepted).ok)
  for (const answer of [await poll, await w.ask('GET', '/s?offset=-1')]) {
    assert.equal(answer.status, 503)
    assert.equal(answer.headers.get('access-control-allow-origin'), '*', 'a browser may read it')
  }
  const again = reveille(t, { dir: w.dir })
  assert.deepEqual(await read(again, '/s'), ['last'])
})
