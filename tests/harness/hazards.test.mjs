// docs/hazards.md names a test for each hazard: they are there.
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = path.resolve(fileURLToPath(import.meta.url), '../../..')
const read = (file) => readFileSync(path.join(root, file), 'utf8')

/** The files that a room and a name stand for. */
function files(room) {
  const [place, name] = room.split(' ')
  if (place === 'core' && name.includes('/')) return [`core/src/${name}.rs`]
  if (place === 'core') return globSync(`core/src/tests/**/${name}.rs`, { cwd: root })
  if (place === 'native') return [`native/tests/it/${name}.rs`]
  const [directory, ...rest] = room.split('/')
  const file = `${directory === 'smoke' ? 'tests/smoke' : `${directory}/test`}/${rest.join('/')}.test.mjs`
  return existsSync(path.join(root, file)) ? [file] : []
}

test('each hazard has its test', () => {
  const rows = read('docs/hazards.md').split('\n').filter((line) => line.startsWith('|') && !/^\|(---| what must)/.test(line))
  assert.ok(rows.length > 40, `${rows.length} rows`)
  for (const row of rows) {
    const [, room, title] = /\| `([^`]+)`: (.+) \|$/.exec(row) ?? []
    assert.ok(title, `no test is named: ${row}`)
    const found = files(room)
    assert.equal(found.length, 1, `${room} is one file`)
    const source = read(found[0])
    const named = found[0].endsWith('.rs') ? source.includes(`fn ${title}()`) : source.includes(title)
    assert.ok(named, `${found[0]} has no test "${title}"`)
  }
})
