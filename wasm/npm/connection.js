// The JavaScript end of the engine's store: statements by number, parameters and rows packed into bytes.
//
// Between a wasm instance and a `Database` (see index.d.ts). It outlives the instance: after a trap the next one goes
// on with the same database. Nothing here throws into the instance; the one exception that passes through it is a trap,
// on its way from a transaction's work to whoever called the instance.
//
// The packing is that of shell/src/sql.rs: a tag a cell, then a float, or a length and bytes, little endian.

export class Connection {
  #database
  #statements = []
  #cursors = []

  constructor(database) {
    this.#database = database
  }

  prepare(statement, sql) {
    this.#statements[statement] = sql
  }

  run(statement, params) {
    try {
      return this.#chunk(this.#database.run(this.#statements[statement], unpack(params))[Symbol.iterator]())
    } catch (error) {
      return failure(error)
    }
  }

  more() {
    try {
      return this.#chunk(this.#cursors.pop())
    } catch (error) {
      return failure(error)
    }
  }

  stop() {
    try {
      this.#cursors.pop().return?.()
    } catch {
      // The rows are not wanted any more; nor is what is wrong with them.
    }
  }

  transaction(work) {
    let trapped = false
    try {
      this.#database.transaction(() => {
        trapped = true
        const keep = work()
        trapped = false
        return keep
      })
    } catch (error) {
      if (trapped) throw error
      return words(error)
    }
  }

  intact() {
    return this.#database.intact?.()
  }

  written() {
    return this.#database.written()
  }

  /** Packs rows up to a chunk; whoever wants the others asks for more. */
  #chunk(rows) {
    let at = 2
    for (let { done, value: row } = rows.next(); !done; { done, value: row } = rows.next()) {
      buffer[1] = row.length
      for (let i = 0; i < row.length; i++) at = pack(row[i], at)
      if (at >= CHUNK) {
        this.#cursors.push(rows)
        return finish(MORE, at)
      }
    }
    return at > 2 ? finish(LAST, at) : undefined
  }
}

const CHUNK = 256 * 1024
const LAST = 0
const MORE = 1
const FAILURE = 2

const NULL = 0
const INT = 1
const TEXT = 2
const BLOB = 3

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

// What is being packed. The instance copies it before anything else is packed.
let buffer = new Uint8Array(CHUNK)
let view = new DataView(buffer.buffer)

function pack(cell, at) {
  if (typeof cell === 'number') {
    reserve(at + 9)
    buffer[at] = INT
    view.setFloat64(at + 1, cell, true)
    return at + 9
  }
  if (typeof cell === 'string') {
    reserve(at + 5 + 3 * cell.length)
    buffer[at] = TEXT
    const { written } = encoder.encodeInto(cell, buffer.subarray(at + 5))
    view.setUint32(at + 1, written, true)
    return at + 5 + written
  }
  if (cell === null) {
    reserve(at + 1)
    buffer[at] = NULL
    return at + 1
  }
  const bytes = cell instanceof Uint8Array ? cell : new Uint8Array(cell)
  reserve(at + 5 + bytes.length)
  buffer[at] = BLOB
  view.setUint32(at + 1, bytes.length, true)
  buffer.set(bytes, at + 5)
  return at + 5 + bytes.length
}

function reserve(size) {
  if (size <= buffer.length) return
  const small = buffer
  buffer = new Uint8Array(2 * size)
  buffer.set(small)
  view = new DataView(buffer.buffer)
}

function finish(flag, at) {
  const packed = buffer.subarray(0, at)
  packed[0] = flag
  if (buffer.length > 16 * CHUNK) {
    buffer = new Uint8Array(CHUNK)
    view = new DataView(buffer.buffer)
  }
  return packed
}

function unpack(packed) {
  const params = []
  if (packed.length === 0) return params
  const numbers = new DataView(packed.buffer, packed.byteOffset, packed.length)
  for (let at = 0; at < packed.length; ) {
    const tag = packed[at++]
    if (tag === NULL) params.push(null)
    else if (tag === INT) {
      params.push(numbers.getFloat64(at, true))
      at += 8
    } else {
      const end = at + 4 + numbers.getUint32(at, true)
      params.push(tag === TEXT ? text(packed, at + 4, end) : packed.slice(at + 4, end))
      at = end
    }
  }
  return params
}

// Short plain text, as keys are, comes out faster without the decoder.
function text(bytes, from, to) {
  if (to - from > 24) return decoder.decode(bytes.subarray(from, to))
  let short = ''
  for (let at = from; at < to; at++) {
    if (bytes[at] > 127) return decoder.decode(bytes.subarray(from, to))
    short += String.fromCharCode(bytes[at])
  }
  return short
}

function failure(error) {
  const message = encoder.encode(words(error))
  const packed = new Uint8Array(1 + message.length)
  packed[0] = FAILURE
  packed.set(message, 1)
  return packed
}

function words(error) {
  return String(error?.message ?? error)
}
