// Bad input gets the specified error, a 413 or a 408: never a 500, never a hang, and it changes nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { raw } from '../harness/http.mjs'
import { world } from '../harness/world.mjs'

const general = 'Request body does not match API schema'
const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth)

// route, body, path and message of one of the details (or the whole message)
const bodies = [
  ['PUT entity', '{"args":', 'Invalid JSON body'],
  ['PUT entity', 'args=1', 'Invalid JSON body'],
  ['PUT entity', '{"tags":{"a":"b",}}', 'Invalid JSON body'],
  ['PUT entity', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'Invalid JSON body'],
  ['PUT entity', 'null', '/', 'must be object'],
  ['PUT entity', '[]', '/', 'must be object'],
  ['PUT entity', '"x"', '/', 'must be object'],
  ['PUT entity', '5', '/', 'must be object'],
  ['PUT entity', { args: 5 }, '/args', 'must be object'],
  ['PUT entity', { args: [] }, '/args', 'must be object'],
  ['PUT entity', { args: null }, '/args', 'must be object'],
  ['PUT entity', { tags: 'x' }, '/tags', 'must be object'],
  ['PUT entity', { tags: { a: 1 } }, '/tags/a', 'must be string'],
  ['PUT entity', { tags: { 'a/b~c': 1 } }, '/tags/a~1b~0c', 'must be string'],
  ['PUT entity', { parent: 5 }, '/parent', 'must be string'],
  ['PUT entity', { initialMessageType: {} }, '/initialMessageType', 'must be string'],
  ['PUT entity', { dispatch_policy: {} }, '/dispatch_policy', "must have required property 'targets'"],
  ['PUT entity', { dispatch_policy: { targets: [] } }, '/dispatch_policy/targets', 'must NOT have fewer than 1 items'],
  ['PUT entity', { wake: {} }, '/wake', "must have required property 'subscriberUrl'"],
  ['PUT entity', { wake: { subscriberUrl: '/a/b', condition: 'runFinished', includeResponse: 'no' } }, '/wake/includeResponse', 'must be boolean'],
  ['POST entity/send', { payload: 1, key: 5 }, '/key', 'must be string'],
  ['POST entity/send', { payload: 1, afterMs: 'soon' }, '/afterMs', 'must be number'],
  ['POST entity/send', { payload: 1, mode: 'x' }, '/mode', 'must match a schema in anyOf'],
  ['POST entity/send', 'null', '/', 'must be object'],
  ['POST /_electric/wake', {}, '/', "must have required property 'subscriberUrl'"],
  ['POST /_electric/wake', { subscriberUrl: 1, sourceUrl: '/a/b', condition: 'runFinished' }, '/subscriberUrl', 'must be string'],
  ['POST /_electric/wake/unregister', {}, '/', "must have required property 'subscriberUrl'"],
  ['POST /_electric/wake/unregister', { subscriberUrl: '/a/b', sourceUrl: 5 }, '/sourceUrl', 'must be string'],
  ['POST /_electric/runners', {}, '/', "must have required property 'id'"],
  ['POST /_electric/runners', { id: 'x', label: 5 }, '/label', 'must be string'],
  ['POST /_electric/entity-types', '{', 'Invalid JSON body'],
]
for (const [route, body, path, message] of bodies) {
  test(`${route} refuses ${Buffer.isBuffer(body) || typeof body === 'string' ? body : JSON.stringify(body)}`, async (t) => {
    const w = await world(t)
    await w.type()
    const { url } = await w.spawn(w.name, 'e')
    const [method, target] = route.split(' ')
    const address = target.replace(/^entity/, `/_electric/entities/${method === 'PUT' ? `${w.name}/new` : url.slice(1)}`)
    const answer = await w.http(method, address, { body })
    assert.equal(answer.status, 400, answer.text)
    const { error } = answer.json
    assert.equal(error.code, 'INVALID_REQUEST')
    assert.equal(error.message, message ? general : path)
    if (message) assert.ok(error.details.some((one) => one.path === path && one.message === message), answer.text)
    assert.equal((await w.get(`/_electric/entities/${w.name}/new`)).status, 404)
    assert.equal((await w.events(url)).length, 1)
  })
}

