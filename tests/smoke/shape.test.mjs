// Shapes of the server's tables, as the wire has them: snapshots, what changes, who sees it, and what is refused.
// shape-client.test.mjs reads them with the published clients.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { iso } from '../harness/observer.mjs'
import { SHAPE, ask, snapshot, told, values } from '../harness/shape-reader.mjs'
import { world } from '../harness/world.mjs'

/** Of this test's entities alone. */
const mine = (w, query = {}) => ({ table: 'entities', where: 'type = $1', 'params[1]': w.name, ...query })

test('a snapshot has the rows, and says that it is complete', async (t) => {
  const w = await world(t)
  await w.type({ inbox_schemas: { note: { type: 'object' } } })
  const { txid, url } = await w.spawn(w.name, 'a/b'.replace('/', '-'), { tags: { title: 'x' }, args: { n: 1 } })
  const { answer, messages } = await snapshot(w, mine(w))
  const { headers } = answer
  assert.equal(headers['content-type'], 'application/json; charset=utf-8')
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['electric-up-to-date'], '')
  assert.equal(headers['electric-has-data'], 'true')
  assert.equal(headers['electric-cursor'], undefined, 'never on an answer that is not live')
  const schema = JSON.parse(headers['electric-schema'])
  assert.deepEqual(schema.tenant_id, { type: 'text', pk_index: 0, not_null: true })
  assert.deepEqual(schema.url, { type: 'text', pk_index: 1, not_null: true })
  assert.deepEqual([schema.tags, schema.parent, schema.created_at], [{ type: 'jsonb', not_null: true }, { type: 'text' }, { type: 'int8', not_null: true }])
  assert.equal(Object.keys(schema).length, 15)
  const [row, end, upToDate] = messages
  assert.equal(row.key, `"public"."entities"/"default"/"${url.replaceAll('/', '//')}"`)
  assert.deepEqual(row.headers, { operation: 'insert', relation: ['public', 'entities'] })
  const now = String(await w.now())
  assert.deepEqual(row.value, {
    tenant_id: 'default', url, type: w.name, status: 'idle', dispatch_policy: null, tags: '{"title":"x"}', spawn_args: '{"n":1}',
    sandbox: null, parent: null, created_by: '/principal/system%3Adev-local', type_revision: '1',
    inbox_schemas: '{"note":{"type":"object"}}', state_schemas: null, created_at: now, updated_at: now,
  })
  const { xmin, xmax, xip_list } = end.headers
  assert.deepEqual([end.headers.control, xmin, xip_list], ['snapshot-end', xmax, []])
  assert.ok(Number(xmin) > txid, 'what was written before is in it')
  assert.deepEqual(upToDate, { headers: { control: 'up-to-date', global_last_seen_lsn: String(Number(xmin) - 1) } })
  assert.equal(messages.length, 3)
})

test('what changes is told once, with its transaction', async (t) => {
  const w = await world(t)
  await w.type()
  const before = await snapshot(w, mine(w))
  assert.deepEqual(before.rows, [])
  const { txid, url } = await w.spawn(w.name, 'a')
  const at = { handle: before.handle, offset: before.offset }
  const inserted = await ask(w, mine(w, at))
  assert.equal(inserted.status, 200)
  const [insert, upToDate] = inserted.json
  assert.partialDeepStrictEqual(insert, { value: { url, status: 'idle' }, headers: { operation: 'insert', relation: ['public', 'entities'], txids: [txid], lsn: String(txid), op_position: 0, last: true } })
  assert.equal(upToDate.headers.control, 'up-to-date')
  assert.ok(inserted.headers['electric-schema'])
  const next = { handle: inserted.headers['electric-handle'], offset: inserted.headers['electric-offset'] }
  const tagged = await w.post(`/_electric/entities${url}/tags/k`, { value: 'v' })
  const full = await ask(w, mine(w, { ...at, replica: 'full' }))
  assert.equal(full.status, 409, 'whole rows are another shape')
  await w.advance(10)
  const signalled = await w.post(`/_electric/entities${url}/signal`, { signal: 'SIGUSR' })
  assert.equal(typeof signalled.json.txid, 'number')
  const updated = await ask(w, mine(w, next))
  const [update] = updated.json
  assert.deepEqual(Object.keys(update.value).sort(), ['tags', 'tenant_id', 'updated_at', 'url'], 'what changed, and the key')
  assert.equal(update.value.tags, '{"k":"v"}')
  assert.deepEqual(update.headers.txids, [tagged.json.txid, signalled.json.txid])
  assert.deepEqual(told(await ask(w, mine(w, { ...next, offset: updated.headers['electric-offset'] }))), [])
})

