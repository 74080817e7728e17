-- Schema version 3: dispatches keep a journal and a budget, give up when nobody answers, and stand back from a fork.

-- What the dispatch in flight has been through, and the one before it until that is filed: JSON {last, now}
ALTER TABLE subscription ADD COLUMN journal TEXT;
-- until when the budget of wakes is used up; ms
ALTER TABLE subscription ADD COLUMN budget INTEGER NOT NULL DEFAULT 0;
-- something is pending and waits for its turn: when it comes
ALTER TABLE subscription ADD COLUMN slowed_until INTEGER;
-- when it last changed
ALTER TABLE subscription ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX subscription_by_runner ON subscription (runner) WHERE runner IS NOT NULL;

-- Dispatches that are over, and wake rows that no dispatch began with.
CREATE TABLE journal (
  entity INTEGER NOT NULL,
  place INTEGER NOT NULL,          -- a dispatch: its generation, modulo how many are kept; a wake row: minus its row id
  at INTEGER NOT NULL,             -- when it was filed
  record TEXT NOT NULL,            -- JSON
  PRIMARY KEY (entity, place)
) STRICT, WITHOUT ROWID;

-- Dispatches that were given up: nobody took them, however often they were announced.
CREATE TABLE dead_letter (
  subscription INTEGER PRIMARY KEY,
  entity INTEGER NOT NULL,
  letter TEXT NOT NULL             -- JSON: the wake, since when, how often it was tried, the last answer
) STRICT;

-- Entities that are not dispatched while a fork reads them.
CREATE TABLE lock (
  entity INTEGER PRIMARY KEY,
  until INTEGER NOT NULL           -- when it is taken away, whatever becomes of who made it
) STRICT;

-- Where its source ended when a registration was made: what lies before never matches.
ALTER TABLE registration ADD COLUMN since INTEGER NOT NULL DEFAULT 0;

-- A registration may be for one match, and its timeout is over by the first.
ALTER TABLE registration ADD COLUMN one_shot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE registration ADD COLUMN consumed INTEGER NOT NULL DEFAULT 0;

-- Matches that a registration gathers until nothing more has come for a while.
CREATE TABLE gathered (
  registration INTEGER PRIMARY KEY,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  count INTEGER NOT NULL,
  changes TEXT NOT NULL,           -- JSON, parted by commas
  latest TEXT NOT NULL,            -- JSON: what the last match was, and the last run that finished
  depth INTEGER NOT NULL           -- the deepest cause among them
) STRICT;

-- A delayed send may stand for a row of its owner's manifest, and is found by its entity, too.
ALTER TABLE delayed_send ADD COLUMN owner INTEGER;
ALTER TABLE delayed_send ADD COLUMN manifest_key TEXT;
ALTER TABLE delayed_send ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delayed_send_by_entity ON delayed_send (entity);
CREATE INDEX delayed_send_by_manifest ON delayed_send (owner, manifest_key) WHERE owner IS NOT NULL;

-- Chains of ticks: one for each spelling of an expression and zone, shared by all who observe it.
CREATE TABLE cron (
  id INTEGER PRIMARY KEY,          -- its stream's row id
  path TEXT NOT NULL UNIQUE,
  tick INTEGER NOT NULL,           -- the number of the next tick
  due_at INTEGER                   -- when that is; none while nobody observes it
) STRICT;
UPDATE delayed_send SET due_at = COALESCE((SELECT t.due_at FROM timer t WHERE t.kind = 2 AND t.subject = delayed_send.id), 0);

-- Appends whose wakes are written a chunk at a time, because very many observe their source.
CREATE TABLE fan_out (
  id INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  stream INTEGER NOT NULL,
  end INTEGER NOT NULL,            -- where the append ended
  after INTEGER NOT NULL,          -- the last registration that was looked at
  before INTEGER NOT NULL,         -- those that were made later are not looked at
  class INTEGER NOT NULL,          -- 0: it matches any condition; 1: only one that names its collection
  author INTEGER,                  -- the entity that wrote it under its own claim
  depth INTEGER NOT NULL,
  starts TEXT NOT NULL,            -- JSON {run: offset}: where the runs began that it ends
  entry BLOB                       -- what was appended, unless it is very long: its stream may be deleted meanwhile
) STRICT;
CREATE INDEX fan_out_by_source ON fan_out (source);

-- Streams that say which entities have some tags, as one principal may see them.
CREATE TABLE membership (
  id INTEGER PRIMARY KEY,          -- its stream's row id
  ref TEXT NOT NULL UNIQUE,
  anchor TEXT NOT NULL,            -- the first of its tags as JSON [key, value]; '' when it asks for none
  tags TEXT NOT NULL,              -- JSON object of strings
  principal TEXT NOT NULL,         -- principal URL
  cursor INTEGER                   -- up to which entity it was filled at first; none when it was through
) STRICT;
CREATE INDEX membership_by_anchor ON membership (anchor);
CREATE TABLE member (
  entity INTEGER NOT NULL,
  membership INTEGER NOT NULL,
  row TEXT NOT NULL,               -- JSON: what the stream said of it last
  PRIMARY KEY (entity, membership)
) STRICT, WITHOUT ROWID;
