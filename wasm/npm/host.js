// Drives one tenant: brings requests, timers and the outcomes of fetches to its engine, and does what comes back.
//
// The engine is synchronous and decides everything; this file owns what is asynchronous. It holds no rule of the
// domain, and nothing that a restart would miss.

import { drain, readAtMost, readBody, TooLarge, TooSlow } from './body.js'
import { Engine, Seat, Trap } from './engine.js'
import { Call, pairs, whole } from './message.js'
import { Readers } from './readers.js'

export class Host {
  #seat = new Seat()
  #engine
  #readers
  #gate
  #database
  #arm
  #soon
  #fetch
  #log
  #drainFirst
  #virtual
  #queue = []
  #waiting = new Map()
  #touched = new Set()
  #tickets = 0
  #timer
  #closing = new AbortController()

  /**
   * `instantiate()` gives a new WebAssembly instance; `gate` admits requests; `database` is the tenant's own;
   * `authoriser`, of authorise.js, has the last word on who may do what, when there is one.
   * `arm(ms)` is told how long it is until `tick` must be called, undefined when nothing is due (by default a timer of
   * the platform does it); `soon(work)` runs the batch that has gathered (by default at the end of the macrotask).
   * `drainFirst` says that the platform hangs up on a client that is still sending when it is answered.
   */
  constructor(options) {
    const { instantiate, gate, database, settings, authoriser, arm, drainFirst = false } = options
    const { soon = endOfMacrotask, fetch = globalThis.fetch, log = console.error } = options
    const asking = { ...settings, authoriser }
    this.#engine = new Engine(instantiate, database, asking, this.#seat)
    this.#readers = new Readers(instantiate, database, asking, this.#seat, log, (touched) => this.#touch(touched))
    this.#gate = gate
    this.#database = database
    this.#arm = arm ?? ((after) => this.#setTimer(after))
    this.#soon = soon
    this.#fetch = fetch
    this.#log = log
    this.#drainFirst = drainFirst
    this.#virtual = settings.virtualStart !== undefined
  }

  /** Opens the engine and arms the timer that its database asks for. It never throws: a request tries again. */
  start() {
    this.#rearm()
  }

