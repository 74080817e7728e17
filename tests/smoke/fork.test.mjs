// Forks: an entity, and all that is below it, comes to be a second time, with what it has said so far.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { like, ISO, OFFSET } from '../harness/like.mjs'
import { change, everybody, finish, run, world } from '../harness/world.mjs'

const INVALID = 'INVALID_REQUEST'
const devLocal = '/principal/system%3Adev-local'
const TXID = /^fork-[0-9a-f-]{36}$/
const MINUTE = 60_000

const path = (url) => `/_electric/entities${url}/fork`
const idOf = (url) => url.split('/')[2]
const manifest = (key, value, operation = 'insert') => change('manifest', key, { key, ...value }, operation)

/** How to fork, and what is wrong with it. */
async function forking(t, types = {}) {
  const w = await world(t)
  await w.type(types)
  const ask = (url, body = {}, options) => w.post(path(url), body, options)
  const fork = async (url, body, options) => {
    const answer = await ask(url, body, options)
    assert.equal(answer.status, 201, answer.text)
    for (const { url } of answer.json.entities) t.after(() => w.delete(`/_electric/entities${url}`))
    return answer.json
  }
  const refuses = async (answer, status, code, message) => {
    const { status: got, json } = await answer
    assert.deepEqual([got, json.error?.code, json.error?.message], [status, code, message])
    return json.error
  }
  return { w, ask, fork, refuses }
}

/** What a fork's stream says of itself, behind what it inherits. */
async function own(w, url) {
  const events = await w.events(url)
  const first = events.findIndex((event) => event.headers.forkedFrom)
  return { inherited: events.slice(0, first), said: events.slice(first) }
}

const said = (from, type, key, operation, value) => ({
  type,
  key,
  ...(value && { value }),
  headers: { txid: TXID, forkedFrom: from, operation, offset: OFFSET },
})

test('a fork begins with what its source has said, and is its own from there', async (t) => {
  const { w, fork } = await forking(t)
  const now = await w.now()
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'a', { args: { n: 1.5 }, tags: { a: '1', b: '2' }, dispatch_policy: hook.policy })
  await w.send(url, 'before', { key: 'm1' })
  const wake = await w.woken(hook)
  await wake.claim()
  await wake.done()
  const { root, entities } = await fork(url, { tags: { b: '3', c: '4' } })
  assert.match(root.url, new RegExp(`^${url}-fork-[0-9a-f]{8}$`))
  like(root, {
    url: String,
    type: w.name,
    status: 'idle',
    streams: { main: `${root.url}/main` },
    dispatch_policy: Object,
    tags: { a: '1', b: '3', c: '4' },
    spawn_args: Object,
    created_by: devLocal,
    created_at: now,
    updated_at: now,
  })
  assert.deepEqual(entities, [root])
  assert.deepEqual(await w.entity(root.url), root)
  assert.ok((await w.get(`/_electric/entities?type=${w.name}`)).json.some((one) => one.url === root.url))
  const { inherited, said: news } = await own(w, root.url)
  assert.deepEqual(inherited, await w.events(url))
  like(news, [said(url, 'entity_created', 'entity-created', 'update', { entity_type: w.name, timestamp: ISO, args: Object })])
  assert.deepEqual(news[0].value.args, root.spawn_args)

  await w.settle()
  assert.equal(hook.all.length, 1, 'what it begins with wakes nobody')
  await w.send(root.url, 'to the fork')
  const own_wake = await w.woken(hook)
  assert.equal(own_wake.entity, root.url)
  await own_wake.claim()
  await own_wake.done()
  await w.send(url, 'to the source')
  assert.equal((await w.woken(hook)).entity, url)
  const payloads = async (of) => (await w.events(of, 'inbox')).map((event) => event.value.payload)
  assert.deepEqual(await payloads(url), ['before', 'to the source'])
  assert.deepEqual(await payloads(root.url), ['before', 'to the fork'])
})

