// Everyone who reads from one tenant: requests on read routes, and the live reads that wait for something to move.

import { Reader, Trap } from './engine.js'
import { LiveRead } from './live.js'

export class Readers {
  log
  touch
  #reader
  #seat
  #topics = new Map()
  #lives = new Set()

  /** `touch(number)` has the engine remember what a read touched. */
  constructor(instantiate, database, settings, seat, log, touch) {
    this.#reader = new Reader(instantiate, database, settings, seat)
    this.#seat = seat
    this.log = log
    this.touch = touch
  }

  /** Answers a request (an `Ask` of host.js) whose route only reads. */
  read(request) {
    const found = new Found()
    try {
      if (!this.#reader.read(request.call, request.body, request.by, found)) throw new TypeError('the route writes')
    } catch (error) {
      this.#failed(error)
      return request.broken()
    }
    if (found.touched !== undefined) this.touch(found.touched)
    if (found.parts) request.answer(found.parts)
    else if (this.#lives.size < LIVE_READS) new LiveRead(this, request, found.number, found.topics).start()
    else {
      this.forget(found.number)
      request.busy('live')
    }
  }

  /** Tells the live reads that wait for its topic. */
  publish(notice) {
    const waiting = this.#topics.get(notice.topic)
    if (!waiting) return
    this.ask((reader) => reader.notice(notice))
    for (const live of [...waiting]) live.wake()
  }

  /** Has every live read look again. */
  recheck() {
    for (const live of [...this.#lives]) live.recheck()
  }

  close() {
    for (const live of [...this.#lives]) live.end()
    this.#reader.close()
  }

  // For live reads.

  subscribe(live, topics) {
    this.#lives.add(live)
    for (const topic of topics) {
      if (!this.#topics.has(topic)) this.#topics.set(topic, new Set())
      this.#topics.get(topic).add(live)
    }
  }

  unsubscribe(live, topics) {
    this.#lives.delete(live)
    for (const topic of topics) {
      const waiting = this.#topics.get(topic)
      waiting?.delete(live)
      if (waiting?.size === 0) this.#topics.delete(topic)
    }
  }

  /** What a question to the reader gives; nothing when it trapped, and then every live read is lost. */
  ask(question) {
    try {
      return question(this.#reader)
    } catch (error) {
      this.#failed(error)
    }
  }

  /** Lets go of a live read's value in the instance. */
  forget(number) {
    const { generation } = this.#reader
    this.whenFree(() => this.#reader.generation === generation && this.ask((reader) => reader.forget(number)))
  }

  /**
   * Does what comes from outside: at once, or after the call to an instance in the middle of which it comes. A host that
   * is asked who may do what can abort a request there, and read or cancel a body.
   */
  whenFree(work) {
    if (this.#seat.taken) queueMicrotask(work)
    else work()
  }

  #failed(error) {
    this.log(error)
    if (error instanceof Trap) for (const live of [...this.#lives]) live.lost()
  }
}

/** Takes note of the answer to a read, until the call to the instance is over. */
class Found {
  respond(status, headers, body) {
    this.parts = { status, headers, body }
  }

  touch(number) {
    this.touched = number
  }

  live(number, topics) {
    this.number = number
    this.topics = topics
  }
}

// The most live reads at once; more are turned away.
const LIVE_READS = 10_000
