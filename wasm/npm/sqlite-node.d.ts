import type { Database } from './index.js'

/** Opens the file, or makes it. Every commit is on the disk when it returns; no other process can use the file. */
export function openDatabase(path: string): Database