test('those below are forked too, and named as they are now', async (t) => {
  const { w, fork } = await forking(t)
  const work = await w.working(w.name, 'a', { args: { near: ['x', { is: `/${w.name}/b/main` }], self: `/${w.name}/a` } })
  const url = work.entity
  const b = (await w.spawn(w.name, 'b', { parent: url })).url
  const c = (await w.spawn(w.name, 'c', { parent: b })).url
  const state = `${w.name} board`
  const other = (await w.spawn(w.name, 'other')).url
  await work.append([
    manifest(`child:${w.name}:b`, { kind: 'child', id: 'b', entity_type: w.name, entity_url: b, wake: 'runFinished' }),
    manifest(`source:entity:${b}`, { kind: 'source', sourceType: 'entity', sourceRef: b, config: { entityUrl: b, streamPath: `${b}/main`, entityType: w.name }, wake: { on: 'change' } }),
    manifest(`source:entity:${other}`, { kind: 'source', sourceType: 'entity', sourceRef: other, config: { entityUrl: other }, wake: { on: 'change' } }),
    manifest(`shared-state:${state}`, { kind: 'shared-state', id: state, wake: { on: 'change' } }),
    manifest(`source:db:${state}`, { kind: 'source', sourceType: 'db', sourceRef: state, config: { id: state } }),
    manifest('gone', { kind: 'child', id: 'c', entity_url: c }),
    { type: 'manifest', key: 'gone', headers: { operation: 'delete' } },
    change('child_status', 'b', { entity_url: b, entity_type: w.name, status: 'idle' }),
    change('child_status', 'other', { entity_url: other, entity_type: w.name, status: 'idle' }),
    change('replay_watermark', `${b}/main`, { source_id: `${b}/main`, offset: 'x' }),
    change('replay_watermark', 'w', { source_id: url, offset: 'y' }),
  ])
  await work.done()
  const shared = `/_electric/shared-state/${encodeURIComponent(state)}`
  const json = { headers: { 'content-type': 'application/json' } }
  assert.equal((await w.put(shared, [{ at: 1 }], json)).status, 201)

  const { root, entities } = await fork(url, { instance_id: 'f' })
  assert.equal(root.url, `/${w.name}/f`)
  const [, b2, c2] = entities.map((entity) => entity.url)
  const suffix = b2.slice(`${b}-fork-`.length)
  assert.match(suffix, /^[0-9a-f]{8}$/)
  assert.equal(c2, `${c}-fork-${suffix}`)
  assert.deepEqual(entities.map((entity) => entity.parent), [undefined, root.url, b2])
  assert.deepEqual(root.spawn_args, { near: ['x', { is: `${b2}/main` }], self: root.url })
  const state2 = `${state}-fork-${suffix}`
  const wakes = { on: 'change' }
  like((await own(w, root.url)).said, [
    said(url, 'entity_created', 'entity-created', 'update', Object),
    said(url, 'manifest', `child:${w.name}:b`, 'delete'),
    said(url, 'manifest', `child:${w.name}:${idOf(b2)}`, 'insert', { key: `child:${w.name}:${idOf(b2)}`, kind: 'child', id: idOf(b2), entity_type: w.name, entity_url: b2, wake: 'runFinished' }),
    said(url, 'manifest', `shared-state:${state}`, 'delete'),
    said(url, 'manifest', `shared-state:${state2}`, 'insert', { key: `shared-state:${state2}`, kind: 'shared-state', id: state2, wake: wakes }),
    said(url, 'manifest', `source:db:${state}`, 'delete'),
    said(url, 'manifest', `source:db:${state2}`, 'insert', { key: `source:db:${state2}`, kind: 'source', sourceType: 'db', sourceRef: state2, config: { id: state2 } }),
    said(url, 'manifest', `source:entity:${b}`, 'delete'),
    said(url, 'manifest', `source:entity:${b2}`, 'insert', { key: `source:entity:${b2}`, kind: 'source', sourceType: 'entity', sourceRef: b2, config: { entityUrl: b2, streamPath: `${b2}/main`, entityType: w.name }, wake: wakes }),
    said(url, 'child_status', 'b', 'update', { entity_url: b2, entity_type: w.name, status: 'idle' }),
    said(url, 'replay_watermark', `${b}/main`, 'delete'),
    said(url, 'replay_watermark', `${b2}/main`, 'insert', { source_id: `${b2}/main`, offset: 'x' }),
    said(url, 'replay_watermark', 'w', 'update', { source_id: root.url, offset: 'y' }),
  ])
  like((await own(w, b2)).said, [
    said(b, 'entity_created', 'entity-created', 'update', { entity_type: w.name, timestamp: ISO, args: {}, parent_url: root.url }),
  ])

  const tell = async (at, event, options) => assert.equal((await w.post(at, event, { ...json, ...options })).status, 204)
  const shared2 = `/_electric/shared-state/${encodeURIComponent(state2)}`
  assert.deepEqual(await w.read(shared2), [{ at: 1 }])
  const before = (await w.events(url, 'wake')).length
  await tell(shared2, change('row', 'k', {}))
  assert.deepEqual((await w.events(root.url, 'wake')).map((event) => event.value.source), [shared2])
  assert.equal((await w.events(url, 'wake')).length, before, 'the source does not hear of it')
  assert.deepEqual(await w.read(shared), [{ at: 1 }])
  await tell(shared, change('row', 'k', {}))
  assert.equal((await w.events(root.url, 'wake')).length, 1, 'nor the fork of what belongs to its source')
  await w.post(`/_electric/entities${other}/signal`, { signal: 'SIGUSR' })
  await w.post(`/_electric/entities${b2}/signal`, { signal: 'SIGUSR' })
  const heard = (await w.events(root.url, 'wake')).map((event) => event.value.source)
  assert.deepEqual(heard, [shared2, other, b2], 'it observes what it did, and the copies of what was copied')
})

