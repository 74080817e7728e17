// Files that belong to an entity: sent as a form, served as they were, and gone when they are deleted.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { raw } from '../harness/http.mjs'
import { like, OFFSET, UUID } from '../harness/like.mjs'
import { iso } from '../harness/observer.mjs'
import { refuses } from '../harness/subscription.mjs'
import { change, world } from '../harness/world.mjs'

const INVALID = 'INVALID_REQUEST'
const devLocal = '/principal/system%3Adev-local'
const eve = 'user:eve'
const subject = '{"type":"inbox","key":"m1"}'

/** A form as bytes: `[name, value]` is text, `[name, value, filename, type]` a file. */
function form(...fields) {
  const parts = fields.map(([name, value, filename, type]) =>
    Buffer.concat([
      Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"`),
      Buffer.from(filename === undefined ? '' : `; filename="${filename}"`),
      Buffer.from(`${type === undefined ? '' : `\r\nContent-Type: ${type}`}\r\n\r\n`),
      Buffer.from(value),
      Buffer.from('\r\n'),
    ]),
  )
  return Buffer.concat([...parts, Buffer.from('--b--\r\n')])
}

const file = (value = 'hello', filename = 'f.txt', type = 'text/plain') => ['file', value, filename, type]

/** An entity, and how to attach files to it. */
async function attaching(t, { w, as, spawn = {} } = {}) {
  w ??= await world(t)
  await w.type()
  const { url } = await w.spawn(w.name, 'e', spawn, { as })
  const path = (id = '', of = url) => `/_electric/entities${of}/attachments${id && `/${encodeURIComponent(id)}`}`
  const send = (body, { of, type = 'multipart/form-data; boundary=b', ...options } = {}) =>
    w.post(path('', of), body, { headers: { 'content-type': type }, ...options })
  const upload = (fields, options) => send(form(...fields), options)
  const attachTo = (of, id, value) => upload([file(value), ['subject', subject], ['id', id]], { of })
  const attach = async (id, value, ...more) => {
    const answer = await upload([file(value, ...more), ['subject', subject], ['id', id]])
    assert.equal(answer.status, 201, answer.text)
    return answer.json.attachment
  }
  const download = (id, { of, ...options } = {}) => w.get(path(id, of), options)
  const remove = (id, { of, ...options } = {}) => w.delete(path(id, of), options)
  const rows = () => w.events(url, 'manifest')
  return { w, url, path, send, upload, attach, attachTo, download, remove, rows }
}

test('a file is attached, told in the manifest, and served as it was', async (t) => {
  const { w, url, upload, download, rows } = await attaching(t)
  const now = await w.now()
  const answer = await upload([file(), ['subject', subject], ['meta', '{"n": 12345678901234567890}'], ['id', 'att1']])
  assert.equal(answer.status, 201, answer.text)
  const { txid, attachment } = answer.json
  assert.match(txid, UUID)
  const { meta, ...entry } = attachment
  assert.deepEqual(entry, {
    key: 'attachment:att1',
    kind: 'attachment',
    id: 'att1',
    streamPath: `${url}/attachments/att1`,
    status: 'complete',
    subject: { type: 'inbox', key: 'm1' },
    role: 'input',
    mimeType: 'text/plain',
    filename: 'f.txt',
    byteLength: 5,
    sha256: createHash('sha256').update('hello').digest('hex'),
    createdAt: iso(now),
    createdBy: devLocal,
  })
  assert.ok(answer.text.includes('"meta":{"n": 12345678901234567890}'), 'as it was sent')
  const [row, ...more] = await rows()
  assert.deepEqual(more, [])
  like(row, { type: 'manifest', key: 'attachment:att1', value: Object, headers: { operation: 'upsert', timestamp: iso(now), txid, offset: OFFSET } })
  assert.deepEqual(row.value, attachment)

  const got = await download('att1')
  assert.equal(got.status, 200)
  assert.equal(got.text, 'hello')
  assert.equal(got.headers['content-type'], 'text/plain')
  assert.equal(got.headers['content-length'], '5')
  assert.equal(got.headers['cache-control'], 'private, max-age=31536000, immutable')
  assert.equal(got.headers['content-disposition'], `attachment; filename="f.txt"; filename*=UTF-8''f.txt`)
  assert.equal(got.headers['x-content-type-options'], 'nosniff')
  const stream = await w.get(`${attachment.streamPath}?offset=-1`)
  assert.deepEqual([stream.text, stream.headers['content-type'], stream.headers['stream-closed']], ['hello', 'text/plain', 'true'])
})

