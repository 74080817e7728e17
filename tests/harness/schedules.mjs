// An entity with schedules: of ticks, and of messages.
import assert from 'node:assert/strict'

import { world } from './world.mjs'

export const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000]

/** An entity with its schedules. */
export async function scheduled(t, { host, as } = {}) {
  const w = await world(t, { host })
  await w.type()
  const { url } = await w.spawn(w.name, 'e', {}, { as })
  const path = (id, of = url) => `/_electric/entities${of}/schedules/${id}`
  const put = (id, body, options) => w.put(path(id, options?.of), body, options)
  const remove = (id, options) => w.delete(path(id, options?.of), options)
  const schedule = async (id, body, options) => {
    const answer = await put(id, body, options)
    assert.equal(answer.status, 200, answer.text)
    return answer.json
  }
  const wakes = () => w.events(url, 'wake')
  const rows = (of = url) => w.events(of, 'manifest')
  return { w, url, put, remove, schedule, wakes, rows }
}

export const cron = (expression, more) => ({ scheduleType: 'cron', expression, payload: 'do', ...more })
export const send = (fireAt, more) => ({ scheduleType: 'future_send', fireAt, payload: 'hello', ...more })
export const nine = '0 9 * * *'
export const everyMinute = '* * * * *'
