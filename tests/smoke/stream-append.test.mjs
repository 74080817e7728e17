// An append to a JSON stream is split once, and stored as it was written.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { OFFSET } from '../harness/like.mjs'
import { world } from '../harness/world.mjs'

async function stream(t) {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: { 'content-type': 'application/json' } })
  return [w, path]
}

test('an append answers 204 and the new tail', async (t) => {
  const [w, path] = await stream(t)
  const first = await w.post(path, { n: 1 })
  assert.equal(first.status, 204)
  assert.equal(first.text, '')
  assert.match(first.headers['stream-next-offset'], OFFSET)
  const second = await w.post(path, { n: 2 })
  assert.ok(second.headers['stream-next-offset'] > first.headers['stream-next-offset'])
  assert.equal(await w.tail(path), second.headers['stream-next-offset'])
})

const flattened = [
  ['{"a":1}', '[{"a":1}]'],
  ['[{"a":1},{"b":2}]', '[{"a":1},{"b":2}]'],
  ['[[1,2],[3,4]]', '[[1,2],[3,4]]'],
  ['[[[1,2,3]]]', '[[[1,2,3]]]'],
  ['null', '[null]'],
  ['5', '[5]'],
  ['"x,]["', '["x,]["]'],
]
for (const [body, whole] of flattened) {
  test(`an array is flattened by one level: ${body}`, async (t) => {
    const [w, path] = await stream(t)
    assert.equal((await w.post(path, body)).status, 204)
    assert.deepEqual((await w.get(`${path}?offset=-1`)).json, JSON.parse(whole))
  })
}

const untouched = ['12345678901234567890', '-0.10', '1.0', '1E+2', '1e-400', '"\\u00e9\\/\\ud83d\\ude00"', '{"b":1,"a":2,"b":3}']
for (const value of untouched) {
  test(`a value is kept as it was written: ${value}`, async (t) => {
    const [w, path] = await stream(t)
    await w.post(path, `[{"v":${value}}]`)
    assert.ok((await w.get(`${path}?offset=-1`)).text.includes(`"v":${value}`))
  })
}

test('big numbers beside a stamped header are untouched too', async (t) => {
  const [w, path] = await stream(t)
  await w.post(path, '{"headers":{"operation":"insert"},"value":{"n":12345678901234567890,"f":1.0}}')
  const { text } = await w.get(`${path}?offset=-1`)
  assert.ok(text.includes('"n":12345678901234567890,"f":1.0'), text)
})

test('headers.offset is the end of the append, for change and control messages only', async (t) => {
  const [w, path] = await stream(t)
  const answer = await w.post(path, [
    { headers: { operation: 'insert' }, n: 1 },
    { headers: { control: 'reset' } },
    { headers: { operation: 'update', offset: 'mine', txid: 'x' } },
    { headers: { operation: 5 } },
    { headers: {} },
    { headers: 'operation' },
    { value: { headers: { operation: 'insert' } } },
    [{ headers: { operation: 'insert' } }],
    'headers',
  ])
  const offset = answer.headers['stream-next-offset']
  assert.deepEqual(await w.read(path), [
    { headers: { operation: 'insert', offset }, n: 1 },
    { headers: { control: 'reset', offset } },
    { headers: { operation: 'update', offset, txid: 'x' } },
    { headers: { operation: 5 } },
    { headers: {} },
    { headers: 'operation' },
    { value: { headers: { operation: 'insert' } } },
    [{ headers: { operation: 'insert' } }],
    'headers',
  ])
})

test('each message carries the offset of its own append', async (t) => {
  const [w, path] = await stream(t)
  const offsets = []
  for (let n = 0; n < 3; n++) offsets.push((await w.post(path, { headers: { operation: 'insert' }, n })).headers['stream-next-offset'])
  assert.deepEqual((await w.read(path)).map((message) => message.headers.offset), offsets)
})

const refusals = [
  ['nothing', '', 'application/json', 400],
  ['an empty array', '[]', 'application/json', 400],
  ['half a value', '{"a":', 'application/json', 400],
  ['two values', '1 2', 'application/json', 400],
  ['a trailing comma', '[1,]', 'application/json', 400],
  ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'application/json', 400],
  ['too deep a value', `${'['.repeat(200)}${']'.repeat(200)}`, 'application/json', 400],
  ['another content type', '[1]', 'text/plain', 409],
]
for (const [what, body, type, status] of refusals) {
  test(`an append is refused: ${what}`, async (t) => {
    const [w, path] = await stream(t)
    const before = await w.tail(path)
    assert.equal((await w.http('POST', path, { body, headers: { 'content-type': type } })).status, status)
    assert.equal(await w.tail(path), before)
    assert.deepEqual(await w.read(path), [])
  })
}

test('an append without a content type is refused', async (t) => {
  const [w, path] = await stream(t)
  assert.equal((await w.http('POST', path, { body: '[1]', headers: { 'content-type': '' } })).status, 400)
})

test('an append to no stream is a 404', async (t) => {
  const [w, path] = await stream(t)
  assert.equal((await w.post(`${path}x`, [1])).status, 404)
})

test('whether there is a stream is asked before what is appended to it', async (t) => {
  const [w, path] = await stream(t)
  for (const body of [undefined, '', '{', '[]']) assert.equal((await w.post(`${path}x`, body)).status, 404, String(body))
  await w.http('PUT', `${path}-fork`, { headers: { 'stream-forked-from': path } })
  await w.delete(path)
  for (const body of [undefined, '', '{', '[]']) assert.equal((await w.post(path, body)).status, 410, String(body))
})