test('a fork has the files of its source', async (t) => {
  const { w, fork } = await forking(t)
  const { url } = await w.spawn(w.name, 'a')
  const files = { 'a b': ['text/plain', 'hello'], j: ['application/json', '{"n": 1.0}'] }
  const form = (id, type, text) =>
    `--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: ${type}\r\n\r\n${text}\r\n` +
    `--b\r\nContent-Disposition: form-data; name="id"\r\n\r\n${id}\r\n` +
    '--b\r\nContent-Disposition: form-data; name="subject"\r\n\r\n{"type":"inbox","key":"m"}\r\n--b--\r\n'
  const file = (of, id) => `/_electric/entities${of}/attachments/${encodeURIComponent(id)}`
  const streamed = {}
  for (const [id, [type, text]] of Object.entries(files)) {
    const headers = { 'content-type': 'multipart/form-data; boundary=b' }
    const answer = await w.post(`/_electric/entities${url}/attachments`, Buffer.from(form(id, type, text)), { headers })
    assert.equal(answer.status, 201, answer.text)
    streamed[id] = (await w.head(answer.json.attachment.streamPath)).headers['content-type']
  }
  const { root } = await fork(url, { instance_id: 'f' })
  const rows = (await own(w, root.url)).said.filter((event) => event.type === 'manifest')
  assert.deepEqual(rows.map((row) => [row.key, row.headers.operation, row.value.streamPath]), [
    ['attachment:a b', 'update', `${root.url}/attachments/a%20b`],
    ['attachment:j', 'update', `${root.url}/attachments/j`],
  ])
  assert.equal((await w.delete(file(url, 'j'))).status, 200)
  for (const [id, [type, text]] of Object.entries(files)) {
    const answer = await w.get(file(root.url, id))
    assert.deepEqual([answer.status, answer.headers['content-type'], answer.text], [200, type, text], id)
    const stream = await w.get(`${root.url}/attachments/${encodeURIComponent(id)}?offset=-1`)
    assert.deepEqual([stream.status, stream.headers['content-type'], stream.text], [200, streamed[id], text], `the stream of ${id}`)
  }
  assert.equal((await w.delete(file(root.url, 'a b'))).status, 200)
  assert.equal((await w.get(file(url, 'a b'))).text, 'hello')
  const { root: again } = await fork(root.url)
  assert.equal((await w.get(file(again.url, 'j'))).text, '{"n": 1.0}', 'a fork of a fork, too')
})

