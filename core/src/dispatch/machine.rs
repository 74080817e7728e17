//! The one state machine of a dispatch: idle, pending, outstanding, claimed, and idle again; or dead, until somebody
//! takes it back. A function of values, and total: every event in every state has an answer.
//!
//! It says what to do, and whoever asks does that; nothing else moves a dispatch. A generation of it is a *wake*.

/// Where a dispatch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is nothing to do.
    Idle,
    /// There is, and no wake of it yet: its entity may not be woken now, or waits for its turn.
    Pending,
    /// A wake was announced, and nobody has taken it.
    Outstanding,
    /// Somebody has, and holds it while its lease lives.
    Claimed,
    /// It was announced too often.
    Dead,
}

/// What happens to a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something has come; or what held it back is gone.
    Work,
    /// Somebody asks for the wake.
    Claim,
    /// Whoever was told of the wake gives a sign of life.
    Heartbeat,
    /// Whoever was told of it has done it.
    Done,
    /// Whoever was told of it will not do it.
    Release,
    /// The webhook took it.
    Delivered,
    /// The webhook did not, once or for the last time.
    DeliveryFailed {
        /// Whether that was once too often.
        last: bool,
    },
    /// It is time to announce it again, or its turn has come.
    Due,
    /// The lease is over.
    LeaseOver,
    /// Its entity may not be woken for now.
    Shut,
    /// Its entity is at its end, or is dispatched another way.
    Unlinked,
    /// A dead one is taken back.
    Revive,
}

/// What an answer depends on besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether anything is not acknowledged.
    pub pending: bool,
    /// Whether the entity may be woken.
    pub admitted: bool,
    /// Whether its budget of wakes allows one now.
    pub in_time: bool,
}

impl Facts {
    /// Nothing is in the way of a wake.
    pub const OPEN: Self = Self { pending: true, admitted: true, in_time: true };
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Begin a wake and announce it.
    Begin,
    /// Begin a wake for who asks for it, and lease it.
    BeginClaimed,
    /// Wait for the turn.
    Slow,
    /// Announce the wake again.
    Announce,
    /// Lease the wake.
    Hold,
    /// Extend its lease.
    Extend,
    /// Announce it again after a while.
    Retry,
    /// Give it up.
    Bury,
    /// End the wake; what is pending then is [`Event::Work`].
    End,
    /// Answer that it cannot be.
    Refuse(Refusal),
}

/// Why something cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing to do.
    NoPendingWork,
    /// Somebody holds it.
    AlreadyClaimed,
    /// Its entity may not be woken.
    NotAdmitted,
    /// It waits for its turn.
    Slowed,
    /// The wake is over.
    Fenced,
    /// It was given up, and has to be taken back first.
    Dead,
    /// It was not given up.
    NotDead,
}

/// The state after an event, and what to do.
#[must_use]
pub fn step(state: State, event: Event, facts: Facts) -> (State, Action) {
    match state {
        State::Idle | State::Pending => at_rest(event, facts),
        State::Outstanding => outstanding(event, facts),
        State::Claimed => claimed(event),
        State::Dead => dead(event, facts),
    }
}

fn at_rest(event: Event, facts: Facts) -> (State, Action) {
    let rest = if facts.pending { State::Pending } else { State::Idle };
    match event {
        Event::Work | Event::Due => match facts {
            Facts { pending: false, .. } | Facts { admitted: false, .. } => (rest, Action::Nothing),
            Facts { in_time: false, .. } => (rest, Action::Slow),
            _ => (State::Outstanding, Action::Begin),
        },
        Event::Claim => match facts {
            Facts { admitted: false, .. } => (rest, Action::Refuse(Refusal::NotAdmitted)),
            Facts { pending: false, .. } => (rest, Action::Refuse(Refusal::NoPendingWork)),
            Facts { in_time: false, .. } => (rest, Action::Refuse(Refusal::Slowed)),
            _ => (State::Claimed, Action::BeginClaimed),
        },
        Event::Heartbeat | Event::Done | Event::Release => (rest, Action::Refuse(Refusal::Fenced)),
        Event::Revive => (rest, Action::Refuse(Refusal::NotDead)),
        Event::Unlinked => (State::Idle, Action::Nothing),
        Event::Delivered | Event::DeliveryFailed { .. } | Event::LeaseOver | Event::Shut => (rest, Action::Nothing),
    }
}

