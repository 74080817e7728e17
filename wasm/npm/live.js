// A live read: a long-poll or an SSE connection, driven by asking the reader for its next piece.
//
// The order is what keeps anything from falling between: it subscribes to its topics, asks, and then waits for a topic
// to move or for its moment. Pieces are asked for only when the client has taken the last one, so a slow client costs
// one piece of memory. The read itself is a value inside the reader's instance; should that trap, a long-poll starts
// again from its request and an SSE connection ends, for its client to come back.

import { pairs } from './message.js'

export class LiveRead {
  #readers
  #request
  #number
  #topics
  #stream
  #timer
  #state = ASKING
  #answer

  /** `request` is what it answers; `number` names it in the reader's instance; it waits for `topics`. */
  constructor(readers, request, number, topics) {
    this.#readers = readers
    this.#request = request
    this.#number = number
    this.#topics = topics
  }

  start() {
    this.#readers.subscribe(this, this.#topics)
    this.#request.signal?.addEventListener('abort', () => this.end(), { once: true })
    if (this.#request.signal?.aborted) this.end()
    this.#ask()
  }

  /** One of its topics has moved; the reader has been given the notice, which may carry what is waited for. */
  wake() {
    if (this.#state !== WAITING) return
    clearTimeout(this.#timer)
    this.#state = ASKING
    if (this.#readers.ask((reader) => reader.accept(this.#number, this))) this.#act()
    this.#ask()
  }

  /** Something may have moved. */
  recheck() {
    clearTimeout(this.#timer)
    this.#goOn(WAITING)
  }

  /** The instance is gone, and with it this read's place. */
  lost() {
    this.#leave()
    if (this.#stream) this.#stream.close()
    else this.#request.again()
  }

  /** Nobody reads any more, or the host closes. */
  end() {
    if (this.#state === ENDED) return
    this.#forget()
    if (this.#stream) this.#stream.close()
    else this.#request.busy('closing')
  }

  // What the reader says. It is inside a call to the instance, so these only take note.

  open(status, headers) {
    this.#answer = () => {
      const source = {
        start: (stream) => void (this.#stream = stream),
        pull: () => this.#drained(),
        cancel: () => this.#forget(),
      }
      const body = new ReadableStream(source, new ByteLengthQueuingStrategy({ highWaterMark: AHEAD }))
      this.#request.resolve(new Response(body, { status, headers: pairs(headers) }))
    }
  }

  respond(status, headers, body) {
    this.#answer = () => {
      this.#forget()
      this.#request.answer({ status, headers, body })
    }
  }

  send(bytes) {
    this.#answer = () => {
      this.#stream.enqueue(bytes)
      if (this.#stream.desiredSize <= 0) this.#state = BLOCKED
    }
  }

  finish(bytes) {
    this.#answer = () => {
      this.#forget()
      if (bytes.length > 0) this.#stream.enqueue(bytes)
      this.#stream.close()
    }
  }

  wait(after) {
    this.#answer = () => {
      this.#state = WAITING
      if (after !== undefined) this.#timer = setTimeout(() => this.#goOn(WAITING), after)
    }
  }

  touch(number) {
    this.#readers.touch(number) // which only puts it in line
  }

  failed(message) {
    this.#answer = () => {
      this.#readers.log(`a live read failed: ${message}`)
      this.#forget()
      if (this.#stream) this.#stream.close()
      else this.#request.busy('store')
    }
  }

  #ask() {
    while (this.#state === ASKING) {
      this.#readers.ask((reader) => reader.next(this.#number, this))
      this.#act()
    }
  }

  #act() {
    const act = this.#answer ?? (() => this.end())
    this.#answer = undefined
    if (this.#state === ASKING) act()
  }

  #drained() {
    this.#goOn(BLOCKED)
  }

  #goOn(from) {
    if (this.#state !== from) return
    this.#state = ASKING
    this.#readers.whenFree(() => this.#ask())
  }

  #forget() {
    if (this.#state === ENDED) return
    this.#leave()
    this.#readers.forget(this.#number)
  }

  #leave() {
    this.#state = ENDED
    clearTimeout(this.#timer)
    this.#readers.unsubscribe(this, this.#topics)
  }
}

// Bytes that may wait for the client before the next piece is asked for.
const AHEAD = 64 * 1024

const ASKING = 'asking'
const WAITING = 'waiting'
const BLOCKED = 'blocked'
const ENDED = 'ended'