test('a body is read as JSON whatever its content type says, and a blank one is an object', async (t) => {
  const w = await world(t)
  await w.type()
  const put = (id, body, type) => w.put(`/_electric/entities/${w.name}/${id}`, body, { headers: { 'content-type': type } })
  const text = await put('a', '{"tags":{"a":"b"}}', 'text/plain')
  assert.equal(text.status, 201)
  assert.deepEqual(text.json.tags, { a: 'b' })
  assert.equal((await put('b', ' \n', 'application/json')).status, 201)
})

const targets = [
  ['PUT', (w) => `/_electric/entities/${w.name}/new`, (json) => `{"args":{"a":${json}}}`],
  ['POST', (w) => `/_electric/entities/${w.name}/e/send`, (json) => `{"payload":${json}}`],
  ['POST', (w) => `/plain/${w.name}/s`, (json) => `{"a":${json}}`],
]
for (const [method, path, body] of targets) {
  test(`${method} ${path({ name: 'type' })} takes JSON 100 deep, not 200, and not 10 MB of it`, async (t) => {
    const w = await world(t)
    await w.type()
    await w.spawn(w.name, 'e')
    await w.put(`/plain/${w.name}/s`, [])
    const send = (text, options) => w.http(method, path(w), { body: body(text), ...options })
    const headers = { 'content-type': 'application/json' }
    const deep = await send(nested(200), { headers })
    assert.equal(deep.status, 400, deep.text)
    const huge = await send(nested(5_000_000), { headers })
    assert.ok([400, 413].includes(huge.status), `${huge.status} ${huge.text}`)
    const unfinished = await send('['.repeat(10_000_000), { headers })
    assert.ok([400, 413].includes(unfinished.status), `${unfinished.status} ${unfinished.text}`)
    const fine = await send(nested(100), { headers })
    assert.ok(fine.status < 300, fine.text)
  })
}

