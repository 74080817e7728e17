//! `/_reveille/check`: whether every entity is dispatched in exactly one way, and nothing that waits has been forgotten.
//! What the engine writes cannot break that; whoever edits the database can, and so could a bug.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::machine::State;
use super::{Target, link, status};
use crate::engine::{Done, Reply};
use crate::entity::{Status, terminate};
use crate::http::{Call, Error, Refusal, Request, Response, failure};
use crate::limits::CHECKED;
use crate::store::{EntityRow, Kind, MAX_INT, Page, Read, SqlError, SubscriptionRow, TimerKind, Tx};
use crate::subscription;
use crate::tenant::Principal;

failure! {
    /// Only who runs the server looks at all entities.
    NotTheOperator => FORBIDDEN "UNAUTHORIZED", "a check is for a built-in system principal"
}

/// Something that should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A live entity has a policy, and nothing dispatches it.
    Unlinked,
    /// An entity at its end is dispatched still.
    Ended,
    /// More than one subscription dispatches it.
    ManyPaths,
    /// It is dispatched to another target than its policy names.
    WrongPath,
    /// Its runner is not registered.
    NoRunner,
    /// What is in flight has no timer: nothing would ever come of it.
    NoTimer,
    /// It has something to do, may be woken, and no wake has begun.
    Forgotten,
    /// It is said to be running or stopping, and nobody holds its claim.
    NotRunning,
    /// Somebody holds its claim, and it is said to be idle.
    NotIdle,
}

/// What problems are judged by.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The entity's status.
    pub status: Status,
    /// Whether it has a policy.
    pub has_policy: bool,
    /// For each subscription that dispatches it.
    pub paths: Vec<Path>,
}

/// One way in which an entity is dispatched.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Whether it leads where the policy says.
    pub is_policys: bool,
    /// Whether its runner, if it has one, is registered.
    pub has_target: bool,
    /// Where it stands.
    pub state: State,
    /// Whether the entity has something unacknowledged.
    pub pending: bool,
    /// Whether the entity may be woken.
    pub admitted: bool,
    /// Whether what is in flight has a timer, or nothing is.
    pub has_timer: bool,
}

/// The problems of an entity.
#[must_use]
pub fn problems(facts: &Facts) -> Vec<Problem> {
    let Facts { status, has_policy, paths } = facts;
    if status.is_terminal() {
        return if paths.is_empty() { Vec::new() } else { vec![Problem::Ended] };
    }
    let any = |is: fn(&Path) -> bool| paths.iter().any(is);
    let forgotten = |p: &Path| p.state == State::Idle && p.pending && p.admitted;
    let claimed = any(|p| p.state == State::Claimed);
    [
        (*has_policy && paths.is_empty(), Problem::Unlinked),
        (paths.len() > 1, Problem::ManyPaths),
        (paths.len() == 1 && any(|p| !p.is_policys), Problem::WrongPath),
        (any(|p| !p.has_target), Problem::NoRunner),
        (any(|p| !p.has_timer), Problem::NoTimer),
        (paths.iter().any(forgotten), Problem::Forgotten),
        (matches!(status, Status::Running | Status::Stopping) && !claimed, Problem::NotRunning),
        (*status == Status::Idle && claimed, Problem::NotIdle),
    ]
    .into_iter()
    .filter_map(|(is, problem)| is.then_some(problem))
    .collect()
}

/// `GET`: the problems of a page of entities, and where the next page begins.
pub(crate) fn show(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (read, after) = (call.store, may(call.by()?, call.request)?);
    let page = read.entities_after(after, CHECKED)?;
    let mut found = Vec::new();
    for entity in &page.rows {
        found.extend(problems(&facts(read, entity)?).into_iter().map(|problem| problem.json(entity)));
    }
    Ok(Reply::Whole(Response::json(StatusCode::OK, &answer(&page, &found))))
}

