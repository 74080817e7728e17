// An entity that writes a manifest, and what stands in one.
import { manifestRow, refusals, registrationIds, registrations } from './observer.mjs'
import { world } from './world.mjs'

/** An entity at work: `write` appends a row of its manifest, `held` says what it observes. */
export async function author(t, { host, ...body } = {}) {
  const w = await world(t, { host })
  await w.type()
  const work = await w.working(w.name, 'author', body)
  const write = (...row) => work.append([manifestRow(...row)])
  const held = () => registrations(w, work.entity)
  const ids = () => registrationIds(w, work.entity)
  const refused = () => refusals(w, work.entity)
  const wakes = () => w.events(work.entity, 'wake')
  return { w, work, url: work.entity, write, held, ids, refused, wakes }
}

/** Of any change. */
export const change = { on: 'change' }
/** A child, and what it is observed for. */
export const child = (url, wake = change) => ({ kind: 'child', entity_url: url, wake })
