//! The one timer table. Its key begins with the due time, so the next deadline is its first row.

use super::{Read, Row, SqlError, Tx};
use crate::time::{Span, Time};

/// What a timer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerKind {
    /// A subscription: its next announcement, or the end of its lease.
    Subscription,
    /// A delayed send.
    Send,
    /// A wake that waits for its turn.
    Wake,
    /// A development probe, which may panic.
    Probe,
    /// A stream that expires, unless it has been used since.
    Expire,
    /// A stream with entries to seal.
    Seal,
    /// What a deleted stream has left.
    Sweep,
    /// A signing key that is no longer published.
    Retire,
    /// What an entity's journal holds for too long.
    Journal,
    /// An entity whose lock has lasted too long.
    Unlock,
    /// What a registration has gathered.
    Debounce,
    /// A registration that nothing has matched for too long.
    Timeout,
    /// A chain of ticks.
    Cron,
    /// The next chunk of an append that very many observe.
    FanOut,
    /// The next entities of a new membership stream.
    Members,
    /// A shape that is to be asked for changes.
    Shape,
    /// A registration that ends by itself.
    Lapse,
    /// A membership stream that nobody may have looked at for a while.
    Idle,
    /// A grant that ends.
    GrantEnds,
    /// A grant that has not reached everything yet, or is not swept from everything.
    GrantSpreads,
}

impl TimerKind {
    const ALL: [Self; 20] = [
        Self::Subscription,
        Self::Send,
        Self::Wake,
        Self::Probe,
        Self::Expire,
        Self::Seal,
        Self::Sweep,
        Self::Retire,
        Self::Journal,
        Self::Unlock,
        Self::Debounce,
        Self::Timeout,
        Self::Cron,
        Self::FanOut,
        Self::Members,
        Self::Shape,
        Self::Lapse,
        Self::Idle,
        Self::GrantEnds,
        Self::GrantSpreads,
    ];

    /// The number by which the table knows it. Numbers are never used again.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Subscription => 1,
            Self::Send => 2,
            Self::Wake => 3,
            Self::Probe => 4,
            Self::Expire => 5,
            Self::Seal => 6,
            Self::Sweep => 7,
            Self::Retire => 8,
            Self::Journal => 9,
            Self::Unlock => 10,
            Self::Debounce => 11,
            Self::Timeout => 12,
            Self::Cron => 13,
            Self::FanOut => 14,
            Self::Members => 15,
            Self::Shape => 16,
            Self::Lapse => 17,
            Self::Idle => 18,
            Self::GrantEnds => 19,
            Self::GrantSpreads => 20,
        }
    }
}

/// A timer row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    pub(crate) due_at: Time,
    pub(crate) kind: TimerKind,
    pub(crate) subject: i64,
    /// How often it has failed.
    pub(crate) attempt: i64,
}

fn timer(row: Row<'_>) -> Result<Timer, SqlError> {
    let number = row.int(1)?;
    let kind = TimerKind::ALL.into_iter().find(|kind| kind.number() == number);
    Ok(Timer {
        due_at: Time::from_millis(row.int(0)?),
        kind: kind.ok_or_else(|| SqlError::new(format!("{number} is not a kind of timer")))?,
        subject: row.int(2)?,
        attempt: row.int(3)?,
    })
}

impl Read<'_> {
    /// The rows due at `now`, oldest first.
    pub(crate) fn due_timers(&self, now: Time, limit: usize) -> Result<Vec<Timer>, SqlError> {
        self.all(
            "SELECT due_at, kind, subject, attempt FROM timer WHERE due_at >= ?3 AND due_at <= ?1 ORDER BY due_at, kind, subject LIMIT ?2",
            &[now.into(), i64::try_from(limit).unwrap_or(i64::MAX).into(), Time::LINE.into()],
            timer,
        )
    }

    /// The rows that wait for nothing but a free slot, in the order in which they began to.
    pub(crate) fn waiting_timers(&self, limit: usize) -> Result<Vec<Timer>, SqlError> {
        self.all(
            "SELECT due_at, kind, subject, attempt FROM timer WHERE due_at < ?2 ORDER BY due_at, kind, subject LIMIT ?1",
            &[i64::try_from(limit).unwrap_or(i64::MAX).into(), Time::LINE.into()],
            timer,
        )
    }

    /// When the next row is due; those that wait for a slot count only when there is one.
    pub(crate) fn next_timer(&self, slots: bool) -> Result<Option<Time>, SqlError> {
        let least = if slots { Time::ZERO } else { Time::LINE };
        let due =
            self.one("SELECT due_at FROM timer WHERE due_at >= ?1 ORDER BY due_at LIMIT 1", &[least.into()], |row| {
                row.int(0)
            })?;
        Ok(due.map(Time::from_millis))
    }

    /// Whether a timer is armed.
    pub(crate) fn is_armed(&self, due_at: Time, kind: TimerKind, subject: i64) -> Result<bool, SqlError> {
        let sql = "SELECT 1 FROM timer WHERE due_at = ?1 AND kind = ?2 AND subject = ?3";
        Ok(self.one(sql, &[due_at.into(), kind.number().into(), subject.into()], |_| Ok(()))?.is_some())
    }

    /// How many timers are dead.
    pub(crate) fn dead_timers(&self) -> Result<i64, SqlError> {
        Ok(self.one("SELECT count(*) FROM dead_timer", &[], |row| row.int(0))?.unwrap_or(0))
    }
}

impl Tx<'_> {
    /// A place at the end of the line of those that wait for a slot: what is armed there is not due by the clock.
    pub(crate) fn place_in_line(&self) -> Time {
        Time::from_millis(self.next_id()).min(Time::LINE - Span::millis(1))
    }

    /// Arms a timer.
    pub(crate) fn arm(&self, due_at: Time, kind: TimerKind, subject: i64) -> Result<(), SqlError> {
        self.write_timer(&Timer { due_at, kind, subject, attempt: 0 }, None)
    }

    /// Arms a timer unless the very same is armed.
    pub(crate) fn arm_once(&self, due_at: Time, kind: TimerKind, subject: i64) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO timer (due_at, kind, subject, attempt) VALUES (?1, ?2, ?3, 0) ON CONFLICT DO NOTHING",
            &[due_at.into(), kind.number().into(), subject.into()],
        )
    }

    /// Writes a timer row as it stands.
    pub(crate) fn write_timer(&self, timer: &Timer, error: Option<&str>) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO timer (due_at, kind, subject, attempt, error) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (due_at, kind, subject) DO UPDATE SET attempt = ?4, error = ?5",
            &[
                timer.due_at.into(),
                timer.kind.number().into(),
                timer.subject.into(),
                timer.attempt.into(),
                error.into(),
            ],
        )
    }

    /// Takes a timer row away.
    pub(crate) fn disarm(&self, due_at: Time, kind: TimerKind, subject: i64) -> Result<(), SqlError> {
        self.write(
            "DELETE FROM timer WHERE due_at = ?1 AND kind = ?2 AND subject = ?3",
            &[due_at.into(), kind.number().into(), subject.into()],
        )
    }

    /// Keeps a timer that failed too often, with its last error.
    pub(crate) fn bury(&self, timer: &Timer, error: &str) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO dead_timer (kind, subject, due_at, error) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (kind, subject) DO UPDATE SET due_at = ?3, error = ?4",
            &[timer.kind.number().into(), timer.subject.into(), timer.due_at.into(), error.into()],
        )
    }
}
