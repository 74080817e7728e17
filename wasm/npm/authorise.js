// The host's last word on who may do what: `authorise` of index.d.ts, held to its contract.
//
// It is asked from inside the instance, in the middle of commands and reads, so nothing of it may throw into there or
// wait. Whatever is not an answer denies, and each kind of mistake is told once: by what it is, never by what it holds.

export class Authoriser {
  #authorise
  #log
  #told = new Set()

  constructor(authorise, log = console.error) {
    if (typeof authorise !== 'function') {
      throw new TypeError('`authorise` must be a function that answers a question at once, with true, false or undefined')
    }
    this.#authorise = authorise
    this.#log = log
  }

  /** What the instances of a tenant ask (`Authoriser` of shell/src/authoriser.rs). */
  of(tenant) {
    return {
      says: (principal, permission, kind, id, decided) => {
        try {
          return this.#answer({ tenant, principal, permission, resource: { kind, [NAMED_BY[kind]]: id }, decided })
        } catch (error) {
          this.#deny('threw', error)
          return false
        }
      },
    }
  }

  #answer(question) {
    const said = this.#authorise(question)
    if (said === true || said === false || said === undefined) return said
    if (said instanceof Promise) said.catch(() => {}) // a rejection that nobody handles would end the process
    this.#deny(typeof said?.then === 'function' ? 'returned a promise' : `returned ${what(said)}`)
    return false
  }

  #deny(mistake, cause) {
    if (this.#told.has(mistake)) return
    this.#told.add(mistake)
    const message = `authorise ${mistake}: it must answer at once, with true, false or undefined; this denies, and is told once`
    try {
      this.#log(new Error(message, { cause }))
    } catch {
      // What the application makes of it is not the engine's business.
    }
  }
}

// What names a resource, by its kind.
const NAMED_BY = { entity: 'url', entity_type: 'name', registration: 'name', shared_state: 'id' }

function what(value) {
  if (value === null) return 'null'
  return /^[aeiou]/.test(typeof value) ? `an ${typeof value}` : `a ${typeof value}`
}
