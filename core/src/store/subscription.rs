//! Subscriptions: who is told when a stream moves, and the one wake that may be in flight for each.

use serde::{Deserialize, Serialize};

use super::{Read, Row, SqlError, Tx};
use crate::stream::Offset;
use crate::time::{Span, Time};

/// How a subscription announces its wakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A signed `POST` to a URL.
    Webhook { url: String },
    /// An event on the wake stream of a runner.
    Runner { runner: String },
    /// An event on a stream.
    Stream { path: String },
}

/// A wake in flight: announced, perhaps claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WakeInFlight {
    /// The wake's id on the wire.
    pub(crate) id: String,
    /// The stream that caused it.
    pub(crate) trigger: i64,
    /// What was pending when the wake began, as JSON: a list of [`Seen`].
    /// `None` once it is stored: [`Read::seen`] reads it.
    pub(crate) snapshot: Option<String>,
    /// Leased: a webhook that answered, or a claim.
    pub(crate) held: bool,
    /// Who claimed it.
    pub(crate) holder: Option<String>,
    /// Since when it is held.
    pub(crate) claimed_at: Option<Time>,
    /// The last sign of life of whoever holds it.
    pub(crate) heartbeat_at: Option<Time>,
    /// Until when, while held.
    pub(crate) lease_until: Option<Time>,
    /// Announcements so far.
    pub(crate) attempt: i64,
    /// Where the newest of them ends on its wake stream.
    pub(crate) announced: Option<Offset>,
    /// When to announce again, while not held.
    pub(crate) due_at: Option<Time>,
    /// The entity that the write token opens, once a token was given out.
    pub(crate) claimed: Option<i64>,
    /// SHA-256 of the write token.
    pub(crate) write_hash: Option<Vec<u8>>,
}

/// A stream, its tail when a wake began, and its path.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Seen {
    Named(i64, i64, String),
    /// Without its path: where many are pending, and as the first release wrote it.
    Bare(i64, i64),
}

impl Seen {
    /// The stream's path and row, where the path is remembered.
    pub(crate) fn named(&self) -> Option<(&str, i64)> {
        match self {
            Self::Named(stream, _, path) => Some((path, *stream)),
            Self::Bare(..) => None,
        }
    }
}

/// A subscription.
#[derive(Clone, Debug)]
pub(crate) struct SubscriptionRow {
    pub(crate) id: i64,
    /// A client made it; otherwise it dispatches an entity.
    pub(crate) plain: bool,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) lease: Span,
    pub(crate) generation: i64,
    pub(crate) wake: Option<WakeInFlight>,
    /// The deepest cause that waits to be served.
    pub(crate) depth: i64,
    /// The deepest cause that the wake in flight serves.
    pub(crate) serving: i64,
    /// How the last announcement failed.
    pub(crate) error: Option<String>,
    /// When its timer row is due.
    pub(crate) timer_at: Option<Time>,
    pub(crate) created_at: Time,
    /// What its dispatches have been through: see `dispatch::journal`.
    pub(crate) journal: Option<String>,
    /// Until when its budget of wakes is used up.
    pub(crate) budget: Time,
    /// Something is pending and waits for its turn: when that comes.
    pub(crate) slowed_until: Option<Time>,
    /// It was given up.
    pub(crate) dead: bool,
    /// When it last changed.
    pub(crate) at: Time,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT s.id, s.name, s.kind, s.url, s.runner, s.lease, s.generation, s.wake, s.trigger, s.journal, s.held, s.holder, \
             s.lease_until, s.attempt, s.due_at, s.claimed, s.write_hash, s.depth, s.serving, s.error, s.timer_at, s.claimed_at, s.heartbeat_at, s.plain, \
             s.wake_stream, s.announced, s.created_at, s.budget, s.slowed_until, s.at, \
             EXISTS (SELECT 1 FROM dead_letter d WHERE d.subscription = s.id) FROM subscription s ",
            $rest
        )
    };
}