test('what fields say of a file wins over what the file says', async (t) => {
  const { upload, download } = await attaching(t)
  const fields = [['subjectType', 'tool_call'], ['subjectKey', ' k '], ['role', 'output'], ['mimeType', ' image/png '], ['filename', 'other.png'], ['meta', 'null']]
  const { attachment } = (await upload([file(), ...fields])).json
  assert.match(attachment.id, UUID)
  like(attachment, { ...attachment, subject: { type: 'tool_call', key: ' k ' }, role: 'output', mimeType: 'image/png', filename: 'other.png' })
  assert.ok(!('meta' in attachment))
  const got = await download(attachment.id)
  assert.deepEqual([got.headers['content-type'], got.text], ['image/png', 'hello'])
})

test('a file without a name or a type is bytes', async (t) => {
  const { upload, download } = await attaching(t)
  const { attachment } = (await upload([['file', 'x', ''], ['subject', subject], ['id', '  ']])).json
  assert.match(attachment.id, UUID)
  assert.equal(attachment.mimeType, 'application/octet-stream')
  assert.ok(!('filename' in attachment))
  const got = await download(attachment.id)
  assert.deepEqual([got.headers['content-type'], got.headers['content-disposition']], ['application/octet-stream', 'attachment'])
})

test('a form as a browser makes it is understood', async (t) => {
  const { send, download } = await attaching(t)
  const fields = new FormData()
  fields.set('file', new File(['<p>é</p>'], 'a "b"\\ünï😀.html', { type: 'text/html' }))
  fields.set('subject', subject)
  fields.set('id', 'form')
  const made = new Response(fields)
  const answer = await send(Buffer.from(await made.arrayBuffer()), { type: made.headers.get('content-type') })
  assert.equal(answer.status, 201, answer.text)
  assert.equal(answer.json.attachment.filename, 'a "b"\\ünï😀.html')
  const got = await download('form')
  assert.equal(got.text, '<p>é</p>')
  assert.equal(
    got.headers['content-disposition'],
    `attachment; filename="a _b___n___.html"; filename*=UTF-8''a%20%22b%22%5C%C3%BCn%C3%AF%F0%9F%98%80.html`,
  )
})

test('bytes are served as they came: none, JSON that is none, several pieces, what looks like a form', async (t) => {
  const { attach, download } = await attaching(t)
  const large = Buffer.alloc(2_500_000, 'a line that is long enough\r\n--')
  for (const [id, bytes, type] of [
    ['empty', '', 'text/plain'],
    ['json', '{"a":1.0}', 'application/json'],
    ['list', '[1,[2]]', 'application/json'],
    ['broken', '{"a":', 'application/json; charset=utf-8'],
    ['large', large, 'application/octet-stream'],
    ['form', '\r\n--a\r\nContent-Disposition: form-data; name="id"\r\n\r\nother\r\n--a--\r\n', 'text/plain'],
    ['binary', Buffer.from([0, 255, 13, 10, 45, 45, 0]), 'image/x-odd'],
  ]) {
    const attachment = await attach(id, bytes, 'f', type)
    assert.equal(attachment.byteLength, bytes.length)
    const got = await download(id)
    assert.equal(got.status, 200, id)
    assert.ok(got.bytes.equals(Buffer.from(bytes)), id)
    assert.equal(got.headers['content-type'], type)
    assert.equal(got.headers['content-length'], String(bytes.length))
  }
})

test('an id may be anything that is no path', async (t) => {
  const { w, url, attach, download, remove } = await attaching(t)
  for (const id of ['a b', 'ünï😀', '%2F', '%', '"', 'a.b', 'main', "it's", '?x#y']) {
    const attachment = await attach(id, id)
    assert.deepEqual([attachment.id, attachment.key], [id, `attachment:${id}`])
    assert.equal(attachment.streamPath, `${url}/attachments/${encodeURIComponent(id)}`)
    assert.equal((await download(id)).text, id)
    assert.equal((await w.get(`${attachment.streamPath}?offset=-1`)).text, id)
    assert.equal((await remove(id)).status, 200)
  }
})

test('a file that is deleted is gone, and so are its bytes', async (t) => {
  const { w, attach, download, remove, rows } = await attaching(t)
  const { streamPath } = await attach('a', 'x')
  const now = await w.now()
  const answer = await remove('a')
  assert.equal(answer.status, 200, answer.text)
  like(answer.json, { txid: UUID })
  like((await rows()).at(-1), { type: 'manifest', key: 'attachment:a', headers: { operation: 'delete', timestamp: iso(now), ...answer.json, offset: OFFSET } })
  refuses(await download('a'), 404, 'NOT_FOUND', 'Attachment not found')
  refuses(await remove('a'), 404, 'NOT_FOUND', 'Attachment not found')
  assert.equal((await w.get(`${streamPath}?offset=-1`)).status, 404)
})