test('whole rows carry what they were', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'a')
  const query = mine(w, { replica: 'full', where: `type = $1 AND tags LIKE '%"in"%'` })
  assert.deepEqual((await snapshot(w, query)).rows, [])
  const tag = (key, method = 'post') => w[method](`/_electric/entities${url}/tags/${key}`, { value: 'v' })
  let at = await snapshot(w, query)
  const step = async () => {
    const answer = await ask(w, { ...query, handle: at.handle, offset: at.offset })
    assert.equal(answer.status, 200, answer.text)
    at = { handle: at.handle, offset: answer.headers['electric-offset'] }
    return answer.json.filter((message) => message.key)
  }
  await tag('in')
  assert.partialDeepStrictEqual(await step(), [{ value: { url, status: 'idle', tags: '{"in":"v"}' }, headers: { operation: 'insert' } }])
  await tag('more')
  const [update] = await step()
  assert.partialDeepStrictEqual(update, { value: { url, status: 'idle' }, old_value: { tags: '{"in":"v"}' }, headers: { operation: 'update' } })
  assert.equal(Object.keys(update.value).length, 15)
  await w.delete(`/_electric/entities${url}/tags/in`)
  const [gone] = await step()
  assert.partialDeepStrictEqual(gone, { headers: { operation: 'delete' }, value: { url, tags: '{"in":"v","more":"v"}' } })
  await tag('other')
  assert.deepEqual(await step(), [], 'what is out stays out')
})

test('a live question waits for a change that its reader sees', async (t) => {
  const w = await world(t)
  await w.type()
  const query = mine(w, { 'params[1]': w.name })
  const { handle, offset } = await snapshot(w, query)
  const live = { ...query, handle, offset, live: 'true', cursor: '' }
  const waiting = ask(w, live)
  await w.settle()
  const others = await w.type({ name: `${w.name}-others` })
  await w.spawn(others, 'unseen')
  await w.settle()
  const { url } = await w.spawn(w.name, 'seen')
  const answer = await waiting
  assert.deepEqual(told(answer).map(([operation, value]) => [operation, value.url]), [['insert', url]])
  assert.match(answer.headers['electric-cursor'], /^\d+$/)
  assert.equal(answer.headers['electric-schema'], undefined)
  assert.equal(answer.headers['electric-handle'], handle)
  assert.equal(answer.headers['electric-up-to-date'], '')
  // Where nothing comes it is told so, later.
  const next = { ...live, offset: answer.headers['electric-offset'], cursor: answer.headers['electric-cursor'] }
  const idle = ask(w, next)
  await w.settle()
  const empty = await w.advanceUntil(idle)
  assert.equal(empty.status, 200)
  assert.deepEqual(empty.json.map(({ headers }) => headers.control), ['up-to-date'])
  assert.equal(empty.headers['electric-has-data'], 'false')
  assert.ok(Number(empty.headers['electric-cursor']) > Number(next.cursor))
})

test('an event stream of a shape tells each change as it comes', async (t) => {
  const w = await world(t)
  await w.type()
  const { handle, offset } = await snapshot(w, mine(w))
  const query = new URLSearchParams({ ...mine(w), handle, offset, live: 'true', live_sse: 'true', experimental_live_sse: 'true' })
  const reader = await w.follow(`${SHAPE}?${query}`, { headers: { accept: 'text/event-stream' } })
  assert.equal(reader.headers['content-type'], 'text/event-stream')
  assert.equal(reader.headers['electric-handle'], handle)
  for (const id of ['a', 'b']) {
    const { url, txid } = await w.spawn(w.name, id)
    assert.partialDeepStrictEqual((await reader.next()).data, { value: { url }, headers: { operation: 'insert', txids: [txid] } })
    const end = (await reader.next()).data
    assert.deepEqual([end.headers.control, Number(end.headers.global_last_seen_lsn) >= txid], ['up-to-date', true])
  }
})

