//! A shape of a Postgres table, and the server that has it: its log grows, it answers in pages, late or not at all, and begins
//! another log. From where it began to read one, the engine must append each change once, whatever goes wrong between.

use serde_json::{Value as Json, json};

use super::super::world::{World, got};
use super::cluster::{Cluster, text};
use super::host::Op;
use super::model::Author;
use super::registrations::Change;
use crate::effect::{Answer, EffectId, Fetch, Fetched};
use crate::limits::{FETCH_SLACK, SHAPE_TIME};
use crate::{Command, Effect, Span, Time};

#[derive(Default)]
pub(super) struct Shape {
    /// Where its changes are appended.
    pub(super) path: String,
    /// Which log there is now, and what has changed since it began.
    log: u64,
    changes: Vec<String>,
    /// Which log the engine reads, and how much of it it has; none when it is to be told from now on.
    reads: Option<(u64, usize)>,
    /// What it must have appended.
    told: Vec<String>,
    /// What it asks.
    question: Option<Question>,
    /// What it asked, and does not wait for any longer.
    late: Vec<Question>,
    /// What it asked before its server went down.
    lost: Vec<EffectId>,
}

/// A question on its way.
struct Question {
    id: EffectId,
    /// When its host gives up waiting.
    ends: Time,
    /// When the engine does.
    over: Time,
}

/// How the server of the shape answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// What has changed, as far as it likes; or that nothing has.
    Some,
    All,
    Nothing,
    Fails,
    Nonsense,
}

/// What an answer means, if anybody still waits for it.
enum Means {
    Gone,
    /// So much of which log was told, with these changes.
    Told(u64, usize, Vec<String>),
    Nothing,
}

/// The engine is told of the shape, and begins to follow it.
pub(super) fn found(c: &mut Cluster) {
    let body = json!({ "options": { "url": "https://shapes.test/v1/shape", "table": "todos" } });
    let command = World::command("POST", "/_electric/pg-sync/register", &[], &body.to_string());
    c.world.batch(vec![command]);
    let probe = c.world.fetches.remove(0);
    let (result, _) = c.shape.answer(None, Says::All, 0);
    let mut turn = c.world.batch(vec![Command::Outcome { effect: probe.id, result }]).remove(0);
    let effects = std::mem::take(&mut turn.effects);
    c.shape.path = text(&got(turn).json()["streamUrl"]);
    c.shape.reads = Some((0, 0));
    for effect in effects {
        if let Effect::Fetch(fetch) = effect {
            asked(c, &fetch);
        }
    }
    c.world.fetches.clear();
}

/// Rows of the table change.
pub(super) fn changes(c: &mut Cluster) {
    for _ in 0..c.dice.between(1, 12) {
        let key = format!("row{}", c.number());
        c.shape.changes.push(key);
    }
    c.note(format!("the shape has {} changes", c.shape.changes.len()));
}

/// The server begins another log: what has changed, and was not read, is not told any more.
pub(super) fn rotates(c: &mut Cluster) {
    c.shape.log += 1;
    c.shape.changes.clear();
    c.note(format!("the shape begins log {}", c.shape.log));
}

/// The engine asks: from where it has read, and never while it is told already.
pub(super) fn asked(c: &mut Cluster, fetch: &Fetch) {
    let it = &mut c.shape;
    let from = match it.reads {
        None => "offset=now".to_owned(),
        Some((log, at)) => format!("offset=0_{at}&handle=h{log}"),
    };
    let asks = format!("{}&", fetch.url);
    assert!(asks.contains(&format!("&{from}&")), "{} instead of {from}", fetch.url);
    assert!(it.question.is_none(), "a question while another is on its way: {}", fetch.url);
    let ends = c.world.now + Span::millis(c.dice.between(10_000, 40_000));
    let over = c.world.now + SHAPE_TIME + FETCH_SLACK;
    it.question = Some(Question { id: fetch.id.clone(), ends, over });
    c.note(format!("    the shape is asked: {from}"));
}

pub(super) fn answers(c: &mut Cluster) -> Option<Op> {
    let says =
        c.dice.pick(&[Says::Some, Says::Some, Says::All, Says::All, Says::Nothing, Says::Fails, Says::Nonsense])?;
    answer(c, says)
}

/// The server answers, if it was asked.
pub(super) fn answer(c: &mut Cluster, says: Says) -> Option<Op> {
    let question = c.shape.question.take()?;
    let most = usize::try_from(c.dice.between(0, 5)).unwrap_or(0);
    let (result, means) = c.shape.answer(c.shape.reads, says, most);
    c.heard.insert(format!("the shape: {says:?}"));
    let command = Command::Outcome { effect: question.id.clone(), result };
    c.shape.lost.push(question.id);
    Some(Op::of(format!("the shape answers: {says:?}"), command, move |c| heard(c, means)))
}

