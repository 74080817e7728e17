//! The ledger: the messages that the server has taken, and every claim as its holder saw it.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::claim::Claim;
use crate::name::TYPE;
use crate::work::Stage;

/// What the clients know.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// To which entity each message was sent that the server has taken, and when.
    sent: BTreeMap<u64, (u64, Instant)>,
    /// When the first done was answered that acknowledges it.
    acknowledged: HashMap<u64, Instant>,
    /// The claims of each entity.
    claims: BTreeMap<String, Vec<Claim>>,
    /// Claims that found nothing to do, or somebody who does it.
    pub(crate) skipped: u64,
    /// Where runners died.
    pub(crate) deaths: BTreeMap<Stage, u64>,
}

/// What must not be, in words.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Messages that no done has acknowledged.
    pub(crate) lost: Vec<String>,
    /// Entities that two had claimed.
    pub(crate) shared: Vec<String>,
    /// Requests that were accepted under a claim after the next had begun.
    pub(crate) stale: Vec<String>,
    /// Requests that were refused under a claim which lived.
    pub(crate) refused: Vec<String>,
}

impl Ledger {
    pub(crate) fn sent(&mut self, message: u64, entity: u64, at: Instant) {
        self.sent.insert(message, (entity, at));
    }

    pub(crate) fn claimed(&mut self, claim: Claim) {
        if let Some(done) = claim.done() {
            for message in &claim.messages {
                let first = self.acknowledged.entry(*message).or_insert(done.answered);
                *first = done.answered.min(*first);
            }
        }
        self.claims.entry(claim.entity.clone()).or_default().push(claim);
    }

    pub(crate) fn died(&mut self, stage: Stage) {
        *self.deaths.entry(stage).or_default() += 1;
    }

    /// How many messages wait for a done.
    pub(crate) fn waiting(&self) -> usize {
        self.sent.keys().filter(|message| !self.acknowledged.contains_key(message)).count()
    }

    pub(crate) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().flatten()
    }

    pub(crate) fn messages(&self) -> usize {
        self.sent.len()
    }

    /// How long each message took, from its send to the answer of the done that acknowledges it.
    pub(crate) fn took(&self) -> Vec<Duration> {
        let both = self.sent.iter().filter_map(|(message, (_, sent))| Some((sent, self.acknowledged.get(message)?)));
        both.map(|(sent, done)| done.saturating_duration_since(*sent)).collect()
    }

    /// Judges all claims.
    pub(crate) fn judge(&self) -> Findings {
        let mut findings = Findings::default();
        for (message, (entity, _)) in self.sent.iter().filter(|(sent, _)| !self.acknowledged.contains_key(sent)) {
            findings.lost.push(format!("/{TYPE}/{entity}: message {message} was acknowledged by no done"));
        }
        for claims in self.claims.values() {
            let mut claims: Vec<&Claim> = claims.iter().collect();
            claims.sort_by_key(|claim| (claim.epoch, claim.known()));
            claims.windows(2).for_each(|pair| findings.compare(pair[0], pair[1]));
            claims.iter().for_each(|claim| findings.look_at(claim));
        }
        findings
    }
}

impl Findings {
    /// Two claims of an entity, one behind the other.
    fn compare(&mut self, one: &Claim, next: &Claim) {
        let (entity, known) = (&one.entity, next.known());
        if one.epoch == next.epoch {
            self.shared.push(format!("{entity}: generation {} was claimed twice", one.epoch));
        } else if !one.may_be_over(known) {
            self.shared.push(format!("{entity}: {} was claimed while {} was held", next.epoch, one.epoch));
        }
        for asked in one.asked.iter().filter(|asked| asked.accepted && asked.sent > known) {
            let late = asked.sent.saturating_duration_since(known).as_millis();
            self.stale.push(format!(
                "{entity}: {:?} under {} was accepted, sent {late} ms after {} was claimed",
                asked.what, one.epoch, next.epoch
            ));
        }
    }

    /// A claim by itself.
    fn look_at(&mut self, claim: &Claim) {
        for asked in claim.asked.iter().filter(|asked| !asked.accepted && !claim.may_be_over(asked.answered)) {
            self.refused.push(format!(
                "{}: {:?} under {} was refused while it was held",
                claim.entity, asked.what, claim.epoch
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::{Asked, What};

    /// A claim of a generation: requests, each with the second when it is sent, and whether it is accepted. Each is
    /// answered half a second later.
    fn claim(start: Instant, epoch: u64, asked: &[(What, u64, bool)]) -> Claim {
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let asked = asked.iter().map(|&(what, sent, accepted)| {
            let (sent, answered) = (at(sent), at(sent) + Duration::from_millis(500));
            Asked { what, sent, answered, accepted }
        });
        Claim { entity: "/t/e".to_owned(), epoch, asked: asked.collect(), messages: vec![epoch] }
    }

    #[test]
    fn claims_are_judged() {
        use What::{Claim as Claims, Done, Heartbeat, Write};
        let counts = |claims: &[&[(What, u64, bool)]]| {
            let (mut ledger, start) = (Ledger::default(), Instant::now());
            for (n, asked) in claims.iter().enumerate() {
                ledger.claimed(claim(start, n as u64, asked));
            }
            let found = ledger.judge();
            [found.shared.len(), found.stale.len(), found.refused.len()]
        };
        for (claims, expected) in [
            // One after the other.
            (&[&[(Claims, 0, true), (Done, 1, true)][..], &[(Claims, 2, true)]][..], [0, 0, 0]),
            // The done is on its way when the next claim is answered.
            (&[&[(Claims, 0, true), (Done, 2, true)], &[(Claims, 2, true)]], [0, 0, 0]),
            // The lease has ended; what comes late is refused.
            (&[&[(Claims, 0, true), (Write, 31, false), (Done, 32, false)], &[(Claims, 30, true)]], [0, 0, 0]),
            // It has not.
            (&[&[(Claims, 0, true)], &[(Claims, 29, true)]], [1, 0, 0]),
            // It was extended.
            (&[&[(Claims, 0, true), (Heartbeat, 5, true)], &[(Claims, 31, true)]], [1, 0, 0]),
            // What comes late is accepted.
            (&[&[(Claims, 0, true), (Write, 31, true)], &[(Claims, 30, true)]], [0, 1, 0]),
            // A refusal to who holds the claim.
            (&[&[(Claims, 0, true), (Write, 1, false)]], [0, 0, 1]),
        ] {
            assert_eq!(counts(claims), expected, "{claims:?}");
        }
    }

    #[test]
    fn only_a_done_that_was_accepted_acknowledges() {
        let (mut ledger, start) = (Ledger::default(), Instant::now());
        ledger.sent(7, 1, start);
        ledger.claimed(claim(start, 7, &[(What::Claim, 0, true), (What::Done, 31, false)]));
        assert_eq!((ledger.waiting(), ledger.judge().lost.len()), (1, 1));
        let mut next = claim(start, 8, &[(What::Claim, 31, true), (What::Done, 32, true)]);
        next.messages.push(7);
        ledger.claimed(next);
        assert_eq!((ledger.waiting(), ledger.judge().lost.len()), (0, 0));
        assert_eq!(ledger.took(), [Duration::from_millis(32_500)]);
    }
}