test('a reader that is not known here begins anew, under a handle that it did not have', async (t) => {
  const w = await world(t)
  await w.type()
  const { handle, offset } = await snapshot(w, mine(w))
  const far = `${Number(offset.split('_')[0]) + 1_000_000}_0`
  for (const at of [{ handle: 'unknown', offset }, { handle, offset: far }, { handle: `${handle.split('-')[0]}-other-1-1`, offset }]) {
    for (const live of [{}, { live: 'true', cursor: '' }]) {
      const answer = await ask(w, mine(w, { ...at, ...live }))
      assert.deepEqual([answer.status, answer.json], [409, [{ headers: { control: 'must-refetch' } }]], JSON.stringify(at))
      assert.notEqual(answer.headers['electric-handle'], at.handle)
      assert.equal(answer.headers['electric-cursor'], undefined)
    }
  }
  // Another's handle is another shape's.
  assert.equal((await ask(w, mine(w, { handle, offset }), 'user:bob')).status, 409)
  // The handle that comes with the refusal is sent along from the beginning, and does not matter there.
  assert.equal((await ask(w, mine(w, { handle: 'unknown', offset: '-1' }))).status, 200)
})

test('a handle survives a restart, and what changed meanwhile is told', async (t) => {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const { handle, offset } = await snapshot(w, mine(w))
  const { url } = await w.spawn(w.name, 'a')
  await host.kill()
  await host.restart()
  w.testId += ' again'
  const other = await w.spawn(w.name, 'b')
  const answer = await ask(w, mine(w, { handle, offset }))
  assert.deepEqual(told(answer).map(([operation, value]) => [operation, value.url]), [['insert', url], ['insert', other.url]])
})

test('changes alone, and from now on', async (t) => {
  const w = await world(t)
  await w.type()
  await w.spawn(w.name, 'before')
  const only = await snapshot(w, mine(w, { log: 'changes_only' }))
  assert.deepEqual(only.messages.map(({ headers }) => headers.control), ['snapshot-end', 'up-to-date'])
  const now = await ask(w, mine(w, { offset: 'now' }))
  assert.deepEqual(now.json.map(({ headers }) => headers.control), ['up-to-date'])
  assert.equal(now.headers['electric-has-data'], 'false')
  const { url } = await w.spawn(w.name, 'after')
  for (const [query, { handle, offset }] of [
    [mine(w, { log: 'changes_only' }), only],
    [mine(w), { handle: now.headers['electric-handle'], offset: now.headers['electric-offset'] }],
  ]) {
    assert.deepEqual(told(await ask(w, { ...query, handle, offset })).map(([, value]) => value.url), [url])
  }
})

test('each sees what is theirs', async (t) => {
  const w = await world(t)
  await w.type()
  const alices = await w.spawn(w.name, 'alices', {}, { as: 'user:alice' })
  const bobs = await w.spawn(w.name, 'bobs', {}, { as: 'user:bob' })
  const urls = async (as) => (await snapshot(w, mine(w), as)).rows.map((row) => row.url)
  assert.deepEqual(await urls('user:alice'), [alices.url])
  assert.deepEqual(await urls('user:bob'), [bobs.url])
  assert.deepEqual(await urls(), [alices.url, bobs.url])
  const { handle, offset } = await snapshot(w, mine(w), 'user:alice')
  for (const [entity, as] of [[alices, 'user:alice'], [bobs, 'user:bob']]) {
    await w.post(`/_electric/entities${entity.url}/tags/k`, { value: 'v' }, { as })
  }
  const answer = await ask(w, mine(w, { handle, offset }), 'user:alice')
  assert.deepEqual(told(answer).map(([operation, value]) => [operation, value.url]), [['update', alices.url]])
})

