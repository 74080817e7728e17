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
