// `POST …/attachments`, `GET` and `DELETE …/attachments/{attachment}` (control plane, section 10.9). Refusals stand in the
// order of the checks. Bodies are forms: a field is a text, or a file's bytes, name and type.
import assert from 'node:assert/strict'

import { alice, ended, entities, locked, nowhere, principals, stranger } from '../../harness/entity-route.mjs'
import { ISO, UUID } from '../../harness/like.mjs'
import { INVALID, route } from '../../harness/route.mjs'

const headers = { 'content-type': 'multipart/form-data; boundary=b' }
const subject = '{"type":"inbox","key":"m1"}'
const file = ['hello', 'f.txt', 'text/plain']
const sha256 = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'
const noForm = 'Invalid multipart form data'
const noId = 'attachment id must not be empty, start with ".", or contain forward slashes'
const notFound = [404, 'NOT_FOUND', 'Attachment not found']

function form(fields) {
  if (typeof fields !== 'object') return fields
  const given = Object.entries(fields).filter(([, value]) => value !== undefined)
  const parts = given.map(([name, value]) => {
    if (!Array.isArray(value)) return `name="${name}"\r\n\r\n${value}`
    const [bytes, filename, type] = value
    return `name="${name}"; filename="${filename}"\r\nContent-Type: ${type}\r\n\r\n${bytes}`
  })
  return `${parts.map((part) => `--b\r\nContent-Disposition: form-data; ${part}\r\n`).join('')}--b--\r\n`
}

/** An entity of alice's with a file. */
async function attached(w) {
  const scene = await entities(w)
  const body = form({ file, subject, id: 'taken' })
  const answer = await w.post(`/_electric/entities/${scene.type}/e/attachments`, body, { headers, as: alice })
  assert.equal(answer.status, 201, answer.text)
  return { ...scene, attachment: 'taken' }
}

const entry = {
  key: 'attachment:a', kind: 'attachment', id: 'a', streamPath: '/{type}/e/attachments/a', status: 'complete',
  subject: { type: 'inbox', key: 'm1' }, role: 'input', mimeType: 'text/plain', filename: 'f.txt', byteLength: 5, sha256,
  createdAt: ISO, createdBy: '/principal/user%3Aalice',
}

