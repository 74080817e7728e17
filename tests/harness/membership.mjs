// Membership streams, and a team that has one.
import assert from 'node:assert/strict'

import { world } from './world.mjs'

export const ensure = (w, tags, options) => w.post('/_electric/observations/entities/ensure-stream', { tags }, options)

/** The stream of whoever has the tags, filled. */
export async function membership(w, tags, options) {
  const answer = await ensure(w, tags, options)
  assert.equal(answer.status, 200, answer.text)
  await w.advance(0)
  return answer.json.streamUrl
}

/** What a stream says, as `[operation, url]`. */
export const told = async (w, path, options) => (await w.read(path, options)).map(({ headers, key }) => [headers.operation, key])

/** A world with the stream of those who are of its `team`. */
export async function team(t, options) {
  const w = await world(t, options)
  await w.type()
  const tags = { team: w.name }
  const spawn = async (id, more = tags, spawnOptions) => (await w.spawn(w.name, id, { tags: more }, spawnOptions)).url
  const path = await membership(w, tags)
  const tag = (url, key, value, tagOptions) => w.post(`/_electric/entities${url}/tags/${key}`, { value }, tagOptions)
  const untag = (url, key) => w.delete(`/_electric/entities${url}/tags/${key}`)
  const signal = (url, name) => w.post(`/_electric/entities${url}/signal`, { signal: name })
  return { w, tags, path, spawn, tag, untag, signal, told: () => told(w, path) }
}
