// Looks at WebAssembly modules: fails if one wants anything from the module `env`, which no host provides (a C function
// or an unresolved symbol has slipped into the build), and prints sizes.
//
//   wasm-report.mjs [--linked] FILE…     --linked: as the linker left it; check only
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const args = process.argv.slice(2)
const linked = args[0] === '--linked'
const number = (n) => n.toLocaleString('en').padStart(11)

for (const file of linked ? args.slice(1) : args) {
  const bytes = readFileSync(file)
  const stray = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).filter(({ module }) => module === 'env')
  if (stray.length > 0) {
    console.error(`${file} imports from \`env\`, which no host provides: ${stray.map(({ name }) => name).join(', ')}`)
    console.error('A dependency expects a C library on wasm32; `cargo tree --target wasm32-unknown-unknown` shows them all.')
    process.exitCode = 1
  } else if (!linked) {
    console.log(`${number(bytes.length)} bytes ${number(gzipSync(bytes, { level: 9 }).length)} gzip -9  ${file}`)
  }
}
