// The Worker with handles for tests: an environment of the request's own, and an alarm that can be lost.

import worker, { Tenant as Object } from '../worker.js'

export default {
  fetch(request, env) {
    return worker.fetch(request, { ...env, ...JSON.parse(request.headers.get('x-test-env') ?? '{}') })
  },
}

export class Tenant {
  constructor(ctx, env) {
    this.storage = ctx.storage
    const key = { REVEILLE_MODE: 'serve', REVEILLE_API_KEYS: 'secret user:alice' }
    this.open = () => (this.opened ??= new Object(ctx, env))
    this.closed = () => (this.made ??= new Object(ctx, { ...env, ...key }))
    ctx.blockConcurrencyWhile(async () => {
      this.serves = await ctx.storage.get('serves')
      if (this.serves !== undefined) this.object
    })
  }

  get object() {
    return this.serves ? this.closed() : this.open()
  }

  async fetch(request) {
    if (request.headers.has('x-test-lose-alarm')) {
      await this.storage.deleteAlarm()
      return new Response(String(await this.storage.getAlarm()))
    }
    if (this.serves === undefined) await this.storage.put('serves', (this.serves = request.headers.has('x-test-env')))
    return this.object.fetch(request)
  }

  alarm() {
    return this.object.alarm()
  }
}