/// `POST`: the same, and repairs them.
pub(crate) fn repair(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let (tx, after) = (call.store, may(call.by()?, call.request)?);
    let page = tx.entities_after(after, CHECKED)?;
    let (mut found, mut left, mut repaired) = (Vec::new(), Vec::new(), 0);
    for entity in &page.rows {
        let mut all = problems(&facts(tx, entity)?);
        found.extend(all.iter().map(|problem| problem.json(entity)));
        // One repair may bring another to light, or be another's too: each is judged anew.
        for _ in 0..ROUNDS {
            let Some(problem) = all.iter().find(|p| p.repair().is_some()) else { break };
            problem.mend(tx, entity)?;
            let Some(entity) = tx.entity_by_id(entity.id)? else { break };
            let now = problems(&facts(tx, &entity)?);
            if now == all {
                break;
            }
            repaired += 1;
            all = now;
        }
        left.extend(all.iter().map(|problem| problem.json(entity)));
    }
    let mut body = answer(&page, &found);
    body["repaired"] = repaired.into();
    body["left"] = left.into();
    Ok(Response::json(StatusCode::OK, &body).into())
}

/// Where the page begins, for who may ask.
fn may(by: &Principal, request: &Request) -> Result<i64, Error> {
    if !by.is_system() {
        return Err(NotTheOperator.into());
    }
    let Some(after) = request.query_one("after") else { return Ok(0) };
    let after = after.parse().ok().filter(|after| (0..=MAX_INT).contains(after));
    after.ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "`after` is the `next` of the page before").into()
    })
}

fn answer(page: &Page<EntityRow>, problems: &[Json]) -> Json {
    let next = page.rows.last().filter(|_| page.more).map(|last| last.id);
    json!({ "checked": page.rows.len(), "problems": problems, "next": next })
}

fn facts(read: &Read<'_>, entity: &EntityRow) -> Result<Facts, SqlError> {
    let policy = link::policy_of(entity)?;
    let mut paths = Vec::new();
    for subscription in read.dispatches_of(entity.id)? {
        let pending = read.links(subscription.id)?.iter().any(|l| l.stream == Some(entity.id) && l.is_pending());
        let (is_policys, has_target) = match (&subscription.kind, policy.as_ref().map(|p| &p.target)) {
            (Kind::Webhook { url }, Some(Target::Webhook(own))) => (url == own, true),
            (Kind::Runner { runner }, Some(Target::Runner(own))) => (runner == own, read.runner(runner)?.is_some()),
            _ => (false, true),
        };
        paths.push(Path {
            is_policys,
            has_target,
            state: subscription::state(&subscription),
            pending,
            admitted: entity.admits(),
            has_timer: has_timer(read, &subscription)?,
        });
    }
    Ok(Facts { status: entity.status, has_policy: policy.is_some(), paths })
}

fn has_timer(read: &Read<'_>, subscription: &SubscriptionRow) -> Result<bool, SqlError> {
    if subscription.wake.is_none() && subscription.slowed_until.is_none() {
        return Ok(true);
    }
    match subscription.timer_at {
        Some(at) => read.is_armed(at, TimerKind::Subscription, subscription.id),
        None => Ok(false),
    }
}

