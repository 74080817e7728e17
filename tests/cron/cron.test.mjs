// The engine's cron beside the published parser: expressions, zones and moments are drawn, and both are asked for the next
// times. They must agree, but in the cases that `deliberate` names.
//
// 5000 comparisons, or 60,000 with REVEILLE_LONG=1. REVEILLE_SEED repeats a run.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { CronExpressionParser } from 'cron-parser'

import { Choice, random } from '../harness/random.mjs'
import { ask } from './ask.mjs'
import { changed, fires, offset } from './clock.mjs'
import { expression, moment } from './draw.mjs'
import { canonical, names } from './zones.mjs'

const comparisons = process.env.REVEILLE_LONG === '1' ? 60_000 : 5000
const seed = Number(process.env.REVEILLE_SEED ?? Date.now() % 1_000_000_000)
const DAY = 86_400_000
const YEAR = 366 * DAY

/**
 * Where the engine answers otherwise on purpose. `ours` and `theirs` are moments, or nothing where there is none;
 * `refused` says that the engine does not read the expression at all.
 */
const deliberate = {
  'they pick values at random': ({ refused, expression }) => refused && /H/.test(expression),
  'they read carelessly': ({ refused, expression }) => refused && !wellFormed(expression),
  'they take numbers twice where 0 is one of them': ({ refused, expression }) => refused && /[,0]/.test(expression),
  'it never matches, and they give a date all the same': ({ refused, ours, theirs, matches }) =>
    !refused && ours === undefined && !matches(theirs),
  'they give up on what is rare': ({ ours, theirs, after, matches }) =>
    ours && theirs > after + 5 * YEAR && !matches(theirs) && matches(ours),
  'they go back in time': ({ after, theirs, ours, matches }) => theirs <= after && (ours === undefined || matches(ours)),
  'they have other data of the time zone': ({ ours, theirs, zone, after }) => {
    if (!ours || !theirs) return false
    const times = [after, ours, theirs].flatMap((at) => [at - DAY, at, at + DAY])
    return ask([{ zone, at: times }])[0].offsets.some((ours, i) => ours !== offset(zone, times[i]))
  },
  'they lose times on a day whose clock is put forward': ({ ours, theirs, zone, matches }) =>
    ours < theirs && changed(zone, ours) > 0 && matches(ours),
  'they lose times on a day whose clock is put back': ({ ours, theirs, zone, matches }) =>
    ours < theirs && changed(zone, ours) < 0 && matches(ours),
  'they fire again when asked within a repeated hour, or where it is not an hour': ({ ours, theirs, zone, matches }) =>
    theirs < ours && changed(zone, theirs) < 0 && !matches(theirs) && matches(ours),
  'they fire at a time that is not named, on a day whose clock is put forward': ({ ours, theirs, zone, matches }) =>
    theirs < ours && changed(zone, theirs) > 0 && !matches(theirs) && matches(ours),
}

test(`the next times are those of the published parser (REVEILLE_SEED=${seed})`, (t) => {
  const choice = new Choice(random(seed))
  const cases = []
  while (cases.length < comparisons / 4) cases.push({ expression: expression(choice), ...moment(choice) })
  const answers = ask(cases.map(({ expression, zone, after }) => ({ expression, timezone: zone, after, count: 4 })))

  const counts = { compared: 0, refused: 0, differences: {} }
  for (const [i, { expression, zone, after }] of cases.entries()) {
    const { next, error } = answers[i]
    if (error && !next) assert.equal(error, `Invalid cron expression: "${expression}"`)
    let at = after
    for (const ours of next?.length ? next : [undefined]) {
      compare({ expression, zone, after: at, ours, refused: !next }, counts)
      at = ours
    }
  }
  t.diagnostic(`REVEILLE_SEED=${seed}: ${JSON.stringify(counts, null, 2)}`)
  assert.ok(counts.compared >= comparisons * 0.8, 'most of what is drawn is valid')
})

