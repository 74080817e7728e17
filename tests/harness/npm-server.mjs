// The published Durable Streams server on its file store, as a process: `npm-server.mjs DIR`.
// It says where it listens as `reveille` does, and nothing else. SIGUSR2 collects its garbage, when node runs with
// --expose-gc, so that its memory is what it keeps.
import { DurableStreamTestServer } from '@durable-streams/server'

for (const level of ['log', 'info', 'warn']) console[level] = () => {}
process.on('SIGUSR2', () => globalThis.gc?.())

const server = new DurableStreamTestServer({ dataDir: process.argv[2], port: 0 })
const ready = await server.start()
process.on('SIGTERM', async () => {
  await server.stop()
  process.exit()
})
process.stdout.write(`${JSON.stringify({ ready })}\n`)
