// What the Worker decides without an object: settings from the environment, when to set the alarm.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Alarm } from '../alarm.js'
import { entranceSettings, objectSettings, tenantName } from '../settings.js'

test('without a way to authenticate nothing is served', () => {
  assert.throws(() => entranceSettings({}), /REVEILLE_API_KEYS/)
  assert.throws(() => entranceSettings({ REVEILLE_MODE: 'serve' }), /REVEILLE_API_KEYS/)
  assert.throws(() => entranceSettings({ REVEILLE_API_KEYS: 'k user:a', REVEILLE_TRUST_PROXY_HEADER: 'x-user' }), /exactly one/)
  assert.throws(() => entranceSettings({ REVEILLE_MODE: 'development' }), /`development`/)
})

test('virtual time is for development', () => {
  const keys = { REVEILLE_API_KEYS: 'k user:a', REVEILLE_VIRTUAL: '1' }
  assert.equal(entranceSettings(keys).virtualStart, undefined)
  assert.equal(objectSettings(keys).virtualStart, undefined)
  assert.equal(objectSettings({ REVEILLE_MODE: 'dev', REVEILLE_VIRTUAL: '1' }).virtualStart, 0)
  assert.equal(objectSettings({ REVEILLE_MODE: 'dev', REVEILLE_VIRTUAL: '' }).virtualStart, undefined)
})

test('an object believes the entrance and nobody else', () => {
  const settings = objectSettings({ REVEILLE_API_KEYS: 'k user:a' })
  assert.equal(settings.trustedHeader, 'reveille-principal')
  assert.equal(settings.apiKeys, undefined)
  assert.equal(settings.dev, false)
})

test('an object has the settings of its entrance', () => {
  const more = { REVEILLE_ALLOW_WEBHOOKS: 'a.corp, 10.0.0.1:80', REVEILLE_STREAM_ROOT: '/v1/stream', REVEILLE_LONG_POLL: '1500' }
  const same = { allowWebhooks: 'a.corp, 10.0.0.1:80', streamRoot: '/v1/stream', longPoll: 1_500 }
  for (const way of [{ REVEILLE_MODE: 'dev' }, { REVEILLE_API_KEYS: 'k user:a' }]) {
    for (const settings of [entranceSettings, objectSettings]) {
      const { allowWebhooks, streamRoot, longPoll } = settings({ ...way, ...more })
      assert.deepEqual({ allowWebhooks, streamRoot, longPoll }, same)
    }
  }
  assert.equal(objectSettings({ REVEILLE_MODE: 'dev' }).longPoll, undefined)
})

test('a tenant has a fixed name, or that of its host', () => {
  const request = { url: 'https://Acme.example.com:8443/x' }
  assert.equal(tenantName({}, request), 'default')
  assert.equal(tenantName({ REVEILLE_TENANT: 'acme' }, request), 'acme')
  assert.equal(tenantName({ REVEILLE_TENANT: 'prod {host}' }, request), 'prod acme.example.com')
})

function storage(at = null) {
  return { sets: [], getAlarm: async () => at, async setAlarm(to) { this.sets.push(to) } }
}

test('an alarm is set when it is earlier than the one remembered', async () => {
  const s = storage()
  const alarm = new Alarm(s)
  await alarm.recall()
  alarm.arm(undefined)
  alarm.arm(60_000)
  alarm.arm(90_000)
  assert.equal(s.sets.length, 1)
  alarm.arm(30_000)
  assert.equal(s.sets.length, 2)
  assert.ok(s.sets[1] < s.sets[0])
  alarm.fired()
  alarm.arm(90_000)
  assert.equal(s.sets.length, 3)
})

test('an alarm that an earlier life set is enough', async () => {
  const s = storage(Date.now() + 1_000)
  const alarm = new Alarm(s)
  await alarm.recall()
  alarm.arm(2_000)
  assert.equal(s.sets.length, 0)
  alarm.arm(500)
  assert.equal(s.sets.length, 1)
})

test('an alarm that could not be set is set again', async (t) => {
  t.mock.method(console, 'error', () => {})
  const s = storage()
  let fail = true
  s.setAlarm = async (at) => {
    if (fail) throw new Error('no')
    s.sets.push(at)
  }
  const alarm = new Alarm(s)
  alarm.arm(1_000)
  await new Promise(setImmediate)
  fail = false
  alarm.arm(5_000)
  assert.equal(s.sets.length, 1)
})
