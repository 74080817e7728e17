// The clock of a time zone as JavaScript knows it, and what the engine promises about the days on which it changes.
import { CronExpressionParser } from 'cron-parser'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const formats = new Map()

/** How far a zone's clock is ahead of UTC, in milliseconds. */
export function offset(zone, at) {
  let format = formats.get(zone)
  if (!format) formats.set(zone, (format = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' })))
  const name = format.formatToParts(at).find(({ type }) => type === 'timeZoneName').value
  const [, sign, hours, minutes, seconds = 0] = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name)
  return sign ? Number(`${sign}1`) * (hours * HOUR + minutes * MINUTE + seconds * 1000) : 0
}

/** When the clock changes for the first time between two moments, to the second; nothing if it does not. */
export function change(zone, from, until) {
  const before = offset(zone, from)
  let low = from
  while (low < until && offset(zone, Math.min(low + DAY, until)) === before) low += DAY
  if (low >= until) return undefined
  let high = Math.min(low + DAY, until)
  while (high - low > 1000) {
    const middle = low + Math.floor((high - low) / 2000) * 1000
    if (offset(zone, middle) === before) low = middle
    else high = middle
  }
  return high
}

/** By how much the clock changes around the day of a moment: forward is positive. */
export function changed(zone, at) {
  return offset(zone, at + DAY + 2 * HOUR) - offset(zone, at - DAY - 2 * HOUR)
}

/** Whether an expression fires at a moment, by the three rules of core/src/schedule/cron/mod.rs. */
export function fires(expression, zone, at) {
  const fields = CronExpressionParser.parse(expression, { tz: 'UTC' })
  const now = offset(zone, at)
  const matches = (civil) => fields.includesDate(new Date(civil))
  if (fields.fields.hour.values.length === 24) return matches(at + now)

  const before = offset(zone, at - 3 * HOUR)
  if (before > now && offset(zone, at - (before - now)) === before) return false // It has been so late already.
  if (matches(at + now)) return true
  const gap = now - before
  if (gap <= 0 || offset(zone, at - gap) === now) return false
  const moved = change(zone, at - 3 * HOUR, at + 1)
  const day = (civil) => Math.floor(civil / DAY)
  return day(moved - 1000 + before) === day(moved + now) && matches(at + before)
}
