// A JSON stream takes what is JSON and no deeper than its limit, and gives it back as it was written.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const json = { 'content-type': 'application/json' }

async function stream(t) {
  const w = await world(t)
  const path = `/plain/${w.name}/s`
  await w.http('PUT', path, { headers: json })
  return [w, path]
}

const numbers = [
  '0', '-0', '1.0', '1.50', '1E+2', '1e-400', '1e400', '-1e9999', '9007199254740993', '12345678901234567890',
  '0.1000000000000000055511151231257827', `1${'0'.repeat(500)}`, `0.${'123456789'.repeat(50)}`,
]

test('numbers are what they were, whatever their size and however they are read', async (t) => {
  const [w, path] = await stream(t)
  const whole = `[${numbers.join(',')}]`
  const waiting = w.get(`${path}?offset=now&live=long-poll`)
  const reader = await w.follow(`${path}?offset=now&live=sse`)
  assert.equal((await reader.next()).event, 'control')
  await w.settle()
  assert.equal((await w.post(path, whole)).status, 204)
  assert.equal((await waiting).text, whole)
  assert.equal((await reader.next()).text, whole)
  assert.equal((await w.get(path)).text, whole)
  await w.put(`${path}2`, whole)
  assert.equal((await w.get(`${path}2`)).text, whole)
})

test('so are numbers in events that are stamped with their offset', async (t) => {
  const [w, path] = await stream(t)
  const event = (n) => `{"n":${n},"headers":{"operation":"insert","n":${n}},"value":[${n}]}`
  const { headers } = await w.post(path, `[${numbers.map(event).join(',')}]`)
  const stamped = (n) => event(n).replace(/(?<="headers":\{[^}]*)\}/, `,"offset":"${headers['stream-next-offset']}"}`)
  assert.equal((await w.get(path)).text, `[${numbers.map(stamped).join(',')}]`)
})

const strange = ['"\\ud800"', '"\\u0000"', '"\\ud83d\\ude00 😀"', '{"":{"":[]}}', '{"a":1,"a":2}', '{"__proto__":1}', '"\u2028"']
for (const value of strange) {
  test(`a strange value is kept: ${JSON.stringify(value)}`, async (t) => {
    const [w, path] = await stream(t)
    assert.equal((await w.post(path, value)).status, 204)
    assert.equal((await w.get(path)).text, `[${value}]`)
  })
}

const nested = (depth, open = '[', close = ']', inside = '') => open.repeat(depth) + inside + close.repeat(depth)
const depths = [
  ['arrays', (n) => nested(n)],
  ['objects', (n) => nested(n, '{"a":', '}', '1')],
  ['both in turn', (n) => nested(n / 2, '[{"a":', '}]', '1') + (n % 2 ? ' ' : '')],
]
for (const [what, make] of depths) {
  test(`a body nests 128 deep, and no deeper: ${what}`, async (t) => {
    const [w, path] = await stream(t)
    assert.equal((await w.post(path, make(128))).status, 204)
    const tail = await w.tail(path)
    for (const depth of [130, 10_000]) assert.equal((await w.post(path, make(depth))).status, 400)
    assert.equal((await w.put(`${path}2`, make(130))).status, 400)
    assert.equal((await w.head(`${path}2`)).status, 404)
    assert.equal(await w.tail(path), tail)
    assert.deepEqual(await w.read(path), JSON.parse(make(128).startsWith('[') ? make(128) : `[${make(128)}]`))
  })
}

test('129 is too deep', async (t) => {
  const [w, path] = await stream(t)
  assert.equal((await w.post(path, nested(129))).status, 400)
})

test('brackets in strings do not count', async (t) => {
  const [w, path] = await stream(t)
  const text = JSON.stringify('[{"\\'.repeat(1_000))
  assert.equal((await w.post(path, text)).status, 204)
  assert.equal((await w.get(path)).text, `[${text}]`)
})

for (const piece of ['[', '{"a":', '[{"a":']) {
  test(`a megabyte of ${piece} is refused, and the server goes on`, async (t) => {
    const [w, path] = await stream(t)
    assert.equal((await w.post(path, piece.repeat(1_000_000 / piece.length))).status, 400)
    assert.equal((await w.post(path, '[1]')).status, 204)
  })
}

const broken = {
  'a byte that begins nothing': [0xff],
  'a character cut short': [0xc3],
  'an overlong slash': [0xc0, 0xaf],
  'half of a surrogate pair': [0xed, 0xa0, 0x80],
  'beyond Unicode': [0xf4, 0x90, 0x80, 0x80],
}
for (const [what, bytes] of Object.entries(broken)) {
  test(`what is not UTF-8 is refused: ${what}`, async (t) => {
    const [w, path] = await stream(t)
    const body = Buffer.from([0x22, ...bytes, 0x22])
    assert.equal((await w.post(path, body)).status, 400)
    assert.equal((await w.put(`${path}2`, body)).status, 400)
    assert.deepEqual(await w.read(path), [])
  })
}

for (const body of ['NaN', 'Infinity', '01', '+1', '.5', '1.', "'a'", '{a:1}', '[1,]', '{"a":1,}', '"\t"', 'nul', '1 2', '[1][2]', '\ufeff1', '// x\n1', ' ']) {
  test(`what is not JSON is refused: ${JSON.stringify(body)}`, async (t) => {
    const [w, path] = await stream(t)
    assert.equal((await w.post(path, body)).status, 400)
    assert.deepEqual(await w.read(path), [])
  })
}
