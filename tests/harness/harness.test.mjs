// The harness itself: what the suites lean on must hold without a server.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseEvent, raw, request, sse } from './http.mjs'
import { like } from './like.mjs'
import { receiver } from './receiver.mjs'
import { keyId, parseSignature, sha16, signatureProblem } from './signature.mjs'

// RFC 8037's key, signing `{"a":1}` at t=1700000000: the protocol's own vector.
const key = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
const kid = 'ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'
const signature = 'jsuVxkA_AkVTFzBCTKTrjAZaeCChaR-y9aS0q9WrZDC7D7BaCZ-tI8v_nvIZW79k7Z99rP9If7816GiGLgJABw'
const jwks = { keys: [{ ...key, kid, use: 'sig', alg: 'EdDSA' }] }
const good = `t=1700000000,kid=${kid},ed25519=${signature}`

test('key ids and hashes agree with the protocol', () => {
  assert.equal(keyId(key), kid)
  assert.equal(sha16('/horton/demo'), '04aa69b7ce9cf04c')
  assert.equal(sha16('http://localhost:3000/electric-agents'), '1f2fbc4572158ce9')
})

const signatures = [
  ['a good signature', good, '{"a":1}', 1700000000_000, undefined],
  ['blanks and unknown names', ` t = 1700000000 , kid = ${kid} , v=2, ed25519=${signature}`, '{"a":1}', 0, undefined],
  ['the edge of the tolerance', good, '{"a":1}', 1700000300_999, undefined],
  ['too old', good, '{"a":1}', 1700000301_000, 'Webhook signature expired'],
  ['too new', good, '{"a":1}', 1699999699_000, 'Webhook signature expired'],
  ['another body', good, '{"a":2}', 1700000000_000, 'Invalid webhook signature'],
  ['another time', good.replace('t=17', 't=18'), '{"a":1}', 1800000000_000, 'Invalid webhook signature'],
  ['another key', good.replace(kid, 'ds_x'), '{"a":1}', 1700000000_000, 'Unknown webhook signing key'],
  ['no header', undefined, '{"a":1}', 1700000000_000, 'Missing webhook signature'],
  ['a part without =', `${good},x`, '{"a":1}', 1700000000_000, 'Invalid webhook signature'],
  ['a time that is no number', good.replace('t=1', 't=x'), '{"a":1}', 1700000000_000, 'Invalid webhook signature'],
]
for (const [name, header, body, now, problem] of signatures) {
  test(`signature: ${name}`, () => {
    assert.equal(signatureProblem({ header, body, jwks, now: now || undefined }), problem)
  })
}

test('the last of a repeated name wins', () => {
  assert.equal(parseSignature(`t=1,${good}`).t, 1700000000)
})

test('like takes literals, types, patterns and predicates, and refuses extra members', () => {
  like({ a: 1, b: 'x', c: [true] }, { a: Number, b: /^x$/, c: [(c) => c === true] })
  assert.throws(() => like({ a: 1, b: 2 }, { a: 1 }), /members/)
  assert.throws(() => like({ a: 1 }, { a: 1, b: 2 }), /members/)
  assert.throws(() => like({ a: '1' }, { a: Number }), /no Number/)
  assert.throws(() => like([1, 2], [1]), /length/)
})

test('a receiver keeps what it gets and answers as told', async (t) => {
  const hook = await receiver()
  t.after(() => hook.close())
  hook.answerOnce({ status: 500 })
  const path = new URL(hook.url).pathname
  const first = request(hook.url, 'POST', path, { body: { n: 1 } })
  assert.deepEqual((await hook.next()).json, { n: 1 })
  assert.equal((await first).status, 500)
  assert.equal((await request(hook.url, 'POST', path, { body: { n: 2 } })).status, 200)
  assert.deepEqual((await hook.next((one) => one.json.n === 2)).json, { n: 2 })
  await assert.rejects(hook.next(() => true, 20), /nothing arrived/)
  hook.answer('hang up')
  await assert.rejects(request(hook.url, 'POST', path, { body: {} }))
  assert.equal(hook.all.length, 3)
})

test('paths are sent as written', async (t) => {
  const hook = await receiver()
  t.after(() => hook.close())
  await request(hook.url, 'GET', '/a/%2F/../b%zz//c')
  assert.equal((await hook.next()).path, '/a/%2F/../b%zz//c')
  assert.equal((await raw(hook.url, 'GET /%ff HTTP/1.1\r\nhost: x\r\n\r\n')).status, 200)
})

test('server-sent events are read as framed', async () => {
  assert.deepEqual(parseEvent('event: data\ndata:[1,\ndata:2]'), { event: 'data', data: [1, 2], text: '[1,\n2]' })
  assert.equal(parseEvent('event: data\ndata: x\ndata:  y').data, 'x\n y')
  const http = await import('node:http')
  const server = http.createServer((_, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write('event: control\ndata:{"upTo')
    res.end('Date":true}\n\n')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const reader = await sse(`http://127.0.0.1:${server.address().port}`, '/x')
  assert.deepEqual((await reader.next()).data, { upToDate: true })
  assert.equal(await reader.next(), undefined)
  server.close()
})
