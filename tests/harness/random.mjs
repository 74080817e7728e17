// Choices that a seed repeats, and waiting.

/** mulberry32: a function that draws from 0 to below 1. */
export function random(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** What a test chooses by such a draw. */
export class Choice {
  constructor(draw) {
    this.draw = draw
  }

  /** A whole number from 0 to below `limit`. */
  below(limit) {
    return Math.floor(this.draw() * limit)
  }

  /** Whether something happens that happens in so many of a hundred cases. */
  percent(chance) {
    return this.draw() * 100 < chance
  }

  of(list) {
    return list[this.below(list.length)]
  }
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