impl SubscriptionRow {
    fn from(row: Row<'_>) -> Result<Self, SqlError> {
        let kind = match row.text(2)? {
            WEBHOOK => Kind::Webhook { url: row.text(3)?.to_owned() },
            _ => match row.opt_text(24)? {
                Some(path) => Kind::Stream { path: path.to_owned() },
                None => Kind::Runner { runner: row.text(4)?.to_owned() },
            },
        };
        let time = |i| row.opt_int(i).map(|at| at.map(Time::from_millis));
        let wake = match row.opt_text(7)? {
            None => None,
            Some(id) => Some(WakeInFlight {
                id: id.to_owned(),
                trigger: row.int(8)?,
                snapshot: None,
                held: row.int(10)? != 0,
                holder: row.opt_text(11)?.map(str::to_owned),
                claimed_at: time(21)?,
                heartbeat_at: time(22)?,
                lease_until: time(12)?,
                attempt: row.int(13)?,
                announced: row.opt_int(25)?.map(Offset::at),
                due_at: time(14)?,
                claimed: row.opt_int(15)?,
                write_hash: row.opt_blob(16)?.map(<[u8]>::to_vec),
            }),
        };
        Ok(Self {
            id: row.int(0)?,
            name: row.text(1)?.to_owned(),
            kind,
            lease: Span::millis(row.int(5)?),
            generation: row.int(6)?,
            wake,
            depth: row.int(17)?,
            serving: row.int(18)?,
            error: row.opt_text(19)?.map(str::to_owned),
            timer_at: time(20)?,
            plain: row.int(23)? != 0,
            created_at: Time::from_millis(row.int(26)?),
            journal: row.opt_text(9)?.map(str::to_owned),
            budget: Time::from_millis(row.int(27)?),
            slowed_until: time(28)?,
            at: Time::from_millis(row.int(29)?),
            dead: row.int(30)? != 0,
        })
    }
}

impl Read<'_> {
    pub(crate) fn subscription(&self, id: i64) -> Result<Option<SubscriptionRow>, SqlError> {
        self.one(select!("WHERE s.id = ?1"), &[id.into()], SubscriptionRow::from)
    }

    /// The subscription of a name that dispatches an entity.
    pub(crate) fn dispatch_by_name(&self, name: &str) -> Result<Option<SubscriptionRow>, SqlError> {
        self.one(select!("WHERE s.plain = 0 AND s.name = ?1"), &[name.into()], SubscriptionRow::from)
    }

    /// The subscription of a name that a client made.
    pub(crate) fn plain_by_name(&self, name: &str) -> Result<Option<SubscriptionRow>, SqlError> {
        self.one(select!("WHERE s.plain = 1 AND s.name = ?1"), &[name.into()], SubscriptionRow::from)
    }

    /// The subscriptions that a stream is linked to.
    pub(crate) fn subscriptions_of(&self, stream: i64) -> Result<Vec<SubscriptionRow>, SqlError> {
        self.all(
            select!("JOIN link l ON l.subscription = s.id WHERE l.stream = ?1 ORDER BY s.id"),
            &[stream.into()],
            SubscriptionRow::from,
        )
    }

    /// The subscriptions that dispatch the entity of a main stream.
    pub(crate) fn dispatches_of(&self, stream: i64) -> Result<Vec<SubscriptionRow>, SqlError> {
        let mut all = self.subscriptions_of(stream)?;
        all.retain(|s| !s.plain);
        Ok(all)
    }

    /// What was pending when the wake in flight of a subscription began.
    pub(crate) fn seen(&self, subscription: i64) -> Result<Vec<Seen>, SqlError> {
        let sql = "SELECT snapshot FROM subscription WHERE id = ?1 AND snapshot IS NOT NULL";
        let stored = self.one(sql, &[subscription.into()], |row| Ok(row.text(0)?.to_owned()))?;
        serde_json::from_str(stored.as_deref().unwrap_or("[]"))
            .map_err(|e| SqlError::new(format!("a stored snapshot does not parse: {e}")))
    }

    /// The wakes that a runner holds or could claim, for its health.
    pub(crate) fn subscriptions_of_runner(&self, runner: &str) -> Result<Vec<SubscriptionRow>, SqlError> {
        self.all(
            select!("WHERE s.runner = ?1 AND s.wake IS NOT NULL ORDER BY s.id"),
            &[runner.into()],
            SubscriptionRow::from,
        )
    }

    /// What dispatches through a runner, those first that changed last.
    pub(crate) fn latest_of_runner(&self, runner: &str, limit: usize) -> Result<Vec<SubscriptionRow>, SqlError> {
        self.all(
            select!("WHERE s.runner = ?1 ORDER BY s.at DESC, s.id DESC LIMIT ?2"),
            &[runner.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
            SubscriptionRow::from,
        )
    }

    /// How many entities of a runner have something to do that nobody does: announced, held back, or given up.
    pub(crate) fn pending_of_runner(&self, runner: &str) -> Result<i64, SqlError> {
        let count = "SELECT count(*) FROM subscription s JOIN link l ON l.subscription = s.id JOIN stream st ON st.id = l.stream \
             WHERE s.runner = ?1 AND s.held = 0 AND l.acked < \
             max(COALESCE((SELECT e.end FROM entry e WHERE e.stream = l.stream ORDER BY e.end DESC LIMIT 1), 0), st.base)";
        Ok(self.one(count, &[runner.into()], |row| row.int(0))?.unwrap_or(0))
    }

    /// The stream that the last wake of a subscription was about, however that ended.
    pub(crate) fn last_trigger(&self, subscription: i64) -> Result<Option<i64>, SqlError> {
        let sql = "SELECT trigger FROM subscription WHERE id = ?1 AND plain = 0 AND trigger IS NOT NULL";
        self.one(sql, &[subscription.into()], |row| row.int(0))
    }
}

