// What the dashboard of the Electric Agents server does, call by call and in its order, by the published clients at the
// versions that it bundles.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'

import { Page, browser } from '../harness/dashboard.mjs'
import { hostName, startHost } from '../harness/host.mjs'
import { world } from '../harness/world.mjs'

const comments = { comments: { type: 'state:comments', contract: 'comments/v1' } }

test('a page is opened, and finds itself', { skip: hostName !== 'native' && 'the platform serves the page' }, async (t) => {
  const app = await mkdtemp(path.join(tmpdir(), 'reveille-app-'))
  t.after(() => rm(app, { recursive: true }))
  await writeFile(path.join(app, 'index.html'), '<title>app</title>')
  const host = await startHost({ args: ['--ui-dir', app] })
  const w = await world(t, { host })
  const home = await w.get('/')
  assert.deepEqual([home.status, home.headers.location], [302, '/__agent_ui/'])
  assert.equal((await w.get(home.headers.location)).text, '<title>app</title>')
})

test('a page shows what there is, and a new session as it comes', async (t) => {
  const w = await world(t)
  await w.type({ externally_writable_collections: comments })
  const profile = `${w.name}-local`
  const runner = { id: w.name, label: 'a laptop', sandbox_profiles: [{ name: profile, label: 'Local' }] }
  assert.equal((await w.post('/_electric/runners', runner)).status, 201)
  const page = await Page.open(t, w)
  assert.equal(page.types.get(w.name).description, 'a test type')
  assert.deepEqual(page.runners.get(w.name).sandbox_profiles, runner.sandbox_profiles)

  const session = {
    args: { model: 'm' },
    tags: { title: 'first' },
    initialMessage: { text: 'hello' },
    dispatch_policy: { targets: [{ type: 'runner', runnerId: w.name }] },
    sandbox: { profile },
  }
  const { url } = await page.commit('PUT', `/${w.name}/a`, session)
  const row = page.entities.get(url)
  const { tags, spawn_args, sandbox, dispatch_policy, parent, created_by, created_at } = row
  assert.deepEqual({ tags, args: spawn_args, sandbox, dispatch_policy }, { tags: session.tags, args: session.args, sandbox: session.sandbox, dispatch_policy: session.dispatch_policy })
  assert.deepEqual([parent, created_by, created_at], [null, '/principal/system%3Adev-local', await w.now()])

  const opened = await page.entity(url)
  assert.deepEqual(Object.keys(opened.entity.externally_writable_collections), ['comments'])
  assert.deepEqual(opened.inbox.toArray.map(({ payload }) => payload), [session.initialMessage])
  assert.equal((await page.ask('GET', `/_electric/entities/${w.name}/none`)).status, 404)

  const people = await page.people()
  await w.spawn(w.name, 'b', {}, { as: `user:${w.name}` })
  await w.eventually(() => assert.ok(people.get(w.name)))
})

test('a message is sent with what is attached to it, and edited while it waits', async (t) => {
  const w = await world(t)
  await w.type()
  const page = await Page.open(t, w)
  const { url } = await page.commit('PUT', `/${w.name}/a`, {})
  const session = await page.entity(url)
  const attach = async (id, text) => {
    const form = new FormData()
    form.set('id', id)
    form.set('file', new Blob([text], { type: 'text/plain' }), 'notes.txt')
    form.set('subject', JSON.stringify({ type: 'inbox', key: 'm1' }))
    form.set('role', 'input')
    form.set('mimeType', 'text/plain')
    form.set('filename', 'notes.txt')
    return (await session.tell('POST', '/attachments', form)).attachment
  }
  assert.equal((await attach('f1', 'what was noted')).id, 'f1')
  await attach('f2', 'another')
  await session.tell('POST', '/send', { key: 'm1', payload: { text: 'see the notes' }, mode: 'queued', position: '0001:a' })
  assert.deepEqual(session.inbox.get('m1').payload, { text: 'see the notes' })
  assert.equal(session.manifest.get('attachment:f1').filename, 'notes.txt')
  const file = await page.ask('GET', `/_electric/entities${url}/attachments/f1`)
  assert.deepEqual([file.headers.get('content-type'), await file.text()], ['text/plain', 'what was noted'])
  await session.call('DELETE', '/attachments/f2')
  await w.eventually(() => assert.equal(session.manifest.get('attachment:f2'), undefined))

  await session.tell('PATCH', '/inbox/m1', { payload: { text: 'see them twice' } })
  assert.deepEqual(session.inbox.get('m1').payload, { text: 'see them twice' })
  await session.tell('PATCH', '/inbox/m1', { position: '0000:a' })
  await session.tell('PATCH', '/inbox/m1', { mode: 'steer' })
  assert.equal(session.inbox.get('m1').mode, 'steer')
  await session.tell('PATCH', '/inbox/m1', { status: 'cancelled' })
  assert.equal(session.inbox.get('m1').status, 'cancelled')
  await session.tell('POST', '/send', { key: 'm2', payload: { text: 'never mind' }, mode: 'queued' })
  await session.tell('DELETE', '/inbox/m2')
  assert.equal(session.inbox.get('m2'), undefined)
})

