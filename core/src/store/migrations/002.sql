-- Schema version 2: streams expire and fork, cold entries are sealed, subscriptions follow paths and patterns, keys rotate.

-- What a stream was made with, and what keeps it. First: s, it expires so long after its last use.
ALTER TABLE stream ADD COLUMN ttl INTEGER;
-- when it expires, as it was asked for
ALTER TABLE stream ADD COLUMN expires_at TEXT;
-- when it expires, by the uses that were remembered; ms
ALTER TABLE stream ADD COLUMN until INTEGER;
-- when the timer of its expiry is due
ALTER TABLE stream ADD COLUMN expiry_armed INTEGER;
-- the stream that it is a fork of
ALTER TABLE stream ADD COLUMN source INTEGER;
-- where what it inherits ends
ALTER TABLE stream ADD COLUMN fork_at INTEGER NOT NULL DEFAULT 0;
-- how many messages or bytes past that were copied
ALTER TABLE stream ADD COLUMN fork_sub INTEGER NOT NULL DEFAULT 0;
-- where it begins by itself: fork_at, and what was copied; where the tail stands when no entry says so
ALTER TABLE stream ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
-- 1: the server wrote to it before any client did, so that patterns have not been looked at yet
ALTER TABLE stream ADD COLUMN unmatched INTEGER NOT NULL DEFAULT 0;
-- forks that read through it
ALTER TABLE stream ADD COLUMN refs INTEGER NOT NULL DEFAULT 0;
-- 1: deleted, and kept for its forks
ALTER TABLE stream ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
-- how far its entries have been looked at for sealing
ALTER TABLE stream ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;

-- Cold entries, many in a row: their bytes as they are read, end to end (JSON: with commas).
CREATE TABLE segment (
  stream INTEGER NOT NULL,
  end INTEGER NOT NULL,            -- where its last entry ends
  start INTEGER NOT NULL,          -- where the entry before its first ends
  places BLOB NOT NULL,            -- for each entry: how far it moved the tail, and its length; varints
  data BLOB NOT NULL,
  PRIMARY KEY (stream, end)
) STRICT, WITHOUT ROWID;

-- A link has reasons (1: asked for, 2: its path matches the pattern; 3: both) and an order. It may begin before the start
-- of its stream: then acked is -1.
ALTER TABLE link ADD COLUMN reasons INTEGER NOT NULL DEFAULT 1;
ALTER TABLE link ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;

-- Streams that a subscription asked for and that do not exist yet.
CREATE TABLE awaited (
  path TEXT NOT NULL,
  subscription INTEGER NOT NULL,
  serial INTEGER NOT NULL,
  PRIMARY KEY (path, subscription)
) STRICT, WITHOUT ROWID;
CREATE INDEX awaited_by_subscription ON awaited (subscription);

-- Subscriptions are of two kinds with names of their own: those that dispatch an entity, and those that a client made.
CREATE TABLE subscription_2 (
  id INTEGER PRIMARY KEY,
  plain INTEGER NOT NULL,          -- 1: a client made it, 0: it dispatches an entity
  name TEXT NOT NULL,              -- the subscription id of the wire
  kind TEXT NOT NULL,              -- webhook | pull-wake
  url TEXT,                        -- webhook: where to
  runner TEXT,                     -- pull-wake: whose
  wake_stream TEXT,                -- pull-wake: the path of the stream that announces it, when that is no runner's
  lease INTEGER NOT NULL,          -- ms
  generation INTEGER NOT NULL,     -- of the current or last wake; never falls
  wake TEXT,                       -- the wake in flight
  trigger INTEGER,                 -- the stream that caused it
  snapshot TEXT,                   -- JSON [[stream, tail, path], …]: what was pending when the wake began
  held INTEGER NOT NULL,           -- 0 announced, 1 leased
  holder TEXT,                     -- who claimed it
  claimed_at INTEGER,              -- since when, while leased
  heartbeat_at INTEGER,            -- the last sign of life of whoever holds it
  lease_until INTEGER,             -- while leased
  attempt INTEGER NOT NULL,        -- announcements so far
  announced INTEGER,               -- where the newest of them ends on its wake stream
  due_at INTEGER,                  -- when to announce again
  claimed INTEGER,                 -- the entity (its stream) that the write token opens
  write_hash BLOB,                 -- SHA-256 of the write token
  depth INTEGER NOT NULL,          -- the deepest cause waiting
  serving INTEGER NOT NULL,        -- the deepest cause that the wake in flight serves
  error TEXT,                      -- how the last announcement failed
  timer_at INTEGER,                -- when its timer row is due
  created_at INTEGER NOT NULL,
  UNIQUE (plain, name)
) STRICT;
INSERT INTO subscription_2 (id, plain, name, kind, url, runner, lease, generation, wake, trigger, snapshot, held, holder,
    claimed_at, heartbeat_at, lease_until, attempt, due_at, claimed, write_hash, depth, serving, error, timer_at, created_at)
  SELECT id, 0, name, kind, url, runner, lease, generation, wake, trigger, snapshot, held, holder,
    claimed_at, heartbeat_at, lease_until, attempt, due_at, claimed, write_hash, depth, serving, error, timer_at, created_at
  FROM subscription;
DROP TABLE subscription;
ALTER TABLE subscription_2 RENAME TO subscription;

-- What a client asked for when it made a subscription.
CREATE TABLE asked (
  subscription INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,             -- principal URL
  config TEXT NOT NULL             -- JSON, normalised: two that are equal ask for the same
) STRICT;

-- Patterns, apart from their subscriptions: a stream's first append looks at all of them.
CREATE TABLE pattern (
  subscription INTEGER PRIMARY KEY,
  pattern TEXT NOT NULL,
  owner TEXT NOT NULL              -- principal URL: only what they may read is linked
) STRICT;

-- The keys that sign webhooks: one that signs, one that will, and those that signed until a moment ago.
CREATE TABLE signing_key (
  id INTEGER PRIMARY KEY,
  secret TEXT NOT NULL,            -- base64url
  signs_from INTEGER NOT NULL,
  retires_at INTEGER               -- when it is no longer published
) STRICT;
INSERT INTO signing_key (id, secret, signs_from) SELECT 0, value, 0 FROM setting WHERE name = 'webhook signing key';
DELETE FROM setting WHERE name = 'webhook signing key';
