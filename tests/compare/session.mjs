// What is said to every host. Each line begins with the status that it must have.
//
// A session is one story: what a chapter makes is there in the next. Nothing in it depends on how long a thing takes,
// but for the webhook, which waits for its receiver.
const types = '/_electric/entity-types'
const entities = '/_electric/entities'
const runners = '/_electric/runners'
const json = { 'content-type': 'application/json' }
const plain = { 'content-type': 'text/plain' }
const closing = { 'stream-closed': 'true' }
const users = { subject_kind: 'principal_kind', subject_value: 'user', permission: 'spawn' }
const carol = { subject_kind: 'principal', subject_value: '/principal/user%3Acarol', permission: 'read' }
const as = (principal) => ({ 'electric-principal': principal })
const bearer = (token) => ({ authorization: `Bearer ${token}` })
const producer = (id, epoch, seq) => ({ 'producer-id': id, 'producer-epoch': `${epoch}`, 'producer-seq': `${seq}` })
const event = (type, key, value, operation = 'insert') => ({ type, key, value, headers: { operation } })
const runnerPolicy = { targets: [{ type: 'runner', runnerId: 'laptop' }] }

/** A form with a file. */
function form(fields, file, type) {
  const part = (head, value) => `--b\r\nContent-Disposition: form-data; name=${head}\r\n\r\n${value}\r\n`
  const texts = Object.entries(fields).map(([name, value]) => part(name, value))
  return `${texts.join('')}${part(`file; filename="\u00fc.txt"\r\nContent-Type: ${type}`, file)}--b--\r\n`
}

/** The calls of an agent that has been notified. */
function agent(s, notified) {
  const path = new URL(notified.callback).pathname
  const call = (status, body, token = notified.claimToken) => s.say(status, 'POST', path, body, bearer(token))
  return {
    call,
    claim: () => call(200, { epoch: notified.epoch, wakeId: notified.wakeId }),
    done: (offset) => call(200, { epoch: notified.epoch, acks: [{ path: notified.streamPath, offset }], done: true }),
  }
}

