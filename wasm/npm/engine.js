// The two sides of a tenant, each in a WebAssembly instance of its own over the same database.
//
// The `Engine` runs commands; the `Reader` answers what only reads, from what is committed. A trap (a panic) leaves as
// an exception at the call that caused it. By then every transaction has been rolled back, and the instance's memory
// cannot be trusted, so the instance is dropped, and the next call makes another. A trap harms no other tenant, and one
// in the engine takes no reader with it. The first tick after one is a careful one: a timer that traps is pushed back
// before it can do so again.

import { Connection } from './connection.js'

/** What a call ends with when the instance trapped. */
export class Trap extends Error {
  constructor(cause) {
    super(`the WebAssembly instance trapped: ${cause}`)
    this.name = 'Trap'
  }
}

/** What a call ends with when the database cannot be opened. */
export class Unavailable extends Error {
  constructor(cause) {
    super(`the database cannot be used: ${cause.message ?? cause}`)
    this.name = 'Unavailable'
  }
}

/** An instance that is made when it is first needed, and again after each trap. */
class Replaceable {
  /** Counts instances: what was named by an earlier one means nothing to this. */
  generation = 0
  #open
  #instance

  /** `open()` makes the instance's one object. */
  constructor(open) {
    this.#open = open
  }

  call(work) {
    this.open()
    try {
      return work(this.#instance)
    } catch (error) {
      this.#instance = undefined
      this.generation++
      throw new Trap(error)
    }
  }

  /** Makes the instance, unless there is one. */
  open() {
    try {
      this.#instance ??= this.#open()
    } catch (error) {
      throw new Unavailable(error)
    }
  }

  close() {
    this.#instance?.free()
    this.#instance = undefined
  }
}

export class Engine extends Replaceable {
  #careful = false

  constructor(instantiate, database, settings) {
    super(() => instantiate().Tenant.open(new Connection(database), settings, Date.now(), entropy()))
  }

  /** Runs commands, each of which puts itself into the tenant's queue, as one batch. */
  run(commands, outbox) {
    this.call((tenant) => {
      for (const command of commands) command.put(tenant, this.generation)
      tenant.run(Date.now(), entropy(), outbox)
    })
  }

  /** Runs at most `budget` timers that are due. */
  tick(budget, outbox) {
    this.call((tenant) => {
      if (this.#careful) tenant.carefulTick(budget, Date.now(), entropy(), outbox)
      else {
        tenant.tick(budget)
        tenant.run(Date.now(), entropy(), outbox)
      }
    })
    this.#careful = false
  }

  /** In how many milliseconds the next timer is due; nothing when none is. */
  deadline() {
    return this.call((tenant) => tenant.nextDeadline(Date.now()))
  }

  call(work) {
    const { generation } = this
    try {
      return super.call(work)
    } finally {
      if (this.generation !== generation) this.#careful = true
    }
  }
}

export class Reader extends Replaceable {
  constructor(instantiate, database, settings) {
    super(() => instantiate().Reader.open(new Connection(database), settings))
  }

  /** Answers a request by telling `reading`; false when its route writes. */
  read({ method, path, query, headers, origin }, body, by, reading) {
    return this.call((reader) => reader.read(method, path, query, headers, body, by, origin, Date.now(), reading))
  }

  /** Hands the next piece of a live read to `reading`. */
  next(live, reading) {
    return this.call((reader) => reader.next(live, Date.now(), reading))
  }

  /** Takes what has moved, for `accept`. */
  notice({ topic, from, to, bytes }) {
    return this.call((reader) => reader.notice(topic, from, to, bytes))
  }

  /** Offers the last notice to a live read; false when it must ask with `next`. */
  accept(live, reading) {
    return this.call((reader) => reader.accept(live, Date.now(), reading))
  }

  forget(live) {
    return this.call((reader) => reader.forget(live))
  }
}

function entropy() {
  return crypto.getRandomValues(new Uint8Array(32))
}
