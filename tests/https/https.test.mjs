// `reveille dev --https`, as Node's own clients and the command line see it.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import http2 from 'node:http2'
import https from 'node:https'
import path from 'node:path'
import readline from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { Page } from '../harness/dashboard.mjs'
import { startHost } from '../harness/host.mjs'
import { mailbox, parseEvent, request } from '../harness/http.mjs'
import { receiver } from '../harness/receiver.mjs'
import { everybody } from '../harness/world.mjs'

const root = path.resolve(fileURLToPath(import.meta.url), '../../..')
const reveille = path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, 'target'), 'release/reveille')

/** A server, and what trusts it. */
async function server(t) {
  const host = await startHost({ host: 'native', https: true })
  t.after(() => host.dispose())
  const file = path.join(host.dataDir, 'https-certificate.pem')
  return { host, url: host.url, file, ca: await readFile(file) }
}

/** One connection over HTTP/2. */
function connect(t, { url, ca }) {
  const session = http2.connect(url, { ca })
  t.after(() => session.destroy())
  session.on('error', () => {})
  return (method, target, body) => {
    const stream = session.request({ ':method': method, ':path': target, 'content-type': 'application/json' })
    stream.end(body && JSON.stringify(body))
    return answer(stream)
  }
}

function answer(stream) {
  return new Promise((resolve, reject) => {
    const answer = { text: '' }
    stream.setEncoding('utf8')
    stream.on('response', (headers) => Object.assign(answer, { status: headers[':status'], headers }))
    stream.on('data', (text) => (answer.text += text))
    stream.on('end', () => resolve(answer))
    stream.on('error', reject)
  })
}

test('one connection carries many live reads, and what is written beside them', async (t) => {
  const at = await server(t)
  const ask = connect(t, at)
  assert.equal((await ask('POST', '/_electric/entity-types', { name: 'worker', description: 'a worker', permission_grants: everybody })).status, 201)
  const spawned = await ask('PUT', '/_electric/entities/worker/a', {})
  assert.equal(spawned.status, 201)
  const tables = ['entities', 'entity_types', 'runners', 'users', 'entity_effective_permissions']
  const shapes = await Promise.all(
    tables.map(async (table) => {
      const { headers } = await ask('GET', `/_electric/electric/v1/shape?table=${table}&offset=-1`)
      const query = { table, handle: headers['electric-handle'], offset: headers['electric-offset'], live: 'true', cursor: '' }
      return `/_electric/electric/v1/shape?${new URLSearchParams(query)}`
    }),
  )
  const reads = [...shapes, ...Array.from({ length: 20 }, () => '/worker/a/main?offset=now&live=long-poll')]
  let answered = 0
  const waiting = reads.map((target) => ask('GET', target).finally(() => answered++))
  await live(ask, reads.length)
  // Something that none of them waits for comes through at once.
  assert.equal((await ask('PUT', '/other', [])).status, 201)
  assert.equal(answered, 0)
  const sent = await ask('POST', '/_electric/entities/worker/a/send', { payload: 'hello' })
  assert.equal(sent.status, 200, sent.text)
  const { txid } = JSON.parse(sent.text)
  for (const read of waiting.slice(shapes.length)) {
    const { status, text } = await read
    assert.equal(status, 200)
    assert.ok(text.includes(txid), text)
  }
  await ask('POST', '/_electric/entities/worker/a/tags/k', { value: 'v' })
  assert.match((await waiting[0]).text, /\\"k\\":\\"v\\"/)
})

/** Waits until so many live reads have arrived. */
async function live(ask, count) {
  for (const deadline = Date.now() + 10_000; ; ) {
    const { text } = await ask('GET', '/metrics')
    if (text.includes(`reveille_live_readers ${count}\n`)) return
    assert.ok(Date.now() < deadline, text.match(/^reveille_live_readers.*/m)?.[0])
  }
}

test('a page of the dashboard needs one connection, and what it writes waits for nothing', async (t) => {
  const at = await server(t)
  let connections = 0
  const session = http2.connect(at.url, { ca: at.ca })
  t.after(() => session.destroy())
  session.on('connect', () => connections++).on('error', () => {})
  const fetch = async (url, { method = 'GET', headers, body, signal } = {}) => {
    const { pathname, search } = new URL(url)
    const stream = session.request({ ...Object.fromEntries(new Headers(headers)), ':method': method, ':path': pathname + search })
    signal?.addEventListener('abort', () => stream.destroy(signal.reason))
    stream.end(body)
    const { status, headers: got, text } = await answer(stream)
    const plain = Object.entries(got).filter(([name]) => !name.startsWith(':'))
    return new Response(status === 204 ? null : text, { status, headers: plain })
  }
  const page = await Page.open(t, at, { fetch })
  await page.call('POST', '/_electric/entity-types', { name: 'worker', description: 'a worker', permission_grants: everybody })
  const { url } = await page.commit('PUT', '/worker/a', {})
  await page.people()
  const opened = await page.entity(url)
  await live(connect(t, at), 6)
  await opened.tell('POST', '/send', { key: 'm', payload: { text: 'hello' } })
  assert.deepEqual(opened.inbox.get('m').payload, { text: 'hello' })
  await opened.commit('POST', '/tags/title', { value: 'a title' })
  assert.deepEqual(page.entities.get(url).tags, { title: 'a title' })
  assert.equal(connections, 1)
})

