// The web app's data layer: the published clients at the versions that it bundles, and its calls as it makes them.
import './long-timers.mjs'

import assert from 'node:assert/strict'
import http from 'node:http'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

import { createStateSchema } from '@durable-streams/state'
import { createStreamDB } from '@durable-streams/state/db'
import { electricCollectionOptions } from 'dashboard-collection'

// The collection's own TanStack DB, which may be another than ours.
const { createCollection } = createRequire(fileURLToPath(import.meta.resolve('dashboard-collection')))('@tanstack/db')

const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
const rows = (type) => ({ schema: anything, type, primaryKey: 'key' })
const state = createStateSchema({
  created: rows('entity_created'),
  inbox: rows('inbox'),
  signals: rows('signal'),
  manifest: rows('manifest'),
  comments: rows('state:comments'),
})

const entityColumns = 'url type status tags spawn_args sandbox dispatch_policy parent created_by type_revision inbox_schemas state_schemas created_at updated_at'

/** What a page asks for on its own, as one collection each. */
const shapes = {
  entities: { params: { table: 'entities', columns: entityColumns.split(' ') }, parser: { int8: Number }, key: 'url' },
  types: { params: { table: 'entity_types' }, key: 'name' },
  runners: { params: { table: 'runners' }, key: 'id' },
  permissions: { params: { table: 'entity_effective_permissions' }, key: 'id' },
  users: { params: { table: 'users' }, key: 'id' },
}

/** An open page of the web app. A browser's sends no principal; `as` is one of the desktop app. */
export class Page {
  /** Opens it: the server is well, and what every page shows is there. `fetch` is the browser's. */
  static async open(t, w, { as, fetch = globalThis.fetch } = {}) {
    const page = new Page(t, w, as, fetch)
    assert.deepEqual(await page.call('GET', '/_electric/health'), { status: 'ok' })
    const preloaded = ['entities', 'types', 'runners', 'permissions']
    for (const name of preloaded) page[name] = page.collection(shapes[name])
    await Promise.all(preloaded.map((name) => page[name].preload()))
    return page
  }

  constructor(t, w, as, fetch) {
    Object.assign(this, { t, w, fetch, headers: as ? { 'electric-principal': as } : {} })
  }

  collection({ params, parser, key }) {
    const shapeOptions = { url: `${this.w.url}/_electric/electric/v1/shape`, params, headers: this.headers, fetchClient: this.fetch, ...(parser && { parser }) }
    const collection = createCollection(electricCollectionOptions({ id: `${params.table}-${++opened}`, shapeOptions, getKey: (row) => row[key] }))
    this.t.after(() => collection.cleanup())
    return collection
  }

  /** The users, whom the app asks for when it first shows one. */
  async people() {
    this.users = this.collection(shapes.users)
    await this.users.preload()
    return this.users
  }

  /** How a runner is, as the settings show it. */
  async diagnostics(runner) {
    const params = { table: 'runner_runtime_diagnostics', where: 'runner_id = $1', params: { 1: runner } }
    const collection = this.collection({ params, key: 'runner_id' })
    await collection.preload()
    return collection
  }

  /** A call whose answer is JSON; `body` is a form, or sent as JSON. */
  async call(method, path, body) {
    const answer = await this.ask(method, path, body)
    const text = await answer.text()
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
    return text && JSON.parse(text)
  }

  ask(method, path, body) {
    const json = body !== undefined && !(body instanceof FormData)
    const headers = { accept: 'application/json', ...this.headers, ...(json && { 'content-type': 'application/json' }) }
    return this.fetch(`${this.w.url}${path}`, { method, headers, body: json ? JSON.stringify(body) : body })
  }

  /** A call about an entity, of which the app waits to see the commit in its collection. */
  async commit(method, path, body) {
    const answer = await this.call(method, `/_electric/entities${path}`, body)
    assert.equal(typeof answer.txid, 'number')
    assert.equal(await this.entities.utils.awaitTxId(answer.txid, 10_000), true)
    return answer
  }

  /** Opens an entity: what it is, then its stream, which is followed. */
  async entity(url) {
    const entity = await this.call('GET', `/_electric/entities${url}`)
    const streamOptions = { url: `${this.w.url}${url}/main`, contentType: 'application/json', headers: this.headers, fetch: this.fetch }
    const db = createStreamDB({ streamOptions, live: 'long-poll', state })
    this.t.after(() => db.close())
    await db.preload()
    return new Opened(this, entity, db)
  }
}

let opened = 0

/** An entity that is looked at. */
class Opened {
  constructor(page, entity, db) {
    Object.assign(this, { page, entity, url: entity.url, db, ...db.collections })
  }

  call(method, path, body) {
    return this.page.call(method, `/_electric/entities${this.url}${path}`, body)
  }

  commit(method, path, body) {
    return this.page.commit(method, `${this.url}${path}`, body)
  }

  /** A call of which the app waits to see the event on the stream. */
  async tell(method, path, body) {
    const answer = await this.call(method, path, body)
    assert.equal(typeof answer.txid, 'string')
    await this.db.utils.awaitTxId(answer.txid, 10_000)
    return answer
  }
}

/** A browser's `fetch`: it opens this many connections to a server, and no more. */
export function browser(t, connections = 6) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections })
  t.after(() => agent.destroy())
  return (url, { method = 'GET', headers = {}, body, signal } = {}) =>
    new Promise((resolve, reject) => {
      const req = http.request(url, { method, agent, signal, headers: Object.fromEntries(new Headers(headers)) }, (res) => {
        const chunks = []
        res.on('data', (chunk) => chunks.push(chunk)).on('error', reject)
        res.on('end', () => {
          const empty = [204, 205, 304].includes(res.statusCode)
          resolve(new Response(empty ? null : Buffer.concat(chunks), { status: res.statusCode, headers: res.headers }))
        })
      })
      req.on('error', reject)
      req.end(body)
    })
}