test('a session is renamed, signalled, forked and killed', async (t) => {
  const w = await world(t)
  await w.type()
  const page = await Page.open(t, w)
  const { url } = await page.commit('PUT', `/${w.name}/a`, { tags: { title: 'first' } })
  const session = await page.entity(url)
  await session.commit('POST', '/tags/title', { value: 'second' })
  assert.deepEqual(page.entities.get(url).tags, { title: 'second' })
  assert.equal((await session.call('POST', '/tags/title', { value: 'second' })).txid, undefined, 'nothing changed')

  for (const [signal, status] of [['SIGSTOP', 'paused'], ['SIGCONT', 'idle'], ['SIGINT', 'idle']]) {
    await session.commit('POST', '/signal', { signal, reason: 'asked for' })
    assert.equal(page.entities.get(url).status, status, signal)
  }

  await session.tell('POST', '/send', { key: 'm1', payload: 'one' })
  await session.tell('POST', '/send', { key: 'm2', payload: 'two' })
  const events = await w.events(url)
  const { offset } = events.at(-2).headers
  const whole = await session.call('POST', '/fork', {})
  const part = await session.call('POST', '/fork', { fork_pointer: { offset: null, sub_offset: events.length - 1 } })
  await assert.rejects(session.call('POST', '/fork', { fork_pointer: { offset, sub_offset: 5 } }), /out of range/)
  for (const [{ root }, keys] of [[whole, ['m1', 'm2']], [part, ['m1']]]) {
    t.after(() => w.delete(`/_electric/entities${root.url}`))
    await w.eventually(() => assert.deepEqual(page.entities.get(root.url).tags, { title: 'second' }))
    const fork = await page.entity(root.url)
    assert.deepEqual(fork.inbox.toArray.map(({ key }) => key).filter((key) => /^m\d$/.test(key)), keys)
  }

  await session.commit('POST', '/signal', { signal: 'SIGKILL', reason: 'Killed from agents UI' })
  assert.equal(page.entities.get(url).status, 'killed')
})

test('a session is shared, and then it is not', async (t) => {
  const w = await world(t)
  await w.type()
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => Page.open(t, w, { as: `user:${name}-${w.name}` })))
  const { url } = await alice.commit('PUT', `/${w.name}/a`, {})
  const session = await alice.entity(url)
  const granted = () => bob.permissions.toArray.filter((row) => row.entity_url === url).map((row) => row.permission).sort()
  assert.equal((await bob.ask('GET', `/_electric/entities${url}`)).status, 401)
  assert.deepEqual(await session.call('GET', '/grants'), { grants: [] })
  const share = (permission) =>
    session.call('POST', '/grants', { subject_kind: 'principal', subject_value: `/principal/${encodeURIComponent(`user:bob-${w.name}`)}`, permission })
  await share('read')
  await share('write')
  await w.eventually(() => assert.deepEqual([bob.entities.get(url)?.url, granted()], [url, ['read', 'write']]))
  const shared = await bob.entity(url)
  await shared.tell('POST', '/send', { key: 'm', payload: 'from bob' })
  await w.eventually(() => assert.equal(session.inbox.get('m')?.payload, 'from bob'))
  shared.db.close()

  const { grants } = await session.call('GET', '/grants')
  assert.equal(grants.length, 2)
  for (const { id } of grants) await session.call('DELETE', `/grants/${id}`)
  await w.eventually(() => assert.deepEqual([bob.entities.get(url), granted()], [undefined, []]))
  assert.equal(alice.entities.get(url).url, url)
  const refused = await bob.ask('POST', `/_electric/entities${url}/grants`, { subject_kind: 'principal', subject_value: 'x', permission: 'read' })
  assert.deepEqual([refused.status, typeof (await refused.json()).error.message], [401, 'string'])
})

test('a comment is written beside the session', async (t) => {
  const w = await world(t)
  await w.type({ externally_writable_collections: comments })
  const page = await Page.open(t, w)
  const { url } = await page.commit('PUT', `/${w.name}/a`, {})
  const session = await page.entity(url)
  const value = { body: 'well done', target: { type: 'inbox', key: 'm1' } }
  assert.deepEqual(await session.call('POST', '/collections/comments', { operation: 'insert', key: 'c1', value }), { key: 'c1' })
  await w.eventually(() => assert.deepEqual(session.comments.get('c1')?.body, value.body))
})

test('the settings show how a runner is', async (t) => {
  const w = await world(t)
  await w.runner()
  const page = await Page.open(t, w)
  const shown = await page.diagnostics(w.name)
  const beat = (status) => w.post(`/_electric/runners/${w.name}/heartbeat`, { diagnostics: { status } })
  await beat('starting')
  await w.eventually(() => assert.equal(shown.get(w.name)?.diagnostics.status, 'starting'))
  await w.advance(1_000)
  await beat('streaming')
  await w.eventually(() => assert.equal(shown.get(w.name).diagnostics.status, 'streaming'))
  assert.equal(shown.size, 1)
  assert.equal((await page.ask('GET', `/_electric/runners/${w.name}/health`)).status, 200)
})

/** A page of five shapes that follows one session, over so many connections. */
async function busy(t, connections) {
  const host = await startHost()
  const w = await world(t, { host })
  await w.type()
  const page = await Page.open(t, w, { fetch: browser(t, connections) })
  const { url } = await w.spawn(w.name, 'a')
  await page.people()
  const session = await page.entity(url)
  await w.settle()
  return { w, session, send: () => session.tell('POST', '/send', { key: 'm', payload: 'hello' }) }
}

test('what a page writes goes over a browser’s six connections once a live question has ended, within five seconds', async (t) => {
  const { w, session, send } = await busy(t, 6)
  let told = false
  const sending = send().finally(() => (told = true))
  await w.advance(4_999)
  await w.settle()
  assert.deepEqual([told, session.inbox.size], [false, 0], 'five shapes and a stream hold all six')
  await w.advance(1)
  await sending
  assert.equal(session.inbox.get('m').payload, 'hello')
})

test('what a page writes waits for nothing when there is a connection more', async (t) => {
  const { session, send } = await busy(t, 7)
  await send()
  assert.equal(session.inbox.get('m').payload, 'hello')
})
