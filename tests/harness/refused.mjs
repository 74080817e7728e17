// What a refusal is: a status, a code and a message, and nothing besides.
import assert from 'node:assert/strict'

export function refused(answer, status, code, message) {
  assert.equal(answer.status, status, answer.text)
  assert.deepEqual(answer.json.error, { code, message })
}
