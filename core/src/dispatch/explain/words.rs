//! The words of an explanation: a function of the situation. Each sentence is true when it is said, and names things by
//! their names.

use serde_json::Value as Json;

use super::next::Coming;
use crate::entity::Status;
use crate::limits::DELIVERIES;
use crate::time::Time;

/// What an explanation is made of.
#[derive(Clone, Debug)]
pub(super) struct Situation<'a> {
    pub(super) entity: &'a str,
    pub(super) status: Status,
    pub(super) locked_until: Option<Time>,
    /// When the newest wake row is written that is held back.
    pub(super) held_until: Option<Time>,
    pub(super) has_policy: bool,
    pub(super) stand: Stand<'a>,
    /// How many registrations it holds.
    pub(super) observes: usize,
    /// Whether they gather something that becomes a wake.
    pub(super) gathers: bool,
    /// The steps of its dispatch in flight, or of its last.
    pub(super) last: &'a [Json],
}

/// Where its dispatch stands.
#[derive(Clone, Debug)]
pub(super) enum Stand<'a> {
    /// Nothing dispatches it.
    Nobody,
    Idle {
        to: To<'a>,
    },
    Pending {
        slowed_until: Option<Time>,
        deep: bool,
    },
    Outstanding(Notice<'a>),
    Claimed(Claim<'a>),
    Dead(Dead<'a>),
}

/// Who is told of its wakes.
#[derive(Clone, Copy, Debug)]
pub(super) enum To<'a> {
    Webhook(&'a str),
    Runner(&'a str, RunnerIs),
}

/// How a runner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunnerIs {
    Online,
    /// It said that it has stopped.
    Stopped,
    /// Its last heartbeat is too old.
    Silent,
    /// It never sent one.
    Unseen,
    Disabled,
    /// It is not registered.
    Unknown,
}

/// A wake that was announced.
#[derive(Clone, Debug)]
pub(super) struct Notice<'a> {
    pub(super) to: To<'a>,
    pub(super) wake: &'a str,
    pub(super) attempt: i64,
    pub(super) again: Option<Time>,
    pub(super) error: Option<&'a str>,
}

/// A wake that somebody holds.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    pub(super) to: To<'a>,
    pub(super) wake: &'a str,
    pub(super) since: Time,
    pub(super) until: Time,
    /// Whether something is not acknowledged yet.
    pub(super) more: bool,
}

/// A dispatch that was given up.
#[derive(Clone, Debug)]
pub(super) struct Dead<'a> {
    pub(super) to: To<'a>,
    pub(super) letter: Option<&'a Json>,
}

/// An explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) summary: String,
    pub(super) waiting_for: Vec<String>,
    pub(super) next: Vec<Coming>,
}

/// Explains a situation.
pub(super) fn tell(s: &Situation<'_>) -> Told {
    let mut told = match s.status {
        Status::Stopped | Status::Killed => {
            let how = s.status.as_str();
            return Told { summary: format!("{} is {how}: nothing wakes it any more.", s.entity), ..Told::default() };
        }
        _ => stand(s),
    };
    if let Some(until) = s.held_until {
        let at = until.iso();
        told.summary.push_str(&format!(" Wake rows for it are held back, the newest until {at}, because {LOOP}."));
        told.next.push(coming(until, "wake", "the newest wake row that is held back is written"));
    }
    if let Some(last) = last_woke(s.last) {
        told.summary.push(' ');
        told.summary.push_str(&last);
    }
    told
}

fn stand(s: &Situation<'_>) -> Told {
    match &s.stand {
        Stand::Nobody => nobody(s),
        Stand::Idle { to } => idle(s, *to),
        Stand::Pending { slowed_until, deep } => pending(s, *slowed_until, *deep),
        Stand::Outstanding(notice) => outstanding(s, notice),
        Stand::Claimed(claim) => claimed(s, claim),
        Stand::Dead(dead) => given_up(s, dead),
    }
}

fn nobody(s: &Situation<'_>) -> Told {
    let (why, way_out) = if s.has_policy {
        ("its dispatch policy is not linked", "the next message links it, and so does `reveille check --repair`")
    } else {
        ("it has no dispatch policy", "the next message gives it that of its type, if there is one by then")
    };
    let sleeps = if s.status == Status::Paused { "is paused; and besides" } else { "sleeps, because" };
    Told {
        summary: format!("{} {sleeps} {why}: whatever comes, nobody is told. {}.", s.entity, capital(way_out)),
        waiting_for: vec!["a dispatch policy".to_owned()],
        next: Vec::new(),
    }
}