test('what is scheduled is scheduled for the fork, too', async (t) => {
  const { w, fork } = await forking(t)
  const { url } = await w.spawn(w.name, 'a')
  const put = async (id, body) => {
    const answer = await w.put(`/_electric/entities${url}/schedules/${id}`, body)
    assert.equal(answer.status, 200, answer.text)
  }
  const at = async (ms) => new Date((await w.now()) + ms).toISOString()
  await put('sent', { scheduleType: 'future_send', payload: 'sent', fireAt: await at(MINUTE) })
  await w.advance(MINUTE)
  await put('later', { scheduleType: 'future_send', payload: 'later', fireAt: await at(MINUTE) })
  await put('tick', { scheduleType: 'cron', expression: '*/5 * * * *', payload: 'tick' })
  const { root } = await fork(url, { instance_id: 'f' })
  const payloads = async (of) => (await w.events(of, 'inbox')).map((event) => event.value.payload)
  assert.deepEqual(await payloads(root.url), ['sent'], 'it is not sent again')
  await w.advance(5 * MINUTE)
  for (const of of [url, root.url]) {
    assert.deepEqual(await payloads(of), ['sent', 'later'], of)
    const status = (await w.events(of, 'manifest')).filter((event) => event.key === 'schedule:later').at(-1)
    assert.equal(status.value.status, 'sent')
    assert.equal(status.value.targetUrl, of)
    assert.equal((await w.events(of, 'wake')).length, 1, 'and ticks')
  }
})

test('what was sent before a fork branches off is not sent again, whatever its schedules say there', async (t) => {
  const { w, fork } = await forking(t)
  const work = await w.working(w.name, 'a')
  const url = work.entity
  const hook = await w.hook()
  const { url: child } = await w.spawn(w.name, 'b', { parent: url, dispatch_policy: hook.policy })
  await work.append([manifest(`child:${w.name}:b`, { kind: 'child', id: 'b', entity_url: child })])
  const fireAt = new Date((await w.now()) + MINUTE).toISOString()
  for (const [id, targetUrl] of [['own', url], ['down', child]]) {
    const answer = await w.put(`/_electric/entities${url}/schedules/${id}`, { scheduleType: 'future_send', payload: id, fireAt, targetUrl })
    assert.equal(answer.status, 200, answer.text)
  }
  await w.advance(MINUTE)
  await (await w.woken(hook)).done()
  const all = await w.events(url)
  const payloads = async (of) => (await w.events(of, 'inbox')).map((event) => event.value.payload)
  // A place behind each event: also behind a message, and before the row that says that it was sent.
  let between = 0
  for (let count = all.findIndex(({ key }) => key === 'schedule:own') + 1; count <= all.length; count++) {
    const at = (sub_offset) => ({ fork_pointer: { offset: null, sub_offset }, waitTimeoutMs: 0 })
    const { root, entities } = await fork(url, at(count))
    const { entities: others } = await fork(root.url, at((await w.events(root.url)).length))
    const { inherited } = await own(w, root.url)
    const status = inherited.findLast(({ key }) => key === 'schedule:own').value.status
    if (status === 'pending' && inherited.some(({ type, value }) => type === 'inbox' && value.payload === 'own')) between++
    await w.advance(1000)
    for (const [self, below] of [entities, others]) {
      assert.equal((await payloads(self.url)).filter((payload) => payload === 'own').length, 1, `${count} of ${all.length}`)
      assert.deepEqual(await payloads(below.url), ['down'], `${count} of ${all.length}`)
      const rows = await w.events(self.url, 'manifest')
      assert.equal(rows.findLast(({ key }) => key === 'schedule:own').value.status, 'sent')
    }
  }
  assert.equal(between, 1)
})

