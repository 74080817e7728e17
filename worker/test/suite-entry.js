// A Worker whose object runs the driver suite over its storage.

import module from '../build-test/reveille_bg.wasm'
import { instantiate } from '../build-test/reveille.js'
import { Connection } from '../../wasm/npm/connection.js'
import { ObjectDatabase } from '../storage.js'

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === '/_electric/health') return new Response()
    return env.TENANT.get(env.TENANT.idFromName('suite')).fetch(request)
  },
}

export class Tenant {
  constructor(ctx) {
    this.storage = ctx.storage
  }

  // An object has one database, so a fresh one is the same without its tables.
  fetch() {
    const fresh = () => {
      for (const table of ['t', 'w']) this.storage.sql.exec(`DROP TABLE IF EXISTS ${table}`)
      return new Connection(new ObjectDatabase(this.storage))
    }
    try {
      return new Response(instantiate(module).suite({ fresh }))
    } catch (error) {
      return new Response(String(error), { status: 500 })
    }
  }
}