test('an entity comes and goes with the permission to read it', async (t) => {
  const w = await world(t)
  await w.type()
  const parent = await w.spawn(w.name, 'parent', {}, { as: 'user:alice' })
  const child = await w.spawn(w.name, 'child', { parent: parent.url }, { as: 'user:alice' })
  const bob = 'user:bob'
  let at = await snapshot(w, mine(w), bob)
  assert.deepEqual(at.rows, [])
  const step = async (query = {}) => {
    const answer = await ask(w, mine(w, { handle: at.handle, offset: at.offset, ...query }), bob)
    assert.equal(answer.status, 200, answer.text)
    at = { ...at, offset: answer.headers['electric-offset'] }
    return told(answer).map(([operation, value]) => [operation, value.url, Object.keys(value).length])
  }
  const grants = `/_electric/entities${parent.url}/grants`
  const give = async (permission, more) => {
    const body = { subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission, ...more }
    const answer = await w.post(grants, body, { as: 'user:alice' })
    assert.equal(answer.status, 201, answer.text)
    return answer.json.id
  }
  await give('write')
  assert.deepEqual(await step(), [], 'to write is not to read')
  const waiting = step({ live: 'true', cursor: '' })
  await w.settle()
  const read = await give('read', { propagation: 'descendants' })
  assert.deepEqual(await waiting, [['insert', parent.url, 15], ['insert', child.url, 15]])
  const tag = (entity, key) => w.post(`/_electric/entities${entity.url}/tags/${key}`, { value: 'v' }, { as: 'user:alice' })
  await tag(child, 'seen')
  await w.advance(1)
  assert.deepEqual((await step()).map(([operation, url]) => [operation, url]), [['update', child.url]])
  // Lost, and changed before that was asked: it is gone, and nothing of it is told.
  await tag(child, 'unseen')
  await w.delete(`${grants}/${read}`, { as: 'user:alice' })
  await w.advance(0)
  assert.deepEqual((await step()).sort(), [['delete', child.url, 2], ['delete', parent.url, 2]])
  await tag(child, 'later')
  assert.deepEqual(await step(), [])
  // Given for a while; what has come and gone between two questions was never there.
  const until = iso((await w.now()) + 60_000)
  await give('manage', { expires_at: until })
  assert.deepEqual(await step(), [['insert', parent.url, 15]])
  await w.advance(60_000)
  assert.deepEqual(await step(), [['delete', parent.url, 2]])
  await w.delete(`${grants}/${await give('read')}`, { as: 'user:alice' })
  await w.advance(0)
  assert.deepEqual(await step(), [])
})

test('effective permissions are shown to whom they are for', async (t) => {
  const w = await world(t)
  await w.type()
  const bob = `user:${w.name}`
  const { url } = await w.spawn(w.name, 'a')
  const query = { table: 'entity_effective_permissions', where: 'entity_url = $1', 'params[1]': url }
  let [his, all, others] = await Promise.all([bob, undefined, 'user:eve'].map((as) => snapshot(w, query, as)))
  assert.deepEqual([his.rows, all.rows, others.rows], [[], [], []])
  const body = { subject_kind: 'principal', subject_value: `/principal/${encodeURIComponent(bob)}`, permission: 'read' }
  const { json: grant } = await w.post(`/_electric/entities${url}/grants`, body)
  const step = async ({ handle, offset }, as) => told(await ask(w, { ...query, handle, offset }, as))
  const [[operation, value]] = await step(his, bob)
  assert.equal(operation, 'insert')
  assert.match(value.id, /^[0-9]+$/)
  const stamp = value.created_at
  assert.deepEqual(value, {
    tenant_id: 'default', id: value.id, entity_url: url, source_entity_url: url, source_grant_id: String(grant.id), permission: 'read',
    subject_kind: 'principal', subject_value: body.subject_value, expires_at: null, created_at: stamp,
  })
  assert.deepEqual([await step(all), await step(others, 'user:eve')], [[['insert', value]], []])
  const rows = await Promise.all([bob, undefined, 'user:eve'].map(async (as) => (await snapshot(w, query, as)).rows))
  assert.deepEqual(rows, [[value], [value], []])
  his = await snapshot(w, query, bob)
  await w.delete(`/_electric/entities${url}/grants/${grant.id}`)
  await w.advance(0)
  assert.deepEqual(await step(his, bob), [['delete', { id: value.id }]])
})

test('with the permission to read goes what else is shown of an entity, each row once', async (t) => {
  const w = await world(t)
  await w.type()
  const bob = `user:${w.name}`
  const { url } = await w.spawn(w.name, 'a')
  const query = { table: 'entity_effective_permissions', where: 'entity_url = $1', 'params[1]': url }
  const give = async (permission) => {
    const body = { subject_kind: 'principal', subject_value: `/principal/${encodeURIComponent(bob)}`, permission }
    return (await w.post(`/_electric/entities${url}/grants`, body)).json.id
  }
  await give('write')
  let at = await snapshot(w, query, bob)
  assert.deepEqual(at.rows, [], 'who may only write does not see the entity, nor that they may')
  const step = async () => {
    const answer = await ask(w, { ...query, handle: at.handle, offset: at.offset }, bob)
    at = { ...at, offset: answer.headers['electric-offset'] }
    return told(answer).map(([operation, value]) => `${operation} ${value.permission ?? value.id}`).sort()
  }
  const read = await give('read')
  assert.deepEqual(await step(), ['insert read', 'insert write'])
  const ids = (await snapshot(w, query, bob)).rows.map((row) => row.id)
  await w.delete(`/_electric/entities${url}/grants/${read}`)
  await w.advance(0)
  assert.deepEqual(await step(), ids.map((id) => `delete ${id}`).sort())
})

