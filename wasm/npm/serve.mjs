// A server for one tenant, `default`, on Node's HTTP server and `node:sqlite`: what the test harness runs, and an example
// of a host around the router. It is one to develop against unless it is told how it knows its callers.
//
//   node serve.mjs --port N --data-dir DIR [--host A] [--virtual] [--public-url URL] [--allow-webhook HOST[:PORT]]…
//     [--stream-root PATH] [--long-poll MS] [--wakes-per-minute N] [--webhook-sources FILE]
//     [--authorise FILE] [--api-keys FILE | --trust-proxy-header NAME]
//
// SIGTERM ends it: what was accepted is answered first.

import { mkdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

import { createRouter } from './index-node.js'
import { listener } from './node-http.js'
import { openDatabase } from './sqlite-node.js'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    'data-dir': { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    virtual: { type: 'boolean', default: false },
    'public-url': { type: 'string' },
    'allow-webhook': { type: 'string', multiple: true },
    'stream-root': { type: 'string' },
    'long-poll': { type: 'string' },
    'wakes-per-minute': { type: 'string' },
    'webhook-sources': { type: 'string' },
    authorise: { type: 'string' },
    'api-keys': { type: 'string' },
    'trust-proxy-header': { type: 'string' },
  },
})
if (!options.port || !options['data-dir']) {
  console.error('serve.mjs: say where to listen (--port N) and where to keep the data (--data-dir DIR)')
  process.exit(2)
}

mkdirSync(options['data-dir'], { recursive: true })
const router = createRouter({
  dev: !options['api-keys'] && !options['trust-proxy-header'],
  apiKeys: options['api-keys'] && readFileSync(options['api-keys'], 'utf8'),
  trustedHeader: options['trust-proxy-header'],
  virtual: options.virtual,
  publicUrl: options['public-url'],
  allowWebhooks: options['allow-webhook'],
  streamRoot: options['stream-root'],
  longPoll: options['long-poll'] && Number(options['long-poll']),
  wakesPerMinute: options['wakes-per-minute'] && Number(options['wakes-per-minute']),
  webhookSources: options['webhook-sources'] && JSON.parse(readFileSync(options['webhook-sources'], 'utf8')),
  authorise: options.authorise && (await import(pathToFileURL(options.authorise))).default,
  open: (tenant) => openDatabase(join(options['data-dir'], `${tenant}.sqlite`)),
})
await router.open() // timers that fell due meanwhile do not wait for a request

// How long a body may take is the router's business.
const server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0 }, listener((request) => router.fetch(request)))
server.listen(Number(options.port), options.host, () => {
  console.log(`reveille (wasm) on http://${options.host}:${server.address().port}`)
})

async function stop() {
  server.close()
  await router.close()
  server.closeIdleConnections()
  setTimeout(() => process.exit(0), 1_000).unref() // answers that are on their way get a moment
  server.on('close', () => process.exit(0))
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
