// Stories told side by side on one server, whose clock and whose life they share.
//
// A story is an async generator. It yields when it needs what concerns the whole server: a number of milliseconds to
// pass, or `restart`. Whoever waits for time is served first, all by the same steps of the clock; when everyone left
// waits for a restart, there is one.

export const restart = Symbol('restart')

/** Tells all stories `{ run }` to their ends. What a story throws becomes its `error`, and the others go on. */
export async function sideBySide(stories, server) {
  for (const story of stories) story.telling = story.run()
  for (let ready = stories; ready.length > 0; ready = await happen(stories, server)) {
    await Promise.all(ready.map(goOn))
  }
}

async function goOn(story) {
  try {
    const { value, done } = await story.telling.next()
    story.awaits = done ? undefined : value
  } catch (error) {
    story.error = error
    story.awaits = undefined
  }
}

/** The next thing that somebody waits for, and who may go on after it. */
async function happen(stories, server) {
  const timed = stories.filter(({ awaits }) => typeof awaits === 'number')
  if (timed.length > 0) {
    const ms = Math.min(...timed.map(({ awaits }) => awaits))
    await server.advance(ms)
    for (const story of timed) story.awaits -= ms
    return timed.filter(({ awaits }) => awaits === 0)
  }
  const last = stories.filter(({ awaits }) => awaits === restart)
  if (last.length > 0) await server.restart()
  return last
}
