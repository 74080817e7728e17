// The published shape client sets timers of a minute and more that nobody waits for, and that keep the process. Import this
// before it: such timers end with whatever else there is to do.
const plain = globalThis.setTimeout

globalThis.setTimeout = Object.assign((work, after, ...args) => {
  const timer = plain(work, after, ...args)
  return after >= 30_000 ? timer.unref() : timer
}, plain)
