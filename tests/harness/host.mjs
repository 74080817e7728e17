// Starts, stops and kills a server under test. HOST names it: native, worker or wasm.
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { request } from './http.mjs'

const serve = path.resolve(fileURLToPath(import.meta.url), '../../serve')
const running = new Set()

export const hostName = process.env.HOST ?? 'native'

/**
 * A server on a free port of loopback, once it is healthy. `stop()` asks it to end, `kill()` gives it no chance, and
 * `restart()` starts it again on the same port and data, with other `args` if need be. Without a `dataDir` it has one of
 * its own, removed with it. With `https` it is `reveille dev --https`. `args` are more options of tests/serve.
 */
export async function startHost({ host = hostName, port, dataDir, virtual = true, https = false, args = [] } = {}) {
  const own = dataDir === undefined
  dataDir ??= await mkdtemp(path.join(tmpdir(), 'reveille-test-'))
  port ??= await freePort()
  const url = `${https ? 'https' : 'http'}://127.0.0.1:${port}`

  const start = async (options = {}) => {
    const flags = ['--port', port, '--data-dir', dataDir, '--public-url', url, ...(options.args ?? args)]
    if (options.virtual ?? virtual) flags.push('--virtual')
    if (https) flags.push('--https')
    const child = spawn(serve, [host, ...flags.map(String)], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    const output = []
    for (const pipe of [child.stdout, child.stderr]) {
      pipe.on('data', (text) => output.push(text) > 200 && output.shift())
      if (process.env.REVEILLE_OUTPUT) pipe.pipe(process.stderr, { end: false })
    }
    handle.child = child
    handle.output = () => output.join('')
    handle.exited = new Promise((resolve) => child.on('close', resolve)).then(() => running.delete(child))
    await healthy(handle)
    process.env.REVEILLE_NO_BUILD = '1' // What started once is built.
  }

  const handle = {
    url,
    dataDir,
    restart: start,
    async stop() {
      handle.child.kill('SIGTERM')
      const late = setTimeout(() => killGroup(handle.child), 15_000)
      await handle.exited
      clearTimeout(late)
    },
    async kill() {
      killGroup(handle.child)
      await handle.exited
    },
    async dispose() {
      if (running.has(handle.child)) await handle.stop()
      if (own) await rm(dataDir, { recursive: true, force: true })
    },
  }
  await start()
  return handle
}

async function healthy(handle) {
  let gone = false
  handle.exited.then(() => (gone = true))
  for (const deadline = Date.now() + 300_000; Date.now() < deadline; ) {
    if (gone) throw new Error(`the server ended before it was healthy:\n${handle.output()}`)
    // One that serves a web app leads there, one that speaks HTTPS away.
    const answer = await request(handle.url.replace('https:', 'http:'), 'GET', '/', { timeout: 2_000 }).catch(() => undefined)
    if ([200, 302, 307].includes(answer?.status)) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`the server did not become healthy:\n${handle.output()}`)
}

/**
 * A port that nobody listens on, below those that the system deals out by itself: while a server is down, between a stop and
 * a restart, no receiver of a test that runs beside it is given its port.
 */
export async function freePort() {
  for (;;) {
    const port = 10_000 + randomInt(20_000)
    if (await isFree(port)) return port
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = net.createServer()
    probe.on('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

// The child leads a process group of its own, so that whatever it started ends with it.
function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It was gone already.
  }
}

process.on('exit', () => running.forEach(killGroup))
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1))
