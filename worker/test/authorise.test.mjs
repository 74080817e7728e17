// An object of an application's own class, in workerd: it is asked whatever woke it, and may call itself meanwhile.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { freePort, startHost } from '../../tests/harness/host.mjs'
import { request } from '../../tests/harness/http.mjs'
import { everybody } from '../../tests/harness/world.mjs'

const args = ['--entry', 'worker/test/authorise-entry.js']
const alice = { 'electric-principal': 'user:alice' }
const bob = { 'electric-principal': 'user:bob' }

/** A host of a type `t` and an entity `/t/e` of Alice's, as `{ host, ask }`. */
async function hosted(options) {
  const host = await startHost({ host: 'worker', virtual: false, args, ...options })
  const ask = (method, path, body, headers) => request(host.url, method, path, { body, headers })
  const type = { name: 't', description: 'd', permission_grants: everybody }
  assert.equal((await ask('POST', '/_electric/entity-types', type)).status, 201)
  assert.equal((await ask('PUT', '/_electric/entities/t/e', {}, alice)).status, 201)
  return { host, ask }
}

test('an object that calls itself in the middle of a question is answered after it', async (t) => {
  const { host, ask } = await hosted()
  t.after(() => host.dispose())
  assert.equal((await ask('POST', '/_electric/entities/t/e/send', { payload: 'late', afterMs: 1 }, alice)).status, 204)
  assert.equal((await ask('GET', '/_electric/entities/t/e', undefined, bob)).status, 200)
  for (const end = Date.now() + 5_000; ; ) {
    const { json } = await ask('GET', '/', undefined, { 'x-test-answers': '1' })
    if (json.length === 3) {
      assert.deepEqual(json, [200, 200, 200])
      break
    }
    assert.ok(Date.now() < end, JSON.stringify(json))
  }
  assert.doesNotMatch(host.output(), /Trap|Reentered|authorise threw/)
  for (const end = Date.now() + 5_000; ; ) {
    const { json } = await ask('GET', '/t/e/main?offset=-1', undefined, alice)
    if (json.some(({ type }) => type === 'inbox')) break
    assert.ok(Date.now() < end, 'the alarm that came in the middle of a question was lost')
  }
})

test('an object that its alarm starts is asked, and knows its tenant', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'reveille-worker-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const port = await freePort()
  const { host, ask } = await hosted({ dataDir, port })
  assert.equal((await ask('POST', '/_electric/entities/t/e/send', { payload: 'late', afterMs: 500 }, alice)).status, 204)
  await host.kill()
  const serve = fileURLToPath(new URL('../../tests/serve', import.meta.url))
  const next = spawn(serve, ['worker', '--port', String(port), '--data-dir', dataDir, ...args], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.after(() => next.kill('SIGKILL'))
  let output = ''
  while (!output.includes('asked: ')) output += (await once(next.stdout, 'data', { signal: AbortSignal.timeout(10_000) }))[0]
  assert.match(output, /asked: may user:alice write in default\?/)
})