fn outstanding(event: Event, facts: Facts) -> (State, Action) {
    match event {
        Event::Claim if !facts.admitted => (State::Outstanding, Action::Refuse(Refusal::NotAdmitted)),
        // Announced, and what it was about has gone: nothing must wait for it.
        Event::Claim if !facts.pending => (State::Idle, Action::End),
        Event::Claim | Event::Heartbeat | Event::Delivered => (State::Claimed, Action::Hold),
        Event::Due if facts.admitted => (State::Outstanding, Action::Announce),
        Event::DeliveryFailed { last: false } => (State::Outstanding, Action::Retry),
        Event::DeliveryFailed { last: true } => (State::Dead, Action::Bury),
        Event::Due | Event::Shut => (State::Pending, Action::End),
        Event::Done | Event::Release | Event::Unlinked => (State::Idle, Action::End),
        Event::Revive => (State::Outstanding, Action::Refuse(Refusal::NotDead)),
        Event::Work | Event::LeaseOver => (State::Outstanding, Action::Nothing),
    }
}

fn claimed(event: Event) -> (State, Action) {
    match event {
        Event::Claim => (State::Claimed, Action::Refuse(Refusal::AlreadyClaimed)),
        Event::Heartbeat => (State::Claimed, Action::Extend),
        Event::Done | Event::Release | Event::LeaseOver | Event::Unlinked => (State::Idle, Action::End),
        Event::Revive => (State::Claimed, Action::Refuse(Refusal::NotDead)),
        // Whoever holds it decides; what comes meanwhile waits for the next.
        Event::Work | Event::Delivered | Event::DeliveryFailed { .. } | Event::Due | Event::Shut => {
            (State::Claimed, Action::Nothing)
        }
    }
}

fn dead(event: Event, facts: Facts) -> (State, Action) {
    match event {
        Event::Claim => (State::Dead, Action::Refuse(Refusal::Dead)),
        Event::Heartbeat | Event::Done | Event::Release => (State::Dead, Action::Refuse(Refusal::Fenced)),
        Event::Revive => at_rest(Event::Work, facts),
        Event::Unlinked => (State::Idle, Action::Nothing),
        Event::Work | Event::Delivered | Event::DeliveryFailed { .. } | Event::Due | Event::LeaseOver | Event::Shut => {
            (State::Dead, Action::Nothing)
        }
    }
}

impl State {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Pending => "pending",
            Self::Outstanding => "outstanding",
            Self::Claimed => "claimed",
            Self::Dead => "dead",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const EVENTS: [Event; 13] = [
        Event::Work,
        Event::Claim,
        Event::Heartbeat,
        Event::Done,
        Event::Release,
        Event::Delivered,
        Event::DeliveryFailed { last: false },
        Event::DeliveryFailed { last: true },
        Event::Due,
        Event::LeaseOver,
        Event::Shut,
        Event::Unlinked,
        Event::Revive,
    ];

    const OPEN: Facts = Facts::OPEN;

    /// For each event: the state after it and what is done, from each state in turn, while nothing is in the way.
    #[test]
    fn every_event_in_every_state() {
        use Action::{Announce, Begin, BeginClaimed, Bury, End, Extend, Hold, Nothing, Refuse, Retry};
        use Refusal::{AlreadyClaimed, Fenced, NotDead};
        use State::{Claimed as C, Dead as D, Idle as I, Outstanding as O, Pending as P};
        #[rustfmt::skip]
        let table = [
            //                   idle or pending          outstanding             claimed                    dead
            (Event::Work,       [(O, Begin),             (O, Nothing),           (C, Nothing),              (D, Nothing)]),
            (Event::Claim,      [(C, BeginClaimed),      (C, Hold),              (C, Refuse(AlreadyClaimed)), (D, Refuse(Refusal::Dead))]),
            (Event::Heartbeat,  [(P, Refuse(Fenced)),    (C, Hold),              (C, Extend),               (D, Refuse(Fenced))]),
            (Event::Done,       [(P, Refuse(Fenced)),    (I, End),               (I, End),                  (D, Refuse(Fenced))]),
            (Event::Release,    [(P, Refuse(Fenced)),    (I, End),               (I, End),                  (D, Refuse(Fenced))]),
            (Event::Delivered,  [(P, Nothing),           (C, Hold),              (C, Nothing),              (D, Nothing)]),
            (Event::DeliveryFailed { last: false },
                                [(P, Nothing),           (O, Retry),             (C, Nothing),              (D, Nothing)]),
            (Event::DeliveryFailed { last: true },
                                [(P, Nothing),           (D, Bury),              (C, Nothing),              (D, Nothing)]),
            (Event::Due,        [(O, Begin),             (O, Announce),          (C, Nothing),              (D, Nothing)]),
            (Event::LeaseOver,  [(P, Nothing),           (O, Nothing),           (I, End),                  (D, Nothing)]),
            (Event::Shut,       [(P, Nothing),           (P, End),               (C, Nothing),              (D, Nothing)]),
            (Event::Unlinked,   [(I, Nothing),           (I, End),               (I, End),                  (I, Nothing)]),
            (Event::Revive,     [(P, Refuse(NotDead)),   (O, Refuse(NotDead)),   (C, Refuse(NotDead)),      (O, Begin)]),
        ];
        for (event, [rest, outstanding, claimed, dead]) in table {
            for (state, want) in [(I, rest), (P, rest), (O, outstanding), (C, claimed), (D, dead)] {
                assert_eq!(step(state, event, OPEN), want, "{state:?} {event:?}");
            }
        }
        assert_eq!(table.map(|(event, _)| event), EVENTS);
    }

