// What these tests stand on: a router over databases in a directory of its own.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createRouter } from '../npm/index-node.js'
import { openDatabase } from '../npm/sqlite-node.js'

export function directory(t) {
  const dir = mkdtempSync(join(tmpdir(), 'reveille-wasm-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A router for the test, as `{ ask, router, problems, … }`: `ask(method, path, body, more)` gives a response. */
export function reveille(t, options = {}) {
  const { dir = directory(t), ...more } = options
  const problems = []
  const databases = []
  const open = (tenant) => {
    const database = openDatabase(join(dir, `${tenant}.sqlite`))
    databases.push(database)
    return database
  }
  const dev = !(more.authenticate || more.apiKeys || more.trustedHeader)
  const router = createRouter({ dev, open, log: (problem) => problems.push(String(problem)), ...more })
  t.after(() => router.close())
  const ask = (method, path, body, { tenant, headers, signal } = {}) => {
    const typed = body === undefined ? {} : { 'content-type': 'application/json' }
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    return router.fetch(new Request(`http://reveille.test${path}`, { method, body: text, headers: { ...typed, ...headers }, signal }), tenant)
  }
  /** A fresh stream of JSON. */
  const stream = async (path, more) => {
    const answer = await ask('PUT', path, undefined, { ...more, headers: { 'content-type': 'application/json' } })
    if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
  }
  return { ask, stream, router, problems, databases, dir }
}

export const read = async (w, path, more) => (await w.ask('GET', `${path}?offset=-1`, undefined, more)).json()
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Asks again until it passes. */
export async function eventually(check, within = 5_000) {
  for (const end = Date.now() + within; ; await pause(5)) {
    try {
      return await check()
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

/** The events of an SSE response, one by one; undefined at its end. */
export function events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const next = async () => {
    for (let end = text.indexOf('\n\n'); ; end = text.indexOf('\n\n')) {
      if (end >= 0) {
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        const [, event, data] = /^event: (\w+)\ndata:(.*)$/s.exec(block)
        return { event, data: JSON.parse(data) }
      }
      const { done, value } = await reader.read()
      if (done) return undefined
      text += value
    }
  }
  return { next, cancel: () => reader.cancel() }
}
