// Plain HTTP over node:http, so that a path reaches the server exactly as written (fetch would normalise it).
import http from 'node:http'
import net from 'node:net'

const agent = new http.Agent({ keepAlive: true })

/**
 * One request, one whole answer: `{ status, headers, bytes, text, json }`.
 * A string or Buffer body is sent as it is; any other value is sent as JSON.
 */
export function request(base, method, path, { headers = {}, body, timeout = 15_000 } = {}) {
  return new Promise((resolve, reject) => {
    const [sent, payload] = encode(headers, body)
    const req = http.request(base, { method, path, headers: sent, agent }, (res) => {
      const chunks = []
      res.on('data', (chunk) => chunks.push(chunk))
      res.on('error', reject)
      res.on('end', () => {
        clearTimeout(timer)
        resolve(new Answer(res, Buffer.concat(chunks)))
      })
    })
    const timer = setTimeout(
      () => req.destroy(new Error(`${method} ${path}: no answer within ${timeout} ms`)),
      timeout,
    )
    req.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    req.end(payload)
  })
}

class Answer {
  constructor(res, bytes) {
    this.status = res.statusCode
    this.headers = res.headers
    this.bytes = bytes
  }

  get text() {
    return this.bytes.toString('utf8')
  }

  get json() {
    return JSON.parse(this.text)
  }
}

function encode(headers, body) {
  if (body === undefined) return [headers, undefined]
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
  const named = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type')
  const length = { 'content-length': Buffer.byteLength(text) }
  return [named ? { ...headers, ...length } : { 'content-type': 'application/json', ...headers, ...length }, text]
}

/**
 * A Server-Sent Events reader. `next()` gives the next event as `{ event, data }`, with `data` parsed when it is
 * JSON, and `undefined` once the server has ended the response.
 */
export function sse(base, path, { headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const events = mailbox()
    const req = http.get(base, { path, headers, agent: false }, (res) => {
      let rest = ''
      res.setEncoding('utf8')
      res.on('data', (text) => {
        const blocks = (rest + text).split('\n\n')
        rest = blocks.pop()
        for (const block of blocks) events.put(parseEvent(block))
      })
      res.on('close', () => events.put(undefined))
      resolve({
        status: res.statusCode,
        headers: res.headers,
        next: (timeout) => events.take(() => true, timeout),
        close: () => req.destroy(),
      })
    })
    req.on('error', reject)
  })
}

export function parseEvent(block) {
  const lines = block.split('\n')
  const event = lines.find((line) => line.startsWith('event:'))?.slice(6).trim()
  const text = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).replace(/^ /, '')).join('\n')
  try {
    return { event, data: JSON.parse(text), text }
  } catch {
    return { event, data: text, text }
  }
}

/**
 * Writes bytes to a fresh socket and waits for the head of whatever comes back: `{ status, head }`, or
 * `{ status: 0 }` if the server closed the connection without an answer. For requests no client would send.
 */
export function raw(base, bytes, { timeout = 15_000, onSocket } = {}) {
  const { hostname, port } = new URL(base)
  return new Promise((resolve, reject) => {
    let head = ''
    const socket = net.connect({ host: hostname, port }, () => {
      socket.write(bytes)
      onSocket?.(socket)
    })
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no answer within ${timeout} ms to ${String(bytes).slice(0, 80)}`))
    }, timeout)
    const finish = (status) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ status, head })
    }
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1')
      if (head.includes('\r\n\r\n')) finish(Number(head.split(' ')[1]))
    })
    socket.on('error', () => finish(0))
    socket.on('close', () => finish(0))
  })
}

/** Things that arrive, and whoever waits for them. `take` removes the first that pleases, waiting if need be. */
export function mailbox() {
  const arrived = []
  const waiting = []
  return {
    arrived,
    put(item) {
      const index = waiting.findIndex((waiter) => waiter.where(item))
      if (index < 0) return arrived.push(item)
      waiting.splice(index, 1)[0].resolve(item)
    },
    take(where = () => true, timeout = 10_000) {
      const index = arrived.findIndex(where)
      if (index >= 0) return Promise.resolve(arrived.splice(index, 1)[0])
      return new Promise((resolve, reject) => {
        const waiter = { where, resolve: (item) => (clearTimeout(timer), resolve(item)) }
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(waiter), 1)
          reject(new Error(`nothing arrived within ${timeout} ms`))
        }, timeout)
        waiting.push(waiter)
      })
    },
  }
}
