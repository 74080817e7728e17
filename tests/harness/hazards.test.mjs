// docs/hazards.md names a test for each hazard: they are there.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = path.resolve(fileURLToPath(import.meta.url), '../../..')
const read = (file) => readFileSync(path.join(root, file), 'utf8')

// Where the tests of a room are.
const rooms = {
  smoke: (name) => `tests/smoke/${name}.test.mjs`,
  wasm: (name) => `wasm/test/${name}.test.mjs`,
  core: (name) => `core/src/**/${name}.rs`,
  native: (name) => `native/**/${name}.rs`,
}

test('each hazard has its test', () => {
  const rows = read('docs/hazards.md').split('\n').filter((line) => line.startsWith('|') && !/^\|(---| what must)/.test(line))
  assert.ok(rows.length > 80, `${rows.length} rows`)
  for (const row of rows) {
    const [, room, name, title] = /\| `(\w+)\/(\S+)`: (.+) \|$/.exec(row) ?? []
    assert.ok(room in rooms, `no test is named: ${row}`)
    const sources = globSync(rooms[room](name), { cwd: root }).map(read)
    assert.notEqual(sources.length, 0, `there is no ${room}/${name}`)
    const words = room === 'core' || room === 'native' ? `fn ${title}()` : title
    assert.ok(sources.some((source) => source.includes(words)), `${room}/${name} has no test "${title}"`)
  }
})
