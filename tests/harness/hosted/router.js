// An application's own Durable Object around the package's router.
import authorise from './authorise.js'
import { createRouter } from '../../../wasm/npm/index-workerd.js'
import { ObjectDatabase } from '../../../worker/storage.js'

export default {
  fetch(request, env) {
    return env.TENANT.get(env.TENANT.idFromName('default')).fetch(request)
  },
}

export class Tenant {
  constructor(ctx, env) {
    this.router = createRouter({
      dev: true,
      virtual: Boolean(env.REVEILLE_VIRTUAL),
      publicUrl: env.REVEILLE_PUBLIC_URL,
      fetches: 6,
      open: () => new ObjectDatabase(ctx.storage),
      authorise,
    })
  }

  fetch(request) {
    return this.router.fetch(request)
  }
}
