// `GET /_electric/electric/v1/shape` (control plane, section 14; electric shapes, sections 1.2, 1.4, 2.1 and 2.4). Refusals stand
// in the order of the checks: first ours, then those of Electric, in its form and its words.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { alice } from '../../harness/entity-route.mjs'
import { raw } from '../../harness/http.mjs'
import { route } from '../../harness/route.mjs'
import { world } from '../../harness/world.mjs'

const where = [400, 'INVALID_WHERE', 'Invalid where clause']
const table = [403, 'TABLE_NOT_ALLOWED', 'Table is not available through the Electric proxy']
const invalid = (field, why) => [400, { message: 'Invalid request', errors: { [field]: [why] } }]
const unknown = (name) => invalid('where', `At location 0: unknown reference ${name}`)
const asking = (query) => ({ query })

const tables = [
  'entities', 'entity_types', 'runners', 'runner_runtime_diagnostics', 'users', 'entity_effective_permissions', 'entity_dispatch_state',
  'wake_notifications', 'consumer_claims',
]
const hidden = ['secrets', 'entity_permission_grants', 'wake_registrations', 'scheduled_tasks', 'public.entities', '"entities"', 'Entities', '']

route('GET /_electric/electric/v1/shape', {
  asks: { by: alice, query: { table: 'users', offset: '-1' } },
  refusals: [
    ...['a) OR (1=1', '(a', 'a)', "a = 'x", 'a = "x', 'a -- b', 'a /* b */'].map((text) => [`the condition ${text}`, asking({ where: text }), ...where]),
    ['no table', asking({ table: undefined }), ...table],
    ['two tables', asking({ table: ['entities', 'users'] }), ...table],
    ['a table twice', asking({ table: ['users', 'users'] }), ...table],
    ...hidden.map((name) => [`the table ${name}`, asking({ table: name }), ...table]),
    ['a replica that is none', asking({ replica: 'none' }), ...invalid('replica', 'is invalid')],
    ['a log that is none', asking({ log: 'none' }), ...invalid('log', 'is invalid')],
    ['no offset', asking({ offset: undefined }), ...invalid('offset', "can't be blank")],
    ['a blank offset', asking({ offset: '' }), ...invalid('offset', "can't be blank")],
    ...['10', '1_2_3', '0_-1', 'x', '-2', '1_inf_2'].map((offset) => [`the offset ${offset}`, asking({ offset }), ...invalid('offset', 'has invalid format')]),
    ['an offset without handle', asking({ offset: '0_0' }), ...invalid('handle', "can't be blank when offset != -1")],
    ['a live question from the beginning', asking({ offset: '-1', live: 'true' }), ...invalid('live', "can't be true when offset == -1")],
    ['a live question by its bare name', asking({ offset: '-1', live: '' }), ...invalid('live', "can't be true when offset == -1")],
    ['a live question from now on', asking({ offset: 'now', live: 'true' }), ...invalid('live', "can't be true when offset is 'now'")],
    ['a live question within a snapshot', asking({ offset: '0_1', handle: 'h', live: 'true' }), ...invalid('live', "can't be true within a snapshot")],
    ['events of what is not live', asking({ live_sse: 'true' }), ...invalid('live_sse', "can't be true unless live is also true")],
    ['events of what is not live, by the older name', asking({ experimental_live_sse: 'true' }), ...invalid('live_sse', "can't be true unless live is also true")],
    ['parameters with names', asking({ 'params[a]': 'x' }), ...invalid('params', 'Parameters can only use numbers as keys')],
    ['parameters with a gap', asking({ 'params[2]': 'x' }), ...invalid('params', 'Parameters must be numbered sequentially, starting from 1')],
    ['a column that is not there', asking({ where: 'foo = 1' }), ...unknown('foo')],
    ['a column that is not shown', asking({ table: 'entities', where: 'write_token IS NULL' }), ...unknown('write_token')],
    ['a condition that is none', asking({ where: 'id' }), ...invalid('where', 'WHERE clause must return a boolean')],
    ['a part of a shape', asking({ subset__limit: '1' }), ...invalid('subset', 'is not supported: read the shape whole')],
    ['a handle that is not known', asking({ offset: '0_5', handle: 'unknown' }), 409, [{ headers: { control: 'must-refetch' } }]],
  ],
  answers: [
    ...tables.map((name) => [`the table ${name}`, asking({ table: name }), 200, Array.isArray]),
    ['a blank condition', asking({ where: '' }), 200, Array.isArray],
    ['a condition with what would end it in quotes', asking({ where: "id = '-- ) /* it''s'" }), 200, Array.isArray],
    ['a handle, from the beginning', asking({ handle: 'unknown' }), 200, Array.isArray],
    ['what is not live by its word', asking({ live: 'false', live_sse: 'false' }), 200, Array.isArray],
    ['columns, which do not matter', asking({ columns: 'nothing' }), 200, Array.isArray, ({ headers }) => {
      assert.deepEqual(Object.keys(JSON.parse(headers['electric-schema'])), ['tenant_id', 'id', 'display_name', 'email', 'avatar_url', 'created_at', 'updated_at'])
    }],
    ['what nobody knows', asking({ secret: 'x', api_secret: 'x', expired_handle: 'h', 'cache-buster': '1', experimental_compaction: 'true' }), 200, Array.isArray],
    ['from now on', asking({ offset: 'now' }), 200, Array.isArray, ({ json, headers }) => {
      assert.deepEqual(json.map((message) => message.headers.control), ['up-to-date'])
      assert.equal(headers['electric-has-data'], 'false')
    }],
  ],
})

test('what is near a shape is not there', async (t) => {
  const w = await world(t)
  const query = '?table=users&offset=-1'
  for (const path of ['/v1/shape/x', '/v1/shape/', '/v1//shape', '/v1/%73hape', '/v1', '/', '']) {
    const answer = await w.get(`/_electric/electric${path}${query}`)
    assert.deepEqual([answer.status, answer.text], [404, ''], path)
  }
  // Nor does a path lead to a server of shapes elsewhere, whatever it names.
  const other = await w.shape()
  const { host } = new URL(other.url)
  for (const path of [`//${host}/x`, `//${host}/v1/shape`, `/%2F${host}/x`, `/\\\\${host}/v1/shape`, `/@${host}/v1/shape`]) {
    const { status, head } = await raw(w.url, `GET /_electric/electric${path}${query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    assert.ok(status === 404 || status === 400, `${path}: ${head}`)
  }
  assert.deepEqual(other.asked, [])
})

route('GET /_electric/electric/v1/health', { answers: [['anybody', { by: alice }, 200, { status: 'active' }]] })
