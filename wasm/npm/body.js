// Reading bodies that may be too long, or never end.

/** Longer than it may be. */
export class TooLarge extends Error {}
/** It stopped coming, or comes too slowly. */
export class TooSlow extends Error {}

/** How slowly a body may come: silent for so long, and on average, after that, so many bytes a millisecond. */
const patience = { silence: 10_000, rate: 16 }

/** The whole body of a request, at most `limit` bytes. Fails with `TooLarge` or `TooSlow` as soon as that is known. */
export async function readBody(request, limit, { silence, rate } = patience) {
  if (!request.body) return new Uint8Array()
  const start = Date.now()
  const { bytes, whole } = await gather(request.body, limit, (read, size) => {
    const now = Date.now()
    return within(Math.min(start + size / rate, now) + silence - now, read)
  })
  if (!whole) throw new TooLarge()
  return bytes
}

/** As much of a response's body as `limit` allows. */
export async function readAtMost(response, limit) {
  if (!response.body) return new Uint8Array()
  const { bytes, whole } = await gather(response.body, limit, (read) => read)
  if (!whole) response.body.cancel().catch(() => {})
  return bytes
}

/**
 * Reads what is left of a refused body and throws it away, as long as it comes and up to a bound: to hang up on a client
 * that is still sending would take the answer from it.
 */
export async function drain(body) {
  if (!body || body.locked) return
  const end = Date.now() + DRAIN_TIME
  await gather(body, DRAIN, (read) => within(Math.min(end - Date.now(), DRAIN_SILENCE), read), false).catch(() => {})
  await body.cancel().catch(() => {})
}

const DRAIN = 64 * 1024 * 1024
const DRAIN_TIME = 10_000
const DRAIN_SILENCE = 1_000

async function gather(body, limit, guard, keep = true) {
  const reader = body.getReader()
  const chunks = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await guard(reader.read(), size)
      if (done) return { bytes: keep && joined(chunks, size), whole: true }
      size += value.length
      if (keep) chunks.push(value)
      if (size > limit) return { bytes: keep && joined(chunks, size).subarray(0, limit), whole: false }
    }
  } catch (error) {
    reader.cancel().catch(() => {})
    throw error
  } finally {
    reader.releaseLock()
  }
}

function joined(chunks, size) {
  if (chunks.length === 1) return chunks[0]
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

function within(ms, promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new TooSlow()), Math.max(ms, 0))
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