test('a body that is too large is refused before it is read', async (t) => {
  const w = await world(t)
  for (const [method, path] of [
    ['PUT', `/_electric/entities/${w.name}/e`],
    ['POST', '/_electric/entity-types'],
    ['POST', '/_electric/wake'],
    ['POST', `/_electric/entities/${w.name}/e/attachments`],
    ['PUT', `/plain/${w.name}/s`],
    ['POST', `/plain/${w.name}/s`],
    ['POST', `/${w.name}/e/main`],
    ['PUT', `/_electric/shared-state/${w.name}`],
  ]) {
    const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1099511627776\r\n\r\n{`
    assert.equal((await raw(w.url, head)).status, 413, path)
  }
})

for (const [what, method, path] of [
  ['an entity', 'PUT', (name) => `/_electric/entities/${name}/e`],
  ['a stream', 'PUT', (name) => `/plain/${name}/s`],
  ['a form', 'POST', (name) => `/_electric/entities/${name}/e/attachments`],
]) {
  test(`a body that grows without an announced length is refused when it is too large: ${what}`, async (t) => {
    const w = await world(t)
    const type = 'content-type: multipart/form-data; boundary=x\r\n'
    const head = `${method} ${path(w.name)} HTTP/1.1\r\nhost: x\r\n${type}transfer-encoding: chunked\r\n\r\n`
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 0x20), Buffer.from('\r\n')])
    const answer = await raw(w.url, head, {
      onSocket(socket) {
        // 64 MB at most, as fast as the server takes it.
        let left = 1_000
        const more = () => {
          while (left-- > 0 && !socket.destroyed) if (!socket.write(chunk)) return socket.once('drain', more)
        }
        more()
      },
    })
    assert.equal(answer.status, 413)
    assert.equal((await w.get('/_electric/health')).status, 200)
  })
}

// Request targets, as bytes: whatever they mean, the answer is not the server's fault.
const addresses = [
  '/%', '/%zz', '/%ff/%fe', '/_electric/entities/%E0%A4%A/x', '/_electric/entities/a/%', '/_electric/entities/a/%00',
  '/_electric/entities/../../etc/passwd', '/_electric/wake-callbacks/%E0%A4%A', '/_electric/runners/%zz', '//', '///x',
  '/_electric//entities', '/a?%zz=%', '/_electric/entities?type=%ff', '/plain/x?offset=%', '/\u00ff', '*',
  'http://elsewhere.example/_electric/health', `/${'a'.repeat(20_000)}`, `/plain/${'%41'.repeat(2_000)}?offset=-1`,
]
for (const [n, address] of addresses.entries()) {
  test(`address ${n} is no 500: ${address.slice(0, 40)}`, async (t) => {
    const w = await world(t)
    for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
      const body = method === 'GET' || method === 'DELETE' ? '' : 'content-type: application/json\r\ncontent-length: 2\r\n'
      const request = `${method} ${address} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${body}\r\n${body && '{}'}`
      const { status } = await raw(w.url, Buffer.from(request, 'latin1'))
      assert.ok(status < 500, `${method} ${address.slice(0, 60)}: ${status}`)
    }
    assert.equal((await w.get('/_electric/health')).status, 200)
  })
}

const strange = [
  ['a lone surrogate', '{"payload":"\\ud800","key":"\\udfff"}'],
  ['NUL in a key', '{"payload":1,"key":"a\\u0000b"}'],
  ['a number out of range', '{"payload":1e999}'],
  ['a delay of ages', '{"payload":1,"afterMs":1e300}'],
  ['a delay without an end', '{"payload":1,"afterMs":1e999}'],
  ['half a millisecond', '{"payload":1,"afterMs":0.5}'],
  ['a member twice', '{"payload":1,"payload":2}'],
  ['__proto__', '{"payload":{"__proto__":{"x":1}},"__proto__":{"key":5}}'],
  ['an endless key', `{"payload":1,"key":"${'k'.repeat(500_000)}"}`],
  ['a byte order mark', '\ufeff{"payload":1}'],
]
for (const [what, body] of strange) {
  test(`a send with ${what} is taken or refused, and no more than that`, async (t) => {
    const w = await world(t)
    await w.type()
    const { url } = await w.spawn(w.name, 'e')
    const answer = await w.post(`/_electric/entities${url}/send`, body)
    assert.ok([200, 204, 400, 413, 422].includes(answer.status), `${answer.status} ${answer.text}`)
    if (answer.status >= 400) assert.equal(typeof answer.json.error.message, 'string')
    assert.equal((await w.events(url, 'inbox')).length, answer.status === 200 ? 1 : 0)
    await w.send(url, 'still fine', { key: 'fine' })
    assert.equal((await w.events(url, 'inbox')).at(-1).key, 'fine')
  })
}

test('fractional wake times are refused or taken, not a failure', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  for (const times of [{ debounceMs: 0.5 }, { timeoutMs: 1.5 }, { debounceMs: -1 }, { timeoutMs: 1e300 }]) {
    const answer = await w.post('/_electric/wake', { subscriberUrl: url, sourceUrl: url, condition: 'runFinished', ...times })
    assert.ok([204, 400].includes(answer.status), `${JSON.stringify(times)} ${answer.status}`)
  }
})

test('a schema that cannot be used is refused when it is registered, not when it is needed', async (t) => {
  const w = await world(t)
  const schemas = [
    { type: 'foo' }, { properties: 5 }, { required: 'x' }, { pattern: '(' }, { $ref: '#/nowhere' }, { enum: 5 },
    { $ref: '#' }, { format: 'anything' }, { $schema: 'http://json-schema.org/draft-04/schema#' }, { $id: 'same' }, { $id: 'same' },
  ]
  for (const [n, creation_schema] of schemas.entries()) {
    const name = `${w.name}-${n}`
    const answer = await w.post('/_electric/entity-types', { name, description: 'x', creation_schema })
    assert.ok([201, 400].includes(answer.status), answer.text)
    if (answer.status === 400) continue
    const spawned = await w.put(`/_electric/entities/${name}/e`, { args: { a: 'x' } })
    assert.ok([201, 422].includes(spawned.status), `${JSON.stringify(creation_schema)}: ${spawned.status} ${spawned.text}`)
  }
})

test('a pattern that would take for ever takes no time', async (t) => {
  const w = await world(t)
  const creation_schema = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } } }
  const registered = await w.post('/_electric/entity-types', { name: w.name, description: 'x', creation_schema })
  assert.equal(registered.status, 201, registered.text)
  const answer = await w.put(`/_electric/entities/${w.name}/e`, { args: { a: `${'a'.repeat(50_000)}!` } }, { timeout: 3_000 })
  assert.equal(answer.status, 422)
})