  /** Answers a request. `admission` is the gate's, where it has been asked before. */
  async fetch(request, call = new Call(request), admission = this.#gate.admit(call)) {
    if (admission.refusal) {
      await this.#refused(request)
      return whole(admission.refusal, call.method)
    }
    try {
      const body = await readBody(request, admission.limit)
      return await new Promise((resolve) => this.take(new Ask(this, this.#gate, call, body, admission, request.signal, resolve)))
    } catch (error) {
      if (error instanceof TooLarge) {
        await this.#refused(request)
        return this.#gate.tooLarge(call)
      }
      if (error instanceof TooSlow) return this.#gate.tooSlow(call)
      throw error
    }
  }

  /** Runs timers that are due, and says whether more are. It never throws. */
  tick() {
    if (this.#closed) return false
    if (this.#seat.taken) {
      queueMicrotask(() => this.#arm(0)) // out of the transaction, with which an alarm would be undone
      return false
    }
    const turns = new Turns()
    try {
      this.#engine.tick(turns)
    } catch (error) {
      this.#failed(error)
      return false
    }
    // What is due although the last tick did nothing about it is given a rest.
    if (turns.after === 0 && !turns.wrote) turns.after = REST
    this.#deliver(turns)
    return turns.after === 0
  }

  /** Answers what has been accepted, ends what is live and lets go of the database. */
  close() {
    if (this.#closed) return
    try {
      this.#engine.stop()
    } catch {
      // What cannot be opened starts nothing either.
    }
    while (this.#queue.length > 0) this.#flush()
    this.#closing.abort()
    clearTimeout(this.#timer)
    for (const ask of [...this.#waiting.values()]) ask.busy('closing')
    this.#readers.close()
    this.#engine.close()
    this.#database.close?.()
  }

  get #closed() {
    return this.#closing.signal.aborted
  }

  // Requests.

  async #refused(request) {
    const drained = drain(request.body)
    if (this.#drainFirst) await drained
  }

  /** A read is answered at once, from what is committed; anything else goes into the next batch. */
  take(ask) {
    if (this.#closed) return ask.busy('closing')
    if (!ask.reads) return this.enqueue(ask)
    try {
      this.#engine.open() // which brings the database up to date
    } catch (error) {
      this.#failed(error)
      return ask.busy('store')
    }
    this.#readers.read(ask)
  }

  /** Puts a command into the next batch. */
  enqueue(command) {
    if (this.#closed) return command.busy('closing')
    if (this.#queue.length >= QUEUE && command instanceof Ask) return command.busy('queue')
    this.#queue.push(command)
    if (this.#queue.length === 1) this.#soon(() => this.#flush())
  }

  /** Has it remembered what a read touched, by its number: once, however many reads did. */
  #touch(touched) {
    if (this.#closed || this.#touched.has(touched) || this.#queue.length >= QUEUE) return
    this.#touched.add(touched)
    this.enqueue(new Touched(touched, this.#touched))
  }

  // Batches.

  #flush() {
    const commands = this.#queue.splice(0, BATCH)
    if (this.#queue.length > 0) this.#soon(() => this.#flush())
    if (commands.length > 0 && !this.#closed) this.#batch(commands)
  }

  #batch(commands) {
    const since = this.#virtual && this.#now()
    for (const command of commands) if (command instanceof Ask) this.#waiting.set((command.ticket = ++this.#tickets), command)
    const turns = new Turns()
    try {
      this.#engine.run(commands, turns)
    } catch (error) {
      return this.#batchFailed(commands, error, since)
    }
    this.#deliver(turns)
  }

  // One of the commands trapped and nobody can say which, so each runs again alone.
  #batchFailed(commands, error, since) {
    for (const command of commands) this.#waiting.delete(command.ticket)
    this.#failed(error)
    if (!(error instanceof Trap)) for (const command of commands) command.busy('store')
    else if (commands.length > 1) for (const command of commands) this.#batch([command])
    else if (this.#virtual && commands[0].shorten?.(this.#now() - since)) this.#batch(commands)
    else commands[0].broken()
  }

  #now() {
    try {
      return this.#engine.now()
    } catch {
      return NaN // whatever is wrong, the batch finds it too
    }
  }

  #deliver(turns) {
    if (turns.failure) this.#log(turns.failure)
    this.#arm(turns.failure ? RETRY : turns.after)
    for (const [ticket, parts] of turns.replies) {
      this.#waiting.get(ticket)?.answer(parts)
      this.#waiting.delete(ticket)
    }
    for (const effect of turns.fetches) this.#perform(effect, this.#engine.generation)
    for (const notice of turns.notices) this.#readers.publish(notice)
  }

  async #perform(effect, generation) {
    let outcome
    try {
      const { method, url, headers, body, wanted, timeLimit } = effect
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeLimit)])
      const fetch = this.#fetch
      const response = await fetch(url, { method, headers: pairs(headers), body: body.length ? body : undefined, redirect: 'manual', signal })
      outcome = new Answered(effect.id, generation, response.status, kept(response.headers, wanted), await readAtMost(response, effect.sizeLimit))
    } catch (error) {
      outcome = new Unanswered(effect.id, generation, reason(error))
    }
    this.enqueue(outcome)
  }

  // Failures and timers.

  /** After a trap what the engine's memory held is gone, and whoever waited for it is told. */
  #failed(error) {
    this.#log(error)
    if (!(error instanceof Trap)) return this.#arm(RETRY)
    const parked = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const ask of parked) ask.busy('restarted')
    this.#readers.recheck() // what was committed before the trap may not have been told
    this.#rearm()
  }

  #rearm() {
    let after
    try {
      after = this.#engine.deadline()
    } catch (error) {
      this.#log(error)
      after = RETRY
    }
    this.#arm(after)
  }

  #setTimer(after) {
    clearTimeout(this.#timer)
    if (after === undefined || this.#closed) return
    this.#timer = setTimeout(() => this.tick(), Math.min(after, LOOK))
    this.#timer.unref?.()
  }
}

/** A request on its way through the tenant. */
class Ask {
  #host
  #gate
  #tries = 1
  #traps = 0

  constructor(host, gate, call, body, { by, reads }, signal, resolve) {
    this.#host = host
    this.#gate = gate
    this.call = call
    this.body = body
    this.by = by
    this.reads = reads
    this.signal = signal
    this.resolve = resolve
  }

  put(tenant) {
    const { method, path, query, headers, origin } = this.call
    tenant.request(this.ticket, method, path, query, headers, this.body, this.by, origin)
  }

  answer(parts) {
    this.resolve(whole(parts, this.call.method))
  }

  broken() {
    this.resolve(this.#gate.broken(this.call))
  }

  busy(why) {
    this.resolve(this.#gate.busy(this.call, why))
  }

  /**
   * What moves a virtual clock commits timer by timer. When one of them traps, the clock stands where that was due, and
   * the request goes on from there: true when it is one and has been made to ask for what is left.
   */
  shorten(moved) {
    if (this.call.path !== '/_reveille/dev/clock' || !(moved >= 0) || this.#traps++ > 1_000) return false
    const { advance_ms } = JSON.parse(new TextDecoder().decode(this.body))
    this.body = new TextEncoder().encode(JSON.stringify({ advance_ms: Math.max(advance_ms - moved, 0) }))
    return true
  }

  /** Its answer was lost before it began. */
  again() {
    if (this.#tries++ > 1) this.broken()
    else this.#host.take(this)
  }
}

/** The answer to a fetch. */
class Answered {
  constructor(effect, generation, status, headers, body) {
    Object.assign(this, { effect, generation, status, headers, body })
  }

  put(tenant, generation) {
    tenant.answered(this.effect, this.generation !== generation, this.status, this.headers, this.body)
  }

  // Nobody waits for it. Its row does, and tries again when its lease ends.
  broken() {}
  busy() {}
}

/** The failure of a fetch. */
class Unanswered extends Answered {
  constructor(effect, generation, message) {
    super(effect, generation)
    this.message = message
  }

  put(tenant, generation) {
    tenant.unanswered(this.effect, this.generation !== generation, this.message)
  }
}

/** What a read wants remembered. */
class Touched {
  constructor(touched, inLine) {
    Object.assign(this, { touched, inLine })
  }

  put(tenant) {
    this.busy()
    tenant.touch(this.touched)
  }

  // Nobody waits for it, and it is no longer in line: the next read will want the same.
  broken() {
    this.busy()
  }

  busy() {
    this.inLine.delete(this.touched)
  }
}

/** Takes note of what the turns of a batch hold, until the call to the instance is over. */
class Turns {
  replies = []
  fetches = []
  notices = []
  after
  wrote = false
  failure

  reply(ticket, status, headers, body) {
    this.replies.push([ticket, { status, headers, body }])
  }

  fetch(id, method, url, headers, body, wanted, timeLimit, sizeLimit) {
    this.fetches.push({ id, method, url, headers, body, wanted, timeLimit, sizeLimit })
  }

  notify(topic, from, to, bytes) {
    this.notices.push({ topic, from, to, bytes })
  }

  deadline(after, wrote) {
    this.after = after
    this.wrote = wrote
  }

  failed(message) {
    this.failure = message
  }
}

/** Of an answer's headers those that are wanted, as lines. */
function kept(headers, wanted) {
  const line = (name) => (headers.has(name) ? `${name}: ${headers.get(name)}\n` : '')
  return wanted.split(' ').map((name) => (name ? line(name) : '')).join('')
}

function reason(error) {
  if (error?.name === 'TimeoutError') return 'no answer in time'
  return String(error?.cause?.message || error?.message || error)
}

/** Runs `work` when what has already arrived has been looked at. */
function endOfMacrotask(work) {
  if (globalThis.setImmediate) setImmediate(work)
  else {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      work()
    }
    port2.postMessage(undefined)
  }
}

// The most commands in one batch, and so in one transaction.
const BATCH = 256
// The most that wait for one; more are turned away.
const QUEUE = 8_192
// How long to wait after a tick that changed nothing, and after the store failed, in milliseconds.
const REST = 50
const RETRY = 1_000
// How often the clock is looked at while a timer is far away: it may be set, or the machine sleep.
const LOOK = 60_000
