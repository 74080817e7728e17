-- Schema version 4: shapes are followed, webhook sources have filters and lifetimes, membership streams have readers.

-- What the rows of manifests say of attachments: whatever else they say is for the readers of their streams.
CREATE TABLE attachment (
  entity INTEGER NOT NULL,
  name TEXT NOT NULL,              -- its id, percent-encoded: the last segment of its stream's path
  complete INTEGER NOT NULL,       -- all of it is there
  astray INTEGER NOT NULL,         -- the row names another stream than the attachment's own
  mime TEXT NOT NULL,              -- what it is served as
  filename TEXT,
  PRIMARY KEY (entity, name)
) STRICT, WITHOUT ROWID;

-- The sandbox that an entity runs in: JSON, resolved when it was spawned.
ALTER TABLE entity ADD COLUMN sandbox TEXT;

-- The sandbox profiles that runners offer, to be found by name.
CREATE TABLE sandbox_profile (
  name TEXT NOT NULL,
  remote INTEGER NOT NULL,         -- it is not on the runner's own machine
  runner TEXT NOT NULL,
  PRIMARY KEY (name, remote, runner)
) STRICT, WITHOUT ROWID;

-- Shapes of Postgres tables whose changes are written to a stream.
CREATE TABLE pg_sync (
  id INTEGER PRIMARY KEY,          -- its stream's row id
  ref TEXT NOT NULL UNIQUE,
  principal TEXT NOT NULL,         -- principal URL of who registered it
  entity TEXT,                     -- the entity for which that was
  url TEXT NOT NULL,               -- where the shape is, with what defines it
  handle TEXT,                     -- which log of the shape is read; none: it is read from now on
  at TEXT,                         -- up to where it was read
  columns TEXT,                    -- JSON: the types of the columns, as the shape said first
  skips INTEGER NOT NULL,          -- what is read is passed over until all of it was
  caught_up INTEGER NOT NULL,      -- everything up to there was read: what comes is waited for
  cache_key TEXT,                  -- what the last answer wants to be sent along
  turn INTEGER NOT NULL,           -- how often it was asked
  asked_at INTEGER,                -- when, while the answer has not come
  attempt INTEGER NOT NULL,        -- how often it has failed since it last answered
  error TEXT,                      -- why it failed last
  due_at INTEGER NOT NULL          -- where its timer stands
) STRICT;

-- A fan-out may stop between two events of an append: the registration that has seen some of them, and which comes next.
ALTER TABLE fan_out ADD COLUMN within INTEGER;
ALTER TABLE fan_out ADD COLUMN event INTEGER NOT NULL DEFAULT 0;

-- A registration may end by itself.
ALTER TABLE registration ADD COLUMN until INTEGER;

-- What the rows of the tables that clients see were before each commit: a ring of the last changes.
CREATE TABLE change (
  slot INTEGER PRIMARY KEY,        -- the number of the change, modulo the length of the ring
  txid INTEGER NOT NULL,           -- the commit that made it
  tab INTEGER NOT NULL,            -- the table
  key TEXT NOT NULL,               -- the row's key in it
  before TEXT                      -- JSON: the text of what changed, or of all that went; none where there was no row
) STRICT;

-- How many changes there were.
ALTER TABLE clock ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;

-- A membership stream that nobody looks at falls asleep: what changes is told when somebody does.
ALTER TABLE membership ADD COLUMN asleep INTEGER NOT NULL DEFAULT 0;
-- when it falls asleep, or since when it sleeps
ALTER TABLE membership ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
DROP INDEX membership_by_anchor;
CREATE INDEX membership_by_anchor ON membership (anchor) WHERE asleep = 0;
CREATE INDEX membership_by_sleep ON membership (until) WHERE asleep = 1;
CREATE INDEX member_by_membership ON member (membership);
UPDATE membership SET until = (SELECT now FROM clock) + 900000;
INSERT INTO timer (due_at, kind, subject, attempt) SELECT until, 18, id, 0 FROM membership;
