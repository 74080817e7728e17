// The package for Node, Deno and Bun: the module is read from the file beside it.

import { readFileSync } from 'node:fs'

import { instantiate } from '../pkg/reveille.js'
import { routerOver } from './router.js'

const module = new WebAssembly.Module(readFileSync(new URL('../pkg/reveille_bg.wasm', import.meta.url)))

export const createRouter = routerOver(() => instantiate(module))
