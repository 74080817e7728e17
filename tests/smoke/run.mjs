// Runs test files in this one process, one after the other, against one server:
//
//   tests/node tests/smoke/run.mjs [file …]      by default the harness, every smoke test and the recorded runtime
//   tests/node tests/smoke/run.mjs --half 1      a half of these; --half 2 the other
//
// HOST names the server to start: native (by default), worker or wasm. REVEILLE_URL gives one that runs already, in
// dev mode with a virtual clock. REVEILLE_OUTPUT=1 shows what the server has to say. Prints what failed, what tests
// remark, and one line of totals. Each file can also be run alone, by `tests/node --test`.
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'

import { hostName } from '../harness/host.mjs'

const tests = path.resolve(fileURLToPath(import.meta.url), '../..')
const rooms = ['harness', 'smoke', 'runtime'].map((room) => path.join(tests, room))
const all = rooms.flatMap((room) => readdirSync(room, { recursive: true }).map((file) => path.join(room, file)))
const args = process.argv.slice(2)
const half = args[0] === '--half' ? Number(args.splice(0, 2)[1]) : undefined
const chosen = args.map((file) => path.resolve(file))
const sorted = (chosen.length ? chosen : all).filter((file) => file.endsWith('.test.mjs')).sort()
// By tens, since neighbours are alike.
const files = sorted.filter((_, n) => half === undefined || Math.floor(n / 10) % 2 === half % 2)

const started = Date.now()
const count = { pass: 0, fail: 0, skip: 0, todo: 0 }
for await (const { type, data } of run({ files, isolation: 'none' })) {
  if (type === 'test:diagnostic' && data.file) console.log(`  ${data.message}`)
  if (type === 'test:pass') count[data.skip ? 'skip' : data.todo ? 'todo' : 'pass']++
  if (type === 'test:fail' && data.todo) {
    count.todo++
    console.log(`todo ${hostName}: ${data.name}: ${data.todo}`)
  } else if (type === 'test:fail') {
    count.fail++
    const cause = data.details.error.cause ?? data.details.error
    console.log(`FAIL ${hostName}: ${data.name}\n  ${path.relative(process.cwd(), data.file)}:${data.line}\n${indent(cause)}\n`)
  }
}
const seconds = ((Date.now() - started) / 1_000).toFixed(1)
console.log(`${hostName}: ${count.pass} passed, ${count.fail} failed, ${count.skip} skipped, ${count.todo} to do in ${seconds} s`)
process.exit(count.fail || !count.pass ? 1 : 0)

// The message and our own part of the stack.
function indent(error) {
  const lines = String(error.stack ?? error).split('\n')
  return lines.filter((line) => !/^\s+at .*\(?(node:|<anonymous>)/.test(line)).join('\n').replace(/^/gm, '    ')
}
