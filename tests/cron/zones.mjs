// Writes core/src/schedule/cron/zones.txt: where this Node names time zones other than the database in the engine does.
// Run it by `tests/node tests/cron/zones.mjs` when either of them is new.
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

import { ask } from './ask.mjs'

/** Names that ICU knows and the database does not. Those of SystemV it knows too, but nobody has data for them. */
export const extra = [
  ...['ACT', 'AET', 'AGT', 'ART', 'AST', 'BET', 'BST', 'CAT', 'CNT', 'CST', 'CTT', 'EAT', 'ECT', 'IET', 'IST', 'JST'],
  ...['MIT', 'NET', 'NST', 'PLT', 'PNT', 'PRT', 'PST', 'SST', 'VST', 'Canada/East-Saskatchewan', 'US/Pacific-New'],
  'Etc/Unknown',
]

/** What JavaScript calls a zone; nothing if it has none of that name. */
export function canonical(timeZone) {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone
  } catch {
    return undefined
  }
}

/** The names of all zones that either of them knows. */
export function names() {
  return [...ask([{ zones: true }])[0].zones, ...extra]
}

/** `UTC: Etc/UTC Zulu`, a line for each canonical name; the refused ones stand in a line without one. */
function table() {
  const links = {}
  for (const name of names().sort()) {
    const to = canonical(name) ?? ''
    if (to !== name) (links[to] ??= []).push(name)
  }
  return Object.keys(links).sort().map((to) => `${to}: ${links[to].join(' ')}\n`).join('')
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL('../../core/src/schedule/cron/zones.txt', import.meta.url), table())
  console.log(`made by ICU ${process.versions.icu}, with the time zones of ${process.versions.tz}`)
}
