// The object's one alarm, armed from the engine's deadline.
//
// An alarm outlives the object, and setting one is a write; so it is set only when the deadline is earlier than the one
// remembered. One that fires too early finds nothing due and is armed again.

export class Alarm {
  #storage
  #at = null

  constructor(storage) {
    this.#storage = storage
  }

  /** Finds the alarm that was set before this object was started. */
  async recall() {
    this.#at = await this.#storage.getAlarm()
  }

  /** Sees to it that an alarm comes within so many milliseconds; nothing is asked when that is undefined. */
  arm(after) {
    if (after === undefined) return
    const at = Date.now() + after
    if (this.#at !== null && this.#at <= at) return
    this.#at = at
    this.#storage.setAlarm(at).catch((error) => {
      console.error(error)
      if (this.#at === at) this.#at = null
    })
  }

  /** The alarm has fired, so there is none. */
  fired() {
    this.#at = null
  }
}
