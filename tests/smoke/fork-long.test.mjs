// A fork of what is too long to be read back at once: it is read in pieces, others have their turn meanwhile, and the fork is
// there whole at the end.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { world } from '../harness/world.mjs'

const LONG = 'x'.repeat(800_000)

/** How long the messages of an entity are, read page by page. */
async function lengths(w, url) {
  const all = []
  for (let offset = '-1'; ; ) {
    const page = await w.get(`${url}/main?offset=${offset}`)
    all.push(...page.json.filter((event) => event.type === 'inbox').map((event) => event.value.payload.length))
    if (page.headers['stream-up-to-date']) return all
    offset = page.headers['stream-next-offset']
  }
}

test('a long fork is made at once at its end, with what was said meanwhile', async (t) => {
  const w = await world(t)
  await w.type()
  const root = await w.spawn(w.name, 'long')
  const child = await w.spawn(w.name, 'below', { parent: root.url })
  for (let n = 0; n < 7; n++) await w.send(n % 2 ? root.url : child.url, LONG)
  const forking = w.post(`/_electric/entities${root.url}/fork`, { instance_id: 'copy' })
  await w.send(root.url, 'meanwhile')
  const forked = await w.advanceUntil(forking, { step: 0, steps: 2_000 })
  assert.equal(forked.status, 201, forked.text)
  assert.deepEqual(forked.json.entities.map((entity) => entity.parent), [undefined, `/${w.name}/copy`])
  for (const [old, copy] of [[root.url, forked.json.root.url], [child.url, forked.json.entities[1].url]]) {
    const said = await lengths(w, old)
    assert.ok(said.length >= 3)
    assert.deepEqual(await lengths(w, copy), said)
  }
})
