// The wire to a server that is killed now and then: an attempt has an answer or none, and none says nothing.
import assert from 'node:assert/strict'

import { request } from '../../harness/http.mjs'
import { pause } from '../../harness/random.mjs'

export const root = '/v1/stream'

export class Wire {
  ended = false

  constructor(url) {
    this.url = url
  }

  /** One attempt. A refused or broken connection is no answer; silence on an open one is a failure. */
  async attempt(method, path, { headers, body, timeout = 30_000 } = {}) {
    try {
      return await request(this.url, method, path, { headers, body, timeout })
    } catch (error) {
      if (/no answer within/.test(error.message)) throw error
    }
  }

  /** Attempts until there is an answer, which says whether it was `repeated`. Without one, the test is over. */
  async insist(method, path, options) {
    for (let repeated = false; !this.ended; repeated = true) {
      const answer = await this.attempt(method, path, options)
      if (answer) return Object.assign(answer, { repeated })
      await pause(5)
    }
    throw new Error('the test is over')
  }

  /** All of a stream after `offset`, in as many reads as it takes; or the status of the refusal. */
  async read(path, json, offset = '-1') {
    const parts = []
    for (;;) {
      const answer = await this.insist('GET', `${path}?offset=${offset}`)
      const { status, headers } = answer
      if (status !== 200) return { status }
      parts.push(json ? answer.bytes.subarray(1, -1) : answer.bytes)
      offset = headers['stream-next-offset']
      if (headers['stream-up-to-date']) {
        return { status, bytes: joined(parts, json), tail: offset, closed: headers['stream-closed'] === 'true' }
      }
    }
  }

  async json(method, path, options, expected = 200) {
    const answer = await this.insist(method, path, options)
    assert.equal(answer.status, expected, `${method} ${path}: ${answer.text}`)
    return answer.json
  }
}

/** Pieces of a stream as one: those of JSON, without their brackets, by commas. */
export function joined(parts, json) {
  const pieces = parts.filter((part) => part.length > 0)
  if (!json) return Buffer.concat(pieces)
  return Buffer.concat(pieces.flatMap((piece, n) => (n > 0 ? [comma, piece] : [piece])))
}

const comma = Buffer.from(',')