impl Tx<'_> {
    pub(crate) fn insert_subscription(
        &self,
        plain: bool,
        name: &str,
        kind: Kind,
        lease: Span,
    ) -> Result<SubscriptionRow, SqlError> {
        let id = self.next_id();
        let (word, url, runner, wake_stream) = match &kind {
            Kind::Webhook { url } => (WEBHOOK, Some(url), None, None),
            Kind::Runner { runner } => (PULL_WAKE, None, Some(runner), None),
            Kind::Stream { path } => (PULL_WAKE, None, None, Some(path)),
        };
        self.write(
            "INSERT INTO subscription (id, plain, name, kind, url, runner, wake_stream, lease, generation, held, attempt, depth, serving, created_at, at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0, 0, 0, ?9, ?9)",
            &[
                id.into(),
                plain.into(),
                name.into(),
                word.into(),
                url.into(),
                runner.into(),
                wake_stream.into(),
                lease.as_millis().into(),
                self.now.into(),
            ],
        )?;
        Ok(SubscriptionRow {
            id,
            plain,
            name: name.to_owned(),
            kind,
            lease,
            generation: 0,
            wake: None,
            depth: 0,
            serving: 0,
            error: None,
            timer_at: None,
            created_at: self.now,
            journal: None,
            budget: Time::ZERO,
            slowed_until: None,
            dead: false,
            at: self.now,
        })
    }

    pub(crate) fn delete_subscription(&self, id: i64) -> Result<(), SqlError> {
        self.telling(id, || self.write("DELETE FROM subscription WHERE id = ?1", &[id.into()]))
    }

    /// Writes what can change of a subscription: its state, never its configuration.
    pub(crate) fn update_subscription(&self, s: &SubscriptionRow) -> Result<(), SqlError> {
        if s.plain { self.put_subscription(s) } else { self.telling(s.id, || self.put_subscription(s)) }
    }

    fn put_subscription(&self, s: &SubscriptionRow) -> Result<(), SqlError> {
        let wake = s.wake.as_ref();
        self.write(
            "UPDATE subscription SET generation = ?2, wake = ?3, trigger = COALESCE(?4, trigger), snapshot = CASE WHEN ?3 IS NULL THEN NULL ELSE COALESCE(?5, snapshot) END, held = ?6, holder = ?7, lease_until = ?8, \
             attempt = ?9, due_at = ?10, claimed = ?11, write_hash = ?12, depth = ?13, serving = ?14, error = ?15, timer_at = ?16, \
             claimed_at = ?17, heartbeat_at = ?18, announced = ?19, journal = ?20, budget = ?21, slowed_until = ?22, at = ?23 WHERE id = ?1",
            &[
                s.id.into(),
                s.generation.into(),
                wake.map(|w| &w.id).into(),
                wake.map(|w| w.trigger).into(),
                wake.and_then(|w| w.snapshot.as_ref()).into(),
                wake.is_some_and(|w| w.held).into(),
                wake.and_then(|w| w.holder.as_ref()).into(),
                wake.and_then(|w| w.lease_until).into(),
                wake.map_or(0, |w| w.attempt).into(),
                wake.and_then(|w| w.due_at).into(),
                wake.and_then(|w| w.claimed).into(),
                wake.and_then(|w| w.write_hash.as_deref()).into(),
                s.depth.into(),
                s.serving.into(),
                s.error.as_ref().into(),
                s.timer_at.into(),
                wake.and_then(|w| w.claimed_at).into(),
                wake.and_then(|w| w.heartbeat_at).into(),
                wake.and_then(|w| w.announced).into(),
                s.journal.as_ref().into(),
                s.budget.into(),
                s.slowed_until.into(),
                self.now.into(),
            ],
        )
    }
}

/// The kinds on the wire.
pub(crate) const WEBHOOK: &str = "webhook";
pub(crate) const PULL_WAKE: &str = "pull-wake";
