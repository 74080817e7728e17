// A server with a catalogue of webhook sources, which the tests of a process share.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after } from 'node:test'

import { startHost } from './host.mjs'
import { world } from './world.mjs'

const repo = {
  key: 'repo', label: 'A repository', pathTemplate: 'repos/:owner/:repo', eventTypes: ['push', 'issues'],
  paramsSchema: { type: 'object', required: ['repo'], properties: { owner: { type: 'string' }, repo: { type: 'string' } } },
  filters: [
    { key: 'pushes', label: 'Pushes', condition: { required: ['event_type'], properties: { event_type: { const: 'push' } } } },
    { key: 'everything', label: 'Everything' },
  ],
}
const any = { key: 'any', label: 'Anything', pathTemplate: ':name/:name', paramsSchema: {} }
const source = (webhookKey, more) => ({
  webhookKey, sourceType: 'webhook', endpointKey: webhookKey, status: 'active', label: webhookKey, agentVisible: true,
  buckets: [repo, any], revision: 3, ...more,
})
export const catalogue = [source('github', { endpointKey: 'gh' }), source('old', { status: 'revoked' }), source('hidden', { agentVisible: false })]

let host
/** A world on a server with the catalogue. */
export async function sourced(t) {
  host ??= start()
  return world(t, { host: { url: (await host).url, dispose() {} } })
}

async function start() {
  const directory = mkdtempSync(path.join(tmpdir(), 'reveille-sources-'))
  const file = path.join(directory, 'sources.json')
  writeFileSync(file, JSON.stringify(catalogue))
  const started = await startHost({ args: ['--webhook-sources', file] })
  return Object.assign(started, { forget: () => rmSync(directory, { recursive: true }) })
}

after(async () => {
  const started = await host
  await started?.dispose()
  started?.forget()
})
