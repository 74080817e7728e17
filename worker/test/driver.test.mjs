// The driver on Durable Object storage: the suite that every driver runs, inside an object.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'

import { startHost } from '../../tests/harness/host.mjs'
import { request } from '../../tests/harness/http.mjs'

const built = existsSync(new URL('../build-test/', import.meta.url))

test('the driver suite', { skip: built ? false : 'run `tests/build --features suite worker` first' }, async (t) => {
  const host = await startHost({ host: 'worker', args: ['--entry', 'worker/test/suite-entry.js'] })
  t.after(() => host.dispose())
  const answer = await request(host.url, 'GET', '/')
  assert.equal(answer.status, 200, answer.text)
  for (const check of answer.text.split('\n')) t.diagnostic(check)
  assert.ok(answer.text.split('\n').length >= 13)
})