fn idle(s: &Situation<'_>, to: To<'_>) -> Told {
    let entity = s.entity;
    let observes = match s.observes {
        0 => String::new(),
        1 => ", or a match of its one wake registration".to_owned(),
        n => format!(", or a match of one of its {n} wake registrations"),
    };
    let mut summary = match s.status {
        Status::Paused => format!("{entity} is paused, and nothing waits for it: SIGCONT continues it."),
        Status::Stopping => format!("{entity} is stopping."),
        _ if s.gathers => {
            format!(
                "{entity} sleeps, while what its registrations gather waits whether more comes. A message wakes it at once{observes}."
            )
        }
        _ => format!("{entity} sleeps, because all that came is done. A message wakes it{observes}."),
    };
    if let Some(trouble) = to.trouble() {
        summary.push(' ');
        summary.push_str(&trouble);
    }
    Told { summary, waiting_for: vec![format!("a message{observes}")], next: Vec::new() }
}

fn pending(s: &Situation<'_>, slowed_until: Option<Time>, deep: bool) -> Told {
    let entity = s.entity;
    if s.status == Status::Paused {
        return Told {
            summary: format!(
                "{entity} has something to do, and does not wake, because it is paused. SIGCONT continues it, and so does a message whose mode is not `paused`."
            ),
            waiting_for: vec!["SIGCONT".to_owned()],
            next: Vec::new(),
        };
    }
    if let Some(until) = s.locked_until {
        return Told {
            summary: format!(
                "{entity} has something to do, and does not wake, because a fork reads it, until {} at the latest.",
                until.iso()
            ),
            waiting_for: vec!["the end of the fork".to_owned()],
            next: vec![coming(until, "lock", "the fork's lock ends, and a wake begins")],
        };
    }
    if let Some(until) = slowed_until {
        let why = if deep { LOOP } else { "it has used up its budget of wakes" };
        return Told {
            summary: format!("{entity} has something to do, and waits until {}, because {why}.", until.iso()),
            waiting_for: vec!["its turn".to_owned()],
            next: vec![coming(until, "wake", "its wake begins")],
        };
    }
    let why = if s.status == Status::Stopping { "it is stopping" } else { "no wake of it has begun" };
    Told {
        summary: format!("{entity} has something to do, and {why}."),
        waiting_for: vec!["a wake".to_owned()],
        next: Vec::new(),
    }
}

fn outstanding(s: &Situation<'_>, notice: &Notice<'_>) -> Told {
    let Notice { to, wake, attempt, again, error } = notice;
    let in_line = again.is_some_and(|at| at < Time::LINE);
    let failures = failures(s.last).min(*attempt);
    let on_its_way = failures < *attempt;
    let (done, wait) = match (to, error) {
        (To::Webhook(url), _) if in_line => {
            (format!("its wake {wake} is in line for {url}"), "a free place among the deliveries".to_owned())
        }
        (To::Webhook(url), Some(error)) if failures > 0 && !on_its_way => (
            format!("its wake {wake} has failed {} at {url}: {error}", times(failures)),
            format!("the next attempt at {url}"),
        ),
        (To::Webhook(url), Some(error)) if failures > 0 => {
            let before = format!("before that it failed {}: {error}", times(failures));
            (
                format!("its wake {wake} was sent to {url} again, and no answer has come yet; {before}"),
                format!("an answer of {url}"),
            )
        }
        (To::Webhook(url), _) => {
            (format!("its wake {wake} was sent to {url}, and no answer has come yet"), format!("an answer of {url}"))
        }
        (To::Runner(runner, _), Some(error)) => (
            format!("its wake {wake} could not be announced to runner `{runner}`: {error}"),
            format!("runner `{runner}`"),
        ),
        (To::Runner(runner, _), None) => (
            format!("its wake {wake} was announced to runner `{runner}`, which has not claimed it"),
            format!("a claim by runner `{runner}`"),
        ),
    };
    let mut summary = format!("{} has something to do: {done}.", s.entity);
    if let Some(trouble) = to.trouble() {
        summary.push(' ');
        summary.push_str(&trouble);
    }
    let next = again.filter(|_| !in_line).map(|at| match to {
        To::Webhook(url) if *attempt >= DELIVERIES => {
            coming(at, "retry", &format!("it is given up, unless {url} has answered"))
        }
        To::Webhook(url) if !on_its_way => coming(at, "retry", &format!("it is sent to {url} again")),
        To::Webhook(url) => coming(at, "retry", &format!("it is sent to {url} again, unless that has answered")),
        To::Runner(runner, _) => {
            coming(at, "announcement", &format!("it is announced to runner `{runner}` again, unless it was claimed"))
        }
    });
    Told { summary, waiting_for: vec![wait], next: next.into_iter().collect() }
}

