//! The status of an entity: one table, and nothing else sets a status (control plane, section 6; wake specification,
//! section 5.5).

/// What an entity is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Being made.
    Spawning,
    /// Somebody holds its claim.
    Running,
    /// Nobody does.
    Idle,
    /// Not woken until it is continued.
    Paused,
    /// Will stop when its claim ends.
    Stopping,
    /// Ended by itself.
    Stopped,
    /// Ended at once.
    Killed,
}

/// A signal that anybody who may can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they mean what they mean to every process")]
pub enum Signal {
    Sigint,
    Sighup,
    Sigterm,
    Sigkill,
    Sigstop,
    Sigcont,
    Sigusr,
}

/// What moves a status beside signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody took the entity's wake.
    Claimed,
    /// Nobody holds it any more.
    Released,
    /// A message came that is not to wait for the entity to be continued.
    Sent,
}

/// What a signal does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The status after it.
    pub status: Status,
    /// Whether the server has done what it asks; otherwise the agent will read it and do so.
    pub handled: bool,
}

impl Status {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Spawning, "spawning"),
        (Self::Running, "running"),
        (Self::Idle, "idle"),
        (Self::Paused, "paused"),
        (Self::Stopping, "stopping"),
        (Self::Stopped, "stopped"),
        (Self::Killed, "killed"),
    ];

    /// Its word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(s, _)| *s == self).map_or("", |(_, word)| word)
    }

    /// Reads its word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(s, _)| *s)
    }

    /// Whether the entity is at its end.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Stopped | Self::Killed)
    }

    /// Whether it takes messages.
    #[must_use]
    pub fn accepts_writes(self) -> bool {
        !matches!(self, Self::Stopping | Self::Stopped | Self::Killed)
    }

    /// Whether it may be woken.
    #[must_use]
    pub fn dispatches(self) -> bool {
        matches!(self, Self::Spawning | Self::Running | Self::Idle)
    }

    /// The status of an entity that is continued: idle, unless somebody held its claim all the while.
    #[must_use]
    pub fn continued(self, claimed: bool) -> Self {
        if self == Self::Idle && claimed { Self::Running } else { self }
    }

    /// The status after a change.
    #[must_use]
    pub fn after(self, change: Change) -> Self {
        match (self, change) {
            (Self::Spawning | Self::Idle, Change::Claimed) => Self::Running,
            (Self::Running, Change::Released) | (Self::Paused, Change::Sent) => Self::Idle,
            (Self::Stopping, Change::Released) => Self::Stopped,
            (unchanged, _) => unchanged,
        }
    }
}

impl Signal {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Sigint, "SIGINT"),
        (Self::Sighup, "SIGHUP"),
        (Self::Sigterm, "SIGTERM"),
        (Self::Sigkill, "SIGKILL"),
        (Self::Sigstop, "SIGSTOP"),
        (Self::Sigcont, "SIGCONT"),
        (Self::Sigusr, "SIGUSR"),
    ];

    /// The names of all signals.
    pub(crate) const NAMES: [&'static str; 7] =
        ["SIGINT", "SIGHUP", "SIGTERM", "SIGKILL", "SIGSTOP", "SIGCONT", "SIGUSR"];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(s, _)| *s == self).map_or("", |(_, word)| word)
    }

    /// Reads its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == name).map(|(s, _)| *s)
    }
}

/// What a signal does to a status; `None` for an entity at its end.
#[must_use]
pub fn signal(status: Status, signal: Signal) -> Option<Effect> {
    let effect = |status, handled| Some(Effect { status, handled });
    match (status, signal) {
        (Status::Stopped | Status::Killed, _) => None,
        (_, Signal::Sigkill) => effect(Status::Killed, true),
        (Status::Idle | Status::Paused, Signal::Sigterm) => effect(Status::Stopped, true),
        (Status::Running, Signal::Sigterm) => effect(Status::Stopping, false),
        (Status::Paused, Signal::Sigcont) => effect(Status::Idle, false),
        (Status::Paused, _) => effect(Status::Paused, true),
        (Status::Idle, Signal::Sigstop) => effect(Status::Paused, true),
        (Status::Running, Signal::Sigstop) => effect(Status::Paused, false),
        (unchanged, _) => effect(unchanged, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_signal_in_every_status() {
        use Signal::{Sigcont, Sigint, Sigkill, Sigstop, Sigterm};
        use Status::{Idle, Killed, Paused, Running, Stopped, Stopping};
        for (status, sent, want) in [
            (Idle, Sigkill, Some((Killed, true))),
            (Stopping, Sigkill, Some((Killed, true))),
            (Idle, Sigterm, Some((Stopped, true))),
            (Paused, Sigterm, Some((Stopped, true))),
            (Running, Sigterm, Some((Stopping, false))),
            (Paused, Sigint, Some((Paused, true))),
            (Idle, Sigstop, Some((Paused, true))),
            (Running, Sigstop, Some((Paused, false))),
            (Paused, Sigcont, Some((Idle, false))),
            (Running, Sigcont, Some((Running, false))),
            (Idle, Sigint, Some((Idle, false))),
            (Stopped, Sigkill, None),
            (Killed, Sigcont, None),
        ] {
            assert_eq!(signal(status, sent).map(|e| (e.status, e.handled)), want, "{status:?} {sent:?}");
        }
    }

    #[test]
    fn who_is_continued_while_somebody_works_runs() {
        for (status, claimed, want) in [
            (Status::Idle, true, Status::Running),
            (Status::Idle, false, Status::Idle),
            (Status::Paused, true, Status::Paused),
            (Status::Stopping, true, Status::Stopping),
        ] {
            assert_eq!(status.continued(claimed), want);
        }
    }

    #[test]
    fn claims_never_undo_a_stop_or_a_pause() {
        use Change::{Claimed, Released, Sent};
        use Status::{Idle, Killed, Paused, Running, Stopped, Stopping};
        for (status, change, want) in [
            (Idle, Claimed, Running),
            (Running, Released, Idle),
            (Stopping, Claimed, Stopping),
            (Stopping, Released, Stopped),
            (Paused, Claimed, Paused),
            (Paused, Released, Paused),
            (Paused, Sent, Idle),
            (Killed, Released, Killed),
            (Stopped, Claimed, Stopped),
        ] {
            assert_eq!(status.after(change), want, "{status:?} {change:?}");
        }
    }
}