test('what changes while a snapshot is read, and changes back, is told as it is', async (t) => {
  const w = await world(t)
  await w.type()
  const args = { text: 'x'.repeat(400_000) }
  for (let n = 0; n < 6; n++) await w.spawn(w.name, String(n), { args })
  const url = `/${w.name}/5`
  const query = mine(w)
  const first = await ask(w, { ...query, offset: '-1' })
  assert.equal(first.headers['electric-up-to-date'], undefined)
  await w.post(`/_electric/entities${url}/tags/k`, { value: 'v' })
  let at = { handle: first.headers['electric-handle'], offset: first.headers['electric-offset'] }
  const rows = values(first.json)
  for (let answer; answer?.headers['electric-up-to-date'] === undefined; ) {
    answer = await ask(w, { ...query, ...at })
    assert.equal(answer.headers['electric-handle'], at.handle, 'one handle for all pieces')
    at = { ...at, offset: answer.headers['electric-offset'] }
    rows.push(...values(answer.json))
  }
  assert.equal(rows.find((row) => row.url === url).tags, '{"k":"v"}')
  await w.delete(`/_electric/entities${url}/tags/k`)
  const after = await ask(w, { ...query, ...at })
  const [[operation, value]] = told(after).filter(([, value]) => value.url === url)
  assert.deepEqual([operation, value.tags], ['insert', '{}'])
  assert.match(after.headers['electric-offset'], /_0$/)
})

test('a row leaves a filter also when what it was is too long to be remembered', async (t) => {
  const w = await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'a', { tags: { mark: 'm', a: 'x'.repeat(3_000), b: 'x'.repeat(3_000) } })
  const query = mine(w, { where: `type = $1 AND tags LIKE '%"mark"%'` })
  const { handle, offset, rows } = await snapshot(w, query)
  assert.equal(rows.length, 1)
  await w.delete(`/_electric/entities${url}/tags/mark`)
  assert.deepEqual(told(await ask(w, { ...query, handle, offset })), [['delete', { tenant_id: 'default', url }]])
})

test('a condition costs what it may, piece by piece', async (t) => {
  const w = await world(t)
  await w.type()
  for (let n = 0; n < 8; n++) await w.spawn(w.name, String(n), { args: { text: 'x'.repeat(400_000) } })
  const some = mine(w, { where: `type = $1 AND (spawn_args LIKE '%y%' OR spawn_args LIKE '%z%' OR spawn_args ILIKE '%xxx"}')` })
  assert.equal((await snapshot(w, some)).rows.length, 8)
  const many = Array.from({ length: 60 }, () => `spawn_args ILIKE '%a'`).join(' OR ')
  const query = mine(w, { where: `type = $1 AND (${many})` })
  let answer = await ask(w, { ...query, offset: '-1' })
  // Rows of others come first, and cost nothing.
  while (answer.status === 200 && answer.headers['electric-up-to-date'] === undefined) {
    const [handle, offset] = [answer.headers['electric-handle'], answer.headers['electric-offset']]
    answer = await ask(w, { ...query, handle, offset })
  }
  assert.deepEqual([answer.status, answer.json.errors], [400, { where: ['is too expensive on these rows'] }])
})

