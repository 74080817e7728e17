// A webhook endpoint: a real HTTP server on loopback that keeps what it gets and answers as it is told.
import http from 'node:http'

import { mailbox } from './http.mjs'

export async function receiver() {
  const inbox = mailbox()
  const all = []
  const once = []
  let standing = () => ({ status: 200, body: { ok: true } })

  const server = http.createServer(async (req, res) => {
    const chunks = []
    for await (const chunk of req) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    const request = { method: req.method, path: req.url, headers: req.headers, text, at: Date.now() }
    try {
      request.json = JSON.parse(text)
    } catch {
      request.json = undefined
    }
    all.push(request)
    const answer = await (once.shift() ?? standing)(request)
    inbox.put(request)
    if (answer === 'hang up') return req.socket.destroy()
    const body = answer.body === undefined ? '' : JSON.stringify(answer.body)
    res.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...answer.headers })
    res.end(body)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${server.address().port}/agents`,
    /** Everything that ever came, in order of arrival. */
    all,
    /** The next request that nobody has taken yet; with `where`, the next one of that kind. */
    next: (where, timeout) => inbox.take(where, timeout),
    /** Requests that have come and were not taken. */
    untaken: inbox.arrived,
    /** How to answer from now on: `{ status, headers, body }`, `'hang up'`, or a function of the request giving one. */
    answer(how) {
      standing = typeof how === 'function' ? how : () => how
    },
    /** How to answer the next request only. */
    answerOnce(how) {
      once.push(typeof how === 'function' ? how : () => how)
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}
