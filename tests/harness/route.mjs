// The table of a route: what is asked of it, by whom, and what it answers.
//
//   route('DELETE /_electric/entity-types/{name}', {
//     scene: async (w) => ({ name: await w.type() }),
//     refusals: [
//       ['a type that nobody registered', { name: 'none' }, 404, 'NOT_FOUND', 'Entity type not found'],
//       ['who may not manage it', { by: 'user:bob' }, 401, 'UNAUTHORIZED', 'Principal is not allowed to manage {name}'],
//     ],
//     answers: [['a type that may be managed', {}, 204]],
//   })
//
// A request is `{ by, body, headers, query, …parameters of the path }`; `asks` is the one that is granted, and each row
// says what it asks otherwise, of a body or a query that are objects member by member. Refusals stand in the order of the route's checks, and that is tested: of any two that can
// be wrong with one request, the earlier is said. Whatever was refused has left no trace, so what is granted comes after.
// `{word}` in a path, a body or a message is the request's or the scene's.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like } from './like.mjs'
import { world } from './world.mjs'

export const SCHEMA = 'Request body does not match API schema'
export const JSON_BODY = 'Invalid JSON body'
export const INVALID = 'INVALID_REQUEST'

/** What stands in every table of a route with a JSON body: `row` is one example of a body of the wrong form. */
export function bodies(row, details) {
  return [
    ['a body that is no JSON', { body: '{' }, 400, INVALID, JSON_BODY],
    ['a body that is no object', { body: '[]' }, 400, INVALID, SCHEMA, [{ path: '/', message: 'must be object' }]],
    ['a body of another form', { body: row }, 400, INVALID, SCHEMA, details],
  ]
}

/**
 * Tests a route by its table. `refusals` are rows of `[what, asked, status, code, message, details?]`, or of `[what, asked,
 * status, body]` where a refusal has a form of its own; `answers` of `[what, asked, status, body?, check?]`, where a body is
 * a text or a pattern of `like`, and a check gets the answer and the scene. `on` makes the world, and `encode` what is sent of a body.
 */
export function route(name, { on = world, scene = async () => ({}), asks = {}, encode = (body) => body, refusals = [], answers }) {
  test(name, async (t) => {
    const w = await on(t)
    const values = { type: w.name, ...(await scene(w)) }
    const ask = ({ body, ...asked }) => send(w, name, values, { ...asked, body: encode(fill(body, { ...values, ...asked })) })

    for (const [n, [what, asked, ...want]] of refusals.entries()) {
      await t.test(`${name} refuses ${what}`, async () => {
        refused(await ask(combine(asks, asked)), want, { ...values, ...asked }, what)
        for (const [also, more, ...other] of refusals.slice(n + 1)) {
          const both = (want[1] !== other[1] || want[2] !== other[2]) && meet(asked, more)
          if (both) refused(await ask(combine(asks, both)), want.slice(0, 3), { ...values, ...both }, `${what}; and ${also}`)
        }
      })
    }
    for (const [what, asked, status, body, check] of answers) {
      await t.test(`${name} takes ${what}`, async () => {
        const answer = await ask(combine(asks, asked))
        assert.equal(answer.status, status, answer.text)
        if (body === undefined || typeof body === 'string') assert.equal(answer.text, body ?? '')
        else like(answer.json, fill(body, { ...values, ...asked }))
        if (typeof body === 'object') assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
        await check?.(answer, { w, ...values })
      })
    }
  })
}

function send(w, name, values, { by, body, headers, query = '', ...params }) {
  const [method, path] = name.split(' ')
  const all = { ...values, ...params }
  const address = path.replace(/\{(\w+)\}/g, (_, word) => String(all[word] ?? assert.fail(`${name} has no ${word}`)))
  return w.http(method, fill(address, all) + search(fill(query, all)), { as: fill(by, all), body, headers: fill(headers, all) })
}

/** What stands behind a path: a text as it is, or a member of an object for each of its values. */
function search(query) {
  if (!isObject(query)) return query
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((one) => [name, one]))
  return `?${new URLSearchParams(pairs.filter(([, value]) => value !== undefined))}`
}

function refused(answer, [status, code, message, details], values, what) {
  assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.text}`)
  assert.equal(answer.headers['access-control-allow-origin'], '*', what)
  if (code === undefined) return assert.equal(answer.text, '', what)
  if (typeof code === 'object') return assert.deepEqual(answer.json, code, what)
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8', what)
  const { error } = answer.json
  assert.equal(error.code, code, `${what}: ${answer.text}`)
  if (message instanceof RegExp) assert.match(error.message, message, what)
  else assert.equal(error.message, fill(message, values), what)
  if (details) assert.deepEqual(error.details, details, what)
  // Where the form is wrong, the answer says where; nothing else needs to.
  else if (message === SCHEMA) assert.ok(error.details.length > 0, `${what}: ${answer.text}`)
}

/** A request that is wrong in two ways, unless one hides the other. */
function meet(one, other) {
  const both = { ...one, ...other }
  for (const name of Object.keys(one).filter((name) => name in other)) {
    const [a, b] = [one[name], other[name]]
    if (a === b) continue
    if (!isObject(a) || !isObject(b) || Object.keys(a).some((member) => member in b && a[member] !== b[member])) return undefined
    both[name] = { ...a, ...b }
  }
  return both
}

function combine(asks, asked) {
  const both = { ...asks, ...asked }
  for (const name of ['body', 'query']) {
    if (isObject(asks[name]) && isObject(asked[name])) both[name] = { ...asks[name], ...asked[name] }
  }
  return both
}

/** Fills in the words of a text, or of all texts of a value. A text that is nothing but a word becomes its value. */
function fill(value, values) {
  if (typeof value === 'string') {
    const whole = /^\{(\w+)\}$/.exec(value)?.[1]
    if (whole in values) return values[whole]
    return value.replace(/\{(\w+)\}/g, (text, word) => (word in values ? fill(values[word], values) : text))
  }
  if (Array.isArray(value)) return value.map((one) => fill(one, values))
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, fill(one, values)]))
}

function isObject(value) {
  return value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype
}