/// A host has waited for long enough. What comes after the engine has given up is not heard, be it an answer.
pub(super) fn ends(c: &mut Cluster) -> Option<Op> {
    let now = c.world.now;
    match c.shape.late.iter().position(|late| late.ends <= now) {
        Some(at) => {
            let effect = c.shape.late.remove(at).id;
            let result = c.shape.answer(c.shape.reads, Says::All, 0).0;
            Some(Op::of("the shape answers when nobody waits", Command::Outcome { effect, result }, |_| {}))
        }
        None => {
            let says = c.dice.pick(&[Says::All, Says::Nothing, Says::Nonsense])?;
            answer(c, says)
        }
    }
}

/// An answer comes a second time, or to a server that is not the one that asked. Nothing follows from it.
pub(super) fn answers_too_late(c: &mut Cluster) -> Option<Op> {
    let at = c.dice.recent(c.shape.lost.len())?;
    let effect = c.shape.lost.remove(at);
    let result = c.shape.answer(c.shape.reads, Says::All, 0).0;
    Some(Op::of("the shape answers too late", Command::Outcome { effect, result }, |_| {}))
}

/// The server that asked is gone; the next one asks at once.
pub(super) fn crash(c: &mut Cluster) {
    let asks = c.shape.question.is_some();
    let asked = c.shape.late.drain(..).chain(c.shape.question.take());
    c.shape.lost.extend(asked.map(|question| question.id));
    let due = format!("SELECT count(*) FROM timer WHERE kind = 16 AND due_at <= {}", c.world.now.as_millis());
    assert!(!asks || c.world.engine.sql().number(&due) > 0, "what was asked of the shape is not asked again at once");
}

fn heard(c: &mut Cluster, means: Means) {
    match means {
        Means::Nothing => {}
        Means::Gone => {
            c.shape.reads = None;
            c.heard.insert("a log is gone".to_owned());
        }
        Means::Told(log, at, keys) => {
            c.shape.reads = Some((log, at));
            let changes: Vec<Change> = keys.iter().map(|key| Change::of("pg_sync_change", key)).collect();
            c.shape.told.extend(keys);
            let path = c.shape.path.clone();
            c.changed(&path, Author::Outside, &changes);
        }
    }
}

impl Shape {
    /// What the server says to a question from there, and what follows from it.
    fn answer(&self, from: Option<(u64, usize)>, says: Says, most: usize) -> (Fetched, Means) {
        let end = self.changes.len();
        let at = match from {
            _ if says == Says::Fails => return (self.page(503, end, &[], false), Means::Nothing),
            _ if says == Says::Nonsense => return (Err("the connection was closed".to_owned()), Means::Nothing),
            None => return (self.page(200, end, &[], true), Means::Told(self.log, end, Vec::new())),
            Some((log, _)) if log != self.log => return (self.page(409, 0, &[], false), Means::Gone),
            Some((_, at)) => at,
        };
        let to = match says {
            Says::Nothing => return (self.page(204, at, &[], false), Means::Nothing),
            Says::Some => end.min(at + most.max(1)),
            _ => end,
        };
        let keys = self.changes[at..to].to_vec();
        (self.page(200, to, &keys, to == end), Means::Told(self.log, to, keys))
    }

    fn page(&self, status: u16, at: usize, keys: &[String], complete: bool) -> Fetched {
        let change = |key: &String| json!({ "key": key, "value": { "id": key }, "headers": { "operation": "insert" } });
        let mut messages: Vec<Json> = keys.iter().map(change).collect();
        if complete {
            messages.push(json!({ "headers": { "control": "up-to-date" } }));
        }
        let headers = [("electric-handle", format!("h{}", self.log)), ("electric-offset", format!("0_{at}"))]
            .map(|(n, v)| (n.to_owned(), v));
        let body = if status == 200 { json!(messages).to_string() } else { String::new() };
        Ok(Answer { status, headers: headers.to_vec(), body: body.into_bytes() })
    }

    /// When whoever waits for an answer gives up.
    pub(super) fn ends(&self) -> Option<Time> {
        self.late.iter().chain(&self.question).map(|question| question.ends).min()
    }

    /// Timers have run: no answer that comes later is heard, and the host of a late one is later still.
    pub(super) fn lapse(&mut self, now: Time) {
        let given_up = self.question.take_if(|question| question.over <= now);
        self.late.extend(given_up.map(|question| Question { ends: now + Span::secs(5), ..question }));
    }

    /// Whether all that has changed was read.
    pub(super) fn is_read(&self) -> bool {
        self.reads == Some((self.log, self.changes.len()))
    }
}

/// Everything that was told is there once, in its order.
pub(super) fn check(c: &mut Cluster) {
    let path = c.shape.path.clone();
    let events = c.read(&path).json();
    let keys: Vec<String> = events.as_array().expect("a list").iter().map(|e| text(&e["key"])).collect();
    assert_eq!(keys, c.shape.told, "what has changed in the shape");
}
