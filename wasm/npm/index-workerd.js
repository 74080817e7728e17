// The package for Cloudflare Workers, where modules are compiled when the Worker is deployed.

import module from '../pkg/reveille_bg.wasm'
import { instantiate } from '../pkg/reveille.js'
import { routerOver } from './router.js'

export const createRouter = routerOver(() => instantiate(module))
