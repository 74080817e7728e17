// One command, one transaction: a spawn refused at any step leaves no row, no stream and no timer, and does not
// stand in the way of the spawn that follows it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { refused } from '../harness/refused.mjs'
import { run, world } from '../harness/world.mjs'

// Each row: what is wrong, the request, and how it is refused. `w` has a type, a parent of alice's and her runner.
const deep = (n) => '['.repeat(n) + ']'.repeat(n)
const refusals = [
  ['the type is unknown', { type: 'no-such-type' }, 404, 'UNKNOWN_ENTITY_TYPE', 'Entity type "no-such-type" not found'],
  ['the body is not JSON', { body: '{"args":' }, 400, 'INVALID_REQUEST', 'Invalid JSON body'],
  ['the body is nested too deeply', { body: `{"args":{"a":${deep(200)}}}` }, 400, 'INVALID_REQUEST'],
  ['args are no object', { body: { args: 5 } }, 400, 'INVALID_REQUEST', 'Request body does not match API schema'],
  ['a tag is no string', { body: { tags: { a: 1 } } }, 400, 'INVALID_REQUEST', 'Request body does not match API schema'],
  ['the wake is incomplete', { body: { wake: { condition: 'runFinished' } } }, 400, 'INVALID_REQUEST', 'Request body does not match API schema'],
  ['the policy has two targets', { body: { dispatch_policy: { targets: [1, 2] } } }, 400, 'INVALID_REQUEST', 'Request body does not match API schema'],
  ['the parent is unknown', { body: { parent: '/no/parent' } }, 404, 'NOT_FOUND', 'Parent entity not found'],
  ['the parent is another’s', { as: 'user:bob', body: (w) => ({ parent: w.parent }) }, 401, 'UNAUTHORIZED', (w) => `Principal is not allowed to spawn children from ${w.parent}`],
  ['the runner is unknown', { body: { dispatch_policy: { targets: [{ type: 'runner', runnerId: 'nobody' }] } } }, 404, 'NOT_FOUND', 'Runner "nobody" not found'],
  ['the runner is another’s', { as: 'user:bob', body: (w) => ({ dispatch_policy: { targets: [{ type: 'runner', runnerId: w.name }] } }) }, 403, 'UNAUTHORIZED', 'Runner dispatch requires the authenticated owner'],
  ['args do not fit the schema', { body: { args: { topic: 5 } } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
  ['the wake is for another’s entity', { as: 'user:bob', body: (w) => ({ wake: { subscriberUrl: w.parent, condition: 'runFinished' } }) }, 401, 'UNAUTHORIZED', (w) => `Principal is not allowed to write ${w.parent}`],
  ['the message is of no known type', { body: { initialMessage: 'x', initialMessageType: 'nope' } }, 422, 'UNKNOWN_MESSAGE_TYPE', 'Unknown message type "nope"'],
  ['the message does not fit its schema', { body: { initialMessage: 'x', initialMessageType: 'question' } }, 422, 'SCHEMA_VALIDATION_FAILED', 'Validation failed'],
]

for (const [what, request, status, code, message] of refusals) {
  test(`a spawn is refused without a trace: ${what}`, async (t) => {
    const w = await world(t)
    await w.type({
      creation_schema: { type: 'object', properties: { topic: { type: 'string' } } },
      inbox_schemas: { question: { type: 'object', required: ['text'] } },
    })
    w.parent = (await w.spawn(w.name, 'parent', {}, { as: 'user:alice' })).url
    await w.runner(w.name, { as: 'user:alice' })

    const url = `/${request.type ?? w.name}/e`
    const body = typeof request.body === 'function' ? request.body(w) : request.body
    const refused = await w.put(`/_electric/entities${url}`, body ?? {}, { as: request.as })
    assert.equal(refused.status, status, refused.text)
    assert.equal(refused.json.error.code, code)
    if (message) assert.equal(refused.json.error.message, typeof message === 'function' ? message(w) : message)

    assert.equal((await w.get(`/_electric/entities${url}`)).status, 404)
    assert.equal((await w.head(`${url}/main`)).status, 404)

    if (request.type) return
    const { txid } = await w.spawn(w.name, 'e', { args: { topic: 'x' }, initialMessage: { text: 'hi' }, initialMessageType: 'question' })
    assert.ok(txid > 0)
    assert.deepEqual((await w.events(url)).map((event) => event.type), ['entity_created', 'inbox'])
  })
}

test('who finds its URL taken is told by whom', async (t) => {
  const w = await world(t)
  await w.type()
  const { url, type, streams } = await w.spawn(w.name, 'e')
  const again = await w.put(`/_electric/entities${url}`, {})
  assert.equal(again.status, 409, again.text)
  assert.deepEqual(again.json.error, {
    code: 'DUPLICATE_URL', message: `Entity already exists at URL "${url}"`, details: { entity: { url, type, streams } },
  })
})

test('a stream that stands where an entity’s would stand refuses the spawn, and stays as it was', async (t) => {
  const w = await world(t)
  await w.type()
  const parent = await w.spawn(w.name, 'parent')
  const wake = { subscriberUrl: parent.url, condition: 'runFinished' }
  for (const [id, headers, body] of [['json', { 'content-type': 'application/json' }, '[{"mine":1}]'], ['text', { 'content-type': 'text/plain' }, 'mine']]) {
    const [url, path] = [`/${w.name}/${id}`, `/${w.name}/${id}/main`]
    assert.equal((await w.http('PUT', path, { headers, body, as: 'user:bob' })).status, 201)
    const refused = await w.put(`/_electric/entities${url}`, { parent: parent.url, wake, initialMessage: 1 })
    assert.equal(refused.status, 409, refused.text)
    assert.equal(refused.json.error.code, 'DUPLICATE_URL')
    assert.equal((await w.get(`/_electric/entities${url}`)).status, 404)
    assert.equal((await w.get(`${path}?offset=-1`, { as: 'user:bob' })).text, body)
    assert.equal((await w.delete(path, { as: 'user:bob' })).status, 204)
  }
  assert.deepEqual((await w.events(parent.url)).map((event) => event.type), ['entity_created'], 'nobody is woken, nothing is told')
})

test('a refused spawn registers no wake', async (t) => {
  const w = await world(t)
  await w.type({ inbox_schemas: {} })
  const parent = await w.spawn(w.name, 'parent')
  const wake = { subscriberUrl: parent.url, condition: 'runFinished' }
  const refused = await w.put(`/_electric/entities/${w.name}/child`, { wake, initialMessage: 1, initialMessageType: 'nope' })
  assert.equal(refused.status, 422)
  const work = await w.working(w.name, 'child', { parent: parent.url })
  await work.append(run('run-0', 'done'))
  assert.deepEqual(await w.events(parent.url, 'wake'), [])
})

test('a duplicate spawn keeps the first wake and adds none', async (t) => {
  const w = await world(t)
  await w.type()
  const parent = await w.spawn(w.name, 'parent')
  const work = await w.working(w.name, 'child', { parent: parent.url })
  const wake = { subscriberUrl: parent.url, condition: 'runFinished' }
  assert.equal((await w.put(`/_electric/entities/${w.name}/child`, { wake })).status, 409)
  await work.append(run('run-0', 'done'))
  assert.deepEqual(await w.events(parent.url, 'wake'), [])
})

test('nobody is born below who stops or has stopped, by a spawn or a fork, and below who is paused they are', async (t) => {
  const w = await world(t)
  await w.type()
  const other = await w.spawn(w.name, 'other')
  const births = (parent, id) => [
    w.put(`/_electric/entities/${w.name}/${id}-s`, { parent }),
    w.post(`/_electric/entities${other.url}/fork`, { parent, instance_id: `${id}-f` }),
  ]
  const work = await w.working(w.name, 'parent')
  const signal = async (name) => {
    const answer = await w.post(`/_electric/entities${work.entity}/signal`, { signal: name })
    assert.equal(answer.status, 200, answer.text)
    return (await w.entity(work.entity)).status
  }
  const refusals = async (id) => {
    for (const answer of await Promise.all(births(work.entity, id))) {
      refused(answer, 409, 'NOT_RUNNING', `Parent entity "${work.entity}" is not accepting writes`)
    }
  }
  assert.equal(await signal('SIGSTOP'), 'paused')
  for (const answer of await Promise.all(births(work.entity, 'paused'))) assert.equal(answer.status, 201, answer.text)
  assert.equal(await signal('SIGCONT'), 'running')
  assert.equal(await signal('SIGTERM'), 'stopping')
  await refusals('stopping')
  assert.equal((await work.done()).status, 200)
  assert.equal((await w.entity(work.entity)).status, 'stopped')
  await refusals('stopped')
  const children = (await w.get(`/_electric/entities?parent=${encodeURIComponent(work.entity)}`)).json
  assert.deepEqual(children.map(({ url }) => url.split('/')[2]).sort(), ['paused-f', 'paused-s'])
})
