// Writes the workerd configuration that `tests/serve worker` runs: the worker's modules, found by following their
// imports; its Durable Object on a local disk; and what wrangler.toml would bind. Runs in the repository's root, which
// workerd then gets as its import path.
//
//   workerd-config.mjs --entry FILE --port N --data-dir DIR [--host A] [--virtual] [--public-url URL]
//     [--allow-webhook HOST[:PORT]]… [--stream-root PATH] [--long-poll MS]
//     [--wakes-per-minute N] [--webhook-sources FILE] [--api-keys FILE | --trust-proxy-header NAME]
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'

const { values: options } = parseArgs({
  options: {
    entry: { type: 'string' },
    port: { type: 'string' },
    'data-dir': { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    virtual: { type: 'boolean', default: false },
    'public-url': { type: 'string' },
    'allow-webhook': { type: 'string', multiple: true, default: [] },
    'stream-root': { type: 'string', default: '' },
    'long-poll': { type: 'string', default: '' },
    'wakes-per-minute': { type: 'string', default: '' },
    'webhook-sources': { type: 'string' },
    'api-keys': { type: 'string' },
    'trust-proxy-header': { type: 'string', default: '' },
  },
})
const keys = options['api-keys'] ? readFileSync(options['api-keys'], 'utf8') : ''
const publicUrl = options['public-url'] ?? `http://${options.host}:${options.port}`

// The field of workerd's `Worker.Module` that holds a file, by extension.
const kinds = { '.js': 'esModule', '.mjs': 'esModule', '.wasm': 'wasm', '.json': 'json', '.txt': 'text', '.sql': 'text' }
const builtIn = /^(node|cloudflare|workerd):/

try {
  process.stdout.write(config())
} catch (error) {
  console.error(`tests/serve: ${error.message}`)
  process.exitCode = 1
}

function config() {
  const files = [...modules(options.entry)].map(([file, kind]) => `(name = ${text(file)}, ${kind} = embed ${text('/' + file)})`)
  const bindings = [
    `(name = "TENANT", durableObjectNamespace = "Tenant")`,
    `(name = "REVEILLE_MODE", text = ${text(keys || options['trust-proxy-header'] ? 'serve' : 'dev')})`,
    `(name = "REVEILLE_API_KEYS", text = ${text(keys)})`,
    `(name = "REVEILLE_TRUST_PROXY_HEADER", text = ${text(options['trust-proxy-header'])})`,
    `(name = "REVEILLE_VIRTUAL", text = ${text(options.virtual ? '1' : '')})`,
    `(name = "REVEILLE_PUBLIC_URL", text = ${text(publicUrl)})`,
    `(name = "REVEILLE_ALLOW_WEBHOOKS", text = ${text(options['allow-webhook'].join(' '))})`,
    `(name = "REVEILLE_STREAM_ROOT", text = ${text(options['stream-root'])})`,
    `(name = "REVEILLE_LONG_POLL", text = ${text(options['long-poll'])})`,
    `(name = "REVEILLE_WEBHOOK_SOURCES", text = ${text(options['webhook-sources'] ? readFileSync(options['webhook-sources'], 'utf8') : '')})`,
    `(name = "REVEILLE_WAKES_PER_MINUTE", text = ${text(options['wakes-per-minute'])})`,
  ]
  return `# Written by tests/serve; it is written again at each start.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "objects", disk = (path = ${text(path.join(options['data-dir'], 'objects'))}, writable = true)),
    # Webhooks of a test go to this machine, so private addresses are allowed: the engine's policy decides alone.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = ${text(`${options.host}:${options.port}`)}, http = (), service = "main")],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2026-04-01",
  modules = ${list(files)},
  durableObjectNamespaces = [(className = "Tenant", uniqueKey = "reveille-Tenant", enableSql = true)],
  durableObjectStorage = (localDisk = "objects"),
  bindings = ${list(bindings)},
);
`
}

/** Every module that `entry` reaches, itself first, by its path from the root. */
function modules(entry) {
  const found = new Map()
  const visit = (file, from) => {
    if (found.has(file)) return
    const kind = kinds[path.extname(file)]
    if (!kind) throw new Error(`${from} imports ${file}, and workerd would not know what that is`)
    const source = read(file, from)
    found.set(file, kind)
    if (kind !== 'esModule') return
    for (const specifier of imports(source.toString())) {
      if (builtIn.test(specifier)) continue
      if (!/^\.\.?\//.test(specifier)) {
        throw new Error(`${file} imports the package \`${specifier}\`: the worker may import only its own files`)
      }
      visit(path.normalize(path.join(path.dirname(file), specifier)), file)
    }
  }
  visit(path.normalize(entry), 'tests/serve')
  return found
}

function read(file, from) {
  try {
    return readFileSync(file)
  } catch {
    throw new Error(`${file} is missing, and ${from} wants it`)
  }
}

/** What a module imports or re-exports. */
function imports(source) {
  const code = source.replace(/^\s*(?:\/\*[^]*?\*\/|\/\/.*)/gm, '')
  const statement =
    /(?:^|[;}])\s*(?:import|export)\s*(?:[\w*${}\s,]+?\s*from\s*)?["']([^"']+)["']|\bimport\s*\(\s*["']([^"']+)["']\s*\)/gm
  return [...code.matchAll(statement)].map((match) => match[1] ?? match[2])
}

// Cap'n Proto quotes strings as JSON does.
function text(string) {
  return JSON.stringify(string)
}

function list(items) {
  return `[\n    ${items.join(',\n    ')},\n  ]`
}
