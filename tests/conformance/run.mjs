// Runs the public suite of the Durable Streams protocol against one host, started with a stream root of its own, as the
// suite expects it: HOST names it (native, wasm or worker). The last line is the total.
//
//   HOST=native tests/node tests/conformance/run.mjs [-t PATTERN]
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startVitest } from 'vitest/node'

import { hostName, startHost } from '../harness/host.mjs'

// What its newest release has. Fewer would mean that something was not run.
const TESTS = 338

const here = path.dirname(fileURLToPath(import.meta.url))
const pattern = process.argv[2] === '-t' ? process.argv[3] : undefined

// A long-poll that ends early makes the suite quick: it waits for several to time out.
const host = await startHost({ virtual: false, args: ['--stream-root', '/v1/stream', '--long-poll', '500'] })
process.env.CONFORMANCE_URL = host.url
process.env.NO_COLOR = '1'

const vitest = await startVitest('test', [path.join(here, 'suite.test.mjs')], {
  root: here,
  config: false,
  watch: false,
  reporters: [process.env.REVEILLE_OUTPUT ? 'default' : 'dot'],
  testTimeout: 60_000,
  testNamePattern: pattern,
  fileParallelism: false,
})
const count = { passed: 0, failed: 0, skipped: 0 }
for (const file of vitest.state.getTestModules()) {
  for (const test of file.children.allTests()) count[test.result().state]++
}
await vitest.close()
await host.dispose()

const whole = pattern !== undefined || count.passed === TESTS
if (!whole) console.log(`the suite has ${TESTS} tests, and ${count.passed} of them passed`)
console.log(`${hostName}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
process.exit(count.failed === 0 && whole ? 0 : 1)