test('types are shown to those who may spawn them', async (t) => {
  const w = await world(t)
  const query = { table: 'entity_types', where: 'name = $1', 'params[1]': w.name }
  await w.type({ permission_grants: [] })
  let at = await snapshot(w, query, 'service:other')
  assert.deepEqual(at.rows, [])
  const step = async () => {
    const answer = await ask(w, { ...query, handle: at.handle, offset: at.offset }, 'service:other')
    at = { ...at, offset: answer.headers['electric-offset'] }
    return told(answer).map(([operation, value]) => [operation, value.name])
  }
  const body = { subject_kind: 'principal_kind', subject_value: 'service', permission: 'spawn' }
  const { json: grant } = await w.post(`/_electric/entity-types/${w.name}/grants`, body)
  assert.deepEqual(await step(), [['insert', w.name]])
  await w.delete(`/_electric/entity-types/${w.name}/grants/${grant.id}`)
  assert.deepEqual(await step(), [['delete', w.name]])
})

test('users come with their first deed', async (t) => {
  const w = await world(t)
  await w.type()
  const as = `user:${w.name}`
  const query = { table: 'users', where: 'id = $1', 'params[1]': w.name }
  const { handle, offset, rows } = await snapshot(w, query)
  assert.deepEqual(rows, [])
  await w.spawn(w.name, 'a', {}, { as })
  const [[operation, value]] = told(await ask(w, { ...query, handle, offset }))
  assert.equal(operation, 'insert')
  assert.partialDeepStrictEqual(value, { tenant_id: 'default', id: w.name, display_name: null, email: null, avatar_url: null })
  assert.deepEqual((await snapshot(w, query)).rows, [value])
})

test('runners, and how they are, are shown to their owner alone', async (t) => {
  const w = await world(t)
  const as = `user:${w.name}`
  const table = (name) => ({ table: name, where: `${name === 'runners' ? 'id' : 'runner_id'} = $1`, 'params[1]': w.name })
  const runners = await snapshot(w, table('runners'), as)
  const diagnostics = await snapshot(w, table('runner_runtime_diagnostics'), as)
  await w.runner(w.name, { as })
  const at = ({ handle, offset }) => ({ handle, offset })
  const [[operation, value]] = told(await ask(w, { ...table('runners'), ...at(runners) }, as))
  const stamp = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00$/
  assert.equal(operation, 'insert')
  assert.partialDeepStrictEqual(value, { id: w.name, owner_principal: `/principal/${encodeURIComponent(as)}`, kind: 'local', admin_status: 'enabled', sandbox_profiles: '[]' })
  assert.match(value.created_at, stamp)
  await w.post(`/_electric/runners/${w.name}/heartbeat`, { diagnostics: { status: 'running' } }, { as })
  const [[, said]] = told(await ask(w, { ...table('runner_runtime_diagnostics'), ...at(diagnostics) }, as))
  assert.partialDeepStrictEqual(said, { runner_id: w.name })
  assert.match(said.liveness_lease_expires_at, stamp)
  assert.deepEqual((await snapshot(w, table('runners'))).rows, [], 'not even the system sees what others own')
})

test('types are told with their schemas, and that they are gone', async (t) => {
  const w = await world(t)
  const query = { table: 'entity_types', where: 'name = $1', 'params[1]': w.name }
  let at = await snapshot(w, query)
  const step = async () => {
    const answer = await ask(w, { ...query, handle: at.handle, offset: at.offset })
    at = { ...at, offset: answer.headers['electric-offset'] }
    return told(answer)
  }
  await w.type({ creation_schema: { type: 'object' } })
  assert.partialDeepStrictEqual(await step(), [['insert', { name: w.name, creation_schema: '{"type":"object"}', revision: '1' }]])
  await w.post('/_electric/entity-types', { name: w.name, description: 'another' })
  const [[operation, value]] = await step()
  assert.deepEqual([operation, value.description, value.revision], ['update', 'another', '2'])
  await w.delete(`/_electric/entity-types/${w.name}`)
  assert.deepEqual(await step(), [['delete', { tenant_id: 'default', name: w.name }]])
})

test('a snapshot that is too large for one answer comes in pieces', async (t) => {
  const w = await world(t)
  await w.type()
  const args = { text: 'x'.repeat(300_000) }
  const urls = []
  for (let n = 0; n < 6; n++) urls.push((await w.spawn(w.name, String(n), { args })).url)
  const first = await ask(w, mine(w, { offset: '-1' }))
  assert.equal(first.headers['electric-up-to-date'], undefined)
  assert.ok(first.text.length < 2_000_000)
  const { rows, messages } = await snapshot(w, mine(w))
  assert.deepEqual(rows.map((row) => row.url), urls)
  assert.equal(messages.filter(({ headers }) => headers.control === 'snapshot-end').length, 1)
})