    #[test]
    fn a_wake_begins_only_when_nothing_is_in_the_way() {
        use State::{Dead, Idle, Outstanding, Pending};
        let (nothing, shut, early) =
            (Facts { pending: false, ..OPEN }, Facts { admitted: false, ..OPEN }, Facts { in_time: false, ..OPEN });
        let refuse = |why| Action::Refuse(why);
        #[rustfmt::skip]
        let table = [
            (Idle,        Event::Work,   nothing, Idle,        Action::Nothing),
            (Idle,        Event::Work,   shut,    Pending,     Action::Nothing),
            (Idle,        Event::Work,   early,   Pending,     Action::Slow),
            (Pending,     Event::Due,    early,   Pending,     Action::Slow),
            (Pending,     Event::Due,    shut,    Pending,     Action::Nothing),
            (Idle,        Event::Claim,  nothing, Idle,        refuse(Refusal::NoPendingWork)),
            (Pending,     Event::Claim,  shut,    Pending,     refuse(Refusal::NotAdmitted)),
            (Pending,     Event::Claim,  early,   Pending,     refuse(Refusal::Slowed)),
            (Outstanding, Event::Claim,  shut,    Outstanding, refuse(Refusal::NotAdmitted)),
            (Outstanding, Event::Claim,  nothing, Idle,        Action::End),
            (Outstanding, Event::Due,    shut,    Pending,     Action::End),
            (Dead,        Event::Revive, nothing, Idle,        Action::Nothing),
            (Dead,        Event::Revive, shut,    Pending,     Action::Nothing),
            (Dead,        Event::Revive, early,   Pending,     Action::Slow),
        ];
        for (state, event, facts, after, action) in table {
            assert_eq!(step(state, event, facts), (after, action), "{state:?} {event:?} {facts:?}");
        }
    }

    /// Whatever happens: a wake begins only in time, what is claimed is not announced, and nothing leaves a claim but its
    /// end.
    #[test]
    fn what_no_event_can_do() {
        for state in [State::Idle, State::Pending, State::Outstanding, State::Claimed, State::Dead] {
            for event in EVENTS {
                for bits in 0..8 {
                    let facts = Facts { pending: bits & 1 > 0, admitted: bits & 2 > 0, in_time: bits & 4 > 0 };
                    let (after, action) = step(state, event, facts);
                    let begins = matches!(action, Action::Begin | Action::BeginClaimed);
                    assert!(!begins || facts == OPEN, "{state:?} {event:?} {facts:?}");
                    assert!(state != State::Claimed || after == State::Claimed || action == Action::End);
                    assert!(
                        state != State::Claimed || !matches!(action, Action::Announce | Action::Retry | Action::Bury)
                    );
                    assert!(
                        after != State::Claimed || state == State::Claimed || facts.admitted || event != Event::Claim
                    );
                    assert!(
                        state != State::Dead
                            || after == State::Dead
                            || matches!(event, Event::Revive | Event::Unlinked)
                    );
                }
            }
        }
    }
}
