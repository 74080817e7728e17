-- Schema version 1. One tenant is one database, so no table names a tenant.
-- Integers are keys inside; each text key stands in one unique index; a row or an index entry is a row of the budget.

-- The commit row: written once by every transaction that writes anything.
CREATE TABLE clock (
  id INTEGER PRIMARY KEY,          -- always 1
  txid INTEGER NOT NULL,           -- how many transactions have committed: the numeric txid of the wire
  now INTEGER NOT NULL,            -- the latest moment that was committed; time never runs backwards
  serial INTEGER NOT NULL          -- the last row id that was given out, to any table; never used again
) STRICT;

-- What is written rarely: the origin under which we were last reached, keys.
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stream (
  id INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE,
  content_type TEXT NOT NULL,      -- as given
  closed INTEGER NOT NULL,         -- 0 open, 1 closed
  closed_by TEXT,                  -- the producer that closed it: JSON [id, epoch, seq]
  last_seq TEXT,                   -- the last Stream-Seq
  created_at INTEGER NOT NULL
) STRICT;

-- An append, stored as it is read: its end offset is its key. Long ones take several parts.
CREATE TABLE entry (
  stream INTEGER NOT NULL,
  end INTEGER NOT NULL,            -- offset after it
  part INTEGER NOT NULL,           -- 0, 1, …
  messages INTEGER NOT NULL,       -- JSON messages in it, on part 0
  data BLOB NOT NULL,
  PRIMARY KEY (stream, end, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE producer (
  stream INTEGER NOT NULL,
  name TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (stream, name)
) STRICT, WITHOUT ROWID;

-- Where each unfinished run of an entity began, so that its answer is found without reading the stream from its start.
CREATE TABLE run (
  stream INTEGER NOT NULL,
  key TEXT NOT NULL,
  start INTEGER NOT NULL,
  PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE entity_type (
  name TEXT PRIMARY KEY,
  definition TEXT NOT NULL,        -- JSON: description, schemas, commands, collections, endpoint, policy
  schemas INTEGER,                 -- the schema set of its messages and events, if it has any
  revision INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Schemas of messages and events that types have or had: never changed, shared by the entities that were spawned then.
CREATE TABLE schema_set (
  id INTEGER PRIMARY KEY,
  inbox TEXT,                      -- JSON {message type: schema}
  state TEXT                       -- JSON {event type: schema}
) STRICT;

-- An entity shares the row id of its main stream, whose path is its URL and `/main`.
CREATE TABLE entity (
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  policy TEXT,                     -- JSON dispatch policy
  tags TEXT NOT NULL,              -- JSON object of strings
  args TEXT NOT NULL,              -- JSON object
  parent TEXT,                     -- entity URL
  created_by TEXT NOT NULL,        -- principal URL
  type_revision INTEGER NOT NULL,
  schemas INTEGER,                 -- the schema set of its type when it was spawned
  next_wake INTEGER NOT NULL,      -- when the next wake may be written once causes run too deep
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE subscription (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,       -- the subscription id of the wire
  kind TEXT NOT NULL,              -- webhook | pull-wake
  url TEXT,                        -- webhook: where to
  runner TEXT,                     -- pull-wake: whose
  lease INTEGER NOT NULL,          -- ms
  generation INTEGER NOT NULL,     -- of the current or last wake; never falls
  wake TEXT,                       -- the wake in flight
  trigger INTEGER,                 -- the stream that caused it
  snapshot TEXT,                   -- JSON {stream: tail} when the wake began
  held INTEGER NOT NULL,           -- 0 announced, 1 leased
  holder TEXT,                     -- who claimed it
  claimed_at INTEGER,              -- since when, while leased
  heartbeat_at INTEGER,            -- the last sign of life of whoever holds it
  lease_until INTEGER,             -- while leased
  attempt INTEGER NOT NULL,        -- announcements so far
  due_at INTEGER,                  -- when to announce again
  claimed INTEGER,                 -- the entity (its stream) that the write token opens
  write_hash BLOB,                 -- SHA-256 of the write token
  depth INTEGER NOT NULL,          -- the deepest cause waiting
  serving INTEGER NOT NULL,        -- the deepest cause that the wake in flight serves
  error TEXT,                      -- how the last announcement failed
  timer_at INTEGER,                -- when its timer row is due
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE link (
  stream INTEGER NOT NULL,
  subscription INTEGER NOT NULL,
  acked INTEGER NOT NULL,
  PRIMARY KEY (stream, subscription)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_by_subscription ON link (subscription);

CREATE TABLE registration (
  id INTEGER PRIMARY KEY,
  subscriber INTEGER NOT NULL,     -- entity
  source TEXT NOT NULL,            -- entity URL, or stream path
  condition TEXT NOT NULL,         -- JSON, normalised
  manifest_key TEXT NOT NULL,      -- '' when none
  include_response INTEGER NOT NULL,
  debounce INTEGER NOT NULL,       -- ms
  timeout INTEGER NOT NULL,        -- ms
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX registration_by_source ON registration (source);
CREATE INDEX registration_by_subscriber ON registration (subscriber, manifest_key);

-- The one timer table. A due time that moves later is not rewritten: the row arms itself again when it fires.
CREATE TABLE timer (
  due_at INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  subject INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  error TEXT,
  PRIMARY KEY (due_at, kind, subject)
) STRICT, WITHOUT ROWID;

-- Timers that failed too often, with their last error.
CREATE TABLE dead_timer (
  kind INTEGER NOT NULL,
  subject INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  error TEXT,
  PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE delayed_send (
  id INTEGER PRIMARY KEY,
  entity INTEGER NOT NULL,
  message TEXT NOT NULL            -- JSON
) STRICT;

-- Wakes that wait for their turn because their chain of causes is too deep.
CREATE TABLE waiting_wake (
  id INTEGER PRIMARY KEY,
  subscriber INTEGER NOT NULL,
  event TEXT NOT NULL,             -- JSON: the row to write
  depth INTEGER NOT NULL
) STRICT;

CREATE TABLE runner (
  id TEXT PRIMARY KEY,
  serial INTEGER NOT NULL,         -- order of registration
  owner TEXT NOT NULL,             -- principal URL
  label TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,            -- enabled | disabled
  wake_stream TEXT NOT NULL,
  profiles TEXT NOT NULL,          -- JSON array
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_seen_at INTEGER,
  lease_until INTEGER,
  wake_offset TEXT,
  diagnostics TEXT                 -- JSON
) STRICT, WITHOUT ROWID;
