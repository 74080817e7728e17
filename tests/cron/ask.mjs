// The engine's cron, asked from here: see tests/src/bin/cron.rs for questions and answers.
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** All answers to all questions. Builds the program first, unless it is told not to. */
export function ask(questions) {
  if (!process.env.REVEILLE_NO_BUILD) {
    execFileSync(`${root}/tests/build`, ['cron'], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  const input = questions.map((question) => `${JSON.stringify(question)}\n`).join('')
  const program = `${process.env.CARGO_TARGET_DIR ?? `${root}/target`}/release/cron`
  const { status, stdout, error } = spawnSync(program, { input, encoding: 'utf8', maxBuffer: 1 << 30 })
  if (error) throw error
  if (status !== 0) throw new Error(`cron ended with ${status}`)
  return stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line))
}
