// Reads shapes of the server's own tables, as the wire has them.
import assert from 'node:assert/strict'

export const SHAPE = '/_electric/electric/v1/shape'

/** Asks for a shape. */
export function ask(w, query, as) {
  return w.get(`${SHAPE}?${new URLSearchParams(query)}`, { as })
}

/** Reads a snapshot whole: what every piece says, and where it ends. */
export async function snapshot(w, query, as) {
  const messages = []
  let answer = await ask(w, { offset: '-1', ...query }, as)
  for (;;) {
    assert.equal(answer.status, 200, answer.text)
    messages.push(...answer.json)
    const at = { handle: answer.headers['electric-handle'], offset: answer.headers['electric-offset'] }
    if (answer.headers['electric-up-to-date'] !== undefined) return { ...at, messages, rows: values(messages), answer }
    answer = await ask(w, { ...query, ...at }, as)
  }
}

export const values = (messages) => messages.filter((message) => message.key).map((message) => message.value)
export const told = (answer) => answer.json.filter((message) => message.key).map(({ headers, value }) => [headers.operation, value])
