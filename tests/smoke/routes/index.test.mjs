// Every route of the server, and what holds for each of them whatever it does (control plane, section 1): who is let in, how
// paths are matched, what browsers are told, and how bodies are read. What each route itself takes and refuses is in its
// table, in this directory or in the file that is named here.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { raw } from '../../harness/http.mjs'
import { routes } from '../../harness/routes.mjs'
import { world } from '../../harness/world.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))
const unnamed = (pattern) => pattern.replace(/\{\*?\w+\}/g, '{}')
const hasBody = ({ method }) => method !== 'GET' && method !== 'HEAD' && method !== 'DELETE'
const as = 'nobody' // what is no principal

test('the routes are those of the server, and each has a table', async () => {
  const source = readFileSync(path.join(here, '../../../core/src/http/route.rs'), 'utf8').split('static PATHS')[0]
  const found = [...source.matchAll(/Method::([A-Z]+),\s*(?:path: )?"(\/[^"]*)"/g)].map(([, method, pattern]) => `${method} ${unnamed(pattern)}`)
  assert.equal(found.length, Number(/static ROUTES: \[Route; (\d+)\]/.exec(source)[1]))
  assert.deepEqual(routes.map(({ method, pattern }) => `${method} ${unnamed(pattern)}`), found)

  const files = readdirSync(here).filter((file) => file !== 'index.test.mjs')
  const tables = files.flatMap((file) => [...readFileSync(path.join(here, file), 'utf8').matchAll(/^route\('([A-Z]+ \S+)'/gm)])
  const told = new Set(tables.map(([, name]) => unnamed(name)))
  for (const { method, pattern, within } of routes) {
    if (told.has(`${method} ${unnamed(pattern)}`)) continue
    assert.ok(within, `${method} ${pattern} has no table`)
    const suite = readFileSync(path.join(here, `../${within}.test.mjs`), 'utf8')
    const word = pattern.split('/').findLast((segment) => segment && !segment.startsWith('{'))
    assert.ok(suite.includes(word), `${within}.test.mjs says nothing of ${method} ${pattern}`)
  }
})

/** A world in which the parameters of all paths name something, as far as it can be there. */
async function everything(t) {
  const w = await world(t)
  const type = await w.type()
  const { url } = await w.spawn(type, 'e')
  await w.runner()
  const made = await w.put(`/__ds/subscriptions/${w.name}`, { type: 'pull-wake', streams: ['plain/x'], wake_stream: `plain/${w.name}` })
  assert.equal(made.status, 201, made.text)
  const values = {
    name: type, type, id: 'e', url, runner: w.name, subscription: w.name, grant: 1, key: 'k', collection: 'c', attachment: 'a', schedule: 's',
    reference: 'r', wake: `w_${'0'.repeat(24)}`, '*path': 'plain/x',
  }
  const at = ({ pattern }, more) => pattern.replace(/\{(\*?\w+)\}/g, (_, word) => (pattern.includes('/principal/') ? 'user:x' : more ?? values[word]))
  return { w, at }
}

/** A test of every route, or of those that it is for. */
function each(what, check, where = () => true) {
  test(`every route: ${what}`, async (t) => {
    const scene = await everything(t)
    for (const one of routes.filter(where)) {
      await t.test(`${one.method} ${one.pattern}: ${what}`, () => check({ ...scene, ...one, one, path: scene.at(one) }))
    }
  })
}

function crossOrigin({ headers }) {
  assert.equal(headers['access-control-allow-origin'], '*')
  assert.equal(headers['access-control-expose-headers'], '*')
  assert.equal(headers['access-control-allow-methods'], 'GET, POST, PUT, PATCH, DELETE, OPTIONS')
  const allowed = headers['access-control-allow-headers'].split(', ')
  for (const name of ['content-type', 'authorization', 'electric-claim-token', 'electric-owner-entity', 'electric-principal', 'ngrok-skip-browser-warning']) {
    assert.ok(allowed.includes(name), name)
  }
}

/** That nothing is there: bare in the control plane, in words where streams are. */
function nothing(answer, path) {
  const streams = path.startsWith('/__ds')
  assert.equal(answer.status, streams ? 405 : 404, answer.text)
  assert.equal(answer.text, streams ? 'Method not allowed' : '')
  if (!streams) assert.equal(answer.headers['content-type'], undefined)
  crossOrigin(answer)
}

each('who is nobody is told so before all else', async ({ w, method, path, open }) => {
  const answer = await w.http(method, path, { as, body: method === 'GET' || method === 'HEAD' ? undefined : '{' })
  crossOrigin(answer)
  if (open) return assert.ok(answer.json?.error?.message !== 'Missing Electric-Principal')
  assert.equal(answer.status, 401, answer.text)
  if (method !== 'HEAD') assert.deepEqual(answer.json, { error: { code: 'UNAUTHORIZED', message: 'Missing Electric-Principal' } })
}, ({ method, open }) => !(open && method === 'HEAD'))

each('a preflight needs nobody', async ({ w, path }) => {
  for (const by of [undefined, as]) {
    const answer = await w.http('OPTIONS', path, { as: by, headers: { origin: 'https://elsewhere.example', 'access-control-request-method': 'PUT' } })
    assert.equal(answer.status, 204)
    assert.equal(answer.text, '')
    crossOrigin(answer)
  }
})

each('slashes behind it count for nothing', async ({ w, method, path }) => {
  const answers = []
  for (const end of ['', '/', '//']) answers.push(await w.http(method, `${path}${end}`))
  for (const answer of answers) crossOrigin(answer)
  assert.equal(answers[1].status, answers[0].status)
  assert.equal(answers[2].status, answers[0].status)
}, ({ method, pattern, exact }) => (method === 'GET' || method === 'HEAD') && pattern !== '/' && !exact)

each('another method is not there', async ({ w, path, pattern }) => {
  const taken = routes.filter((other) => unnamed(other.pattern) === unnamed(pattern)).map(({ method }) => method)
  for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'].filter((one) => !taken.includes(one))) {
    const answer = await w.http(method, path)
    if (method === 'HEAD') assert.ok([404, 405].includes(answer.status))
    else nothing(answer, path)
  }
})

