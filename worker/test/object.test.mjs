// The Durable Object in workerd, on the real clock: traps, alarms, restarts, the entrance.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { freePort, startHost } from '../../tests/harness/host.mjs'
import { request, sse } from '../../tests/harness/http.mjs'
import { receiver } from '../../tests/harness/receiver.mjs'

const entry = ['--entry', 'worker/test/entry.js']
let host
before(async () => (host = await startHost({ host: 'worker', virtual: false, args: entry })))
after(() => host.dispose())

const ask = (method, path, body, headers = {}, url = host.url) => request(url, method, path, { body, headers })
const panic = () => ask('POST', '/_reveille/dev/panic', '')
const json = { 'content-type': 'application/json' }
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function eventually(check, within = 10_000) {
  for (const end = Date.now() + within; ; await pause(10)) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

/** An entity, and how many messages have reached it. */
async function entity(id, body = {}, url) {
  const type = await ask('POST', '/_electric/entity-types', { name: 'task', description: 'a task' }, {}, url)
  assert.ok([200, 201].includes(type.status), type.text)
  const spawned = await ask('PUT', `/_electric/entities/task/${id}`, body, {}, url)
  assert.equal(spawned.status, 201, spawned.text)
  return async () => (await ask('GET', `/task/${id}/main?offset=-1`, undefined, {}, url)).json.filter((e) => e.type === 'inbox').length
}

const send = (id, afterMs, url) => ask('POST', `/_electric/entities/task/${id}/send`, { payload: 'hello', afterMs }, {}, url)

test('a command that panics is answered 500 at once, and leaves nothing', async () => {
  await ask('PUT', '/panics/s', undefined, json)
  const start = Date.now()
  const answers = await Promise.all([ask('POST', '/panics/s', [1]), panic(), ask('POST', '/panics/s', [2]), panic()])
  assert.deepEqual(answers.map(({ status }) => status >= 500), [false, true, false, true])
  assert.ok(Date.now() - start < 2_000)
  assert.deepEqual((await ask('GET', '/panics/s?offset=-1')).json.sort(), [1, 2])
})

test('live reads go on after a panic', async () => {
  await ask('PUT', '/live/s', undefined, json)
  const reader = await sse(host.url, '/live/s?offset=-1&live=sse')
  await reader.next()
  const poll = ask('GET', '/live/s?offset=now&live=long-poll')
  await pause(50)
  await panic()
  await ask('POST', '/live/s', ['here'])
  assert.deepEqual((await reader.next()).data, ['here'])
  assert.deepEqual((await poll).json, ['here'])
  reader.close()
})

test('a timer that panics stops no other timer', async () => {
  const arrived = await entity('timers')
  for (const in_ms of [0, 20, 20]) await ask('POST', '/_reveille/dev/timer', { in_ms, panic: true })
  await send('timers', 30)
  await eventually(async () => assert.equal(await arrived(), 1))
  await send('timers', 1)
  await eventually(async () => assert.equal(await arrived(), 2))
})

test('an alarm that was lost is set again when the object starts', async () => {
  const arrived = await entity('alarm')
  await send('alarm', 1_500)
  assert.equal((await ask('GET', '/', undefined, { 'x-test-lose-alarm': '1' })).text, 'null')
  await host.kill()
  await host.restart()
  await eventually(async () => assert.equal(await arrived(), 1))
})

test('what falls due while nothing runs is done at the next start, without a request', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'reveille-worker-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const hook = await receiver()
  t.after(() => hook.close())
  const port = await freePort()
  const first = await startHost({ host: 'worker', virtual: false, dataDir: dir, port })
  await entity('sleeper', { dispatch_policy: { targets: [{ type: 'webhook', url: hook.url }] } }, first.url)
  await send('sleeper', 500, first.url)
  await first.kill()
  await pause(500)
  assert.equal(hook.all.length, 0)
  const serve = fileURLToPath(new URL('../../tests/serve', import.meta.url))
  const second = spawn(serve, ['worker', '--port', String(port), '--data-dir', dir], { stdio: 'ignore' })
  t.after(() => second.kill('SIGKILL'))
  assert.match((await hook.next(undefined, 10_000)).text, /sleeper/)
})

test('the entrance refuses everything until it can authenticate', async () => {
  const env = (vars) => ({ 'x-test-env': JSON.stringify(vars) })
  const refused = await ask('GET', '/_electric/health', undefined, env({ REVEILLE_MODE: 'serve' }))
  assert.equal(refused.status, 503)
  assert.match(refused.text, /REVEILLE_API_KEYS/)
})

test('the entrance says who calls, and the caller cannot', async () => {
  const vars = { REVEILLE_MODE: 'serve', REVEILLE_API_KEYS: 'secret user:alice', REVEILLE_TENANT: 'closed {host}' }
  const env = { 'x-test-env': JSON.stringify(vars) }
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { 'reveille-principal': 'user:alice' }, { 'electric-principal': 'user:alice' }]) {
    assert.equal((await ask('GET', '/_electric/entities', undefined, { ...env, ...headers })).status, 401)
  }
  const headers = { ...env, authorization: 'Bearer secret', 'reveille-principal': 'system:framework' }
  const runner = await ask('POST', '/_electric/runners', { id: 'r', label: 'a runner' }, headers)
  assert.equal(runner.status, 201, runner.text)
  assert.match(runner.json.owner_principal, /alice/)
  assert.equal((await ask('GET', '/_electric/health', undefined, env)).status, 200)
  assert.equal((await ask('GET', '/_electric/runners/r')).status, 404, 'another tenant does not know it')
})

test('a path is as it was sent', async () => {
  assert.equal((await ask('PUT', '/a%2Fb', undefined, json)).status, 201)
  assert.equal((await ask('HEAD', '/a%2Fb')).status, 200)
  assert.equal((await ask('HEAD', '/a/b')).status, 404)
})
