// A shape server on loopback: one table whose changes it keeps as a log, told as Electric's protocol has it. It holds a
// live question until something changes, at most for `hold` milliseconds.
import { EventEmitter, once } from 'node:events'
import http from 'node:http'

const SCHEMA = JSON.stringify({
  id: { type: 'int4', pk_index: 0, not_null: true },
  n: { type: 'int8' },
  done: { type: 'bool' },
  tags: { type: 'text', dims: 1 },
  meta: { type: 'jsonb' },
})

export async function shapeServer({ hold = 500 } = {}) {
  const moved = new EventEmitter().setMaxListeners(0)
  const log = []
  const asked = []
  const faults = []
  let waiting = 0
  let down
  let handle = 1

  const after = (offset) => (offset === '-1' ? log : log.filter(({ lsn }) => lsn > Number(offset.split('_')[0])))

  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, 'http://127.0.0.1')
    const query = Object.fromEntries(url.searchParams)
    asked.push({ path: url.pathname, query })
    const fault = faults.shift() ?? down
    if (fault) return fault(response)
    const { offset, live } = query
    const gone = () => offset !== 'now' && query.handle !== `h-${handle}`
    if (live && !gone() && after(offset).length === 0) {
      waiting++
      await once(moved, 'moved', { signal: AbortSignal.timeout(hold) }).catch(() => {})
      waiting--
    }
    if (gone()) {
      response.writeHead(409, { 'electric-handle': `h-${handle}` })
      return response.end('[{"headers":{"control":"must-refetch"}}]')
    }
    const messages = offset === 'now' ? [] : after(offset).map(({ message }) => message)
    const at = log.length ? `${log.at(-1).lsn}_0` : '0_inf'
    const headers = { 'electric-handle': `h-${handle}`, 'electric-offset': at, 'electric-up-to-date': '' }
    headers[live ? 'electric-cursor' : 'electric-schema'] = live ? '42' : SCHEMA
    response.writeHead(200, headers)
    const upToDate = { headers: { control: 'up-to-date', global_last_seen_lsn: String(log.at(-1)?.lsn ?? 0) } }
    response.end(JSON.stringify([...messages, upToDate]))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${server.address().port}/v1/shape`,
    /** Every question: `{ path, query }`. */
    asked,
    /** Whether a question waits for a change. */
    isWaitedFor: () => waiting > 0,
    /** Changes rows, all in one transaction a row: `{ id, … }` as Postgres writes them. */
    change(operation, ...rows) {
      for (const { old_value, ...value } of rows) {
        const lsn = (log.at(-1)?.lsn ?? 100) + 1
        const key = `"public"."todos"/"${value.id}"`
        const headers = { operation, relation: ['public', 'todos'], txids: [lsn], lsn: String(lsn), op_position: 0 }
        log.push({ lsn, message: { key, value, ...(old_value && { old_value }), headers } })
      }
      moved.emit('moved')
    },
    /** Drops the log: whoever has read some of it must begin anew. */
    rotate() {
      handle++
      log.length = 0
      moved.emit('moved')
    },
    /** The next question is answered by `fault(response)`. */
    failOnce(fault) {
      faults.push(fault)
    },
    /** Every question is answered so; by nothing, as it should be. */
    fail(fault) {
      down = fault
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}
