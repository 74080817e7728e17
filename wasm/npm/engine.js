// The two sides of a tenant, each in a WebAssembly instance of its own over the same database.
//
// The `Engine` runs commands; the `Reader` answers what only reads, from what is committed. A trap (a panic) leaves as
// an exception at the call that caused it. By then every transaction has been rolled back, and the instance's memory
// cannot be trusted, so the instance is dropped, and the next call makes another. A trap harms no other tenant, and one
// in the engine takes no reader with it. The ticks after one are careful: a timer that traps is pushed back before it
// can do so again.

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

/** What a call ends with that comes in the middle of another one to the same tenant. */
export class Reentered extends Error {
  constructor() {
    super('the engine is in the middle of a call; whoever it asks must answer without calling it')
    this.name = 'Reentered'
  }
}

/** Whether one of a tenant's instances is in the middle of a call. Both have the same database, so one call at a time. */
export class Seat {
  taken = false
}

/** An instance that is made when it is first needed, and again after each trap. */
class Replaceable {
  /** Counts instances: what was named by an earlier one means nothing to this. */
  generation = 0
  #open
  #seat
  #instance

  /** `open()` makes the instance's one object. */
  constructor(open, seat) {
    this.#open = open
    this.#seat = seat
  }

  call(work) {
    if (this.#seat.taken) throw new Reentered()
    this.open()
    this.#seat.taken = true
    try {
      return work(this.#instance)
    } catch (error) {
      this.#instance.__destroy_into_raw() // forgotten, so that no finaliser touches the memory of the dead
      this.#instance = undefined
      this.generation++
      throw new Trap(error)
    } finally {
      this.#seat.taken = false
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
  /** How many timers are still to be run carefully: as many as the tick may have held that trapped. */
  #suspects = 0

  constructor(instantiate, database, settings, seat) {
    super(() => instantiate().Tenant.open(new Connection(database), settings, Date.now(), entropy()), seat)
  }

  /** Runs commands, each of which puts itself into the tenant's queue, as one batch. */
  run(commands, outbox) {
    this.call((tenant) => {
      for (const command of commands) command.put(tenant, this.generation)
      tenant.run(Date.now(), entropy(), outbox)
    })
  }

  /** Runs timers that are due, as many as a tick takes; one alone after a trap. */
  tick(outbox) {
    this.call((tenant) => {
      if (this.#suspects > 0) tenant.carefulTick(1, Date.now(), entropy(), outbox)
      else {
        tenant.tick(TIMERS_A_TICK)
        tenant.run(Date.now(), entropy(), outbox)
      }
    })
    this.#suspects = Math.max(this.#suspects - 1, 0)
  }

  /** From now on no delivery starts; all else goes on. */
  stop() {
    this.call((tenant) => tenant.stop())
  }

  /** In how many milliseconds the next timer is due; nothing when none is. */
  deadline() {
    return this.call((tenant) => tenant.nextDeadline(Date.now()))
  }

  /** The engine's own time, in milliseconds since the epoch. */
  now() {
    return this.call((tenant) => tenant.now(Date.now()))
  }

  call(work) {
    const { generation } = this
    try {
      return super.call(work)
    } finally {
      if (this.generation !== generation) this.#suspects = TIMERS_A_TICK
    }
  }
}

const TIMERS_A_TICK = 64

export class Reader extends Replaceable {
  constructor(instantiate, database, settings, seat) {
    super(() => instantiate().Reader.open(new Connection(database), settings), seat)
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
