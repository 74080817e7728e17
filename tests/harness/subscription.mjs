// A subscription of a test's own, and what its agents do about it.
import assert from 'node:assert/strict'

import { START } from './like.mjs'
import { signatureProblem } from './signature.mjs'

export class Subscription {
  /** Makes one that follows streams below `w.streams`, or as `body` says. */
  static async make(w, body = {}, { id = w.name, as } = {}) {
    const made = new Subscription(w, id, as)
    const answer = await made.put(body)
    assert.equal(answer.status, 201, answer.text)
    return made
  }

  constructor(w, id, as) {
    Object.assign(this, { w, id, as, path: `/__ds/subscriptions/${encodeURIComponent(id)}` })
  }

  put(body, options) {
    return this.w.put(this.path, body, { as: this.as, ...options })
  }

  get(options) {
    return this.w.get(this.path, { as: this.as, ...options })
  }

  /** As the server describes it. */
  async shown() {
    const answer = await this.get()
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }

  /** `[path, link_type, acked_offset]` of each stream that it follows. */
  async links() {
    return (await this.shown()).streams.map((link) => [link.path, link.link_type, link.acked_offset])
  }

  delete(options) {
    return this.w.delete(this.path, { as: this.as, ...options })
  }

  add(streams, options) {
    return this.w.post(`${this.path}/streams`, { streams }, { as: this.as, ...options })
  }

  remove(stream, options) {
    return this.w.delete(`${this.path}/streams/${stream}`, { as: this.as, ...options })
  }

  /** POST to `…/callback`, `…/ack`, `…/release` or `…/claim`. */
  call(verb, body, token) {
    const headers = token ? { authorization: `Bearer ${token}` } : {}
    return this.w.post(`${this.path}/${verb}`, body, { as: this.as, headers })
  }

  tryClaim(worker = 'worker') {
    return this.call('claim', { worker })
  }

  async claim(worker) {
    const answer = await this.tryClaim(worker)
    assert.equal(answer.status, 200, answer.text)
    return new Held(this, answer.json, 'ack', answer.json.token)
  }

  /** The next webhook that comes to `hook`, its signature verified. */
  async woken(hook, timeout) {
    const { w } = this
    const delivery = await hook.next(({ json }) => json.subscription_id === this.id, timeout)
    const jwks = (await w.get('/__ds/jwks.json')).json
    const header = delivery.headers['webhook-signature']
    assert.equal(signatureProblem({ header, body: delivery.text, jwks }), undefined)
    return Object.assign(new Held(this, delivery.json, 'callback', delivery.json.callback_token), { delivery })
  }
}

/** A wake that somebody holds. */
class Held {
  constructor(subscription, body, verb, token) {
    Object.assign(this, { subscription, body, verb, token })
  }

  get proof() {
    return { wake_id: this.body.wake_id, generation: this.body.generation }
  }

  get acks() {
    return this.body.streams.map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset }))
  }

  /** Keeps the wake, with `acks` or `done` if need be. */
  answer(more = {}) {
    return this.subscription.call(this.verb, { ...this.proof, ...more }, this.token)
  }

  done(acks = this.acks) {
    return this.answer({ acks, done: true })
  }

  release() {
    return this.subscription.call('release', this.proof, this.token)
  }
}

/** A JSON stream of this test: its path, with and without the slash. `append` gives the new tail. */
export async function jsonStream(w, name, body = '[]') {
  const path = `/plain/${w.name}/${name}`
  const answer = await w.put(path, body)
  assert.equal(answer.status, 201, answer.text)
  const append = async (message = [1]) => (await w.post(path, message)).headers['stream-next-offset']
  return { path, bare: path.slice(1), append, tail: answer.headers['stream-next-offset'] ?? START }
}

export function refuses(answer, status, code, message) {
  assert.equal(answer.status, status, answer.text)
  assert.equal(answer.json.error.code, code)
  if (message instanceof RegExp) assert.match(answer.json.error.message, message)
  else if (message) assert.equal(answer.json.error.message, message)
}
