// Who calls is known from whoever authenticated them: outside development a request's `electric-principal` says nothing.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { request } from '../harness/http.mjs'
import { routes } from '../harness/routes.mjs'

const keys = { 'key-of-alice': 'user:alice', 'key-of-bob': 'user:bob', 'key-of-us': 'system:framework' }
const claim = { 'electric-principal': 'system:framework' }

// How a server knows its callers, and what of a request says who one is.
const ways = {
  'API keys': {
    options: async (host) => {
      const file = path.join(host.dataDir, 'keys.txt')
      await writeFile(file, Object.entries(keys).map((pair) => `${pair.join(' ')}\n`).join(''))
      return ['--api-keys', file]
    },
    by: (principal) => ({ authorization: `Bearer ${Object.keys(keys).find((key) => keys[key] === principal)}` }),
    nobody: [{}, { authorization: 'Bearer unknown' }, { authorization: 'Bearer user:alice' }, { authorization: 'Basic key-of-alice' }, { 'x-authenticated': 'user:alice' }],
    refusal: 'send `authorization: Bearer KEY` with a key of this server',
  },
  'a proxy’s header': {
    options: async () => ['--trust-proxy-header', 'x-authenticated'],
    by: (principal) => ({ 'x-authenticated': principal }),
    nobody: ['', ' ', 'alice', 'robot:x', 'user:', 'user:a/b'].map((value) => ({ 'x-authenticated': value })).concat({}, { authorization: 'Bearer user:alice' }),
    refusal: 'Missing Electric-Principal',
  },
}

for (const [name, { options, by, nobody, refusal }] of Object.entries(ways)) {
  test(`where callers are known by ${name}, nobody is who they say`, async (t) => {
    const host = await startHost({ virtual: false })
    t.after(() => host.dispose())
    await host.stop()
    await host.restart({ args: await options(host), virtual: false })
    const ask = (method, path, headers, body) => request(host.url, method, path, { headers, body })
    const refuses = (answer, what) => {
      assert.equal(answer.status, 401, what)
      assert.deepEqual(answer.json, { error: { code: 'UNAUTHORIZED', message: refusal } }, what)
      assert.equal(answer.headers['access-control-allow-origin'], '*', what)
    }

    for (const headers of nobody) {
      for (const more of [{}, claim, { 'electric-principal': 'user:alice' }, { 'reveille-principal': 'system:framework' }]) {
        refuses(await ask('GET', '/_electric/entities', { ...headers, ...more }), JSON.stringify({ ...headers, ...more }))
      }
    }
    for (const { method, pattern, open } of routes.filter((route) => route.method !== 'HEAD')) {
      const path = pattern.replace(/\{\*?\w+\}/g, 'user:x')
      const answer = await ask(method, path, claim, method === 'GET' ? undefined : {})
      if (open) assert.notEqual(answer.json?.error?.message, refusal, `${method} ${path}`)
      else refuses(answer, `${method} ${path}`)
    }
    for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
      refuses(await ask(method, '/plain/x', claim, method === 'GET' ? undefined : []), `${method} a stream`)
    }

    // Who is known is who they are, whatever else they say.
    const type = { name: 't', description: 'd', permission_grants: [{ subject_kind: 'principal_kind', subject_value: 'user', permission: 'spawn' }] }
    assert.equal((await ask('POST', '/_electric/entity-types', by('system:framework'), type)).status, 201)
    const made = await ask('PUT', '/_electric/entities/t/hers', { ...by('user:alice'), ...claim }, {})
    assert.deepEqual([made.status, made.json.created_by], [201, '/principal/user%3Aalice'])
    for (const more of [{}, claim, { 'electric-principal': 'user:alice' }, { 'reveille-principal': 'user:alice' }]) {
      const answer = await ask('GET', '/_electric/entities/t/hers', { ...by('user:bob'), ...more })
      assert.equal(answer.json.error.message, 'Principal is not allowed to read /t/hers')
    }
    assert.equal((await ask('GET', '/_electric/entities/t/hers', by('user:alice'))).status, 200)
    // What is for development is not there for anybody.
    assert.equal((await ask('POST', '/_reveille/dev/clock', by('system:framework'), { advance_ms: 1 })).status, 404)
  })
}