test('an id that is taken is refused, and its bytes stay those of its row', async (t) => {
  const { upload, attach, download, rows } = await attaching(t)
  await attach('a', 'old')
  for (const type of ['text/plain', 'image/png']) {
    const answer = await upload([file('new', 'n', type), ['subject', subject], ['id', 'a']])
    refuses(answer, 409, INVALID, 'Attachment already exists at id "a"')
  }
  assert.equal((await download('a')).text, 'old')
  assert.equal((await rows()).length, 1)
})

test('an id that was given up is free, though forks have the file', async (t) => {
  const { w, url, upload, attach, attachTo, download, remove } = await attaching(t)
  await attach('a', 'first')
  const fork = async (of) => (await w.post(`/_electric/entities${of}/fork`, {})).json.root.url
  const one = await fork(url)
  const two = await fork(one)
  for (const of of [url, one]) assert.equal((await remove('a', { of })).status, 200)
  refuses(await download('a'), 404, 'NOT_FOUND', 'Attachment not found')
  await attach('a', 'second')
  assert.equal((await attachTo(one, 'a', 'third')).status, 201)
  const three = await fork(url)
  for (const [of, text] of [[url, 'second'], [one, 'third'], [two, 'first'], [three, 'second']]) {
    assert.equal((await download('a', { of })).text, text, of)
    assert.equal((await w.get(`${of}/attachments/a?offset=-1`)).text, text, of)
  }
  refuses(await upload([file('new'), ['subject', subject], ['id', 'a']]), 409, INVALID, 'Attachment already exists at id "a"')
  for (const of of [two, three, one, url]) assert.equal((await remove('a', { of })).status, 200)
  for (const of of [url, one, two, three]) assert.equal((await download('a', { of })).status, 404)
})

test('a file has what came with it, also where JSON is odd', async (t) => {
  const { upload, download } = await attaching(t)
  const given = (meta) => upload([file('x'), ['subject', subject], ['id', 'a'], ['meta', meta]])
  refuses(await given(`{"a":${'['.repeat(127)}${']'.repeat(127)}}`), 400, INVALID)
  refuses(await given('{"a":1e400}'), 400, INVALID)
  const answer = await given('{"a":"\\ud83d"}')
  assert.equal(answer.status, 201, answer.text)
  assert.equal((await download('a')).text, 'x')
})

test('an id that was given up has the new bytes, never the old', async (t) => {
  const { w, attach, download, remove } = await attaching(t)
  await attach('a', 'first and longest')
  await remove('a')
  const again = await attach('a', 'second')
  assert.equal((await download('a')).text, 'second')
  assert.equal((await w.get(`${again.streamPath}?offset=-1`)).text, 'second')
  assert.equal(again.sha256, createHash('sha256').update('second').digest('hex'))
})

test('bytes that the manifest has forgotten give way', async (t) => {
  const { w, attachTo } = await attaching(t)
  const agent = await w.working(w.name, 'agent')
  const got = () => w.get(`/_electric/entities${agent.entity}/attachments/a`)
  assert.equal((await attachTo(agent.entity, 'a', 'old')).status, 201)
  await agent.append([{ type: 'manifest', key: 'attachment:a', headers: { operation: 'delete' } }])
  refuses(await got(), 404, 'NOT_FOUND', 'Attachment not found')
  assert.equal((await attachTo(agent.entity, 'a', 'new')).status, 201)
  assert.equal((await got()).text, 'new')
})

test('what an agent says of an attachment counts', async (t) => {
  const { w, attachTo } = await attaching(t)
  const wake = await w.working(w.name, 'agent')
  const path = `/_electric/entities${wake.entity}/attachments`
  const entry = { key: 'attachment:a', kind: 'attachment', id: 'a', streamPath: `${wake.entity}/attachments/a`, status: 'complete', mimeType: 'text/plain' }
  const says = (more, operation = 'upsert') => wake.append([change('manifest', 'attachment:a', { ...entry, ...more }, operation)])
  await says({})
  refuses(await w.get(`${path}/a`), 404, 'NOT_FOUND', 'Attachment not found')
  assert.equal((await attachTo(wake.entity, 'a', 'hello')).status, 201)
  await says({ mimeType: 'image/gif', filename: 'ü' })
  const got = await w.get(`${path}/a`)
  assert.deepEqual([got.text, got.headers['content-type']], ['hello', 'image/gif'])
  for (const status of ['pending', 'failed', undefined]) {
    await says({ status, streamPath: '/elsewhere' })
    refuses(await w.get(`${path}/a`), 409, INVALID, 'Attachment is not complete')
  }
  await says({ streamPath: `/${w.name}/e/attachments/a` })
  const astray = 'Attachment stream path does not match its entity and id'
  refuses(await w.get(`${path}/a`), 409, INVALID, astray)
  refuses(await w.delete(`${path}/a`), 409, INVALID, astray)
  await says({ kind: 'effect' })
  refuses(await w.get(`${path}/a`), 404, 'NOT_FOUND', 'Attachment not found')
  await says({ mimeType: 'text/plain\r\nx: y' })
  const odd = await w.get(`${path}/a`)
  assert.deepEqual([odd.headers['content-type'], odd.headers.x], ['application/octet-stream', undefined])
})

