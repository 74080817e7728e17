// The gate: who calls, and how long a body may be, asked before its first byte is read and before a tenant is named.
// It also words what a host answers by itself.

import { whole } from './message.js'

export class Gate {
  #instantiate
  #settings
  #gate

  /** Throws when the settings do not say how callers are believed. `instantiate()` gives a WebAssembly instance. */
  constructor(instantiate, settings) {
    this.#instantiate = instantiate
    this.#settings = settings
    this.#gate = this.#open()
  }

  /** `{ by, limit, reads }`, or `{ refusal }` with the parts of the whole answer. */
  admit(call) {
    return this.#ask((gate, answer) => gate.admit(call.method, call.path, call.headers, answer))
  }

  /** The answer to a body that is longer than its limit. */
  tooLarge(call) {
    return this.#refusal(call, (gate, answer) => gate.tooLarge(call.path, answer))
  }

  /** The answer to a body that does not come. */
  tooSlow(call) {
    return this.#refusal(call, (gate, answer) => gate.tooSlow(call.path, answer))
  }

  /** The answer to a command that trapped. */
  broken(call) {
    return this.#refusal(call, (gate, answer) => gate.broken(call.path, answer))
  }

  /** The answer to a request that is turned away: `queue`, `live`, `closing`, `restarted` or `store`. */
  busy(call, why) {
    return this.#refusal(call, (gate, answer) => gate.busy(why, call.path, answer))
  }

  #refusal(call, question) {
    return whole(this.#ask(question).refusal, call.method)
  }

  #open() {
    const { Gate } = this.#instantiate()
    return new Gate(this.#settings)
  }

  // The gate is pure, so a trap in it is lost on nobody else; the next question has a new instance.
  #ask(question) {
    const answer = new Answer()
    try {
      question((this.#gate ??= this.#open()), answer)
    } catch (error) {
      console.error(error)
      this.#gate = undefined
      answer.refusal = { status: 500, headers: 'access-control-allow-origin: *\n', body: new Uint8Array() }
    }
    return answer
  }
}

class Answer {
  admitted(by, limit, reads) {
    this.by = by
    this.limit = limit
    this.reads = reads
  }

  respond(status, headers, body) {
    this.refusal = { status, headers, body }
  }
}
