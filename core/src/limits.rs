//! Every limit in one place. Whatever a client can make grow has one, and a named error.

use crate::time::Span;

/// The largest body of an ordinary JSON request: what comes of it fits in one value of the store.
pub const BODY: usize = 900_000;
/// The longest type, with all schemas that were added to it: it fits in one value of the store.
pub const DEFINITION: usize = 1 << 20;
/// The largest body appended to a stream.
pub const APPEND: usize = 8 << 20;
/// The largest file that may be attached to an entity.
pub const ATTACHMENT: usize = 25 << 20;
/// How long what is sent beside it may be.
pub const ATTACHMENT_FIELDS: usize = 256 << 10;
/// The longest row of a manifest that stands for something.
pub const MANIFEST_ROW: usize = BODY;
/// How many characters of a reason the journal keeps.
pub const WHY: usize = 1000;
/// The longest expression of a cron.
pub const CRON: usize = 1024;
/// The most attachments of an entity.
pub const ATTACHMENTS: i64 = 10_000;
/// The longest id of one, and the longest name of a file.
pub const ATTACHMENT_NAME: usize = 255;
/// The most parts of a form.
pub const FORM_PARTS: usize = 32;
/// The longest headers of one.
pub const FORM_HEADERS: usize = 8 << 10;
/// The deepest nesting of JSON that is accepted.
pub const JSON_DEPTH: usize = 128;
/// The same for the body of a command: what it holds is kept in rows, and those in others.
pub const BODY_DEPTH: usize = JSON_DEPTH - 8;
/// The most steps that one command spends on its schemas: some hundred milliseconds.
pub const CHECK: usize = 4 << 20;
/// The most complaints about one body or value.
pub const COMPLAINTS: usize = 100;
/// Complaints that are longer together are cut short.
pub const COMPLAINT_TEXT: usize = 64 << 10;
/// The longest path.
pub const PATH: usize = 2048;
/// The longest name of a type: what leads to it is no longer than a path.
pub const TYPE_NAME: usize = 1024;
/// The longest content type, `stream-seq` or `producer-id`: they are kept, and read again by each append.
pub const KEPT_HEADER: usize = 1024;
/// The most messages that one append may carry.
pub const MESSAGES: usize = 100_000;
/// The largest piece in which an entry is stored; longer ones take several rows.
pub const PIECE: usize = 512 << 10;
/// The most bytes that one read gathers before it asks the client to come back for more.
pub const READ: usize = 1 << 20;
/// The most forks that a stream may be away from the one that it began with.
pub const FORKS: usize = 64;
/// The most entities that are forked together: one transaction makes all of them.
pub const FORK_ENTITIES: usize = 4096;
/// How long their main streams may be together: they are read back.
pub const FORK_BYTES: i64 = 1 << 30;
/// How much of that is read in one transaction, by those that begin, and again by those that go on.
pub const FORK_READ: usize = 4 << 20;
/// How many bytes of their manifests, statuses and watermarks are kept in memory meanwhile.
pub const FORK_TOLD: usize = 8 << 20;
/// How long their arguments and tags may be together: all of them are in memory, and in the answer.
pub const FORK_ARGS: usize = 8 << 20;
/// How many forks read back at once more than one transaction can.
pub const FORK_READERS: usize = 4;
/// The most rows that their manifests may have together.
pub const FORK_ROWS: usize = 10_000;
/// The most attachments and shared states that are forked with them.
pub const FORK_STREAMS: usize = 1024;
/// How long, in milliseconds, a fork waits for entities to be idle, unless it says otherwise.
pub const FORK_WAIT_USUAL: f64 = 120_000.0;
/// How long it waits at most.
pub const FORK_WAIT: Span = Span::secs(300);
/// How soon it looks whether they are.
pub const FORK_LOOK: Span = Span::millis(250);
/// How many entries or producers of a deleted stream are swept at once.
pub const SWEEP: i64 = 1000;
/// How many bytes of it.
pub const SWEEP_BYTES: i64 = 4 << 20;
/// How long after a stream has moved its older entries are sealed.
pub const SEAL_AFTER: Span = Span::secs(10);
/// An entry of this size stays as it is.
pub const SEAL_LARGE: usize = 64 << 10;
/// The smallest segment.
pub const SEAL_LEAST: usize = 64 << 10;
/// Where a segment has enough.
pub const SEAL_MOST: usize = 256 << 10;
/// The most entries that one turn of sealing looks at.
pub const SEAL_ROWS: i64 = 4096;
/// The most subscriptions that clients may make.
pub const SUBSCRIPTIONS: i64 = 100_000;
/// The most of them that have a pattern: the first append to a stream looks at each.
pub const PATTERNS: i64 = 1000;
/// The most segments of a pattern.
pub const SEGMENTS: usize = 64;
/// The most streams that a subscription may follow: each of its wakes names all of them.
pub const LINKS: i64 = 10_000;
/// The most streams that a wake remembers as pending: what that takes fits in one value of the store.
pub const SNAPSHOT: usize = 20_000;
/// How long their paths may be together to be remembered too.
pub const SNAPSHOT_PATHS: usize = 64 << 10;
/// The longest id, pattern, path or description of a subscription.
pub const SUBSCRIPTION_TEXT: usize = 2048;
/// The longest text in a dispatch policy: it is in every delivery.
pub const POLICY_TEXT: usize = 2048;
/// The longest label of a runner, and the longest offset that it reports.
pub const RUNNER_TEXT: usize = 2048;
/// The most sandbox profiles of a runner.
pub const PROFILES: usize = 64;
/// How long what it says of them may be.
pub const PROFILES_TEXT: usize = 64 << 10;
/// The shortest and the longest lease that a subscription may ask for.
pub const LEASES: [Span; 2] = [Span::secs(1), Span::secs(600)];
/// The most signing keys at once.
pub const SIGNING_KEYS: usize = 8;
/// The most tags of an entity.
pub const TAGS: usize = 256;
/// How long the arguments and the tags of an entity are together, when a tag is set.
pub const TAGGED: usize = BODY;
/// The longest key or value of a tag that is set by itself.
pub const TAG: usize = 4096;
/// The most grants on one entity, or on one type.
pub const GRANTS: usize = 1000;
/// The most grants from above that an entity may be spawned under.
pub const FROM_ABOVE: usize = 4096;
/// The longest name of whom a grant is for.
pub const SUBJECT: usize = 1024;
/// How many entities of a shared state are asked whether somebody may.
pub const STATE_OWNERS: usize = 64;
/// The most membership streams that are awake: each change of an entity is held against them.
pub const MEMBERSHIPS: i64 = 1000;
/// The most that are asleep: past it the one that has slept longest is forgotten.
pub const MEMBERSHIPS_ASLEEP: i64 = 10_000;
/// How long after somebody has looked at one last it falls asleep.
pub const MEMBERSHIP_IDLE: Span = Span::secs(15 * 60);
/// How many bytes of entities a new one, or one that has slept, looks at together; how many entities that are, is the
/// host's to say, as it is of registrations.
pub const MEMBERS_BYTES: usize = 4 << 20;
/// The most shapes that are followed.
pub const SHAPES: i64 = 1000;
/// The longest URL of a shape, with all that defines it.
pub const SHAPE_URL: usize = 16 << 10;
/// The longest handle, offset or cache key of a shape.
pub const SHAPE_TEXT: usize = 1024;
/// The longest description of a shape's columns.
pub const SHAPE_COLUMNS: usize = 256 << 10;
/// The largest page of a shape: servers cut them at about ten megabytes.
pub const SHAPE_PAGE: usize = 12 << 20;
/// How many changes of it are appended together.
pub const SHAPE_CHANGES: usize = 256;
/// How deep the arrays of a shape's values may nest: Postgres has six.
pub const SHAPE_DIMENSIONS: usize = 6;
/// How long a question for changes may take, the wait for them included.
pub const SHAPE_TIME: Span = Span::secs(40);
/// How long the question may take whether a URL is a shape's.
pub const SHAPE_PROBE: Span = Span::secs(10);
/// How often a shape that nobody observes is asked in vain.
pub const SHAPE_ATTEMPTS: i64 = 20;
/// The longest wait before a shape that fails is asked again.
pub const SHAPE_BACKOFF: Span = Span::secs(30);
/// How many changes of rows that shapes show are remembered.
pub const CHANGES: i64 = 8192;
/// How much of what a row was is kept of one change.
pub const CHANGE_BYTES: usize = 4096;
/// How much an answer to a question about a shape holds, before it says that there is more.
pub const SHAPE_ANSWER: usize = 1 << 20;
/// How many rows are looked at for one answer.
pub const SHAPE_LOOKS: usize = 8192;
/// How many changes a reader of a shape may be behind before it begins anew.
pub const SHAPE_BEHIND: usize = 4096;
/// How long a question about a shape waits for a change. Browsers have six connections for a server.
pub const SHAPE_HOLD: Span = Span::secs(5);
/// How long a filter of a shape may be, and how deep.
pub const SHAPE_WHERE: usize = 2048;
/// How deep a filter of a shape may be.
pub const SHAPE_DEPTH: usize = 32;
/// How much work one answer may spend on its filter.
pub const SHAPE_WORK: usize = 8 << 20;
/// The most registrations that one entity may hold as a subscriber.
pub const REGISTRATIONS: usize = 10_000;
/// How many registrations are looked at together, and how many matches are told.
pub const FAN_OUT: usize = 256;
/// How many events are held against a condition together.
pub const LOOKS: usize = 65_536;
/// The most `Fetch` effects that one turn may carry.
pub const EFFECTS_A_TURN: usize = 32;
/// The most requests that may wait, for an effect or for entities to be idle.
pub const PENDING: usize = 256;
/// From how many on no fork may: forks wait long, and others must not wait for them.
pub const PENDING_FORKS: usize = 128;
/// The most timers that one move of the virtual clock runs.
pub const ADVANCE: usize = 100_000;
/// The most entities, types or runners that one list answers.
pub const LIST: usize = 10_000;
/// How many bytes of them it looks at, and whatever else looks at many rows that may be large.
pub const PAGE_BYTES: usize = 8 << 20;
/// The largest answer that is read from a webhook or a serve endpoint.
pub const ANSWER: usize = 256 << 10;
/// The longest response text that a wake carries of a finished child; cut longer ones are marked.
pub const RESPONSE: usize = 64 << 10;
/// The most finished runs of one append whose answers are read.
pub const ANSWERS: usize = 16;
/// How far the bounded read for a finished child goes from where its run began.
pub const RESPONSE_READ: usize = 4 << 20;
/// How long a webhook or a serve endpoint may take.
pub const FETCH_TIME: Span = Span::secs(20);
/// How long after a fetch's time limit a lost outcome is repeated.
pub const FETCH_SLACK: Span = Span::secs(10);
/// The longest delay of a delayed send: ten years.
pub const DELAY: Span = Span::secs(10 * 365 * 86_400);
/// How often a timer row is tried before it is dead.
pub const ATTEMPTS: i64 = 10;
/// Past this depth of causes wakes are spaced out.
pub const DEPTH: i64 = 64;
/// How often its span a debounce may postpone a wake, at most for how long, and how much it may hold.
pub const DEBOUNCE_TIMES: i64 = 10;
/// See [`DEBOUNCE_TIMES`].
pub const DEBOUNCE_CEILING: Span = Span::secs(3600);
/// See [`DEBOUNCE_TIMES`]: changes.
pub const DEBOUNCE_CHANGES: i64 = 100;
/// See [`DEBOUNCE_TIMES`]: bytes.
pub const DEBOUNCE_BYTES: usize = 64 << 10;
/// How far apart wake rows are then, for one entity.
pub const SPACING: Span = Span::secs(10);
/// How far apart its dispatches are: less, so that a row that has waited does not wait again.
pub const DEEP: Span = Span::secs(5);
/// How long a claim lives without a heartbeat.
pub const LEASE: Span = Span::secs(30);
/// The longest wait between two notices of an unclaimed wake.
pub const REMIND: Span = Span::secs(600);
/// The longest wait between two attempts of a delivery.
pub const BACKOFF: Span = Span::secs(60);
/// How often a delivery is tried before it is given up: after about an hour and a half.
pub const DELIVERIES: i64 = 100;
/// How many dispatches of an entity its journal remembers.
pub const JOURNAL_DISPATCHES: i64 = 64;
/// How many wake rows besides, that no dispatch began with.
pub const JOURNAL_WAKES: i64 = 128;
/// For how long it remembers them.
pub const JOURNAL_AGE: Span = Span::secs(7 * 86_400);
/// The most steps that it keeps of one dispatch.
pub const JOURNAL_STEPS: usize = 48;
/// The most bytes of an answer or an error that are kept.
pub const KEPT_ANSWER: usize = 500;
/// How many wakes an entity may begin in a minute, for ever, unless the host says otherwise.
pub const WAKES_A_MINUTE: u32 = 60;
/// How many minutes' worth of them it may begin at once.
pub const WAKES_AT_ONCE: i64 = 10;
/// How many entities one page of a check looks at.
pub const CHECKED: usize = 1000;
/// How many dead letters one call shows or takes back.
pub const DEAD_LETTERS: usize = 256;