test('what is read carelessly is refused', () => {
  const careless = ['5* * * * *', '/5 * * * *', '1-5-9 * * * *', '*/5-3 * * * *', '0,0,5,5 * * * *', 'H * * * *']
  careless.push('0 0 5L * *', '0 0 L/2 * *', '0 0 * jan1 *', '0 0 * mon *', '0 0 * * jan', '0 0 * * 1-5L', '0 0 * * 12L', '0 0 * * 5#2e0')
  for (const [i, { error }] of ask(careless.map((expression) => ({ expression, after: 0 }))).entries()) {
    assert.equal(error, `Invalid cron expression: "${careless[i]}"`)
    assert.ok(published(careless[i], 'UTC', 1), careless[i])
  }
})

test('a path is what JavaScript makes of it', () => {
  const choice = new Choice(random(seed))
  const zones = names()
  const specs = Array.from({ length: 500 }, () => ({ expression: expression(choice), timezone: choice.of(zones) }))
  const answers = ask(specs.map((spec) => ({ ...spec, after: 0 })))
  const valid = specs.map((spec, i) => ({ ...spec, ...answers[i] })).filter(({ path }) => path)
  assert.ok(valid.length > specs.length / 2)
  for (const { path, expression, zone } of valid) {
    const json = JSON.stringify({ expression, timezone: zone })
    assert.equal(path, `/_cron/${Buffer.from(json).toString('base64url')}`)
  }
  const again = ask(valid.map(({ path }) => ({ path, after: 0 })))
  assert.deepEqual(again.map(({ path, next }) => ({ path, next })), valid.map(({ path, next }) => ({ path, next })))
})

// The names of zones are those of the ICU that made the table.
test('zones have the names that JavaScript gives them', { skip: !process.versions.icu.startsWith('78.') }, () => {
  const spellings = names().flatMap((name) => [name, name.toLowerCase(), name.toUpperCase()])
  for (const [i, { zone }] of ask(spellings.map((zone) => ({ zone }))).entries()) {
    assert.equal(zone, canonical(spellings[i]), spellings[i])
  }
})

/** Counts a comparison, and fails if they disagree where they should not. */
function compare(one, counts) {
  const { expression, zone, after, ours, refused } = one
  const theirs = published(expression, zone, after)
  counts.compared += 1
  if (ours === theirs) {
    if (ours === undefined) counts.refused += 1
    return
  }
  const matches = (at) => at !== undefined && fires(expression, zone, at)
  const name = theirs && Object.keys(deliberate).find((name) => deliberate[name]({ ...one, theirs, matches }))
  const iso = (at) => (at === undefined ? 'nothing' : new Date(at).toISOString())
  const told = `${JSON.stringify(expression)} in ${zone} after ${iso(after)}: ${iso(ours)}, but published ${iso(theirs)}`
  assert.ok(name, `${told} (REVEILLE_SEED=${seed})`)
  const difference = (counts.differences[name] ??= { times: 0, first: told })
  difference.times += 1
}

/** What the published parser says, asked afresh as the published server asks it; nothing where it refuses. */
function published(expression, tz, after) {
  try {
    return CronExpressionParser.parse(expression, { tz, currentDate: new Date(after) }).next().getTime()
  } catch {
    return undefined
  }
}

/** Whether an expression keeps to the grammar, whatever its numbers. */
function wellFormed(expression) {
  const day = '(?:\\d+|sun|mon|tue|wed|thu|fri|sat)'
  const month = '(?:\\d+|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)'
  const item = (value, more = '(?!)') => `(?:(?:[*?]|${value}(?:-${value})?)(?:/\\d+)?|${more})`
  const list = (item) => `${item}(?:,${item})*`
  const kinds = [item('\\d+'), item('\\d+'), item('\\d+'), item('\\d+', 'L'), item(month)].map(list)
  kinds.push(`(?:(?:[*?]|${day}L?)#0*[1-5]|${list(item(day, `${day}L`))})`)
  const fields = expression.trim().split(/\s+/)
  const kindsOf = kinds.slice(-fields.length)
  // Lists of `0,0,5,5` are well formed; days that only the library lets through are not.
  const numbers = (text) => (text.match(/\d+(?=L)/g) ?? []).every((number) => number <= 7)
  return fields.every((field, i) => new RegExp(`^${kindsOf[i]}$`, 'i').test(field) && numbers(field))
}