test('a fork may branch off in the past', async (t) => {
  const { w, fork, refuses, ask } = await forking(t)
  const work = await w.working(w.name, 'a')
  const url = work.entity
  const child = (id) => manifest(`child:${w.name}:${id}`, { kind: 'child', id, entity_url: `/${w.name}/${id}` })
  for (const id of ['b', 'c']) await w.spawn(w.name, id, { parent: url })
  await work.append([child('b'), change('note', 'n1', 1)])
  await work.append([...run('r1', 'hello'), change('note', 'n2', 2)])
  await work.append([change('note', 'n3', 3), child('c'), finish('r2', 'failed')])
  const all = await w.events(url)
  const keys = (events) => events.map((event) => event.key)
  const offset = (key) => all.find((event) => event.key === key).headers.offset
  const at = (place, sub_offset) => ({ fork_pointer: { offset: place && offset(place), sub_offset } })

  for (const [body, last] of [
    [at(null, 1), 'entity-created'],
    [at(null, 4), 'n1'],
    [at('n1', 1), 'r1'],
    [at('n1', 4), 'n2'],
    [at('n1', 5), 'n3'],
    [at('n2', 3), 'r2'],
    [{ anchor: 'latest_completed_run' }, 'r1'],
  ]) {
    const { root, entities } = await fork(url, body)
    const { inherited } = await own(w, root.url)
    const count = all.findIndex((event) => event.key === last && (body.anchor ? event.value.status === 'completed' : true)) + 1
    assert.deepEqual(keys(inherited), keys(all.slice(0, count)), JSON.stringify(body))
    const children = entities.slice(1).map((entity) => idOf(entity.url)[0])
    const there = ['b', 'c'].filter((id) => keys(inherited).includes(`child:${w.name}:${id}`))
    assert.deepEqual(children, there, 'those whom it had there are forked with it')
  }
  assert.equal((await w.entity(url)).status, 'running', 'the root need not be idle')

  const main = `${url}/main`
  const bad = (body, message) => refuses(ask(url, body), 400, INVALID, message)
  const none = '0000000000000000_0000000000000001'
  await bad({ fork_pointer: { offset: none, sub_offset: 1 } }, `fork_pointer.offset (${none}) does not match any event's Stream-Next-Offset on ${main}`)
  for (const [place, sub, most] of [[null, 0, 11], [null, 12, 11], [null, -1, 11], [null, 1.5, 11], ['n2', 4, 3], ['r2', 1, 0]]) {
    // `r2` ends where the stream does.
    await bad(at(place, sub), `fork_pointer.sub_offset ${sub} out of range past anchor on ${main} (valid: 1..${most})`)
  }
  const { url: silent } = await w.spawn(w.name, 'silent')
  await refuses(ask(silent, { anchor: 'latest_completed_run' }), 400, INVALID, `Source ${silent}/main has no completed run to fork from`)
})

test('a fork may have a parent, who is woken, and a first message', async (t) => {
  const { w, fork } = await forking(t)
  const hook = await w.hook()
  const { url } = await w.spawn(w.name, 'a', { dispatch_policy: hook.policy })
  const { url: parent } = await w.spawn(w.name, 'p')
  const wake = { subscriberUrl: parent, condition: 'runFinished' }
  const { root } = await fork(url, { instance_id: 'f', parent, wake, initialMessage: { go: 1 } })
  assert.equal(root.parent, parent)
  const work = await w.woken(hook)
  assert.equal(work.entity, root.url)
  const [message] = await w.events(root.url, 'inbox')
  like(message.value, { from: parent, payload: { go: 1 }, timestamp: ISO, mode: 'immediate', status: 'processed', processed_at: ISO })
  const [created] = (await own(w, root.url)).said
  assert.equal(created.value.parent_url, parent)
  await work.claim()
  await work.append(run('r', 'done'))
  const [woken] = await w.events(parent, 'wake')
  assert.equal(woken.value.finished_child.url, root.url)
  const { root: other } = await fork(url, { initialMessage: null })
  assert.deepEqual((await w.events(other.url, 'inbox')).map((event) => event.value.from), [devLocal])
})

test('who may spawn below a parent and not write to it greets a fork in their own name', async (t) => {
  const { w } = await forking(t)
  const to = (permission) => ({ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission })
  const { url } = await w.spawn(w.name, 'a', { grants: [to('fork')] })
  const { url: parent } = await w.spawn(w.name, 'p', { grants: [to('spawn')] })
  const greeted = async () => {
    const forked = await w.post(`/_electric/entities${url}/fork`, { parent, initialMessage: 'go' }, { as: 'user:bob' })
    assert.equal(forked.status, 201, forked.text)
    return (await w.events(forked.json.root.url, 'inbox'))[0].value.from
  }
  assert.equal(await greeted(), '/principal/user%3Abob', 'nobody speaks for an entity that they may not write to')
  assert.equal((await w.post(`/_electric/entities${parent}/grants`, to('write'))).status, 201)
  assert.equal(await greeted(), parent)
})

test('who may spawn below a parent and not write to it has no fork wake it', async (t) => {
  const { w, ask, fork, refuses } = await forking(t)
  const to = (permission) => ({ subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission })
  const { url } = await w.spawn(w.name, 'a', { grants: [to('fork')] })
  const { url: parent } = await w.spawn(w.name, 'p', { grants: [to('spawn')] })
  const [asked, bob] = [{ parent, wake: { subscriberUrl: parent, condition: 'runFinished' } }, { as: 'user:bob' }]
  await refuses(ask(url, asked, bob), 401, 'UNAUTHORIZED', `Principal is not allowed to write ${parent}`)
  assert.equal((await w.get(`/_electric/entities?type=${w.name}`)).json.length, 2, 'there is no fork')
  assert.equal((await w.post(`/_electric/entities${parent}/grants`, to('write'))).status, 201)
  assert.equal((await fork(url, asked, bob)).root.parent, parent)
})

