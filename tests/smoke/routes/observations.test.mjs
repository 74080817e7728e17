// `POST /_electric/observations/entities/ensure-stream` and `…/cron/ensure-stream` (control plane, section 12). Names are those
// that clients compute for themselves.
import assert from 'node:assert/strict'

import { alice, bob } from '../../harness/entity-route.mjs'
import { startHost } from '../../harness/host.mjs'
import { bodies, INVALID, JSON_BODY, route, SCHEMA } from '../../harness/route.mjs'
import { world } from '../../harness/world.mjs'

const missing = [{ path: '/', message: "must have required property 'expression'" }]
const form = [400, INVALID, SCHEMA]
const wrong = (path, message) => [{ path, message }]
const notPlain = [400, INVALID, '[agent-runtime] tags must be a plain object']

/** A server of its own, lest everything that the other tests do is written to the streams of these tags. */
async function alone(t) {
  return world(t, { host: await startHost() })
}

/** What is there, and who reads it. */
const there = (as) => async ({ json }, { w }) => {
  const head = await w.head(json.streamUrl, { as })
  assert.deepEqual([head.status, head.headers['content-type']], [200, 'application/json'])
}
const [devLocal, alices, bobs] = ['bdc43820afb01b52', '163cfbd7cf33ac1b', '140561f6866a226c']
const named = (what, tags, reference, by) =>
  [what, { by, body: { tags } }, 200, { sourceRef: reference, streamUrl: `/_entities/${reference}` }, there(by)]

route('POST /_electric/observations/entities/ensure-stream', {
  on: alone,
  refusals: [
    ['a body that is no JSON', { body: '{' }, 400, INVALID, JSON_BODY],
    ['a body that is no object', { body: '[]' }, ...form, wrong('/', 'must be object')],
    ...[[], 'team', null, 7].map((tags) => [`tags that are ${JSON.stringify(tags)}`, { body: { tags } }, ...notPlain]),
    ['a tag that is a number', { body: { tags: { a: 'x', b: 1 } } }, 400, INVALID, '[agent-runtime] tag "b" must have a string value'],
    ['a tag that is null', { body: { tags: { 'a"': null } } }, 400, INVALID, '[agent-runtime] tag "a\\"" must have a string value'],
    ['more tags than an entity may have', { body: { tags: Object.fromEntries(Array.from({ length: 257 }, (_, n) => [`k${n}`, 'v'])) } }, 400, INVALID, 'tags must NOT have more than 256 properties'],
  ],
  answers: [
    ['no body', {}, 200, { sourceRef: `08f44b07b5901a25-${devLocal}`, streamUrl: `/_entities/08f44b07b5901a25-${devLocal}` }],
    named('no tags', undefined, `08f44b07b5901a25-${devLocal}`),
    named('tags of nothing', {}, `08f44b07b5901a25-${devLocal}`),
    named('tags of nothing again', {}, `08f44b07b5901a25-${devLocal}`),
    named('tags of nothing, of another', {}, `08f44b07b5901a25-${alices}`, alice),
    named('a tag', { a: '1' }, `8e167fa2428a1363-${devLocal}`),
    named('two tags', { a: '1', b: '2' }, `be9380e87280e5d5-${devLocal}`),
    named('two tags, the other way around', { b: '2', a: '1' }, `be9380e87280e5d5-${devLocal}`),
    named('two tags of another', { project: 'x', team: 'core' }, `e4cb8bf40a74c5f8-${alices}`, alice),
    named('a tag that is not ASCII', { k: 'é€😀' }, `b3b7c07cdf3bac5c-${bobs}`, bob),
    named('tags that are indices of an array', { 10: 'a', 9: 'b' }, `f135214d4ab2a870-${devLocal}`),
  ],
})

const cron = (expression) => [`the expression “${expression}”`, { body: { expression } }, 400, INVALID, `Invalid cron expression: "${expression}"`]
const ticks = (json) => ({ streamUrl: `/_cron/${Buffer.from(json).toString('base64url')}` })

route('POST /_electric/observations/cron/ensure-stream', {
  asks: { by: alice, body: { expression: '0 9 * * *' } },
  refusals: [
    ...bodies({ expression: 1 }, wrong('/expression', 'must be string')),
    ['no expression', { body: { expression: undefined } }, ...form, missing],
    ['a zone that is no text', { body: { timezone: null } }, ...form, wrong('/timezone', 'must be string')],
    ['a zone that does not exist', { body: { timezone: 'Mars/Olympus' } }, 400, INVALID, 'Invalid cron timezone: "Mars/Olympus"'],
    ...['foo', '60 * * * *', '0 24 * * *', '50-10 * * * *', '0 0 15W * *', '0 0 31 2 *', '* * * * * * *', '@reboot'].map(cron),
  ],
  answers: [
    ['an expression', {}, 200, { streamUrl: '/_cron/eyJleHByZXNzaW9uIjoiMCA5ICogKiAqIiwidGltZXpvbmUiOiJVVEMifQ' }, there(alice)],
    ['the same again', {}, 200, ticks('{"expression":"0 9 * * *","timezone":"UTC"}')],
    [
      'an expression with seconds, somewhere', { body: { expression: '*/1 * * * * *', timezone: 'America/Denver' } }, 200,
      { streamUrl: '/_cron/eyJleHByZXNzaW9uIjoiKi8xICogKiAqICogKiIsInRpbWV6b25lIjoiQW1lcmljYS9EZW52ZXIifQ' }, there(alice),
    ],
    ['a zone by another name', { body: { timezone: 'us/pacific' } }, 200, ticks('{"expression":"0 9 * * *","timezone":"America/Los_Angeles"}')],
  ],
})