each('what is below it is not there', async ({ w, method, path, pattern }) => {
  const answer = await w.http(method, `${path}/nothing/of/the/kind`)
  assert.equal(answer.status, 404, answer.text)
  crossOrigin(answer)
  if (method === 'HEAD') return
  if (pattern.startsWith('/__ds')) assert.equal(answer.json.error.code, 'SUBSCRIPTION_NOT_FOUND')
  else assert.equal(answer.text, '')
}, ({ pattern }) => pattern !== '/' && !/\/streams(\/|$)/.test(pattern))

each('a path that is badly encoded is the caller’s mistake', async ({ w, at, one, method }) => {
  for (const bad of ['%zz', '%', '%E0%A4%A']) {
    const path = one.pattern.includes('{') ? at(one, bad).replace('user:x', bad) : `${one.pattern}${bad}`
    const answer = await w.http(method, path)
    assert.equal(answer.status, 400, `${path}: ${answer.status} ${answer.text}`)
    if (method !== 'HEAD' && path.startsWith('/_')) assert.equal(answer.json.error.code, 'INVALID_REQUEST')
    crossOrigin(answer)
  }
  // What is no text but well encoded is a name like others, or none.
  const answer = await w.http(method, one.pattern.includes('{') ? at(one, '%ff').replace('user:x', '%ff') : `${one.pattern}%ff`)
  assert.ok(answer.status < 500, `${answer.status} ${answer.text}`)
})

each('a body that is no JSON is the caller’s mistake', async ({ w, method, path, json = [400, 'INVALID_REQUEST', /^Invalid JSON body$/] }) => {
  const [status, code, message] = json
  for (const body of ['{', '{"a":1,}', '\u0000', Buffer.from([0x22, 0xff, 0x22])]) {
    const answer = await w.http(method, path, { body })
    assert.equal(answer.status, status, `${answer.status} ${answer.text}`)
    assert.equal(answer.json.error.code, code)
    assert.match(answer.json.error.message, message)
  }
}, (one) => hasBody(one) && one.json !== null)

// All at once: a host may wait a while for what does not come before it lets go of the connection.
test('every route: a body without an end is refused by its head', async (t) => {
  const { w, at } = await everything(t)
  const ask = (one, who = '') => {
    const head = `${one.method} ${at(one)} HTTP/1.1\r\nhost: x\r\n${who}content-type: application/json\r\ncontent-length: 1099511627776\r\n\r\n{`
    return raw(w.url, head)
  }
  await Promise.all(routes.filter(hasBody).map(async (one) => {
    const [known, unknown] = await Promise.all([ask(one), ask(one, `electric-principal: ${as}\r\n`)])
    assert.equal(known.status, 413, one.pattern)
    assert.match(known.head, /access-control-allow-origin: \*/i)
    assert.equal(unknown.status, one.open ? 413 : 401, one.pattern)
  }))
})
