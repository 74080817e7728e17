// The database of a server that is stopped, for tests of what nobody does over the wire.
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Opens the database of a stopped host, wherever that keeps it, and gives what `edit` makes of it. */
export function edited(host, edit) {
  const files = readdirSync(host.dataDir, { recursive: true }).filter((file) => file.endsWith('.sqlite'))
  for (const file of files) {
    const database = new DatabaseSync(path.join(host.dataDir, file))
    try {
      if (isOurs(database)) return edit(database)
    } finally {
      database.close()
    }
  }
  throw new Error(`there is no database of ours in ${host.dataDir}: ${files}`)
}

function isOurs(database) {
  return Boolean(database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'subscription'").get())
}
