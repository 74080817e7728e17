// The key that signs webhooks is published where agents look for it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like } from '../harness/like.mjs'
import { keyId } from '../harness/signature.mjs'
import { world } from '../harness/world.mjs'

test('the key set holds one Ed25519 key, named by its thumbprint', async (t) => {
  const w = await world(t)
  const answer = await w.get('/__ds/jwks.json')
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'], 'application/jwk-set+json')
  assert.equal(answer.headers['cache-control'], 'public, max-age=300')
  const [key] = answer.json.keys
  like(answer.json, {
    keys: [{ kty: 'OKP', crv: 'Ed25519', x: /^[A-Za-z0-9_-]{43}$/, kid: keyId(key), use: 'sig', alg: 'EdDSA' }],
  })
  assert.deepEqual((await w.get('/__ds/jwks.json')).json, answer.json)
})