test('attachments outlive the end of their entity', async (t) => {
  const { w, url, attach, download, remove } = await attaching(t)
  await attach('a', 'x')
  await w.delete(`/_electric/entities${url}`)
  assert.equal((await download('a')).text, 'x')
  refuses(await remove('a'), 409, 'NOT_RUNNING')
})

test('the stream of an attachment is nobody’s but its entity’s', async (t) => {
  const { w, url, attach, download } = await attaching(t, { as: 'user:alice' })
  const { streamPath } = await attach('a', 'x')
  const get = (path, as) => w.get(`${path}?offset=-1`, { as })
  assert.equal((await get(streamPath, 'user:alice')).text, 'x')
  assert.equal((await get(streamPath, eve)).status, 401)
  assert.equal((await w.head(streamPath, { as: eve })).status, 401)
  for (const as of ['user:alice', eve]) {
    for (const path of [streamPath, `${url}/attachments/new`, `/${w.name}/later/attachments/a`]) {
      const what = `${as} ${path}`
      assert.equal((await w.put(path, '', { as, headers: { 'content-type': 'text/plain' } })).status, 401, what)
      refuses(await w.post(path, 'y', { as, headers: { 'content-type': 'text/plain' } }), 401, 'UNAUTHORIZED', 'Invalid write token')
      assert.equal((await w.delete(path, { as })).status, 401, what)
    }
  }
  const fork = await w.put(`/plain/${w.name}`, '', { as: eve, headers: { 'content-type': 'text/plain', 'stream-forked-from': streamPath } })
  assert.equal(fork.status, 401)
  assert.equal((await download('a', { as: 'user:alice' })).text, 'x')
})

test('who may read an entity may read its files, who may write may attach them', async (t) => {
  const { upload, download, remove } = await attaching(t, { as: 'user:alice' })
  for (const [as, status] of [['user:alice', 201], ['system:framework', 201], ['user:bob', 401]]) {
    const answer = await upload([file(), ['subject', subject], ['id', 'a']], { as })
    assert.equal(answer.status, status, answer.text)
    if (status === 201) assert.equal(answer.json.attachment.createdBy, `/principal/${encodeURIComponent(as)}`)
    assert.equal((await download('a', { as })).status, status === 201 ? 200 : 401)
    assert.equal((await remove('a', { as })).status, status === 201 ? 200 : 401)
  }
})

test('an attachment wakes the agent, and whoever names the manifest', async (t) => {
  const w = await world(t)
  const hook = await w.hook()
  const { url, attach, remove } = await attaching(t, { w, spawn: { dispatch_policy: hook.policy } })
  const { url: named } = await w.spawn(w.name, 'named')
  const { url: open } = await w.spawn(w.name, 'open')
  await w.observe(named, url, { on: 'change', collections: ['manifest'] })
  await w.observe(open, url, { on: 'change' })
  await attach('a', 'x')
  await remove('a')
  assert.equal((await w.woken(hook)).entity, url)
  const changes = async (of) => (await w.events(of, 'wake')).flatMap((row) => row.value.changes)
  assert.deepEqual((await changes(named)).map(({ key }) => key), ['attachment:a', 'attachment:a'])
  assert.deepEqual(await changes(open), [])
})

test('a file of 25 MiB is not too large, and with a byte more it is', async (t) => {
  const { w, url, upload, download, path } = await attaching(t)
  const most = 25 << 20
  const sized = (bytes, id, options) => upload([file(Buffer.alloc(bytes, 'x')), ['subject', subject], ['id', id]], options)
  const large = 'Attachment exceeds maximum size of 26214400 bytes'
  assert.equal((await sized(most, 'most')).status, 201)
  assert.equal((await download('most')).bytes.length, most)
  refuses(await sized(most + 1, 'more'), 413, INVALID, large)
  refuses(await sized(most + 1, 'more', { as: eve }), 401, 'UNAUTHORIZED', `Principal is not allowed to write ${url}`)
  // What is larger than any form could be is refused by its head, before anybody looks at who sends it.
  const head = `POST ${path()} HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: ${most + (1 << 20)}\r\n\r\n`
  assert.equal((await raw(w.url, head)).status, 413)
})
