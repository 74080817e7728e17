// A Durable Object's SQLite storage as the engine's database (see ../wasm/npm/index.d.ts).
//
// The runtime owns transactions: `BEGIN` is refused, `transactionSync` nests and rolls back alone. It cannot be asked
// whether one is still open, so `intact` is left out and any storage error spoils its batch. Writes leave for the disk
// together when the event's code awaits, and no answer leaves the object before they are there.

export class ObjectDatabase {
  #storage
  #written = 0

  constructor(storage) {
    this.#storage = storage
  }

  run(sql, params) {
    const cursor = this.#storage.sql.exec(sql, ...params)
    if (PAGES.test(sql)) return cursor.raw()
    const rows = cursor.raw().toArray()
    this.#written += cursor.rowsWritten
    return rows
  }

  transaction(work) {
    let undo = false
    try {
      this.#storage.transactionSync(() => {
        if (work()) return
        undo = true
        throw new Error('rolled back')
      })
    } catch (error) {
      if (!undo) throw error
    }
  }

  written() {
    return this.#written
  }
}

// A query that may be left before its end: its rows are taken one by one.
const PAGES = /^\s*SELECT\b[^]*\bLIMIT \?\d+\s*$/i
