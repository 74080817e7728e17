// Expressions, time zones and moments, drawn.
import { change } from './clock.mjs'

/** Zones whose clocks change at all kinds of hours, by all kinds of steps, on both hemispheres; and some that do not. */
const zones = [
  ...['America/New_York', 'America/Los_Angeles', 'America/St_Johns', 'America/Halifax', 'America/Adak', 'Europe/London'],
  ...['Europe/Berlin', 'Europe/Dublin', 'Europe/Chisinau', 'Europe/Athens', 'Asia/Jerusalem', 'Asia/Beirut', 'Asia/Tehran'],
  ...['America/Havana', 'America/Santiago', 'America/Asuncion', 'America/Sao_Paulo', 'Atlantic/Azores', 'Pacific/Easter'],
  ...['Australia/Sydney', 'Australia/Adelaide', 'Pacific/Auckland', 'Pacific/Chatham', 'Africa/Cairo', 'Asia/Amman'],
  ...['Africa/Casablanca', 'America/Nuuk', 'America/Scoresbysund', 'Australia/Lord_Howe', 'Antarctica/Troll'],
  ...['UTC', 'Asia/Calcutta', 'Asia/Kathmandu', 'Pacific/Apia', 'Pacific/Kiritimati', 'Africa/Windhoek'],
]

const months = ['jan', 'feb', 'MAR', 'Apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const weekdays = ['sun', 'mon', 'TUE', 'Wed', 'thu', 'fri', 'sat']
const macros = ['yearly', 'annually', 'monthly', 'weekly', 'daily', 'hourly', 'minutely', 'secondly', 'weekdays', 'weekends']
const spaces = [' ', ' ', ' ', '  ', '\t', '\u00a0', '\n']
const characters = '0123456789*?,-/L#Hax @'

/** An expression, most of them valid ones. */
export function expression(choice) {
  if (choice.percent(3)) return `@${choice.of(macros)}`
  const fields = [
    choice.percent(75) ? '0' : field(choice, 0, 59),
    field(choice, 0, 59),
    hour(choice),
    choice.percent(55) ? choice.of(['*', '*', '?']) : choice.percent(15) ? choice.of(['L', '1,L']) : field(choice, 1, 31),
    choice.percent(75) ? '*' : choice.percent(30) ? choice.of(months) : field(choice, 1, 12),
    choice.percent(55) ? choice.of(['*', '*', '?']) : weekday(choice),
  ]
  if (fields[0] === '0' && choice.percent(80)) fields.shift()
  if (choice.percent(1)) fields.shift()
  const text = fields.join(choice.percent(90) ? ' ' : choice.of(spaces))
  return choice.percent(6) ? garbled(choice, text) : text
}

/** A zone and a moment: mostly one shortly before or after a change of its clock. */
export function moment(choice) {
  const zone = choice.of(zones)
  const from = Date.UTC(2000 + choice.below(38), choice.below(12), 1 + choice.below(28), choice.below(24), choice.below(60))
  const near = choice.percent(75) ? change(zone, from, from + 400 * 86_400_000) : undefined
  const after = near === undefined ? from : near + choice.of([1, 60, 1800, 3600]) * 1000 * (choice.below(120) - 80)
  return { zone, after: after + (choice.percent(10) ? choice.below(1000) : 0) }
}

function hour(choice) {
  if (choice.percent(20)) return '*'
  if (choice.percent(50)) return String(choice.of([0, 1, 2, 3, 22, 23]))
  return field(choice, 0, 23)
}

function weekday(choice) {
  const day = choice.percent(40) ? choice.of(weekdays) : String(choice.below(8))
  if (choice.percent(20)) return `${day}#${1 + choice.below(5)}`
  if (choice.percent(20)) return `${day}L`
  if (choice.percent(30)) return day
  return choice.percent(20) ? `${choice.of(weekdays)}-${choice.of(weekdays)}` : field(choice, 0, 7)
}

function field(choice, least, most) {
  const value = () => least + choice.below(most - least + 1)
  const range = () => [value(), value()].sort((a, b) => a - b).join('-')
  const step = () => 1 + choice.below(choice.percent(50) ? 6 : most + 3)
  const kinds = [
    () => '*',
    () => String(value()),
    () => String(value()),
    () => `${value()},${value()}`,
    () => `${value()},${range()}`,
    range,
    () => `*/${step()}`,
    () => `${range()}/${step()}`,
    () => `${value()}/${step()}`,
  ]
  return choice.of(kinds)()
}

/** With one character more, less or other. */
function garbled(choice, text) {
  const at = choice.below(text.length + 1)
  return text.slice(0, at) + (choice.percent(70) ? choice.of(characters) : '') + text.slice(at + choice.below(2))
}