fn claimed(s: &Situation<'_>, claim: &Claim<'_>) -> Told {
    let Claim { to, wake, since, until, more } = claim;
    let who = match to {
        To::Webhook(url) => format!("the agent at {url}"),
        To::Runner(runner, _) => format!("runner `{runner}`"),
    };
    let verb = match s.status {
        Status::Paused => "was paused while",
        Status::Stopping => "stops when its claim ends:",
        _ => "is awake:",
    };
    let (then, lapse) = match s.status {
        Status::Stopping => ("and it stops", "then it stops"),
        Status::Paused => ("and what is left waits until it is continued", "then its work waits until it is continued"),
        _ if *more => ("and what is not acknowledged then begins the next wake", "then its work is given out again"),
        _ => ("and it sleeps", "then it sleeps"),
    };
    Told {
        summary: format!(
            "{} {verb} {who} holds its wake {wake} since {}, until {} unless a heartbeat comes.",
            s.entity,
            since.iso(),
            until.iso()
        ),
        waiting_for: vec![format!("{who} to be done, {then}")],
        next: vec![coming(
            *until,
            "lease",
            &format!("the lease is over, unless a heartbeat or a done comes before: {lapse}"),
        )],
    }
}

fn given_up(s: &Situation<'_>, dead: &Dead<'_>) -> Told {
    let of = |name: &str| dead.letter.map_or(&Json::Null, |letter| &letter[name]);
    let (attempts, error) =
        (times(of("attempts").as_i64().unwrap_or(0)), of("error").as_str().unwrap_or("nobody took it"));
    let since = of("since").as_str().unwrap_or("some time ago");
    let to = match dead.to {
        To::Webhook(url) => url.to_owned(),
        To::Runner(runner, _) => format!("runner `{runner}`"),
    };
    let entity = s.entity;
    Told {
        summary: format!(
            "{entity} has something to do, and does not wake, because {to} failed {attempts} and was given up at {since}: {error}. \
             POST /_reveille/entities{entity}/revive takes it back."
        ),
        waiting_for: vec!["somebody to revive it".to_owned()],
        next: Vec::new(),
    }
}

impl To<'_> {
    /// What is wrong with who is told.
    fn trouble(self) -> Option<String> {
        let Self::Runner(runner, is) = self else { return None };
        let is = match is {
            RunnerIs::Online => return None,
            RunnerIs::Stopped => "said that it has stopped",
            RunnerIs::Silent => "has sent no heartbeat for too long",
            RunnerIs::Unseen => "has never sent a heartbeat",
            RunnerIs::Disabled => "is disabled, and may not claim",
            RunnerIs::Unknown => "is not registered",
        };
        Some(format!("Runner `{runner}` {is}."))
    }
}

impl RunnerIs {
    /// In a word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Stopped => "stopped",
            Self::Silent => "expired",
            Self::Unseen => "offline",
            Self::Disabled => "disabled",
            Self::Unknown => "unknown",
        }
    }
}

/// How often the wake in flight has failed.
fn failures(steps: &[Json]) -> i64 {
    let retried = steps.iter().rev().find(|step| step["what"] == "retried");
    retried.and_then(|step| step["attempt"].as_i64()).unwrap_or(0)
}

fn times(n: i64) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

/// Why the last dispatch began.
fn last_woke(steps: &[Json]) -> Option<String> {
    let emitted = steps.iter().find(|step| step["what"] == "emitted")?;
    let text = |step: &Json, name: &str| step[name].as_str().unwrap_or("").to_owned();
    let at = emitted["since"].as_str().or(emitted["at"].as_str()).unwrap_or("").to_owned();
    let cause = steps.iter().find_map(|step| {
        Some(match step["what"].as_str()? {
            "evaluated" if step["kind"] == "timeout" => {
                format!("nothing on {} had matched registration {} in time", text(step, "source"), step["registration"])
            }
            "evaluated" => format!(
                "{} `{}` on {} matched registration {}",
                text(step, "collection"),
                text(step, "key"),
                text(step, "source"),
                step["registration"]
            ),
            "appended" => match step["cause"].as_str()? {
                "message" => format!("a message came from {}", text(step, "from")),
                "signal" => format!("{} came", text(step, "signal")),
                _ => format!("something was appended, up to {}", text(step, "offset")),
            },
            "pending" => text(step, "why"),
            "revived" => format!("{} took it back", text(step, "by")),
            _ => return None,
        })
    })?;
    let woke = if steps.iter().any(|step| step["what"] == "claimed") { "woke" } else { "was called" };
    Some(format!("It last {woke} at {at}: {cause}."))
}

fn coming(at: Time, kind: &'static str, what: &str) -> Coming {
    Coming { at, kind, what: what.to_owned() }
}

