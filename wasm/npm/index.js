// The package for browsers and whatever else can fetch a file beside its own.

import { instantiate } from '../pkg/reveille.js'
import { routerOver } from './router.js'

const compiled = WebAssembly.compileStreaming(fetch(new URL('../pkg/reveille_bg.wasm', import.meta.url)))

export const createRouter = routerOver(compiled.then((module) => () => instantiate(module)))