test('an event stream goes over HTTP/2, event by event', async (t) => {
  const at = await server(t)
  const ask = connect(t, at)
  assert.equal((await ask('PUT', '/news')).status, 201)
  const session = http2.connect(at.url, { ca: at.ca })
  t.after(() => session.destroy())
  const stream = session.request({ ':path': '/news?offset=-1&live=sse' })
  const events = mailbox()
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text) => {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) events.put(parseEvent(block))
  })
  stream.on('error', () => {})
  for (const n of [1, 2]) {
    assert.equal((await ask('POST', '/news', [{ n }])).status, 204)
    assert.deepEqual((await events.take(({ event }) => event === 'data')).data, [{ n }])
  }
})

test('HTTP/1.1 is spoken over TLS, too, and fetch trusts the file', async (t) => {
  const { url, ca, file } = await server(t)
  const { res, text } = await new Promise((resolve, reject) => {
    https.get(`${url}/_electric/health`, { ca }, (res) => {
      let text = ''
      res.on('data', (chunk) => (text += chunk)).on('end', () => resolve({ res, text }))
    }).on('error', reject)
  })
  assert.deepEqual([res.statusCode, res.httpVersion, text], [200, '1.1', '{"status":"ok"}'])
  const script = `fetch(${JSON.stringify(url)} + '/_electric/health').then((r) => r.text()).then(console.log)`
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: file }
  assert.equal((await promisify(execFile)(process.execPath, ['-e', script], { env })).stdout.trim(), '{"status":"ok"}')
  await assert.rejects(promisify(execFile)(process.execPath, ['-e', script]), /self-signed certificate/)
})

test('plain HTTP is sent to HTTPS, or told of it', async (t) => {
  const { url } = await server(t)
  const plain = url.replace('https:', 'http:')
  const read = await request(plain, 'GET', '/a?b=c')
  assert.deepEqual([read.status, read.headers.location], [307, `${url}/a?b=c`])
  const wrote = await request(plain, 'POST', '/_electric/wake', { body: {} })
  assert.equal(wrote.status, 400)
  assert.deepEqual(wrote.json, { error: { code: 'HTTPS_REQUIRED', message: `this port speaks HTTPS: ${url}` } })
})

/** Waits until a server has said something. */
async function says(host, text) {
  for (const deadline = Date.now() + 5_000; !host.output().includes(text); ) {
    assert.ok(Date.now() < deadline, host.output())
    await new Promise(setImmediate)
  }
}

test('a restart keeps the certificate, and its key is private', async (t) => {
  const { host, file, ca } = await server(t)
  const { fingerprint256, subjectAltName, validFrom, validTo } = new X509Certificate(ca)
  assert.equal(subjectAltName, 'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1')
  const days = (Date.parse(validTo) - Date.parse(validFrom)) / 86_400_000
  assert.ok(days > 390 && days <= 398, `valid for ${days} days`)
  await says(host, fingerprint256)
  await host.stop()
  await host.restart()
  assert.deepEqual(await readFile(file), ca)
  await says(host, fingerprint256)
  assert.equal((await stat(path.join(host.dataDir, 'https-key.pem'))).mode & 0o777, 0o600)
})

test('webhooks are told to call back by https, and commands reach the server by its certificate', async (t) => {
  const at = await server(t)
  const ask = connect(t, at)
  const hook = await receiver()
  t.after(() => hook.close())
  await ask('POST', '/_electric/entity-types', { name: 'hooked', description: 'a type', permission_grants: everybody })
  const policy = { targets: [{ type: 'webhook', url: hook.url }] }
  await ask('PUT', '/_electric/entities/hooked/a', { dispatch_policy: policy, initialMessage: 'go' })
  const { json } = await hook.next()
  assert.ok(json.callback.startsWith(`${at.url}/`), json.callback)

  const trusting = { env: { ...process.env, REVEILLE_CACERT: at.file } }
  const explained = await promisify(execFile)(reveille, ['explain', '/hooked/a', '--server', at.url, '--cacert', at.file])
  assert.match(explained.stdout, /hooked\/a/)
  await assert.rejects(promisify(execFile)(reveille, ['explain', '/hooked/a', '--server', at.url]), /UnknownIssuer; --cacert FILE says whom to trust/)

  const agent = spawn(reveille, ['run', '--type', 'echo', '--server', at.url, '--', 'sh', '-c', 'echo "heard $REVEILLE_MESSAGE"'], { ...trusting, stdio: ['ignore', 'pipe', 'ignore'] })
  t.after(() => agent.kill('SIGKILL'))
  const said = mailbox()
  readline.createInterface(agent.stdout).on('line', (line) => said.put(JSON.parse(line)))
  await said.take(({ event }) => event === 'online', 20_000)
  await ask('PUT', '/_electric/entities/echo/a', { initialMessage: 'hello' })
  await said.take(({ event }) => event === 'completed', 20_000)
  assert.match((await ask('GET', '/echo/a/main?offset=-1')).text, /heard hello/)
})