test('a fork waits for those below to be idle', async (t) => {
  const { w, fork, ask, refuses } = await forking(t)
  const { url } = await w.spawn(w.name, 'a')
  const work = await w.working(w.name, 'b', { parent: url })
  const message = 'Timed out waiting for subtree to become idle'
  const error = await refuses(ask(url, { waitTimeoutMs: 0 }), 409, 'FORK_WAIT_TIMEOUT', message)
  assert.deepEqual(error.details, { active: [work.entity] })
  const late = ask(url, { waitTimeoutMs: 1000 })
  await w.settle()
  await w.advance(1000)
  await refuses(late, 409, 'FORK_WAIT_TIMEOUT', message)

  const forked = fork(url)
  await w.settle()
  await w.advance(1000)
  await work.append([change('note', 'n', 'while it waits')])
  await work.done()
  await w.advance(1000)
  const { entities } = await forked
  assert.equal((await w.events(entities[1].url, 'note')).length, 1)

  await w.post(`/_electric/entities${work.entity}/signal`, { signal: 'SIGSTOP' })
  assert.equal((await fork(url)).entities[1].status, 'idle', 'who is paused is idle enough')
})

test('who waits at a point of the past waits for descendants', async (t) => {
  const { w, ask, refuses } = await forking(t)
  const work = await w.working(w.name, 'a')
  const url = work.entity
  const below = await w.working(w.name, 'b', { parent: url })
  await work.append([manifest(`child:${w.name}:b`, { kind: 'child', id: 'b', entity_url: below.entity }), ...run('r', 'x')])
  const anchor = 'latest_completed_run'
  const error = await refuses(ask(url, { anchor, waitTimeoutMs: 0 }), 409, 'FORK_WAIT_TIMEOUT', 'Timed out waiting for descendants to become idle')
  assert.deepEqual(error.details, { active: [below.entity] })
  await w.delete(`/_electric/entities${below.entity}`)
  await refuses(ask(url, { anchor }), 409, 'NOT_RUNNING', `Cannot fork terminal entity "${below.entity}"`)
})

test('a fork is its forkers, and under no grant of its source', async (t) => {
  const { w, fork } = await forking(t, { permission_grants: everybody })
  const [ann, bob] = ['user:ann', 'user:bob']
  const grant = (permission, to, more) => ({ permission, subject_kind: 'principal', subject_value: `/principal/${encodeURIComponent(to)}`, ...more })
  const grants = [grant('fork', bob), grant('read', 'user:eve')]
  const { url } = await w.spawn(w.name, 'a', { grants }, { as: ann })
  const watched = [grant('spawn', bob), grant('read', ann, { propagation: 'descendants', copy_to_children: true })]
  const { url: parent } = await w.spawn(w.name, 'p', { grants: watched })
  const ref = (await w.post('/_electric/observations/entities/ensure-stream', { tags: { k: w.name } }, { as: bob })).json
  const { root } = await fork(url, { instance_id: 'ä b', tags: { k: w.name } }, { as: bob })
  assert.equal(root.url, `/${w.name}/%C3%A4%20b`)
  assert.equal(root.created_by, '/principal/user%3Abob')
  const get = async (of, as) => (await w.get(`/_electric/entities${of}`, { as })).status
  assert.deepEqual([await get(root.url, bob), await get(root.url, 'user:eve'), await get(root.url, ann)], [200, 401, 401])
  await w.eventually(async () => {
    await w.advance(0) // Where there are many entities a new stream goes through them a chunk at a time.
    const members = await w.read(ref.streamUrl, { as: bob })
    assert.ok(members.some((event) => event.key === root.url), 'it stands in membership streams')
  })
  const { root: below } = await fork(url, { parent }, { as: bob })
  assert.equal(await get(below.url, ann), 200, 'what is above its parent reaches it')
  const own = (await w.get(`/_electric/entities${below.url}/grants`, { as: bob })).json
  assert.deepEqual(own.grants ?? own, [], 'but it is given none')
})
