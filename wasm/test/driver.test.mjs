// The driver on node:sqlite: the suite that every driver runs, and what only this one could get wrong.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Connection } from '../npm/connection.js'
import { openDatabase } from '../npm/sqlite-node.js'
import { directory } from './fixture.mjs'

const built = new URL('../pkg-test/', import.meta.url)
const missing = existsSync(built) ? false : 'run `tests/build --features suite wasm` first'

test('the driver suite', { skip: missing }, async (t) => {
  const { instantiate } = await import(new URL('reveille.js', built))
  const module = new WebAssembly.Module(readFileSync(new URL('reveille_bg.wasm', built)))
  const checks = instantiate(module).suite({ fresh: () => new Connection(openDatabase(':memory:')) })
  for (const check of checks.split('\n')) t.diagnostic(check)
  assert.ok(checks.split('\n').length >= 13)
})

function database(t, path = ':memory:') {
  const db = openDatabase(path)
  t.after(() => db.close())
  return db
}

test('rows written are table rows and index entries', (t) => {
  const db = database(t)
  db.run('CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER, state TEXT) STRICT', [])
  db.run('CREATE INDEX plain_by_size ON plain (size)', [])
  db.run('CREATE TABLE link (a INTEGER, b INTEGER, c INTEGER, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID', [])
  db.run('CREATE INDEX link_by_b ON link (b)', [])
  db.run('CREATE TABLE word (text TEXT PRIMARY KEY, n INTEGER) STRICT', [])
  const cases = [
    ["INSERT INTO plain (id, name, size) VALUES (1, 'a', 1), (2, 'b', 2)", 6],
    ['INSERT INTO link VALUES (1, 2, 3)', 2],
    ["INSERT INTO word VALUES ('a', 1)", 2],
    ['UPDATE plain SET size = 3 WHERE id = 1', 2],
    ["UPDATE plain SET state = 'open'", 2],
    ["UPDATE plain SET name = 'c', size = max(size, 2) WHERE id = 1 RETURNING id", 3],
    ['UPDATE plain SET size = 9 WHERE id = 99', 0],
    ['UPDATE link SET c = 4 WHERE a = 1', 1],
    ["INSERT INTO word VALUES ('a', 1) ON CONFLICT (text) DO UPDATE SET n = n + 1", 2],
    ["INSERT OR IGNORE INTO word VALUES ('a', 1)", 0],
    ['DELETE FROM plain WHERE id = 1', 1],
    ['DELETE FROM link', 1],
    ['SELECT * FROM plain', 0],
  ]
  for (const [sql, rows] of cases) {
    const before = db.written()
    ;[...db.run(sql, [])]
    assert.equal(db.written() - before, rows, sql)
  }
})

test('text with a NUL comes back whole, and is what it was compared with', (t) => {
  const db = database(t)
  db.run('CREATE TABLE t (key TEXT PRIMARY KEY, n INTEGER) STRICT, WITHOUT ROWID', [])
  const texts = ['a\0b', '\0', '\x01', '\x010', '\x011', '\0\x01\x010', 'plain', '']
  texts.forEach((text, n) => db.run('INSERT INTO t (key, n) VALUES (?1, ?2)', [text, n]))
  texts.forEach((text, n) => {
    assert.deepEqual(db.run('SELECT key, n FROM t WHERE key = ?1', [text]), [[text, n]])
    assert.deepEqual([...db.run('SELECT key FROM t WHERE key = ?1 LIMIT ?2', [text, 1])], [[text]])
  })
})

test('a page may be left early, and read again', (t) => {
  const db = database(t)
  db.run('CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT', [])
  for (let id = 1; id <= 10; id++) db.run('INSERT INTO t (id) VALUES (?1)', [id])
  const page = () => db.run('SELECT id FROM t ORDER BY id LIMIT ?1', [5])
  for (const [id] of page()) if (id === 2) break
  db.transaction(() => (db.run('DELETE FROM t WHERE id = ?1', [1]), true))
  assert.deepEqual([...page()].flat(), [2, 3, 4, 5, 6])
})

test('work that throws is rolled back, at any depth, and thrown on', (t) => {
  const db = database(t)
  db.run('CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT', [])
  const insert = (id) => db.run('INSERT INTO t (id) VALUES (?1)', [id])
  const boom = new Error('boom')
  assert.throws(() => db.transaction(() => db.transaction(() => {
    insert(1)
    throw boom
  })), boom)
  assert.equal(db.intact(), false)
  db.transaction(() => {
    insert(2)
    assert.throws(() => db.transaction(() => {
      insert(3)
      throw boom
    }), boom)
    assert.equal(db.intact(), true)
    return true
  })
  assert.deepEqual(db.run('SELECT id FROM t', []), [[2]])
})

test('a file belongs to one process, and keeps what was committed', (t) => {
  const path = join(directory(t), 'tenant.sqlite')
  const first = openDatabase(path)
  first.run('CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT', [])
  assert.throws(() => {
    const second = openDatabase(path)
    second.run('SELECT * FROM t', [])
  }, /locked/)
  first.close()
  assert.deepEqual(database(t, path).run('SELECT * FROM t', []), [])
})

// Rows cross in chunks: none of them may be lost or cut at an edge.
test('rows of every size cross the boundary in chunks', () => {
  const sizes = [0, 1, 200_000, 300_000, 5, 1_000_000, 0, 256 * 1024, 3]
  let stopped = 0
  const rows = {
    [Symbol.iterator]() {
      let n = 0
      return {
        next: () => (n < sizes.length ? { done: false, value: [n, new Uint8Array(sizes[n++]).fill(7), 'é', null] } : { done: true }),
        return: () => (stopped++, { done: true }),
      }
    },
  }
  const connection = new Connection({ run: () => rows })
  connection.prepare(0, 'SELECT')
  const found = []
  let chunk = connection.run(0, new Uint8Array())
  for (; chunk; chunk = chunk[0] === 1 ? connection.more() : undefined) found.push(...unpack(chunk))
  assert.deepEqual(found.map(([n, blob]) => [n, blob.length]), sizes.map((size, n) => [n, size]))
  connection.run(0, new Uint8Array())
  connection.stop()
  assert.equal(stopped, 1)
})

function unpack(chunk) {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
  const rows = []
  for (let at = 2; at < chunk.length; ) {
    const row = []
    for (let i = 0; i < chunk[1]; i++) {
      const tag = chunk[at++]
      if (tag === 0) row.push(null)
      else if (tag === 1) (row.push(view.getFloat64(at, true)), (at += 8))
      else {
        const end = at + 4 + view.getUint32(at, true)
        row.push(chunk.slice(at + 4, end))
        at = end
      }
    }
    rows.push(row)
  }
  return rows
}
