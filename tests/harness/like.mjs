// A deep comparison in which a leaf of the pattern may be a RegExp, a type, or a predicate. Members must be exactly
// those of the pattern: an extra member is a failure, since a client would see it.
import assert from 'node:assert/strict'

export const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
export const OFFSET = /^\d{16}_\d{16}$/
export const WAKE_ID = /^w_[0-9a-f]{24}$/
export const MS = Number.isSafeInteger
export const START = '0000000000000000_0000000000000000'

export function like(actual, pattern, at = '$') {
  if (pattern instanceof RegExp) {
    assert.equal(typeof actual, 'string', `${at}: ${JSON.stringify(actual)} is no string`)
    assert.match(actual, pattern, `${at}: ${actual} is not ${pattern}`)
  } else if (pattern === String || pattern === Number || pattern === Boolean || pattern === Object) {
    assert.equal(typeof actual, pattern.name.toLowerCase(), `${at}: ${JSON.stringify(actual)} is no ${pattern.name}`)
  } else if (typeof pattern === 'function') {
    assert.ok(pattern(actual), `${at}: ${JSON.stringify(actual)} does not please ${pattern.name || pattern}`)
  } else if (Array.isArray(pattern)) {
    assert.ok(Array.isArray(actual), `${at}: ${JSON.stringify(actual)} is no array`)
    assert.equal(actual.length, pattern.length, `${at}: length of ${JSON.stringify(actual)}`)
    pattern.forEach((part, index) => like(actual[index], part, `${at}[${index}]`))
  } else if (pattern !== null && typeof pattern === 'object') {
    assert.ok(actual !== null && typeof actual === 'object', `${at}: ${JSON.stringify(actual)} is no object`)
    const expected = Object.keys(pattern).filter((name) => pattern[name] !== undefined)
    assert.deepEqual(Object.keys(actual).sort(), expected.sort(), `${at}: members`)
    for (const name of expected) like(actual[name], pattern[name], `${at}.${name}`)
  } else {
    assert.deepEqual(actual, pattern, at)
  }
}
