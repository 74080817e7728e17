-- Schema version 6: rows of collections to which others may only add, and whose shapes an entity's are.

-- Where such rows stand in the streams of entities, since nobody may add another under a key that is taken. What a fork
-- inherits stands with its source.
CREATE TABLE collection_row (
  stream INTEGER NOT NULL,
  row BLOB NOT NULL,               -- hash of its event type and key
  at INTEGER NOT NULL,             -- where the append ends that added it
  gone INTEGER,                    -- where the append ends that took it away; none: it is there
  said BLOB NOT NULL,              -- hash of who added it and what it says
  PRIMARY KEY (stream, row, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX pg_sync_of_entity ON pg_sync (entity) WHERE entity IS NOT NULL;
