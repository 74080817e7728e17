// One engine a tenant, each over the database that `open` gives for it.

import { Authoriser } from './authorise.js'
import { drain } from './body.js'
import { Gate } from './gate.js'
import { Host } from './host.js'
import { Call, principalHeader, whole } from './message.js'

/**
 * Makes `createRouter` of index.d.ts for a platform. `instantiate()` gives a new WebAssembly instance; where the module
 * has to be fetched first it is a promise of that.
 */
export function routerOver(instantiate) {
  return (options) => {
    const router = new Router(instantiate, options)
    return { fetch: (...of) => router.fetch(...of), open: (...of) => router.open(...of), close: () => router.close() }
  }
}

class Router {
  #instantiate
  #options
  #settings
  #authoriser
  #gate
  #hosts = new Map()
  #closed = false

  constructor(instantiate, options) {
    this.#instantiate = instantiate
    this.#options = options
    this.#settings = settings(options)
    if (options.authorise !== undefined) this.#authoriser = new Authoriser(options.authorise, options.log)
    if (!instantiate.then) this.#gate = new Gate(instantiate, this.#settings)
  }

  async fetch(request, tenant = 'default') {
    const call = new Call(request)
    if (this.#options.authenticate) call.set(PRINCIPAL, principalHeader(await this.#options.authenticate(request, tenant)))
    this.#gate ??= new Gate(await this.#instantiate, this.#settings)
    const admission = this.#gate.admit(call)
    if (admission.refusal || this.#closed) {
      drain(request.body)
      return admission.refusal ? whole(admission.refusal, call.method) : this.#gate.busy(call, 'closing')
    }
    return (await this.#host(tenant)).fetch(request, call, admission)
  }

  async open(tenant = 'default') {
    await this.#host(tenant)
  }

  async close() {
    this.#closed = true
    for (const host of this.#hosts.values()) await Promise.resolve(host).then((host) => host.close(), () => {})
    this.#hosts.clear()
  }

  #host(tenant) {
    let host = this.#hosts.get(tenant)
    if (!host) {
      host = this.#start(tenant)
      this.#hosts.set(tenant, host)
      host.catch(() => this.#hosts.delete(tenant))
    }
    return host
  }

  async #start(tenant) {
    const instantiate = await this.#instantiate
    this.#gate ??= new Gate(instantiate, this.#settings)
    const { fetch, log } = this.#options
    const database = await this.#options.open(tenant)
    const host = new Host({ instantiate, gate: this.#gate, database, settings: this.#settings, authoriser: this.#authoriser?.of(tenant), fetch, log })
    host.start()
    return host
  }
}

// The header in which the gate reads what `authenticate` said.
const PRINCIPAL = 'reveille-principal'

function settings({ open, authenticate, dev, apiKeys, trustedHeader, publicUrl, virtual, fetches, longPoll, sse, wakesPerMinute, allowWebhooks, streamRoot, webhookSources }) {
  if (typeof open !== 'function') throw new TypeError('createRouter wants `open`: (tenant) => database')
  const ways = [dev, apiKeys, trustedHeader, authenticate].filter(Boolean).length
  if (ways !== 1) throw new TypeError('createRouter wants exactly one of `authenticate`, `apiKeys`, `trustedHeader` and `dev: true`')
  if (virtual && !dev) throw new TypeError('createRouter takes `virtual` only with `dev: true`')
  if (allowWebhooks && !Array.isArray(allowWebhooks)) throw new TypeError('createRouter wants `allowWebhooks` to be an array of HOST or HOST:PORT')
  return {
    dev: Boolean(dev),
    apiKeys,
    trustedHeader: authenticate ? PRINCIPAL : trustedHeader,
    publicUrl,
    virtualStart: virtual ? 0 : undefined,
    allowWebhooks: allowWebhooks?.join(' '),
    streamRoot,
    fetches,
    longPoll,
    sse,
    wakesPerMinute,
    webhookSources: webhookSources && JSON.stringify(webhookSources),
  }
}