const LOOP: &str =
    "they end a long chain in which one entity wakes another: such wakes are kept apart, lest a loop run hot";

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: i64 = 1_800_000_000_000;

    fn at(seconds: i64) -> Time {
        Time::from_millis(NOW + seconds * 1000)
    }

    fn situation(status: Status, stand: Stand<'static>) -> Situation<'static> {
        Situation {
            entity: "/horton/a",
            status,
            locked_until: None,
            held_until: None,
            has_policy: true,
            stand,
            observes: 2,
            gathers: false,
            last: &[],
        }
    }

    #[test]
    fn a_sentence_for_every_stand() {
        let hook = To::Webhook("https://agent.test");
        let runner = |is| To::Runner("r", is);
        let idle = |to| Stand::Idle { to };
        let notice = |to, error| Stand::Outstanding(Notice { to, wake: "w_1", attempt: 3, again: Some(at(4)), error });
        let claim = |to| Stand::Claimed(Claim { to, wake: "w_1", since: at(-9), until: at(21), more: true });
        let pending = |slowed_until, deep| Stand::Pending { slowed_until, deep };
        let locked = Situation { locked_until: Some(at(60)), ..situation(Status::Idle, pending(None, false)) };
        let held = Situation { held_until: Some(at(20)), ..situation(Status::Idle, idle(hook)) };
        let letterless = Stand::Dead(Dead { to: hook, letter: None });
        #[rustfmt::skip]
        let table = [
            (situation(Status::Killed, Stand::Nobody), "is killed: nothing wakes it", 0),
            (situation(Status::Idle, Stand::Nobody), "policy is not linked", 0),
            (Situation { has_policy: false, ..situation(Status::Idle, Stand::Nobody) }, "no dispatch policy", 0),
            (situation(Status::Idle, idle(hook)), "one of its 2 wake registrations", 0),
            (situation(Status::Idle, idle(runner(RunnerIs::Disabled))), "`r` is disabled", 0),
            (situation(Status::Paused, idle(hook)), "paused, and nothing waits", 0),
            (situation(Status::Paused, pending(None, false)), "because it is paused", 0),
            (locked, "a fork reads it, until 2027-01-15T08:01:00.000Z", 1),
            (situation(Status::Idle, pending(Some(at(5)), false)), "until 2027-01-15T08:00:05.000Z, because it has used up its budget", 1),
            (situation(Status::Idle, pending(Some(at(5)), true)), "a long chain", 1),
            (situation(Status::Idle, notice(hook, None)), "was sent to https://agent.test, and no answer", 1),
            (situation(Status::Idle, notice(hook, Some("it answered 500"))), "has failed 3 times at https://agent.test: it answered 500", 1),
            (situation(Status::Idle, notice(runner(RunnerIs::Online), None)), "runner `r`, which has not claimed it", 1),
            (situation(Status::Idle, notice(runner(RunnerIs::Unseen), None)), "`r` has never sent a heartbeat", 1),
            (situation(Status::Running, claim(runner(RunnerIs::Online))), "awake: runner `r` holds its wake w_1", 1),
            (situation(Status::Paused, claim(hook)), "was paused while the agent at https://agent.test holds", 1),
            (held, "held back, the newest until 2027-01-15T08:00:20.000Z", 1),
            (situation(Status::Idle, letterless), "POST /_reveille/entities/horton/a/revive", 0),
        ];
        let failed = [json!({ "what": "retried", "attempt": 3 })];
        for (situation, said, coming) in table {
            let last: &[Json] = if said.starts_with("has failed") { &failed } else { &[] };
            let told = tell(&Situation { last, ..situation.clone() });
            assert!(told.summary.contains(said), "{said}: {}", told.summary);
            assert!(told.summary.starts_with("/horton/a "), "{}", told.summary);
            assert_eq!(told.next.len(), coming, "{said}");
            assert!(told.next.iter().all(|next| next.at > at(0)), "{said}");
        }
    }

    #[test]
    fn why_it_last_woke() {
        let (emitted, claimed) = (json!({ "what": "emitted", "at": "T1" }), json!({ "what": "claimed", "at": "T2" }));
        let message = json!({ "what": "appended", "cause": "message", "from": "/principal/user%3Aa" });
        let evaluated =
            json!({ "what": "evaluated", "collection": "runs", "key": "r", "source": "/w/b", "registration": 7 });
        for (steps, said) in [
            (vec![message, emitted.clone(), claimed], "It last woke at T1: a message came from /principal/user%3Aa."),
            (vec![evaluated, emitted], "It last was called at T1: runs `r` on /w/b matched registration 7."),
        ] {
            assert_eq!(last_woke(&steps).as_deref(), Some(said));
        }
        assert_eq!(last_woke(&[]), None);
    }
}
