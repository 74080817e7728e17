// Who gets webhooks verifies them like this: the protocol's rules (wake specification, section 5.6) over Node's own
// cryptography and the sender's published keys, with a status and a message for each way to fail.
import { createPublicKey, verify } from 'node:crypto'

import { parseSignature } from './signature.mjs'

/**
 * A verifier. `fetch(headers)` gets the key set, as `{ status, headers, text }`; `now()` is the time in milliseconds.
 * A key set is kept for `ttl` seconds, or as long as its `max-age` says, or for five minutes.
 *
 * `verify(header, body)` gives undefined, or what is wrong as `{ status, message }`.
 */
export function verifier({ fetch, now, tolerance = 300, ttl }) {
  let kept

  async function keys() {
    if (kept && now() < kept.until) return kept.keys
    const answer = await fetch({ accept: 'application/jwk-set+json, application/json' }).catch((error) => {
      throw new Problem(503, error.message)
    })
    if (answer.status < 200 || answer.status > 299) throw new Problem(503, `JWKS fetch failed: ${answer.status}`)
    const seconds = ttl ?? maxAge(answer.headers['cache-control']) ?? 300
    kept = { keys: keySet(answer.text), until: now() + seconds * 1_000 }
    return kept.keys
  }

  async function check(header, body) {
    if (!header) throw new Problem(401, 'Missing webhook signature')
    const parsed = parseSignature(header)
    if (!parsed) throw new Problem(401, 'Invalid webhook signature')
    if (Math.abs(Math.floor(now() / 1_000) - parsed.t) > tolerance) throw new Problem(401, 'Webhook signature expired')
    const jwk = (await keys()).find(({ kid }) => kid === parsed.kid)
    if (!jwk) throw new Problem(401, 'Unknown webhook signing key')
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const signed = Buffer.concat([Buffer.from(`${parsed.t}.`), Buffer.from(body)])
    if (!verify(null, signed, key, Buffer.from(parsed.signature, 'base64url'))) {
      throw new Problem(401, 'Invalid webhook signature')
    }
  }

  return {
    verify: (header, body) =>
      check(header, body).catch((problem) => {
        if (!(problem instanceof Problem)) throw problem
        return { status: problem.status, message: problem.message }
      }),
  }
}

class Problem extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

function maxAge(header) {
  const seconds = /(?:^|[\s,])max-age=(\d+)/i.exec(header ?? '')?.[1]
  return seconds === undefined ? undefined : Number(seconds)
}

/** The keys of a set, if each is one that may verify a webhook. */
function keySet(text) {
  const bad = new Problem(503, 'JWKS response did not contain Ed25519 keys')
  let keys
  try {
    keys = JSON.parse(text).keys
  } catch {
    throw bad
  }
  if (!Array.isArray(keys) || keys.length === 0 || !keys.every(isOurs)) throw bad
  return keys
}

function isOurs({ kty, crv, x, kid, use = 'sig', alg = 'EdDSA' } = {}) {
  return kty === 'OKP' && crv === 'Ed25519' && [x, kid].every((text) => typeof text === 'string') && use === 'sig' && alg === 'EdDSA'
}
