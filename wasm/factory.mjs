// Makes a module of what wasm-bindgen writes with `--target no-modules`: a script whose whole state is inside one
// function. As a module it exports `instantiate(module)`, which gives a new instance's exports each time it is called.
// The usual output keeps its instance in the module's own variables, so there could be only one.
//
//   factory.mjs FILE      rewrites reveille.js in place
import { readFileSync, writeFileSync } from 'node:fs'

const [file] = process.argv.slice(2)
const script = readFileSync(file, 'utf8')
if (!script.startsWith('let wasm_bindgen = (function(exports) {')) {
  console.error(`${file} is not what wasm-bindgen 0.2.130 writes with --target no-modules`)
  process.exit(1)
}

const indented = script.trimEnd().replace(/^(?=.)/gm, '  ')
writeFileSync(
  file,
  `/** A new instance of the compiled \`module\`, with memory of its own. */
export function instantiate(module) {
${indented}
  wasm_bindgen.initSync({ module })
  return wasm_bindgen
}
`,
)
