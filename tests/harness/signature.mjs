// Webhook signatures, written from the protocol: `Webhook-Signature: t={unix s},kid={kid},ed25519={base64url}`,
// Ed25519 over the bytes `{t}.{raw body}`, with the keys at /__ds/jwks.json.
import { createHash, createPublicKey, verify } from 'node:crypto'

/** The parts of a signature header, or undefined if it is malformed. */
export function parseSignature(header) {
  const parts = new Map()
  for (const part of header.split(',')) {
    const at = part.indexOf('=')
    if (at < 0) return undefined
    const [name, value] = [part.slice(0, at).trim(), part.slice(at + 1).trim()]
    if (!name || !value) return undefined
    parts.set(name, value)
  }
  const [t, kid, signature] = [parts.get('t'), parts.get('kid'), parts.get('ed25519')]
  if (!/^\d+$/.test(t ?? '') || !kid || !/^[A-Za-z0-9_-]+$/.test(signature ?? '')) return undefined
  return { t: Number(t), kid, signature }
}

/**
 * What is wrong with a signed body, in the protocol's words, or undefined if nothing is. Without `now` (in
 * milliseconds) the age is not judged.
 */
export function signatureProblem({ header, body, jwks, now, tolerance = 300 }) {
  if (!header) return 'Missing webhook signature'
  const parsed = parseSignature(header)
  if (!parsed) return 'Invalid webhook signature'
  if (now !== undefined && Math.abs(Math.floor(now / 1000) - parsed.t) > tolerance) return 'Webhook signature expired'
  const jwk = jwks.keys.find((key) => key.kid === parsed.kid)
  if (!jwk) return 'Unknown webhook signing key'
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const good = verify(null, Buffer.from(`${parsed.t}.${body}`), key, Buffer.from(parsed.signature, 'base64url'))
  return good ? undefined : 'Invalid webhook signature'
}

/** The default key id: `ds_` and the RFC 7638 thumbprint. */
export function keyId({ crv, kty, x }) {
  return `ds_${createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url')}`
}

/** The first 16 hex characters of SHA-256, as subscription ids carry them. */
export function sha16(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
