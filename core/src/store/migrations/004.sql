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

-- Who may do what with the entities of a type, and with the type.
CREATE TABLE type_grant (
  id INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  permission TEXT NOT NULL,        -- spawn | manage
  subject_kind TEXT NOT NULL,      -- principal | principal_kind
  subject TEXT NOT NULL,           -- a principal URL, or a kind of principals
  created_by TEXT,                 -- principal URL
  expires_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX type_grant_by_type ON type_grant (type);

-- Who may do what with an entity, and perhaps with those below it.
CREATE TABLE entity_grant (
  id INTEGER PRIMARY KEY,
  entity INTEGER NOT NULL,         -- on which it was granted
  permission TEXT NOT NULL,        -- read | write | delete | signal | fork | schedule | spawn | manage
  subject_kind TEXT NOT NULL,      -- principal | principal_kind
  subject TEXT NOT NULL,           -- a principal URL, or a kind of principals
  descendants INTEGER NOT NULL,    -- 1: it reaches everything below
  copies INTEGER NOT NULL,         -- 1: whatever is spawned below is given a copy of its own
  created_by TEXT,                 -- principal URL
  expires_at INTEGER,
  created_at INTEGER NOT NULL,
  at INTEGER,                      -- while it spreads: the entity whose children it comes to
  after INTEGER,                   -- and the last of them that it has reached
  ended INTEGER NOT NULL           -- 1: it holds no longer, and what it reached is being swept
) STRICT;
CREATE INDEX entity_grant_by_entity ON entity_grant (entity);
CREATE INDEX entity_grant_by_subject ON entity_grant (subject, permission);

-- Where each of them is in effect: on its entity, and on what it reaches.
CREATE TABLE effective (
  entity INTEGER NOT NULL,
  grant INTEGER NOT NULL,
  id INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (entity, grant)
) STRICT, WITHOUT ROWID;
CREATE INDEX effective_by_grant ON effective (grant);

-- What is below an entity.
CREATE TABLE child (
  parent INTEGER NOT NULL,
  entity INTEGER NOT NULL,
  PRIMARY KEY (parent, entity)
) STRICT, WITHOUT ROWID;
INSERT INTO child (parent, entity) SELECT p.id, e.id FROM entity e JOIN stream p ON p.path = e.parent || '/main';

-- What belongs to whom, but for the built-in principals, who see everything without.
CREATE TABLE owned (
  owner TEXT NOT NULL,             -- principal URL
  entity INTEGER NOT NULL,
  PRIMARY KEY (owner, entity)
) STRICT, WITHOUT ROWID;
INSERT INTO owned (owner, entity) SELECT created_by, id FROM entity WHERE created_by NOT IN
  ('/principal/system%3Adev-local', '/principal/system%3Aframework', '/principal/system%3Aauth-sync');

-- Which entities a shared state belongs to.
CREATE TABLE shared_state (
  entity INTEGER NOT NULL,
  key TEXT NOT NULL,               -- of its manifest
  state TEXT NOT NULL,             -- the id of the state
  PRIMARY KEY (entity, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX shared_state_by_state ON shared_state (state);

-- Before there were grants everybody might do everything with every type: what was registered then stays so.
INSERT INTO type_grant (id, type, permission, subject_kind, subject, expires_at, created_at)
  SELECT c.serial + 4 * (SELECT count(*) FROM entity_type b WHERE b.name < t.name) + k.n, t.name, 'manage', 'principal_kind', k.kind,
    NULL, c.now
  FROM entity_type t, clock c, (SELECT 1 AS n, 'user' AS kind UNION SELECT 2, 'agent' UNION SELECT 3, 'service'
    UNION SELECT 4, 'system') k;
UPDATE clock SET serial = serial + (SELECT count(*) FROM type_grant);

-- Grants by their numbers, in which clients read them.
CREATE INDEX effective_by_id ON effective (id);

-- The built-in type of principals.
INSERT INTO entity_type (name, definition, schemas, revision, created_at, updated_at)
  SELECT 'principal', '{"description":"built-in principal entity","creation_schema":null,"inbox_schemas":{"update_identity":{"type":"object","properties":{"identity":{"type":"object","properties":{"kind":{"type":"string","enum":["user","agent","service","system"]},"id":{"type":"string"},"key":{"type":"string"},"url":{"type":"string"},"display_name":{"type":"string"},"email":{"type":"string"},"avatar_url":{"type":"string"},"auth_provider":{"type":"string"},"auth_subject":{"type":"string"},"claims":{"type":"object"},"created_at":{"type":"string"},"updated_at":{"type":"string"}},"required":["kind","id","key","url","updated_at"],"additionalProperties":false}},"required":["identity"],"additionalProperties":false}},"state_schemas":{"identity":{"type":"object","properties":{"kind":{"type":"string","enum":["user","agent","service","system"]},"id":{"type":"string"},"key":{"type":"string"},"url":{"type":"string"},"display_name":{"type":"string"},"email":{"type":"string"},"avatar_url":{"type":"string"},"auth_provider":{"type":"string"},"auth_subject":{"type":"string"},"claims":{"type":"object"},"created_at":{"type":"string"},"updated_at":{"type":"string"}},"required":["kind","id","key","url","updated_at"],"additionalProperties":false}}}', NULL, 1, now, now FROM clock;
