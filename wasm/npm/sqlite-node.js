// A database for the engine on `node:sqlite` (Node 22.16 or later).

import { DatabaseSync } from 'node:sqlite'

/** Opens the file, or makes it. Every commit is on the disk when it returns; no other process can use the file. */
export function openDatabase(path) {
  return new NodeDatabase(path)
}

class NodeDatabase {
  #db
  #statements = new Map()
  #levels = []
  #depth = 0
  #written = 0

  constructor(path) {
    this.#db = new DatabaseSync(path)
    this.#db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000')
  }

  run(sql, params) {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = this.#prepare(sql)))
    for (let i = 0; i < params.length; i++) if (typeof params[i] === 'string') params[i] = escape(params[i])
    const { prepared, write, pages } = statement
    if (!write) return pages ? unescaped(prepared.iterate(...params)) : unescapeAll(prepared.all(...params))
    if (statement.cost === undefined) statement.cost = this.#cost(write)
    if (write.returning) {
      const rows = prepared.all(...params)
      this.#written += rows.length * statement.cost
      return unescapeAll(rows)
    }
    this.#written += prepared.run(...params).changes * statement.cost
    return []
  }

  transaction(work) {
    const { begin, commit, rollback } = (this.#levels[this.#depth] ??= this.#level(this.#depth))
    begin()
    this.#depth++
    try {
      if (work()) commit()
      else rollback()
    } catch (error) {
      if (this.#db.isTransaction) rollback()
      throw error
    } finally {
      this.#depth--
    }
  }

  intact() {
    return this.#db.isTransaction
  }

  written() {
    return this.#written
  }

  close() {
    this.#db.close()
  }

  #prepare(sql) {
    const prepared = this.#db.prepare(sql)
    prepared.setReturnArrays(true)
    // What may be left before its end, and is long, is stepped through row by row.
    const pages = /\bLIMIT \?\d+\s*$/i.test(sql) && prepared.columns().some(({ type }) => type === 'BLOB')
    return { prepared, write: parseWrite(sql), pages }
  }

  // SQLite ends the outermost transaction by itself when it must (disk full, IO): then there is nothing to undo.
  #level(depth) {
    const statement = (sql) => {
      const prepared = this.#db.prepare(sql)
      return () => prepared.run()
    }
    if (depth === 0) {
      const rollback = statement('ROLLBACK')
      return { begin: statement('BEGIN IMMEDIATE'), commit: statement('COMMIT'), rollback: () => this.#db.isTransaction && rollback() }
    }
    const [back, release] = [statement(`ROLLBACK TO level_${depth}`), statement(`RELEASE level_${depth}`)]
    return { begin: statement(`SAVEPOINT level_${depth}`), commit: release, rollback: () => (back(), release()) }
  }

  /** What a changed row counts for: itself, and each index entry that changes with it. */
  #cost({ table, columns, gone }) {
    const rows = (sql, name) => this.#db.prepare(sql).all(name)
    const isItsOwnIndex = rows('SELECT wr FROM pragma_table_list(?)', table).some(({ wr }) => wr)
    const indexes = rows('SELECT name, origin FROM pragma_index_list(?)', table).filter(({ origin }) => !(isItsOwnIndex && origin === 'pk'))
    if (gone) return 1 // a deleted row takes its index entries with it: the platform counts one
    if (!columns) return 1 + indexes.length
    const touched = ({ name }) => rows('SELECT name FROM pragma_index_info(?)', name).some((column) => columns.has(column.name))
    return 1 + indexes.filter(touched).length
  }
}

/** The table that a statement writes, and the columns that an update sets. */
function parseWrite(sql) {
  const [, verb, table] = /^\s*(INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|DELETE\s+FROM|UPDATE)\s+(\w+)/i.exec(sql) ?? []
  if (!verb) return undefined
  const returning = /\bRETURNING\b/i.test(sql)
  if (/^DELETE/i.test(verb)) return { table, returning, gone: true }
  if (verb.toUpperCase() !== 'UPDATE') return { table, returning }
  const [, list] = /\bSET\b(.*?)(?:\bWHERE\b|\bRETURNING\b|$)/is.exec(sql)
  return { table, returning, columns: new Set([...list.matchAll(/(\w+)\s*=/g)].map(([, column]) => column)) }
}

// node:sqlite gives text only up to its first NUL (22.x), so there a NUL is written as two characters, and so is the
// character that says so.

const escape = (text) => (text.includes('\0') || text.includes('\x01') ? text.replaceAll('\x01', '\x011').replaceAll('\0', '\x010') : text)
const unescape = (text) => text.replaceAll('\x010', '\0').replaceAll('\x011', '\x01')

function unescapeRow(row) {
  for (let i = 0; i < row.length; i++) if (typeof row[i] === 'string' && row[i].includes('\x01')) row[i] = unescape(row[i])
  return row
}

function unescapeAll(rows) {
  for (const row of rows) unescapeRow(row)
  return rows
}

function* unescaped(rows) {
  for (const row of rows) yield unescapeRow(row)
}
