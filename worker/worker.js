// Reveille on Cloudflare: an entrance that says who calls, and one Durable Object a tenant.
//
// The environment is read by settings.js. The entrance authenticates before it names a tenant, and refuses everything
// while it has no way to. All objects of an isolate share the compiled module, but each has instances of its own, about
// 200 kB for its engine and as much for its readers, so that a trap harms one tenant and is mended in 3 ms.

import module from './build/reveille_bg.wasm'
import { instantiate } from './build/reveille.js'
import { Authoriser } from '../wasm/npm/authorise.js'
import { drain } from '../wasm/npm/body.js'
import { Gate } from '../wasm/npm/gate.js'
import { Host } from '../wasm/npm/host.js'
import { Call, principalHeader, whole } from '../wasm/npm/message.js'
import { Alarm } from './alarm.js'
import { entranceSettings, objectSettings, PRINCIPAL, tenantName } from './settings.js'
import { ObjectDatabase } from './storage.js'

const instance = () => instantiate(module)

export default {
  async fetch(request, env) {
    let entrance
    try {
      entrance = gate(entranceSettings(env))
    } catch (error) {
      return new Response(`This deployment is not set up: ${error.message}\n`, { status: 503 })
    }
    const call = new Call(request)
    const { refusal, by } = entrance.admit(call)
    if (refusal) {
      await drain(request.body) // the runtime hangs up on a client that is still sending
      return whole(refusal, call.method)
    }
    try {
      const object = env.TENANT.get(env.TENANT.idFromName(tenantName(env, request)))
      return await object.fetch(introduced(request, by))
    } catch (error) {
      console.error(error)
      return entrance.busy(call, 'store')
    }
  },
}

/**
 * One tenant. A class that extends it may have a method `authorise(question)`, which has the last word on who may do what:
 * `Authorise` of ../wasm/npm/index.d.ts.
 */
export class Tenant {
  #made
  #ctx
  #env
  #alarm

  constructor(ctx, env) {
    this.#ctx = ctx
    this.#env = env
    this.#alarm = new Alarm(ctx.storage)
    ctx.blockConcurrencyWhile(async () => {
      await this.#alarm.recall()
      this.#host.start()
    })
  }

  fetch(request) {
    return this.#host.fetch(request)
  }

  // It never throws: an alarm that does is dropped after six tries, and with it every timer of the tenant.
  alarm() {
    this.#alarm.fired()
    for (let ticks = 0; ticks < TICKS_AN_ALARM && this.#host.tick(); ticks++);
  }

  // Made when first needed: by then the constructors of classes that extend this one have set their fields.
  get #host() {
    return (this.#made ??= this.#make())
  }

  #make() {
    const settings = objectSettings(this.#env)
    return new Host({
      instantiate: instance,
      gate: gate(settings),
      database: new ObjectDatabase(this.#ctx.storage),
      settings,
      authoriser: this.#authoriser(),
      arm: (after) => this.#alarm.arm(after),
      soon: (work) => setTimeout(work, 0), // a commit a request would wait for the disk each time
      fetch: (...request) => fetch(...request),
      drainFirst: true,
    })
  }

  #authoriser() {
    if (this.authorise === undefined) return undefined
    const { id } = this.#ctx
    return new Authoriser(this.authorise?.bind?.(this)).of(id.name ?? id.toString())
  }
}

const TICKS_AN_ALARM = 16

// Gates hold nothing but their settings, so all objects of an isolate share one.
const gates = new Map()
function gate(settings) {
  const key = JSON.stringify(settings)
  if (!gates.has(key)) gates.set(key, new Gate(instance, settings))
  return gates.get(key)
}

/** The request with who sent it, and nobody else's word on that. */
function introduced(request, by) {
  const headers = new Headers(request.headers)
  headers.delete(PRINCIPAL)
  if (by) headers.set(PRINCIPAL, principalHeader(by))
  return new Request(request, { headers, redirect: 'manual' })
}