export const chapters = {
  async 'the server itself'(s) {
    await s.say(200, 'GET', '/')
    await s.say(200, 'GET', '/_electric/health')
    await s.say(200, 'GET', '/__ds/jwks.json')
    await s.say(204, 'OPTIONS', entities, undefined, { origin: 'http://a.example', 'access-control-request-method': 'PUT' })
    await s.say(200, 'GET', entities, undefined, { origin: 'http://a.example' })
    await s.say(404, 'GET', '/_electric/nothing')
    await s.say(404, 'GET', '/__ds/nothing')
    await s.say(405, 'PATCH', '/some/stream', '[]')
  },

  async types(s) {
    await s.say(201, 'POST', types, { name: 'task', description: 'A task', permission_grants: [users] })
    await s.say(201, 'POST', types, {
      name: 'note',
      description: 'Größe 1.50, 😀',
      creation_schema: { type: 'object', properties: { n: { type: 'number', maximum: 1e21 } } },
      state_schemas: {},
      slash_commands: [{ name: 'go', arguments: [{ name: 'to', type: 'string', required: true }] }],
    })
    await s.advance(1_500)
    await s.say(201, 'POST', types, { name: 'note', description: 'Again' })
    await s.say(201, 'POST', types, { name: 'gone', description: 'Soon' })
    await s.say(204, 'DELETE', `${types}/gone`)
    await s.say(200, 'GET', types)
    await s.say(200, 'GET', `${types}/task`)
    await s.say(404, 'GET', `${types}/gone`)
    await s.say(400, 'POST', types, { description: 'no name' })
    await s.say(400, 'POST', types, { name: 5, description: [], extra: true })
    await s.say(400, 'POST', types, '{"name":')
    await s.say(400, 'POST', types, { name: '_mine', description: 'x' })
    const bob = { subject_kind: 'principal', subject_value: '/principal/user%3Abob', permission: 'manage', expires_at: '2999-01-01' }
    await s.say(201, 'POST', types, { name: 'granted', description: 'x', permission_grants: [bob] })
    await s.say(200, 'GET', `${types}/granted/grants`, undefined, as('user:bob'))
    await s.say(401, 'POST', `${types}/granted/grants`, users, as('user:alice'))
    await s.say(201, 'POST', `${types}/granted/grants`, users, as('user:bob'))
    await s.say(404, 'DELETE', `${types}/granted/grants/999999`, undefined, as('user:bob'))
    await s.say(200, 'GET', types, undefined, as('user:carol'))
  },

  async entities(s) {
    await s.say(201, 'PUT', `${entities}/task/parent`, { tags: { b: '2', a: '1' }, args: { z: 1, a: [0.1, 1e21, 'ü'] } })
    const wake = { subscriberUrl: '/task/parent', condition: 'runFinished', includeResponse: true }
    await s.say(201, 'PUT', `${entities}/task/child`, { parent: '/task/parent', wake, initialMessage: { do: 'it' } })
    await s.say(201, 'PUT', `${entities}/task/a%20b`, {}, as('user:alice'))
    await s.say(409, 'PUT', `${entities}/task/parent`, {})
    await s.say(404, 'PUT', `${entities}/unknown/x`, {})
    await s.say(404, 'PUT', `${entities}/task/orphan`, { parent: '/task/nobody' })
    await s.say(400, 'PUT', `${entities}/task/bad`, { tags: { a: 1 } })
    await s.say(200, 'GET', `${entities}/task/child`)
    await s.say(200, 'HEAD', `${entities}/task/child`)
    await s.say(404, 'GET', `${entities}/task/nobody`)
    await s.say(401, 'GET', `${entities}/task/parent`, undefined, as('user:bob'))
    await s.say(201, 'POST', `${entities}/task/parent/grants`, { ...carol, propagation: 'descendants' })
    await s.say(200, 'GET', `${entities}/task/parent/grants`)
    await s.say(200, 'GET', `${entities}/task/child`, undefined, as('user:carol'))
    await s.say(200, 'GET', entities, undefined, as('user:carol'))
    await s.say(200, 'GET', `${entities}/principal/user:carol`, undefined, as('user:carol'))
    await s.say(401, 'GET', `${entities}/principal/user:carol`, undefined, as('user:dave'))
    await s.say(401, 'GET', entities, undefined, as('nonsense'))
    await s.advance(1)
    await s.say(201, 'PUT', `${entities}/task/later`, {})
    await s.say(200, 'GET', `${entities}?type=task`)
    await s.say(200, 'GET', `${entities}?parent=/task/parent`)
    await s.say(200, 'GET', '/task/child/main?offset=-1')
  },

  async 'sends, at once and later'(s) {
    const send = `${entities}/task/later/send`
    await s.say(200, 'POST', send, { payload: 'hello' })
    await s.say(200, 'POST', send, { payload: null, key: 'mine', type: 'question', mode: 'queued' })
    await s.say(200, 'POST', send, '{ "payload" : {"n":[1.0,1e3,12345678901234567890,0.1e-7],"s":"\\u00fc\\ud83d\\ude00"} }', json)
    await s.say(401, 'POST', send, { payload: 1 }, as('user:alice'))
    await s.say(400, 'POST', send, {})
    await s.say(400, 'POST', send, { payload: 1, from: '/principal/user%3Amallory' })
    await s.say(204, 'POST', send, { payload: 'in a minute', afterMs: 60_000 })
    await s.say(204, 'POST', send, { payload: 'in two', afterMs: 120_000, mode: 'queued', key: 'two' })
    await s.advance(59_999)
    await s.say(200, 'GET', '/task/later/main?offset=-1')
    await s.advance(1)
    await s.say(200, 'GET', '/task/later/main?offset=-1')
    await s.advance(3_600_000)
    await s.say(200, 'GET', '/task/later/main?offset=-1')
  },

  async streams(s) {
    await s.say(201, 'PUT', '/plain/a', undefined, json)
    await s.say(200, 'PUT', '/plain/a', undefined, json)
    await s.say(409, 'PUT', '/plain/a', undefined, plain)
    const { headers } = await s.say(204, 'POST', '/plain/a', [{ n: 1 }, { headers: { operation: 'insert' } }])
    await s.say(204, 'POST', '/plain/a', '{ "spaced" : 1.0 }', json)
    await s.say(400, 'POST', '/plain/a', '[]', json)
    await s.say(400, 'POST', '/plain/a', '{', json)
    await s.say(409, 'POST', '/plain/a', 'text', plain)
    await s.say(404, 'POST', '/plain/none', [1])
    const { headers: tag } = await s.say(200, 'GET', '/plain/a?offset=-1')
    await s.say(304, 'GET', '/plain/a?offset=-1', undefined, { 'if-none-match': tag.etag })
    await s.say(200, 'GET', `/plain/a?offset=${headers['stream-next-offset']}`)
    await s.say(200, 'GET', '/plain/a?offset=now')
    await s.say(400, 'GET', '/plain/a?offset=nonsense')
    await s.say(400, 'GET', '/plain/a?offset=-1&live=sometimes')
    await s.say(200, 'HEAD', '/plain/a')
    await s.say(404, 'HEAD', '/plain/none')
    await s.say(201, 'PUT', '/plain/text', 'first ', plain)
    await s.say(204, 'POST', '/plain/text', 'second ü', { ...plain, 'stream-seq': '2' })
    await s.say(409, 'POST', '/plain/text', 'late', { ...plain, 'stream-seq': '1' })
    await s.say(204, 'POST', '/plain/text', undefined, closing)
    await s.say(409, 'POST', '/plain/text', 'too late', plain)
    await s.say(200, 'GET', '/plain/text?offset=-1')
    await s.say(204, 'DELETE', '/plain/text')
    await s.say(404, 'GET', '/plain/text?offset=-1')
  },

  async producers(s) {
    const append = (status, epoch, seq, more) => s.say(status, 'POST', '/plain/p', [`${epoch}.${seq}`], { ...producer('p', epoch, seq), ...more })
    await s.say(201, 'PUT', '/plain/p', undefined, json)
    await append(200, 0, 0)
    await append(204, 0, 0)
    await append(200, 0, 1)
    await append(409, 0, 5)
    await append(400, 1, 1)
    await append(200, 1, 0)
    await append(403, 0, 2)
    await s.say(400, 'POST', '/plain/p', [1], { 'producer-id': 'p' })
    await append(200, 1, 1, closing)
    await append(204, 1, 1, closing)
    await append(409, 1, 2)
    await s.say(200, 'GET', '/plain/p?offset=-1')
  },

  async 'live reads'(s) {
    await s.say(201, 'PUT', '/plain/live', ['first'])
    const { headers } = await s.say(200, 'GET', '/plain/live?offset=-1&live=long-poll')
    const followed = await s.follow('/plain/live?offset=-1&live=sse')
    for (let n = 0; n < 2; n++) await followed.next()
    const polled = s.say(200, 'GET', `/plain/live?offset=${headers['stream-next-offset']}&live=long-poll`)
    await s.settle()
    await s.say(204, 'POST', '/plain/live', [{ n: 2 }, 'three'])
    await polled
    for (let n = 0; n < 2; n++) await followed.next()
    const waited = s.say(204, 'GET', '/plain/live?offset=now&live=long-poll')
    await s.settle()
    await s.advance(30_000)
    await waited
    await s.say(204, 'POST', '/plain/live', ['last'], closing)
    for (let n = 0; n < 3; n++) await followed.next()
    await s.say(200, 'GET', '/plain/live?offset=-1&live=sse')
    await s.say(204, 'GET', '/plain/live?offset=now&live=long-poll')
    await s.say(201, 'PUT', '/plain/bytes', Buffer.from([0, 255, 10, 65]), { 'content-type': 'application/octet-stream', ...closing })
    await s.say(200, 'GET', '/plain/bytes?offset=-1&live=sse')
  },

  async 'how long streams live'(s) {
    const ttl = { 'stream-ttl': '60' }
    const made = await s.say(201, 'PUT', '/plain/ttl', '["a"]', { ...json, ...ttl })
    await s.say(200, 'PUT', '/plain/ttl', undefined, { ...json, ...ttl })
    await s.say(409, 'PUT', '/plain/ttl', undefined, json)
    await s.say(200, 'HEAD', '/plain/ttl')
    for (const bad of ['060', '-1', '1e3']) await s.say(400, 'PUT', '/plain/bad', undefined, { 'stream-ttl': bad })
    await s.say(400, 'PUT', '/plain/bad', undefined, { 'stream-expires-at': 'soon' })
    const moment = { 'stream-expires-at': '2100-01-01T00:00:00.5+02:00' }
    await s.say(201, 'PUT', '/plain/moment', '["a"]', { ...json, ...moment })
    await s.say(200, 'HEAD', '/plain/moment')
    await s.advance(30_000)
    await s.say(200, 'GET', '/plain/ttl?offset=-1')
    await s.settle()
    await s.advance(45_000)
    await s.say(204, 'POST', '/plain/ttl', ['b'])
    const polled = s.say(404, 'GET', '/plain/ttl?offset=now&live=long-poll')
    await s.settle()
    await s.say(201, 'PUT', '/plain/ttl-fork', undefined, { 'stream-forked-from': '/plain/ttl', 'stream-fork-offset': made.headers['stream-next-offset'], 'stream-ttl': '600' })
    await s.advance(70_000)
    await polled
    await s.say(410, 'GET', '/plain/ttl?offset=-1')
    await s.say(200, 'GET', '/plain/ttl-fork?offset=-1')
    await s.advance(700_000)
    await s.say(404, 'GET', '/plain/ttl?offset=-1')
    await s.say(201, 'PUT', '/plain/ttl', undefined, { ...json, 'stream-ttl': '0' })
    await s.say(404, 'GET', '/plain/ttl?offset=-1')
  },

  async forks(s) {
    const of = (source, offset, sub) => ({
      'stream-forked-from': source,
      ...(offset && { 'stream-fork-offset': offset }),
      ...(sub && { 'stream-fork-sub-offset': `${sub}` }),
    })
    const first = (await s.say(201, 'PUT', '/plain/source', [event('note', 'a', 1)])).headers['stream-next-offset']
    await s.say(204, 'POST', '/plain/source', '[{"a":1,"b":12345678901234567890}, {"headers":{"operation":"insert"}}, "x,y"]', json)
    await s.say(201, 'PUT', '/plain/fork', undefined, of('/plain/source'))
    await s.say(200, 'PUT', '/plain/fork', undefined, of('/plain/source'))
    await s.say(201, 'PUT', '/plain/early', ['own'], of('/plain/source', first))
    await s.say(201, 'PUT', '/plain/copied', undefined, of('/plain/source', first, 2))
    await s.say(201, 'PUT', '/plain/chain', undefined, of('/plain/copied'))
    await s.say(400, 'PUT', '/plain/far', undefined, of('/plain/source', first, 4))
    await s.say(400, 'PUT', '/plain/far', undefined, of('/plain/source', '9999999999999999_9999999999999999'))
    await s.say(400, 'PUT', '/plain/far', undefined, { 'stream-fork-offset': first })
    await s.say(404, 'PUT', '/plain/far', undefined, of('/plain/nowhere'))
    await s.say(409, 'PUT', '/plain/far', undefined, { ...plain, ...of('/plain/source') })
    await s.say(401, 'PUT', '/plain/far', undefined, { ...of('/task/child/main'), ...as('user:bob') })
    await s.say(204, 'POST', '/plain/chain', ['end'])
    for (const name of ['source', 'fork', 'early', 'copied', 'chain']) await s.say(200, 'GET', `/plain/${name}?offset=-1`)
    await s.say(200, 'GET', `/plain/chain?offset=${first}`)
    await s.say(204, 'DELETE', '/plain/source')
    await s.say(410, 'GET', '/plain/source?offset=-1')
    await s.say(410, 'POST', '/plain/source', ['x'])
    await s.say(409, 'PUT', '/plain/source', ['x'])
    await s.say(409, 'PUT', '/plain/far', undefined, of('/plain/source'))
    await s.say(204, 'DELETE', '/plain/copied')
    await s.say(200, 'GET', '/plain/chain?offset=-1')
    for (const name of ['fork', 'early', 'chain']) await s.say(204, 'DELETE', `/plain/${name}`)
    await s.say(404, 'GET', '/plain/source?offset=-1')
  },

  async 'a long stream, sealed'(s) {
    await s.say(201, 'PUT', '/plain/long', undefined, plain)
    const offsets = []
    for (let n = 0; n < 150; n++) {
      offsets.push((await s.say(204, 'POST', '/plain/long', `${n}: ${'x'.repeat(1_000)}\n`, plain)).headers['stream-next-offset'])
    }
    const fork = { 'stream-forked-from': '/plain/long', 'stream-fork-offset': offsets[70], 'stream-fork-sub-offset': '3' }
    await s.say(201, 'PUT', '/plain/before', undefined, fork)
    await s.advance(10_000)
    await s.say(201, 'PUT', '/plain/after', undefined, fork)
    for (const name of ['long', 'before', 'after']) await s.say(200, 'GET', `/plain/${name}?offset=${offsets[60]}`)
    await s.say(204, 'DELETE', '/plain/long')
    await s.say(200, 'GET', '/plain/after?offset=-1')
    for (const name of ['before', 'after']) await s.say(204, 'DELETE', `/plain/${name}`)
    await s.advance(1)
  },

  async 'a subscription with a webhook'(s) {
    const at = '/__ds/subscriptions/told%20of'
    const body = { type: 'webhook', pattern: 'told/*', streams: ['awaited/stream'], webhook: { url: s.hook.url }, lease_ttl_ms: 5_000, description: 'ü' }
    await s.say(201, 'PUT', '/told/a', [1])
    await s.say(201, 'PUT', at, body)
    await s.say(200, 'PUT', at, body)
    await s.say(409, 'PUT', at, { ...body, description: 'u' })
    await s.say(400, 'PUT', '/__ds/subscriptions/x', {})
    await s.say(400, 'PUT', '/__ds/subscriptions/x', { ...body, webhook: { url: 'http://10.0.0.1' } })
    await s.say(401, 'GET', at, undefined, as('user:bob'))
    await s.say(404, 'GET', '/__ds/subscriptions/x')
    await s.say(405, 'PATCH', at)
    await s.say(204, 'POST', `${at}/streams`, { streams: ['/told/more/'] })
    await s.say(204, 'DELETE', `${at}/streams/told%2Fmore`)
    // What the endpoint answers arrives when it will: an answer that can be seen can be waited for.
    const told = async (status) => {
      const wake = await s.webhook()
      await s.until(at, ({ last_error }) => last_error === `the webhook answered ${status}`)
      return wake
    }
    for (const status of [500, 501, 502]) s.hook.answerOnce({ status })
    await s.say(204, 'POST', '/told/a', [2])
    const wake = await told(500)
    await s.say(200, 'GET', at)
    const callback = (status, wake, more, token = wake.callback_token) =>
      s.say(status, 'POST', `${at}/callback`, { wake_id: wake.wake_id, generation: wake.generation, ...more }, bearer(token))
    await callback(401, wake, {}, 'nonsense')
    await callback(409, wake, { acks: [{ stream: 'told/a', offset: '-1' }] })
    await s.say(201, 'PUT', '/told/b', ['new'])
    await callback(200, wake)
    await callback(200, wake, { acks: wake.streams.map(({ path, tail_offset }) => ({ path, offset: tail_offset })), done: true })
    const next = await told(501)
    await callback(200, next)
    await s.advance(5_000)
    const last = await told(502)
    await callback(409, next)
    await callback(200, last, { acks: last.streams.map(({ path, tail_offset }) => ({ path, offset: tail_offset })), done: true })
    await s.say(200, 'GET', at)
    await s.say(204, 'DELETE', '/told/a')
    await s.say(200, 'GET', at)
    await s.say(204, 'DELETE', at)
    await callback(404, last)
    await s.say(400, 'POST', '/__ds/subscriptions/x/streams', { streams: [''] })
  },

  async 'a subscription that is pulled'(s) {
    const at = '/__ds/subscriptions/pulled'
    const call = (status, verb, body, token) => s.say(status, 'POST', `${at}/${verb}`, body, token ? bearer(token) : {})
    await s.say(201, 'PUT', at, { type: 'pull-wake', streams: ['pull/a', 'pull/b'], wake_stream: 'pull/wakes', lease_ttl_ms: 5_000 })
    await s.say(201, 'PUT', '/pull/a', undefined, json)
    await call(409, 'claim', { worker: 'r1' })
    await call(400, 'claim', {})
    await s.say(204, 'POST', '/pull/a', [1])
    const claimed = (await call(200, 'claim', { worker: 'r1' })).json
    const proof = { wake_id: claimed.wake_id, generation: claimed.generation }
    await call(409, 'claim', { worker: 'r2' })
    await call(401, 'ack', proof)
    await call(409, 'ack', { ...proof, generation: 7 }, claimed.token)
    await call(400, 'ack', { ...proof, acks: [{ stream: 'pull/a' }] }, claimed.token)
    await call(200, 'ack', { ...proof, acks: [{ stream: 'pull/a', offset: claimed.streams[0].tail_offset }] }, claimed.token)
    await s.say(201, 'PUT', '/pull/b', [2])
    await call(204, 'release', proof, claimed.token)
    await s.advance(5_000)
    await s.say(200, 'GET', '/pull/wakes?offset=-1')
    const again = (await call(200, 'claim', { worker: 'r2' })).json
    await s.advance(5_000)
    await call(409, 'ack', { wake_id: again.wake_id, generation: again.generation }, again.token)
    const last = (await call(200, 'claim', { worker: 'r3' })).json
    const acks = last.streams.map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset }))
    await call(200, 'ack', { wake_id: last.wake_id, generation: last.generation, acks, done: true }, last.token)
    await s.say(200, 'GET', '/pull/wakes?offset=-1')
    await s.say(200, 'GET', at)
  },

  async 'new signing keys'(s) {
    const keys = '/_reveille/signing-keys'
    await s.say(200, 'GET', keys)
    await s.say(401, 'POST', keys, {}, as('user:bob'))
    await s.say(201, 'POST', keys, {})
    await s.say(200, 'GET', '/__ds/jwks.json')
    await s.advance(300_000)
    await s.say(200, 'GET', keys)
    await s.advance(600_000)
    await s.say(200, 'GET', '/__ds/jwks.json')
    await s.say(201, 'POST', keys, { at_once: true })
    await s.say(200, 'GET', keys)
  },

  async runners(s) {
    const at = `${runners}/laptop`
    await s.say(201, 'POST', runners, { id: 'laptop', label: 'Laptop', sandbox_profiles: [{ name: 'local', label: 'Local' }] })
    await s.say(403, 'POST', runners, { id: 'laptop', label: 'Mine' }, as('user:bob'))
    await s.say(400, 'POST', runners, { id: 'x' })
    await s.say(200, 'GET', `${at}/health`)
    await s.say(200, 'POST', `${at}/heartbeat`, { lease_ms: 1_000, wake_stream_offset: '-1', diagnostics: { status: 'streaming', reconnect_count: 6, x: 1 } })
    await s.advance(2_600)
    await s.say(200, 'GET', `${at}/health`)
    await s.say(200, 'POST', `${at}/disable`)
    await s.say(409, 'POST', `${at}/claim`, {})
    await s.say(200, 'POST', `${at}/enable`)
    await s.say(204, 'POST', `${at}/claim`, {})
    await s.say(200, 'GET', at)
    await s.say(200, 'GET', runners)
    await s.say(403, 'GET', at, undefined, as('user:bob'))
    await s.say(404, 'GET', `${runners}/nobody`)
  },

  async 'a wake from claim to done'(s) {
    const at = `${runners}/laptop`
    const main = '/task/puller/main'
    await s.say(201, 'PUT', `${entities}/task/puller`, { dispatch_policy: runnerPolicy, initialMessage: 'go' })
    await s.say(201, 'PUT', `${entities}/task/helper`, { parent: '/task/puller', wake: { subscriberUrl: '/task/puller', condition: 'runFinished', includeResponse: true } })
    await s.say(204, 'POST', '/_electric/wake', { subscriberUrl: '/task/parent', sourceUrl: '/task/helper', condition: { on: 'change', collections: ['note'] } })
    await s.say(404, 'POST', '/_electric/wake', { subscriberUrl: '/task/nobody', sourceUrl: '/task/helper', condition: 'runFinished' })
    await s.say(400, 'POST', '/_electric/wake', { subscriberUrl: '/task/parent' })
    const announced = await s.say(200, 'GET', '/runners/laptop/wake?offset=-1')
    const first = (await s.say(200, 'POST', `${at}/claim`, announced.json[0])).json
    await s.say(409, 'POST', `${at}/claim`, announced.json[0])
    const one = agent(s, first)
    await one.call(401, { epoch: 1 }, 'nonsense')
    const { writeToken } = (await one.claim()).json
    await one.call(200, { epoch: 1 })
    await s.say(200, 'GET', `${entities}/task/puller`)
    await s.say(200, 'GET', `${at}/health`)
    await s.say(401, 'POST', main, [event('note', 'n', {})])
    await s.say(400, 'POST', main, '{', { ...json, ...bearer(writeToken) })
    const appended = await s.say(204, 'POST', main, [event('note', 'n', { ü: 0.5 })], bearer(writeToken))
    await s.say(200, 'POST', main, [event('note', 'm', {})], { ...bearer(writeToken), ...producer('p', 0, 0) })
    await s.say(204, 'POST', main, [event('note', 'm', {})], { ...bearer(writeToken), ...producer('p', 0, 0) })
    await one.call(409, { epoch: 1, acks: [{ path: '/no/where', offset: '-1' }], done: true })
    // Not all of it is acknowledged, so there is more to do.
    await one.done(appended.headers['stream-next-offset'])
    await one.call(409, { epoch: 1 })

    // A child's run wakes its parent, which goes to the same runner.
    await s.say(200, 'POST', `${entities}/task/helper/send`, { payload: 'help' })
    const more = await s.say(200, 'GET', `/runners/laptop/wake?offset=${announced.headers['stream-next-offset']}`)
    const helper = more.json.find(({ stream }) => stream === 'task/helper/main')
    const second = (await s.say(200, 'POST', `${at}/claim`, helper)).json
    const two = agent(s, second)
    const token = (await two.claim()).json.writeToken
    const run = [
      event('run', 'r', { status: 'started' }),
      event('text_delta', 'r:0', { run_id: 'r', delta: 'forty-' }),
      event('text_delta', 'r:1', { run_id: 'r', delta: 'two' }),
      event('note', 'n', { seen: true }),
      event('run', 'r', { status: 'completed' }, 'update'),
    ]
    const end = await s.say(204, 'POST', '/task/helper/main', run, bearer(token))
    await two.done(end.headers['stream-next-offset'])
    await s.say(200, 'GET', `${main}?offset=-1`)
    await s.say(200, 'GET', '/task/parent/main?offset=-1')
    await s.say(204, 'POST', '/_electric/wake/unregister', { subscriberUrl: '/task/parent', sourceUrl: '/task/helper' })
    await s.say(400, 'POST', '/_electric/wake/unregister', { subscriberUrl: '/task/parent' })

    // Nobody says done: the lease runs out, and the work is announced again.
    const puller = more.json.find(({ stream }) => stream === 'task/puller/main')
    const third = (await s.say(200, 'POST', `${at}/claim`, puller)).json
    await agent(s, third).claim()
    await s.advance(120_000)
    await s.say(200, 'GET', '/runners/laptop/wake?offset=-1')
    await s.say(404, 'POST', '/_electric/wake-callbacks/w_000000000000000000000000', { epoch: 1 }, bearer('x'))
  },

  async 'a webhook'(s) {
    const policy = { targets: [{ type: 'webhook', url: s.hook.url }] }
    await s.say(201, 'PUT', `${entities}/task/hooked`, { dispatch_policy: policy, tags: { a: 'b' }, args: { n: 1 } }, as('user:alice'))
    await s.say(200, 'POST', `${entities}/task/hooked/send`, { payload: 'hello' })
    const notified = await s.webhook()
    await s.until(`${entities}/task/hooked`, ({ status }) => status === 'running')
    const it = agent(s, notified)
    await it.claim()
    await s.say(200, 'POST', `${entities}/task/hooked/send`, { payload: 'more' })
    await it.done(notified.streams[0].offset)
    const again = await s.webhook()
    await s.until(`${entities}/task/hooked`, ({ status }) => status === 'running')
    await s.say(200, 'GET', `${entities}/task/hooked`)
    await agent(s, again).done(again.streams[0].offset)
  },

  async 'amendments and edits'(s) {
    await s.say(200, 'PATCH', `${types}/note/schemas`, { inbox_schemas: { say: { maximum: 1e21 } } })
    await s.say(409, 'PATCH', `${types}/note/schemas`, { inbox_schemas: { say: {} } })
    await s.say(201, 'PUT', `${entities}/note/edited`, { initialMessage: 1 })
    await s.say(200, 'PATCH', `${entities}/note/edited/inbox/k%C3%BC`, { payload: 1.5, status: 'processed' })
    await s.say(400, 'PATCH', `${entities}/note/edited/inbox/k`, {})
    await s.say(200, 'DELETE', `${entities}/note/edited/inbox/k%C3%BC`)
    await s.say(200, 'GET', '/note/edited/main?offset=-1')
  },

  async attachments(s) {
    const at = `${entities}/note/edited/attachments`
    const upload = (status, id, file, type = 'text/plain') =>
      s.say(status, 'POST', at, form({ id, subject: '{"type":"inbox","key":"m"}' }, file, type), { 'content-type': 'multipart/form-data; boundary=b' })
    await upload(201, 'a b', 'hello')
    await upload(409, 'a b', 'other')
    await upload(201, 'json', '{"a":1.0}', 'application/json')
    await upload(201, 'empty', '')
    await upload(201, 'large', 'x'.repeat(1_500_000))
    await upload(400, '.a', 'x')
    await s.say(400, 'POST', at, '{}', json)
    for (const id of ['a%20b', 'json', 'empty', 'large']) await s.say(200, 'GET', `${at}/${id}`)
    await s.say(200, 'GET', '/note/edited/attachments/a%20b?offset=-1')
    await s.say(401, 'DELETE', '/note/edited/attachments/a%20b')
    for (const id of ['a%20b', 'large']) await s.say(200, 'DELETE', `${at}/${id}`)
    await s.say(404, 'GET', `${at}/a%20b`)
    await upload(201, 'a b', 'again')
    await s.say(200, 'GET', `${at}/a%20b`)
    await s.say(200, 'GET', '/note/edited/main?offset=-1')
  },

  async sandboxes(s) {
    await s.say(201, 'POST', runners, { id: 'cloud', label: 'Cloud', sandbox_profiles: [{ name: 'vm', remote: true }] })
    await s.say(201, 'PUT', `${entities}/note/boxed`, { sandbox: { profile: 'vm', key: 'k' } })
    await s.say(201, 'PUT', `${entities}/note/shares`, { parent: '/note/boxed', sandbox: { inherit: true } })
    await s.say(400, 'PUT', `${entities}/note/refused`, { sandbox: { profile: 'local', key: 'k' } })
    await s.say(400, 'PUT', `${entities}/note/refused`, { sandbox: { profile: 'none' } })
    await s.say(201, 'POST', runners, { id: 'cloud', label: 'Cloud', sandbox_profiles: [] })
    await s.say(400, 'PUT', `${entities}/note/refused`, { sandbox: { profile: 'vm' } })
  },

  async 'signals and the end'(s) {
    const signal = (status, id, name, more) => s.say(status, 'POST', `${entities}/task/${id}/signal`, { signal: name, ...more })
    await signal(200, 'later', 'SIGUSR', { reason: 'because', payload: [1.5] })
    await signal(200, 'later', 'SIGSTOP')
    await s.say(200, 'POST', `${entities}/task/later/send`, { payload: 'parked', mode: 'paused' })
    await signal(200, 'later', 'SIGCONT')
    await signal(200, 'later', 'SIGTERM')
    await signal(409, 'later', 'SIGCONT')
    await signal(400, 'child', 'SIGWINCH')
    await s.say(200, 'GET', '/task/later/main?offset=-1')
    await s.say(200, 'DELETE', `${entities}/task/parent`)
    await s.say(409, 'DELETE', `${entities}/task/parent`)
    await s.say(409, 'POST', `${entities}/task/parent/send`, { payload: 1 })
    await s.say(404, 'DELETE', `${entities}/task/nobody`)
    await s.say(200, 'GET', `${entities}?status=killed`)
    await s.say(200, 'GET', '/task/parent/main?offset=-1')
    await s.say(204, 'DELETE', `${types}/task`)
    await s.say(404, 'PUT', `${entities}/task/more`, {})
    await s.say(200, 'GET', `${entities}?type=task`)
  },

  // At the very end: after it a host may count its virtual ids anew.
  async 'a panic'(s) {
    await s.say(500, 'POST', '/_reveille/dev/panic')
    await s.say(200, 'GET', `${types}/note`)
  },
}
