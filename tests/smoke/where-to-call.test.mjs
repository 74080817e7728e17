// Where the server may call: its own machine in development, public hosts by https, and what is on its list. Whatever
// else a URL says, and however it spells it, is refused where it is asked for.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startHost } from '../harness/host.mjs'
import { world } from '../harness/world.mjs'

const closed = (shown, entry = shown.replace(/^https?:\/\//, '')) =>
  `\`${shown}\` may not be called: it is not public; allow it with \`--allow-webhook ${entry}\``

// The URL, and why it may not be called.
const refused = [
  ['http://10.0.0.1/s3cret?s3cret', closed('http://10.0.0.1')],
  ['https://10.0.0.1:8443/s3cret', closed('https://10.0.0.1:8443')],
  ['https://172.16.0.1', closed('https://172.16.0.1')],
  ['https://192.168.1.1', closed('https://192.168.1.1')],
  ['http://169.254.169.254/latest/meta-data', closed('http://169.254.169.254')],
  ['https://100.64.0.1', closed('https://100.64.0.1')],
  ['http://0.0.0.0:4437', closed('http://0.0.0.0:4437')],
  ['https://255.255.255.255', closed('https://255.255.255.255')],
  ['https://10.1', closed('https://10.0.0.1')],
  ['https://167772161', closed('https://10.0.0.1')],
  ['https://012.0.0.1', closed('https://10.0.0.1')],
  ['https://0x0a.0.0.0x1.', closed('https://10.0.0.1')],
  ['https://[::ffff:10.0.0.1]', closed('https://10.0.0.1')],
  ['https://[FD00::1]', closed('https://[fd00::1]')],
  ['https://[fe80::1]', closed('https://[fe80::1]')],
  ['https://[64:ff9b::10.0.0.1]', closed('https://[64:ff9b::a00:1]')],
  ['https://[2002:a00:1::]', closed('https://[2002:a00:1::]')],
  ['https://[::]', closed('https://[::]')],
  ['https://db', closed('https://db')],
  ['https://Metadata.Google.Internal.', closed('https://metadata.google.internal')],
  ['https://printer.local', closed('https://printer.local')],
  ['http://example.com/s3cret', '`http://example.com` may be called by https only; allow it with `--allow-webhook example.com`'],
  ['https://user:s3cret@example.com', '`https://example.com` may not be called with a user name or password in its URL'],
  ['http://s3cret@127.0.0.1', '`http://127.0.0.1` may not be called with a user name or password in its URL'],
  ['https://example.com:65536', '`https://example.com:65536` may not be called: its port is not a number from 1 to 65535'],
  ['https://１０.0.0.1', '`https://１０.0.0.1` may not be called: its host is neither a plain ASCII name nor an address'],
  ['https://%31%30.0.0.1', '`https://%31%30.0.0.1` may not be called: its host is neither a plain ASCII name nor an address'],
  ['https://1.2.3.4.5', '`https://1.2.3.4.5` may not be called: its host is neither a plain ASCII name nor an address'],
  ['https:///example.com', '`https://` may not be called: its host is neither a plain ASCII name nor an address'],
  ['ftp://example.com/s3cret', '`ftp://example.com` is not an absolute http or https URL'],
  ['not a url', '`not a url` is not an absolute http or https URL'],
]

for (const [url, message] of refused) {
  test(`it may not be called: ${url}`, async (t) => {
    const w = await world(t)
    await w.type()
    const policy = { targets: [{ type: 'webhook', url }] }
    const name = `${w.name}-new`
    for (const [method, path, body] of [
      ['POST', '/_electric/entity-types', { name, serve_endpoint: url }],
      ['POST', '/_electric/entity-types', { name, description: 'x', serve_endpoint: url }],
      ['POST', '/_electric/entity-types', { name, description: 'x', default_dispatch_policy: policy }],
      ['PUT', `/_electric/entities/${w.name}/e`, { dispatch_policy: policy }],
    ]) {
      const answer = await w.http(method, path, { body })
      assert.equal(answer.status, 400, answer.text)
      assert.deepEqual(answer.json.error, { code: 'INVALID_REQUEST', message })
    }
    // What is no URL of a shape at all is said in the words of shapes.
    const shape = await w.post('/_electric/pg-sync/register', { options: { url, table: 't' } })
    assert.equal(shape.status, 400, shape.text)
    if (!shape.json.error.message.startsWith('pgSync url')) assert.equal(shape.json.error.message, message)
    assert.equal((await w.get(`/_electric/entity-types/${name}`)).status, 404)
    assert.equal((await w.get(`/_electric/entities/${w.name}/e`)).status, 404)
  })
}

for (const host of ['127.0.0.1', '127.1', '2130706433', '0x7f.1', 'LocalHost']) {
  test(`in development the server calls its own machine: ${host}`, async (t) => {
    const w = await world(t)
    const hook = await w.hook()
    const url = hook.url.replace('127.0.0.1', host)
    hook.answerOnce({ status: 200, body: { name: w.name, description: 'served' } })
    const type = await w.post('/_electric/entity-types', { name: w.name, serve_endpoint: url })
    assert.equal(type.status, 201, type.text)
    assert.equal(type.json.serve_endpoint, url)
    assert.equal((await hook.next()).method, 'PUT')
    await w.spawn(w.name, 'e', { initialMessage: 1 })
    const wake = await w.woken(hook)
    await wake.claim()
    await wake.done()
  })
}

test('public hosts by https may be asked for', async (t) => {
  const w = await world(t)
  for (const [id, url] of ['https://example.com', 'https://1.1.1.1:8443/x?y', 'https://[2606:4700::1111]', 'HTTPS://Example.COM.'].entries()) {
    await w.type({ name: `${w.name}-${id}`, default_dispatch_policy: { targets: [{ type: 'webhook', url }] } })
  }
})

test('what is on the list is called, and no longer when it is taken off', async (t) => {
  // An address that is not public, and yet that of this machine.
  const list = ['--allow-webhook', 'agents.corp:1', '--allow-webhook', '0.0.0.0']
  const host = await startHost({ args: list })
  const w = await world(t, { host })
  await w.type()
  const hook = await w.hook()
  const policy = { targets: [{ type: 'webhook', url: hook.url.replace('127.0.0.1', '0.0.0.0') }] }
  const { url } = await w.spawn(w.name, 'e', { dispatch_policy: policy, initialMessage: 1 })
  const first = await w.woken(hook)
  await first.claim()
  await first.done()

  await host.stop()
  await host.restart({ args: [] })
  w.testId = `${w.name}-again`
  await w.send(url, 2)
  await w.advance(10_000)
  await w.settle()
  assert.equal(hook.all.length, 1)
  assert.equal((await w.entity(url)).status, 'idle')
  assert.equal((await w.put(`/_electric/entities/${w.name}/f`, { dispatch_policy: policy })).status, 400)

  await host.stop()
  await host.restart({ args: list })
  w.testId = `${w.name}-once-more`
  const second = await w.advanceUntil(w.woken(hook))
  assert.equal(second.body.generation, 2)
  await second.claim()
  assert.equal((await second.done()).json.next_wake, false)
})