impl Problem {
    fn kind(self) -> &'static str {
        match self {
            Self::Unlinked => "unlinked",
            Self::Ended => "ended",
            Self::ManyPaths => "many-paths",
            Self::WrongPath => "wrong-path",
            Self::NoRunner => "no-runner",
            Self::NoTimer => "no-timer",
            Self::Forgotten => "forgotten",
            Self::NotRunning => "not-running",
            Self::NotIdle => "not-idle",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Unlinked => "has a dispatch policy, and nothing dispatches it",
            Self::Ended => "is at its end, and dispatched still",
            Self::ManyPaths => "is dispatched in more than one way",
            Self::WrongPath => "is dispatched to another target than its policy names",
            Self::NoRunner => "is dispatched to a runner that is not registered",
            Self::NoTimer => "has a wake in flight and no timer: nothing would come of it",
            Self::Forgotten => "has something to do and may be woken, and no wake has begun",
            Self::NotRunning => "is said to be running or stopping, and nobody holds its claim",
            Self::NotIdle => "is said to be idle, and somebody holds its claim",
        }
    }

    /// What mends it, when the server can.
    fn repair(self) -> Option<&'static str> {
        Some(match self {
            Self::Unlinked => "link it, and wake it with all that its stream holds",
            Self::Ended => "unlink it",
            Self::ManyPaths | Self::WrongPath => "link it as its policy says, and no other way",
            Self::NoRunner => return None,
            Self::NoTimer => "arm the timer",
            Self::Forgotten => "begin the wake",
            Self::NotRunning | Self::NotIdle => "set the status by the claim",
        })
    }

    fn json(self, entity: &EntityRow) -> Json {
        let repair = self.repair().unwrap_or("register the runner, or kill the entity");
        json!({ "kind": self.kind(), "entity": entity.url, "message": format!("{} {}", entity.url, self.message()), "repair": repair })
    }

    fn mend(self, tx: &Tx<'_>, entity: &EntityRow) -> Result<(), SqlError> {
        match self {
            Self::Unlinked => link::relink(tx, entity),
            Self::Ended => link::unlink(tx, entity),
            Self::ManyPaths | Self::WrongPath => {
                link::unlink(tx, entity)?;
                link::relink(tx, entity)
            }
            Self::NoRunner => Ok(()),
            Self::NoTimer => {
                for mut subscription in tx.dispatches_of(entity.id)? {
                    if !has_timer(tx, &subscription)? {
                        subscription::wind(tx, &mut subscription)?;
                    }
                }
                Ok(())
            }
            Self::Forgotten => subscription::resume(tx, entity.id, "a check found it"),
            Self::NotRunning => {
                let ended = status::released(tx, entity.id)?;
                ended.map_or(Ok(()), |entity| terminate(tx, &entity))
            }
            Self::NotIdle => status::claimed(tx, entity.id),
        }
    }
}

/// How many repairs one entity may take.
const ROUNDS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_a_problem() {
        use Problem::{Ended, Forgotten, ManyPaths, NoRunner, NoTimer, NotIdle, NotRunning, Unlinked, WrongPath};
        use Status::{Idle, Killed, Paused, Running, Stopping};
        let good = Path {
            is_policys: true,
            has_target: true,
            state: State::Idle,
            pending: false,
            admitted: true,
            has_timer: true,
        };
        let claimed = Path { state: State::Claimed, pending: true, ..good };
        let (shut, dead) =
            (Path { pending: true, admitted: false, ..good }, Path { state: State::Dead, pending: true, ..good });
        for (status, has_policy, paths, want) in [
            (Idle, false, vec![], vec![]),
            (Idle, true, vec![good], vec![]),
            (Running, true, vec![claimed], vec![]),
            (Paused, true, vec![claimed], vec![]),
            (Stopping, true, vec![claimed], vec![]),
            (Paused, true, vec![shut], vec![]),
            (Idle, true, vec![dead], vec![]),
            (Killed, true, vec![], vec![]),
            (Idle, true, vec![], vec![Unlinked]),
            (Killed, true, vec![good], vec![Ended]),
            (Idle, true, vec![good, good], vec![ManyPaths]),
            (Idle, true, vec![Path { is_policys: false, ..good }], vec![WrongPath]),
            (Idle, true, vec![Path { has_target: false, ..good }], vec![NoRunner]),
            (Running, true, vec![Path { has_timer: false, ..claimed }], vec![NoTimer]),
            (Idle, true, vec![Path { pending: true, ..good }], vec![Forgotten]),
            (Running, true, vec![good], vec![NotRunning]),
            (Stopping, true, vec![good], vec![NotRunning]),
            (Idle, true, vec![claimed], vec![NotIdle]),
        ] {
            let facts = Facts { status, has_policy, paths };
            assert_eq!(problems(&facts), want, "{facts:?}");
        }
    }
}
