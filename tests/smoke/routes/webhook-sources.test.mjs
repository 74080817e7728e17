// `GET /_electric/webhook-sources`, `PUT` and `DELETE …/webhook-source-subscriptions/{subscription}` (control plane, sections
// 11 and 10.13). Refusals stand in the order of the checks. The catalogue has `github`, with a bucket `repo`, `old`, which is
// revoked, and `hidden`, which agents do not see.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { alice, ended, entities, nowhere, principals, stranger } from '../../harness/entity-route.mjs'
import { ISO, UUID } from '../../harness/like.mjs'
import { registrations } from '../../harness/observer.mjs'
import { bodies, INVALID, route, SCHEMA } from '../../harness/route.mjs'
import { catalogue, sourced } from '../../harness/webhook-catalogue.mjs'
import { world } from '../../harness/world.mjs'

const form = [400, INVALID, SCHEMA]
const wrong = (path, message) => [{ path, message }]
const within = (params) => ({ body: { bucketKey: 'repo', params } })
const mismatch = 'Bucket params do not match paramsSchema for "repo": '
const unsafe = '[agent-runtime] webhook bucket must use non-empty URL-safe path segments'
const empty = 'Bucket parameter "owner" must not be empty'

const shown = {
  id: 's', entityUrl: '/{type}/e', webhookKey: 'github', params: {}, filterApplied: false, contractRevision: 3,
  sourceUrl: '/_webhooks/gh', sourceType: 'webhook', manifestKey: 'webhook-source:s', lifetime: { kind: 'until_entity_stopped' },
  createdBy: 'tool', createdAt: ISO,
}
const params = { owner: 'o', repo: 'r' }
const bucket = { ...shown, bucketKey: 'repo', params, sourceUrl: '/_webhooks/gh/repos/o/r' }
const on = (path) => async (_, { w, type }) => {
  assert.deepEqual((await registrations(w, `/${type}/e`)).map(([source]) => source), path ? [path] : [])
}

route('GET /_electric/webhook-sources', {
  on: sourced,
  asks: { by: alice },
  answers: [['anybody', {}, 200, { webhookSources: [catalogue[0]] }]],
})

