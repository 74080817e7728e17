-- Schema version 4: shapes are followed, webhook sources have filters and lifetimes, membership streams have readers.

-- Shapes of Postgres tables whose changes are written to a stream.
CREATE TABLE pg_sync (
  id INTEGER PRIMARY KEY,          -- its stream's row id
  ref TEXT NOT NULL UNIQUE,
  principal TEXT NOT NULL,         -- principal URL of who registered it
  url TEXT NOT NULL,               -- where the shape is, with what defines it
  handle TEXT,                     -- which log of the shape is read; none: it is read from now on
  "offset" TEXT,                   -- up to where it was read
  cache_key TEXT,                  -- what the last live answer asked to be sent along
  "schema" TEXT,                   -- JSON: the types of the columns, as the shape said first
  skips INTEGER NOT NULL,          -- changes are passed over until it is up to date
  live INTEGER NOT NULL,           -- it was up to date: the next answer may wait for changes
  attempt INTEGER NOT NULL,        -- how often it has failed since it last answered
  error TEXT,                      -- why it failed last
  due_at INTEGER NOT NULL          -- when it is asked next: where its timer stands
) STRICT;