route('POST /_electric/entities/{type}/{id}/attachments', {
  scene: attached,
  encode: form,
  asks: { by: alice, headers, body: { file, subject, id: 'a' } },
  refusals: [
    ...nowhere(),
    stranger('write'),
    principals('given attachments'),
    ['another content type', { headers: { 'content-type': 'application/json' } }, 400, INVALID, 'Attachment uploads must use multipart/form-data'],
    ['a form without boundary', { headers: { 'content-type': 'multipart/form-data' } }, 400, INVALID, noForm],
    ['another boundary', { headers: { 'content-type': 'multipart/form-data; boundary=c' } }, 400, INVALID, noForm],
    ['a form that is cut off', { body: form({ file, subject }).slice(0, 80) }, 400, INVALID, noForm],
    ['nothing', { body: '' }, 400, INVALID, noForm],
    ['no file', { body: { file: undefined } }, 400, INVALID, 'Missing file field'],
    ['a file that is text', { body: { file: 'x' } }, 400, INVALID, 'Missing file field'],
    ['a field that is too long', { body: { x: 'x'.repeat(262_144) } }, 400, INVALID, 'the fields beside the file of an attachment may be 262144 bytes long at most'],
    ['a role that is none', { body: { role: 'throughput' } }, 400, INVALID, 'invalid attachment role'],
    ['meta that is no JSON', { body: { meta: '{' } }, 400, INVALID, 'Invalid JSON field: meta'],
    ['meta that is too deep', { body: { meta: `{"a":${'['.repeat(200)}${']'.repeat(200)}}` } }, 400, INVALID, 'Invalid JSON field: meta'],
    ['meta that is a list', { body: { meta: '[]' } }, 400, INVALID, 'attachment meta must be an object'],
    ['a subject that is no JSON', { body: { subject: '{' } }, 400, INVALID, 'Invalid JSON field: subject'],
    ['a subject that is no object', { body: { subject: '"m1"' } }, 400, INVALID, 'attachment subject must be an object'],
    ['a subject without type', { body: { subject: '{"key":"k"}' } }, 400, INVALID, 'attachment subject requires type and key'],
    ['a subject whose key is no text', { body: { subject: '{"type":"nothing","key":1}' } }, 400, INVALID, 'attachment subject requires type and key'],
    ['a subject of another type', { body: { subject: '{"type":"signal","key":"k"}' } }, 400, INVALID, 'invalid attachment subject type'],
    ['a subject of another type, in fields', { body: { subject: undefined, subjectType: 'signal', subjectKey: 'k' } }, 400, INVALID, 'invalid attachment subject type'],
    ['no subject', { body: { subject: undefined } }, 400, INVALID, 'attachment subject is required'],
    ['half a subject', { body: { subject: undefined, subjectType: 'run' } }, 400, INVALID, 'attachment subject is required'],
    ...ended,
    locked,
    ['an id that begins with a dot', { body: { id: '.a' } }, 400, INVALID, noId],
    ['an id with a slash', { body: { id: 'a/b' } }, 400, INVALID, noId],
    ['an id that is too long', { body: { id: 'x'.repeat(256) } }, 400, INVALID, /at most 255 bytes/],
    ['a subject without key', { body: { subject: '{"type":"run","key":" "}' } }, 400, INVALID, 'attachment subject key is required'],
    ['a type that is too long', { body: { mimeType: 'x'.repeat(1_025) } }, 400, INVALID, 'the mimeType of an attachment may be 1024 bytes long at most'],
    ['a name that is too long', { body: { filename: 'x'.repeat(256) } }, 400, INVALID, 'the filename of an attachment may be 255 bytes long at most'],
    ['an id that is taken', { body: { id: 'taken' } }, 409, INVALID, 'Attachment already exists at id "taken"'],
    ['an id that is taken, of another type', { body: { id: 'taken', mimeType: 'image/png' } }, 409, INVALID, 'Attachment already exists at id "taken"'],
  ],
  answers: [
    ['a file', {}, 201, { txid: UUID, attachment: entry }],
    [
      'a file with all that may be said of it', { body: { id: ' b ', role: 'output', mimeType: 'image/png', filename: 'ü.png', meta: '{"n":1}', subject: undefined, subjectType: 'tool_call', subjectKey: 't' } }, 201,
      { txid: UUID, attachment: { ...entry, key: 'attachment:b', id: 'b', streamPath: '/{type}/e/attachments/b', role: 'output', mimeType: 'image/png', filename: 'ü.png', meta: { n: 1 }, subject: { type: 'tool_call', key: 't' } } },
    ],
    [
      'an id that is blank, and meta that is null', { body: { id: ' ', meta: 'null' } }, 201,
      { txid: UUID, attachment: { ...entry, id: UUID, key: /^attachment:/, streamPath: /\/e\/attachments\// } },
    ],
  ],
})

route('GET /_electric/entities/{type}/{id}/attachments/{attachment}', {
  scene: attached,
  asks: { by: alice },
  refusals: [
    ...nowhere('attachment'),
    stranger('read'),
    ['an id that begins with a dot', { attachment: '.a' }, 400, INVALID, noId],
    ['an id with a slash', { attachment: 'a%2Fb' }, 400, INVALID, noId],
    ['a file that is not there', { attachment: 'none' }, ...notFound],
    ['a file of another entity', { id: 'killed' }, ...notFound],
  ],
  answers: [['a file', {}, 200, 'hello', ({ headers }) => {
    assert.equal(headers['content-type'], 'text/plain')
    assert.equal(headers['content-length'], '5')
    assert.equal(headers['cache-control'], 'private, max-age=31536000, immutable')
    assert.equal(headers['content-disposition'], `attachment; filename="f.txt"; filename*=UTF-8''f.txt`)
  }]],
})

route('DELETE /_electric/entities/{type}/{id}/attachments/{attachment}', {
  scene: attached,
  asks: { by: alice },
  refusals: [
    ...nowhere('attachment'),
    stranger('write'),
    principals('stripped of attachments'),
    ...ended,
    locked,
    ['an id that begins with a dot', { attachment: '.a' }, 400, INVALID, noId],
    ['an id with a slash', { attachment: 'a%2Fb' }, 400, INVALID, noId],
    ['a file that is not there', { attachment: 'none' }, ...notFound],
  ],
  answers: [['a file', {}, 200, { txid: UUID }]],
})