route('PUT /_electric/entities/{type}/{id}/webhook-source-subscriptions/{subscription}', {
  on: sourced,
  scene: async (w) => ({ ...(await entities(w)), subscription: 's' }),
  asks: { by: alice, body: { webhookKey: 'github' } },
  refusals: [
    ...nowhere('subscription'),
    ...bodies({ webhookKey: 1 }, wrong('/webhookKey', 'must be string')),
    ['no source', { body: { webhookKey: undefined } }, ...form, wrong('/', "must have required property 'webhookKey'")],
    ['a bucket that is no text', { body: { bucketKey: 1 } }, ...form, wrong('/bucketKey', 'must be string')],
    ['parameters that are no object', { body: { params: [] } }, ...form, wrong('/params', 'must be object')],
    ['a filter that is no text', { body: { filterKey: 1 } }, ...form, wrong('/filterKey', 'must be string')],
    ['a lifetime of no kind', { body: { lifetime: { kind: 'forever' } } }, ...form],
    ['an end at no time', { body: { lifetime: { kind: 'expires_at' } } }, ...form, wrong('/lifetime', "must have required property 'at'")],
    ['an end that is no text', { body: { lifetime: { kind: 'expires_at', at: 1 } } }, ...form, wrong('/lifetime/at', 'must be string')],
    ['a reason that is no text', { body: { reason: 1 } }, ...form, wrong('/reason', 'must be string')],
    stranger('write'),
    principals('subscribed to webhook sources'),
    ['a source that is not there', { body: { webhookKey: 'none' } }, 404, 'NOT_FOUND', 'Webhook source "none" not found'],
    ['an end that never comes', { body: { lifetime: { kind: 'expires_at', at: 'never' } } }, 400, INVALID, 'Invalid expires_at lifetime timestamp'],
    ['a source that is revoked', { body: { webhookKey: 'old' } }, 400, INVALID, 'Webhook source "old" is not active'],
    ['a source that is hidden', { body: { webhookKey: 'hidden' } }, 400, INVALID, 'Webhook source "hidden" is not active'],
    ['a bucket that is not there', { body: { bucketKey: 'none' } }, 400, INVALID, 'Unknown bucket "none" for webhook source "github"'],
    ['a filter that is not there', { body: { filterKey: 'none' } }, 400, INVALID, 'Unknown filter "none" for webhook source "github"'],
    ['parameters of another form', within({ owner: 7 }), 400, INVALID, `${mismatch}/repo must have required property 'repo'; /owner must be string`],
    ['a parameter that is not there', within({ repo: 'r' }), 400, INVALID, 'Missing bucket parameter: owner'],
    ['an empty parameter', within({ owner: '', repo: 'r' }), 400, INVALID, empty],
    ['a blank parameter', within({ owner: ' ', repo: 'r' }), 400, INVALID, empty],
    ...['a b', 'a/b', 'ü', '.', '..'].map((owner) => [`a parameter “${owner}”`, within({ owner, repo: 'r' }), 400, INVALID, unsafe]),
    ...[[], {}].map((name) => [`a parameter that is ${JSON.stringify(name)}`, { body: { bucketKey: 'any', params: { name } } }, 400, INVALID, 'Bucket parameter "name" must be a scalar value']),
    ['a parameter that is null', { body: { bucketKey: 'any', params: { name: null } } }, 400, INVALID, 'Missing bucket parameter: name'],
    ['a filter of another bucket', { body: { bucketKey: 'any', filterKey: 'pushes', params: { name: 1 } } }, 400, INVALID, 'Unknown filter "pushes" for webhook source "github"'],
    ['a path that is too long', within({ owner: 'o'.repeat(3_000), repo: 'r' }), 400, INVALID, 'the path of this bucket would be longer than 2048 bytes'],
    ended[0],
  ],
  answers: [
    ['a source', {}, 200, { txid: UUID, subscription: shown }, on('/_webhooks/gh')],
    ['a source, whatever its parameters', { body: { params: { any: [] } } }, 200, { txid: UUID, subscription: { ...shown, params: { any: [] } } }, on('/_webhooks/gh')],
    ['a bucket', within(params), 200, { txid: UUID, subscription: bucket }, on('/_webhooks/gh/repos/o/r')],
    [
      'a bucket with all that may be said', { body: { ...within(params).body, filterKey: 'pushes', lifetime: { kind: 'expires_at', at: '2099-01-01T00:00:00Z' }, reason: 'to know' } }, 200,
      { txid: UUID, subscription: { ...bucket, filterKey: 'pushes', filterApplied: true, lifetime: { kind: 'expires_at', at: '2099-01-01T00:00:00Z' }, reason: 'to know' } },
      on('/_webhooks/gh/repos/o/r'),
    ],
    ...[[1.0, '1'], [1.5, '1.5'], [true, 'true'], ["it's", "it's"]].map(([name, text]) => [
      `a parameter that is ${name}`, { body: { bucketKey: 'any', params: { name } } }, 200,
      { txid: UUID, subscription: { ...shown, bucketKey: 'any', params: { name }, sourceUrl: `/_webhooks/gh/${text}/${text}` } },
    ]),
    ['a subscription for ever', { body: { lifetime: { kind: 'manual' } } }, 200, { txid: UUID, subscription: { ...shown, lifetime: { kind: 'manual' } } }],
    ['a name that must be escaped', { subscription: 'a%2Fb' }, 200, { txid: UUID, subscription: { ...shown, id: 'a/b', manifestKey: 'webhook-source:a/b' } }],
  ],
})

route('DELETE /_electric/entities/{type}/{id}/webhook-source-subscriptions/{subscription}', {
  on: sourced,
  scene: async (w) => {
    const scene = await entities(w)
    const answer = await w.put(`/_electric/entities/${scene.type}/e/webhook-source-subscriptions/s`, { webhookKey: 'github' })
    assert.equal(answer.status, 200, answer.text)
    return { ...scene, subscription: 's' }
  },
  asks: { by: alice },
  refusals: [...nowhere('subscription'), stranger('write'), principals('unsubscribed from webhook sources'), ended[0]],
  answers: [
    ['one that never was', { subscription: 'none' }, 200, { txid: UUID }, on('/_webhooks/gh')],
    ['a subscription', {}, 200, { txid: UUID }, on()],
  ],
})

test('without a catalogue there are no webhook sources, and nothing to subscribe to', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e')
  assert.deepEqual((await w.get('/_electric/webhook-sources')).json, { webhookSources: [] })
  const at = `/_electric/entities${url}/webhook-source-subscriptions/s`
  const { status, json } = await w.put(at, { webhookKey: 'none', lifetime: { kind: 'expires_at', at: 'never' } })
  assert.deepEqual([status, json], [404, { error: { code: 'NOT_FOUND', message: 'No webhook source catalog is configured' } }])
  assert.equal((await w.delete(at)).status, 200)
})
