// A web server's handler as a listener of Node's HTTP server.

/** A listener that answers with what `answer(request)` gives. */
export function listener(answer) {
  return async (incoming, outgoing) => {
    try {
      await send(await (unspeakable.has(incoming.method) ? notAllowed() : answer(receive(incoming, outgoing))), incoming, outgoing)
    } catch (error) {
      if (!outgoing.destroyed) console.error(error)
      if (outgoing.headersSent) outgoing.destroy()
      else outgoing.writeHead(error instanceof TypeError ? 400 : 500, { connection: 'close' }).end()
    }
  }
}

// A web request cannot have these.
const unspeakable = new Set(['CONNECT', 'TRACE', 'TRACK'])
const notAllowed = () => new Response('Method not allowed', { status: 405, headers: { 'content-length': '18' } })

/** A web request, whose path is as it was sent but for what parsing a URL does, and whose body is read when asked for. */
function receive(incoming, outgoing) {
  const gone = new AbortController()
  outgoing.once('close', () => outgoing.writableFinished || gone.abort())
  const bodiless = incoming.method === 'GET' || incoming.method === 'HEAD'
  return new Request(target(incoming), {
    method: incoming.method,
    headers: headers(incoming.rawHeaders),
    body: bodiless ? undefined : body(incoming),
    duplex: 'half',
    signal: gone.signal,
  })
}

/** Sends a web response. */
async function send(response, incoming, outgoing) {
  const head = [...response.headers].flat()
  const whole = response.body === null || response.headers.has('content-length')
  // A client must not put its next request behind a stream that the server ends, or behind a body that does not come.
  if (!whole || response.status === 408) head.push('connection', 'close')
  outgoing.writeHead(response.status, head)
  if (whole) outgoing.end(response.body && new Uint8Array(await response.arrayBuffer()))
  else await stream(response.body, outgoing)
  if (!incoming.complete) linger(incoming)
}

async function stream(body, outgoing) {
  outgoing.flushHeaders()
  const reader = body.getReader()
  outgoing.once('close', () => reader.cancel().catch(() => {}))
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    if (!outgoing.write(value) && !outgoing.destroyed) await new Promise((resume) => {
      outgoing.once('drain', resume)
      outgoing.once('close', resume)
    })
  }
  outgoing.end()
}

function target({ url, headers }) {
  const base = `http://${headers.host ?? 'localhost'}`
  const absolute = url.startsWith('/') ? base + url : url
  if (URL.canParse(absolute)) return absolute
  return `http://localhost${url.startsWith('/') ? url : '/'}`
}

function headers(raw) {
  const pairs = []
  for (let i = 0; i < raw.length; i += 2) pairs.push([raw[i], raw[i + 1]])
  return pairs
}

// Cancelling it only stops the reading: the connection still carries the answer.
function body(incoming) {
  let wanted = true
  return new ReadableStream({
    start(stream) {
      incoming.pause()
      incoming.on('data', (chunk) => {
        if (!wanted) return
        stream.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length))
        if (stream.desiredSize <= 0) incoming.pause()
      })
      incoming.on('end', () => wanted && stream.close())
      incoming.on('error', (error) => wanted && stream.error(error))
    },
    pull: () => void incoming.resume(),
    cancel() {
      wanted = false
      incoming.pause()
    },
  })
}

// The rest of a body that was refused is read and thrown away for a while: to close on a client that is still sending
// would take the answer from it.
function linger(incoming) {
  let left = DRAIN
  const stop = () => incoming.destroy()
  const late = setTimeout(stop, DRAIN_TIME).unref()
  incoming.on('data', (chunk) => (left -= chunk.length) < 0 && stop())
  incoming.on('close', () => clearTimeout(late))
  incoming.resume()
}

const DRAIN = 64 * 1024 * 1024
const DRAIN_TIME = 10_000
