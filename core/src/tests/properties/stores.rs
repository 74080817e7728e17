//! The engine against a model of streams that holds every entry in a list: whatever is done to a few streams, all
//! answers are alike, and every reader gets the same bytes.

use std::collections::BTreeMap;
use std::rc::Rc;

use http::{HeaderMap, HeaderName, Method};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::value::RawValue;

use super::check;
use super::sse::{Event, interpret, normal};
use crate::Live;
use crate::effect::{Effect, Topic};
use crate::http::{Request, Response};
use crate::limits::{PIECE, READ, SEAL_LARGE};
use crate::stream::{Content, Next, Offset};
use crate::tenant::Principal;
use crate::tests::world::World;
use crate::{Command, Reply, Span, Ticket};

// -- what is done

#[derive(Clone, Debug)]
enum Step {
    /// Requests in one batch.
    Ask(Vec<Ask>),
    /// The same append many times over.
    Burst(usize, usize, u16),
    /// Time passes, and timers run as they fall due.
    Pass(i64),
    /// Time passes, and no timer runs.
    Skip(i64),
    /// The process ends and another begins.
    Restart,
    /// A reader comes, and stays.
    Follow(usize, Pick),
}

#[derive(Clone, Debug)]
enum Ask {
    Put(usize, Put),
    Post(usize, Post),
    Get(usize, Pick),
    Head(usize),
    Delete(usize),
}

#[derive(Clone, Debug)]
struct Put {
    kind: Option<usize>,
    body: Body,
    closed: bool,
    ttl: Option<i64>,
    /// Seconds from now.
    expires: Option<i64>,
    fork: Option<(usize, Option<Pick>, Option<i64>)>,
}

#[derive(Clone, Debug)]
struct Post {
    /// The stream's own when `None`.
    kind: Option<usize>,
    body: Body,
    closed: bool,
    producer: Option<(&'static str, i64, i64)>,
    seq: Option<String>,
}

#[derive(Clone, Debug)]
enum Body {
    Empty,
    Text(&'static str),
    Bytes(Vec<u8>),
    /// A JSON string of so many bytes.
    Long(usize),
}

/// An offset of a stream: where one of its entries ends, or beside it.
#[derive(Clone, Debug)]
enum Pick {
    Absent,
    Start,
    Now,
    At(prop::sample::Index, i64),
    Beyond,
    Bad,
    Exactly(i64),
}

const PATHS: [&str; 5] = ["/a", "/b", "/c/d", "/c/d/e", "/f"];
const KINDS: [&str; 4] =
    ["application/json", "Application/JSON; charset=utf-8", "text/plain", "application/octet-stream"];
const BODIES: [&str; 13] = [
    "1",
    "[1,2.50,\"x\"]",
    "[[1,2],[3]]",
    "[]",
    "{",
    "[1,]",
    r#"{"a":1,"b":[1,{"c":"},{"}]}"#,
    r#"[{"headers":{"operation":"insert"},"key":"k","type":"t","value":{"n":12345678901234567890}}, {"x":1}]"#,
    r#"{"headers":{"offset":"old","control":"snapshot-start"}}"#,
    "[ {\"a\" : 1} ,\r\n null ]",
    "line\r\n\r\n event: control\rdata:x",
    "\u{e9}\u{2028}",
    "\u{a0}7",
];

impl Body {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Bytes(bytes) => bytes.clone(),
            Self::Long(length) => format!("\"{}\"", "z".repeat(length.saturating_sub(2))).into_bytes(),
        }
    }
}

/// Things that are done in any order, often to a stream that was filled and sealed before and to forks of it.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = || 0..PATHS.len();
    let burst = || (path(), 20usize..150, 100u16..4000).prop_map(|(path, count, size)| Step::Burst(path, count, size));
    let step = prop_oneof![
        14 => ask().prop_map(|ask| Step::Ask(vec![ask])),
        2 => prop::collection::vec(ask(), 2..6).prop_map(Step::Ask),
        2 => burst(),
        3 => prop::sample::select(vec![0, 700, 2_300, 12_000, 31_000, 130_000]).prop_map(Step::Pass),
        1 => prop::sample::select(vec![700, 2_300, 31_000]).prop_map(Step::Skip),
        1 => Just(Step::Restart),
        2 => (path(), pick()).prop_map(|(path, pick)| Step::Follow(path, pick)),
    ];
    let sealed = (plain(), 60usize..150, 2000u16..4000, prop::collection::vec(forked(0..1), 0..3)).prop_map(
        |(put, count, size, forks)| {
            let put = Put { closed: false, ttl: None, expires: None, ..put };
            let fork = |(i, put)| Step::Ask(vec![Ask::Put(i + 1, put)]);
            let first = [Step::Ask(vec![Ask::Put(0, put)]), Step::Burst(0, count, size), Step::Pass(12_000)];
            first.into_iter().chain(forks.into_iter().enumerate().map(fork)).collect()
        },
    );
    let before = prop_oneof![1 => Just(Vec::new()), 1 => sealed];
    (before, prop::collection::vec(step, 1..40)).prop_map(|(before, steps)| [before, steps].concat())
}

fn ask() -> impl Strategy<Value = Ask> {
    let path = || 0..PATHS.len();
    prop_oneof![
        4 => (path(), put()).prop_map(|(path, put)| Ask::Put(path, put)),
        8 => (path(), post()).prop_map(|(path, post)| Ask::Post(path, post)),
        5 => (path(), pick()).prop_map(|(path, pick)| Ask::Get(path, pick)),
        1 => path().prop_map(Ask::Head),
        1 => path().prop_map(Ask::Delete),
    ]
}

fn put() -> impl Strategy<Value = Put> {
    prop_oneof![plain(), forked(0..PATHS.len())]
}

fn plain() -> impl Strategy<Value = Put> {
    let ttl =
        prop_oneof![6 => Just(None), 2 => prop::sample::select(vec![0, 1, 5, 100, 9_007_199_254_740]).prop_map(Some)];
    let expires = prop_oneof![9 => Just(None), 1 => prop::sample::select(vec![-5, 3, 40]).prop_map(Some)];
    (prop::option::weighted(0.8, 0..KINDS.len()), body(), prop::bool::weighted(0.1), ttl, expires)
        .prop_map(|(kind, body, closed, ttl, expires)| Put { kind, body, closed, ttl, expires, fork: None })
}

fn forked(source: std::ops::Range<usize>) -> impl Strategy<Value = Put> {
    let at = prop_oneof![8 => at(), 1 => pick()];
    let sub = prop_oneof![4 => Just(None), 3 => (0i64..4).prop_map(Some), 1 => Just(Some(70_000))];
    let kind = prop::option::weighted(0.15, 0..KINDS.len());
    let body = prop_oneof![1 => Just(Body::Empty), 1 => body()];
    (plain(), kind, body, source, prop::option::weighted(0.9, at), sub)
        .prop_map(|(put, kind, body, source, at, sub)| Put { kind, body, fork: Some((source, at, sub)), ..put })
}

fn post() -> impl Strategy<Value = Post> {
    let producer = (prop::sample::select(vec!["p", "q"]), 0i64..2, 0i64..4);
    let seq = prop_oneof![4 => Just(None), 1 => "[0-9]{1,2}".prop_map(Some)];
    (
        prop::option::weighted(0.2, 0..KINDS.len()),
        body(),
        prop::bool::weighted(0.08),
        prop::option::weighted(0.3, producer),
        seq,
    )
        .prop_map(|(kind, body, closed, producer, seq)| Post { kind, body, closed, producer, seq })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        2 => Just(Body::Empty),
        12 => prop::sample::select(BODIES.to_vec()).prop_map(Body::Text),
        3 => prop::collection::vec(any::<u8>(), 1..30).prop_map(Body::Bytes),
        4 => (2usize..40_000).prop_map(Body::Long),
        2 => (SEAL_LARGE - 2..SEAL_LARGE + 3).prop_map(Body::Long),
        1 => prop_oneof![PIECE - 1..PIECE + 2, Just(2 * PIECE), Just(READ + 5)].prop_map(Body::Long),
    ]
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        2 => Just(Pick::Absent),
        2 => Just(Pick::Start),
        1 => Just(Pick::Now),
        8 => at(),
        1 => Just(Pick::Beyond),
        1 => Just(Pick::Bad),
    ]
}

fn at() -> impl Strategy<Value = Pick> {
    let by = prop_oneof![4 => Just(0i64), 1 => -1i64..=1, 1 => 1i64..500];
    (any::<prop::sample::Index>(), by).prop_map(|(index, by)| Pick::At(index, by))
}

// -- the model

#[derive(Clone, Debug)]
struct Entry {
    end: i64,
    data: Rc<[u8]>,
}

#[derive(Clone, Debug)]
struct Stream {
    kind: String,
    /// All of them, those of its source too.
    entries: Vec<Entry>,
    tail: i64,
    closed: bool,
    closed_by: Option<(&'static str, i64, i64)>,
    producers: BTreeMap<&'static str, (i64, i64)>,
    seq: Option<String>,
    ttl: Option<i64>,
    expires: Option<i64>,
    /// When it ends, in milliseconds.
    until: Option<i64>,
    fork: Option<(usize, i64, i64)>,
    refs: usize,
    deleted: bool,
}

/// What the model answers, as far as that is one thing.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, Option<String>)>,
}

#[derive(Clone, Debug, Default)]
struct Model {
    now: i64,
    next: usize,
    /// Streams by a number of their own, never used twice.
    streams: BTreeMap<usize, Stream>,
    paths: BTreeMap<&'static str, usize>,
}

type Refused = Result<Answer, Answer>;

fn refuse<T>(status: u16) -> Result<T, Answer> {
    Err(Answer { status, headers: Vec::new() })
}

fn text(offset: i64) -> String {
    format!("{:016}_{offset:016}", 0)
}

fn media(kind: &str) -> String {
    kind.split(';').next().unwrap_or("").trim().to_lowercase()
}

fn flag(yes: bool) -> Option<String> {
    yes.then(|| "true".to_owned())
}

impl Stream {
    fn is_json(&self) -> bool {
        media(&self.kind) == "application/json"
    }

    fn over(&self, now: i64) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    fn touch(&mut self, now: i64) {
        if let Some(ttl) = self.ttl
            && self.until.is_none_or(|until| (now + ttl * 1000).min(LATEST) > until)
        {
            self.until = Some((now + ttl * 1000 + (ttl * 1000 / 64).min(1000)).min(LATEST));
        }
    }

    /// Its entries after an offset, up to another.
    fn after(&self, from: i64, upto: i64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.end > from && entry.end <= upto)
    }

    /// What a reader gets of these.
    fn read(&self, from: i64, upto: i64) -> Vec<u8> {
        let parts: Vec<&[u8]> = self.after(from, upto).map(|entry| &*entry.data).collect();
        if self.is_json() { [b"[", parts.join(&b","[..]).as_slice(), b"]"].concat() } else { parts.concat() }
    }

    fn append(&mut self, content: &Content<'_>) {
        let end = self.tail + i64::try_from(content.length()).expect("small");
        self.entries.push(Entry { end, data: content.stored(&content.events(true), Offset::at(end)).into() });
        self.tail = end;
    }

    fn offset(&self, pick: &Pick) -> i64 {
        match pick {
            Pick::Absent | Pick::Start | Pick::Bad => 0,
            Pick::Now => self.tail,
            Pick::At(index, by) => {
                let ends: Vec<i64> = std::iter::once(0).chain(self.entries.iter().map(|e| e.end)).collect();
                (ends[index.index(ends.len())] + by).max(0)
            }
            Pick::Beyond => 9_999_999_999_999_999,
            Pick::Exactly(offset) => *offset,
        }
    }
}

impl Model {
    fn at(&self, path: usize) -> Option<&Stream> {
        self.streams.get(self.paths.get(PATHS[path])?)
    }

    /// The stream at a path that can be used; 404 or 410.
    fn find(&mut self, path: usize) -> Result<&mut Stream, Answer> {
        let now = self.now;
        let id = self.paths.get(PATHS[path]);
        match id.and_then(|id| self.streams.get_mut(id)) {
            None => refuse(404),
            Some(stream) if stream.deleted || stream.over(now) => refuse(if stream.refs > 0 { 410 } else { 404 }),
            Some(stream) => Ok(stream),
        }
    }

    fn remove(&mut self, id: usize) {
        let stream = self.streams.get_mut(&id).expect("there");
        stream.deleted = true;
        if stream.refs > 0 {
            return;
        }
        let stream = self.streams.remove(&id).expect("there");
        self.paths.retain(|_, at| *at != id);
        if let Some((source, ..)) = stream.fork {
            let source_stream = self.streams.get_mut(&source).expect("kept for its forks");
            source_stream.refs -= 1;
            if source_stream.deleted && source_stream.refs == 0 {
                self.remove(source);
            }
        }
    }

    /// Timers have run: what is over is gone.
    fn expire(&mut self) {
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            if self.streams.get(&id).is_some_and(|s| !s.deleted && s.over(self.now)) {
                self.remove(id);
            }
        }
    }

    fn put(&mut self, path: usize, put: &Put, asked_at: Option<i64>) -> Refused {
        if put.ttl.is_some() && put.expires.is_some() {
            return refuse(400);
        }
        if let Some((_, Some(Pick::Bad | Pick::Absent | Pick::Now | Pick::Start), _)) = put.fork {
            return refuse(400);
        }
        let until = put.expires.map(|seconds| self.now / 1000 * 1000 + seconds * 1000);
        let sub = put.fork.as_ref().and_then(|(_, _, sub)| *sub).unwrap_or(0);
        let kind = put.kind.map(|kind| KINDS[kind]);
        if let Some(id) = self.paths.get(PATHS[path]).copied() {
            let existing = &self.streams[&id];
            if existing.deleted || existing.over(self.now) && existing.refs > 0 {
                return refuse(409);
            }
            if !existing.over(self.now) {
                let source = existing.fork.map(|(source, ..)| &self.streams[&source]);
                let inherits = put.ttl.is_none() && put.expires.is_none();
                let lifetime = match source {
                    Some(source) if inherits => (source.ttl, source.ttl.map_or(source.until, |_| None)),
                    _ => (put.ttl, until),
                };
                let own = (existing.ttl, existing.ttl.map_or(existing.until, |_| None));
                let kind = kind.or(source.map(|s| s.kind.as_str())).unwrap_or("application/octet-stream");
                let same_fork = match (&existing.fork, &put.fork) {
                    (None, None) => true,
                    (Some((source, at, own_sub)), Some((asked, _, _))) => {
                        self.paths.get(PATHS[*asked]) == Some(source)
                            && asked_at.is_none_or(|asked| asked == *at)
                            && *own_sub == sub
                    }
                    _ => false,
                };
                let same = media(kind) == media(&existing.kind) && lifetime == own && existing.closed == put.closed;
                return if same && same_fork { Ok(existing.describe(200)) } else { refuse(409) };
            }
            self.remove(id);
        }
        let source = put.fork.as_ref().map(|(source, ..)| self.paths.get(PATHS[*source]).copied());
        let source = match source {
            None => None,
            Some(None) => return refuse(404),
            Some(Some(id)) => {
                let source = &self.streams[&id];
                if source.deleted || source.over(self.now) {
                    return refuse(if source.refs > 0 { 409 } else { 404 });
                }
                Some((id, source.clone()))
            }
        };
        let source_kind = source.as_ref().map(|(_, s)| s.kind.clone());
        let kind = kind.map(str::to_owned).or(source_kind).unwrap_or_else(|| "application/octet-stream".to_owned());
        let mut stream = Stream {
            kind,
            entries: Vec::new(),
            tail: 0,
            closed: put.closed,
            closed_by: None,
            producers: BTreeMap::new(),
            seq: None,
            ttl: put.ttl,
            expires: put.expires.map(|_| until.expect("given") / 1000),
            until,
            fork: None,
            refs: 0,
            deleted: false,
        };
        if let Some((id, source)) = &source {
            let at = asked_at.unwrap_or(source.tail);
            if at > source.tail {
                return refuse(400);
            }
            stream.entries = source.after(0, at).cloned().collect();
            (stream.tail, stream.fork) = (at, Some((*id, at, sub)));
            let copied = copied(source, at, sub)?;
            if media(&source.kind) != media(&stream.kind) {
                return refuse(409);
            }
            if !copied.is_empty() {
                stream.append(&Content::parse(stream.is_json(), &copied).expect("valid"));
            }
            if put.ttl.is_none() && put.expires.is_none() {
                (stream.ttl, stream.expires) = (source.ttl, source.expires);
                stream.until = source.ttl.map_or(source.until, |_| None);
            }
        }
        stream.touch(self.now);
        let body = put.body.bytes();
        if !body.is_empty() {
            let Ok(content) = Content::parse(stream.is_json(), &body) else { return refuse(400) };
            if !content.is_empty() {
                stream.append(&content);
            }
        }
        if let Some((id, _)) = source {
            self.streams.get_mut(&id).expect("there").refs += 1;
        }
        let answer = stream.describe(201);
        self.next += 1;
        self.paths.insert(PATHS[path], self.next);
        self.streams.insert(self.next, stream);
        Ok(answer)
    }

    fn post(&mut self, path: usize, post: &Post) -> Refused {
        let now = self.now;
        let stream = self.find(path)?;
        let body = post.body.bytes();
        if body.is_empty() && !post.closed {
            return refuse(400);
        }
        if stream.closed {
            let repeats = match &post.producer {
                None => body.is_empty(),
                producer => stream.closed_by == *producer,
            };
            return if repeats { Ok(stream.moved(204)) } else { Err(stream.moved(409)) };
        }
        if let Some(kind) = post.kind
            && !body.is_empty()
            && media(KINDS[kind]) != media(&stream.kind)
        {
            return refuse(409);
        }
        if let Some((name, epoch, seq)) = post.producer {
            match stream.producers.get(name) {
                None if seq > 0 => return refuse(409),
                Some((current, _)) if epoch < *current => return refuse(403),
                Some((current, _)) if epoch > *current && seq > 0 => return refuse(400),
                Some((current, last)) if epoch == *current && seq <= *last => {
                    let mut answer = stream.moved(204);
                    answer.headers.push(("producer-seq", Some(last.to_string())));
                    return Ok(answer);
                }
                Some((current, last)) if epoch == *current && seq > last + 1 => return refuse(409),
                _ => {}
            }
        }
        let content = Content::parse(stream.is_json() && !body.is_empty(), &body);
        let Ok(content) = content else { return refuse(400) };
        if !body.is_empty() && content.is_empty() {
            return refuse(400);
        }
        if let Some(seq) = &post.seq {
            if stream.seq.as_ref().is_some_and(|last| seq <= last) {
                return refuse(409);
            }
            stream.seq = Some(seq.clone());
        }
        stream.touch(now);
        if !body.is_empty() {
            stream.append(&content);
        }
        if let Some((name, epoch, seq)) = post.producer {
            stream.producers.insert(name, (epoch, seq));
        }
        if post.closed {
            (stream.closed, stream.closed_by) = (true, post.producer);
        }
        let mut answer = stream.moved(if post.producer.is_some() && !body.is_empty() { 200 } else { 204 });
        answer.headers.push(("producer-seq", post.producer.map(|(_, _, seq)| seq.to_string())));
        Ok(answer)
    }
}

/// What a fork takes of the entry after where it branches.
fn copied(source: &Stream, at: i64, sub: i64) -> Result<Vec<u8>, Answer> {
    if sub == 0 {
        return Ok(Vec::new());
    }
    let sub = usize::try_from(sub).expect("positive");
    let Some(entry) = source.after(at, i64::MAX).next() else { return refuse(400) };
    if !source.is_json() {
        return entry.data.get(..sub).map_or_else(|| refuse(400), |part| Ok(part.to_vec()));
    }
    let array = source.read(at, entry.end);
    let messages: Vec<&RawValue> = serde_json::from_slice(&array).expect("an array");
    let Some(messages) = messages.get(..sub) else { return refuse(400) };
    let messages: Vec<&str> = messages.iter().map(|m| m.get()).collect();
    Ok(format!("[{}]", messages.join(",")).into_bytes())
}

impl Stream {
    fn describe(&self, status: u16) -> Answer {
        let mut answer = self.moved(status);
        answer.headers.push(("content-type", Some(self.kind.clone())));
        answer
    }

    fn moved(&self, status: u16) -> Answer {
        let headers = vec![("stream-next-offset", Some(text(self.tail))), ("stream-closed", flag(self.closed))];
        Answer { status, headers }
    }
}

// -- both together

type Checked = Result<(), TestCaseError>;

struct Both {
    world: World,
    model: Model,
    /// Readers that stay: which stream they read, and where they stand.
    readers: Vec<Reader>,
    /// Answers by their tags.
    tags: BTreeMap<String, (Vec<u8>, Option<String>)>,
}

struct Reader {
    live: Box<Live>,
    stream: usize,
    at: i64,
    /// What the model held when it last looked.
    seen: Stream,
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers.get(name).map(|v| v.to_str().expect("text").to_owned())
}

fn request(method: &str, path: &str, query: String, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Command {
    let headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
        .collect();
    let method = Method::try_from(method).expect("a method");
    let by = Some(Principal::dev_local());
    Command::Request {
        ticket: Ticket(1),
        request: Request { method, path: path.to_owned(), query, headers, body, by, origin: None },
    }
}

fn query(stream: Option<&Stream>, pick: &Pick) -> String {
    match (pick, stream) {
        (Pick::Absent, _) => String::new(),
        (Pick::Start, _) => "offset=-1".to_owned(),
        (Pick::Now, _) => "offset=now".to_owned(),
        (Pick::Bad, _) => "offset=1".to_owned(),
        (pick, Some(stream)) => format!("offset={}", text(stream.offset(pick))),
        (_, None) => format!("offset={}", text(0)),
    }
}

impl Both {
    fn new() -> Self {
        let world = World::new();
        let model = Model { now: world.now.as_millis(), ..Model::default() };
        Self { world, model, readers: Vec::new(), tags: BTreeMap::new() }
    }

    /// The request of what is asked, as the streams stand when it is sent.
    fn command(&self, ask: &Ask) -> Command {
        let at = |path: usize| self.model.at(path);
        match ask {
            Ask::Put(path, put) => {
                let mut headers = Vec::new();
                let mut set = |name, value: Option<String>| headers.extend(value.map(|value| (name, value)));
                set("content-type", put.kind.map(|kind| KINDS[kind].to_owned()));
                set("stream-closed", flag(put.closed));
                set("stream-ttl", put.ttl.map(|ttl| ttl.to_string()));
                let expires = put.expires.map(|by| crate::Time::from_millis((self.model.now / 1000 + by) * 1000).iso());
                set("stream-expires-at", expires);
                if let Some((source, pick, sub)) = &put.fork {
                    set("stream-forked-from", Some(PATHS[*source].to_owned()));
                    let offset = pick.as_ref().map(|pick| query(at(*source), pick).replace("offset=", ""));
                    set("stream-fork-offset", offset);
                    set("stream-fork-sub-offset", sub.map(|sub| sub.to_string()));
                }
                request("PUT", PATHS[*path], String::new(), headers, put.body.bytes())
            }
            Ask::Post(path, post) => {
                let mut headers = Vec::new();
                let mut set = |name, value: Option<String>| headers.extend(value.map(|value| (name, value)));
                let own = at(*path).map_or("text/plain", |s| s.kind.as_str());
                set("content-type", Some(post.kind.map_or(own, |kind| KINDS[kind]).to_owned()));
                set("stream-closed", flag(post.closed));
                set("stream-seq", post.seq.clone());
                if let Some((name, epoch, seq)) = post.producer {
                    set("producer-id", Some(name.to_owned()));
                    set("producer-epoch", Some(epoch.to_string()));
                    set("producer-seq", Some(seq.to_string()));
                }
                request("POST", PATHS[*path], String::new(), headers, post.body.bytes())
            }
            Ask::Get(path, pick) => request("GET", PATHS[*path], query(at(*path), pick), Vec::new(), Vec::new()),
            Ask::Head(path) => request("HEAD", PATHS[*path], String::new(), Vec::new(), Vec::new()),
            Ask::Delete(path) => request("DELETE", PATHS[*path], String::new(), Vec::new(), Vec::new()),
        }
    }

    /// Runs requests in one batch, and compares.
    fn ask(&mut self, asks: &[Ask]) -> Checked {
        // What they name is looked up as the streams stand before the batch.
        let before = self.model.clone();
        let commands: Vec<Command> = asks.iter().map(|ask| self.command(ask)).collect();
        let turns = self.world.batch(commands);
        let mut moved = Vec::new();
        for (ask, turn) in asks.iter().zip(turns) {
            let Some((_, Reply::Whole(got))) = turn.replies.into_iter().next() else { unreachable!("a whole reply") };
            self.compare(ask, &before, &got)?;
            self.remember();
            moved.extend(turn.effects);
        }
        self.notify(&moved)
    }

    fn compare(&mut self, ask: &Ask, before: &Model, got: &Response) -> Checked {
        let answer = match ask {
            Ask::Put(path, put) => {
                let at = match &put.fork {
                    Some((source, Some(pick), _)) => Some(before.at(*source).map_or(0, |s| s.offset(pick))),
                    _ => None,
                };
                let kept = self.model.clone();
                self.model.put(*path, put, at).inspect_err(|_| self.model = kept)
            }
            Ask::Post(path, post) => {
                let mut post = post.clone();
                if post.kind.is_none() {
                    let own = before.at(*path).map_or("text/plain", |s| s.kind.as_str());
                    post.kind = KINDS.iter().position(|kind| *kind == own);
                }
                self.model.post(*path, &post)
            }
            Ask::Head(path) => self.model.find(*path).map(|stream| {
                let mut answer = stream.describe(200);
                answer.headers.push(("stream-ttl", stream.ttl.map(|ttl| ttl.to_string())));
                answer
            }),
            Ask::Delete(path) => self.model.find(*path).map(|_| ()).map(|()| {
                let id = self.model.paths[PATHS[*path]];
                self.model.remove(id);
                Answer { status: 204, headers: Vec::new() }
            }),
            Ask::Get(path, pick) => return self.read(*path, pick, before, got),
        };
        let answer = answer.unwrap_or_else(|answer| answer);
        prop_assert_eq!(got.status.as_u16(), answer.status, "{:?}: {}", ask, String::from_utf8_lossy(&got.body));
        for (name, value) in answer.headers {
            prop_assert_eq!(header(got, name), value, "{} of {:?}", name, ask);
        }
        Ok(())
    }

    /// Compares what was read, byte for byte.
    fn read(&mut self, path: usize, pick: &Pick, before: &Model, got: &Response) -> Checked {
        let now = self.model.now;
        let at = before.at(path).map_or(0, |s| s.offset(pick));
        let stream = match self.model.find(path) {
            Ok(stream) => stream,
            Err(answer) => {
                prop_assert_eq!(got.status.as_u16(), answer.status);
                return Ok(());
            }
        };
        if matches!(pick, Pick::Bad) {
            prop_assert_eq!(got.status.as_u16(), 400);
            return Ok(());
        }
        stream.touch(now);
        prop_assert_eq!(got.status.as_u16(), 200, "{}", String::from_utf8_lossy(&got.body));
        let from = if matches!(pick, Pick::Now) { stream.tail } else { at.min(stream.tail) };
        let next = header(got, "stream-next-offset").and_then(|text| Offset::parse(&text)).expect("an offset").bytes();
        let complete = next == stream.tail;
        prop_assert!(complete || stream.entries.iter().any(|entry| entry.end == next), "{} is inside an entry", next);
        prop_assert!(next >= from);
        prop_assert!(got.body == stream.read(from, next), "{} to {} of {} differs", from, next, PATHS[path]);
        if !complete {
            // A read stops with the entry that fills it; some of the commas between entries count.
            let sizes: Vec<usize> = stream.after(from, next).map(|entry| entry.data.len()).collect();
            let before: usize = sizes.iter().rev().skip(1).sum();
            prop_assert!(got.body.len() >= READ && before < READ, "{} bytes", got.body.len());
        }
        prop_assert_eq!(header(got, "stream-up-to-date"), flag(complete));
        prop_assert_eq!(header(got, "stream-closed"), flag(complete && stream.closed));
        prop_assert_eq!(header(got, "content-type"), Some(stream.kind.clone()));
        if let Some(tag) = header(got, "etag") {
            let now = (got.body.clone(), header(got, "stream-closed"));
            let then = self.tags.entry(tag).or_insert_with(|| now.clone());
            prop_assert!(*then == now, "one tag for two answers");
        }
        Ok(())
    }

    /// What readers may still be given of a stream that the same batch deletes.
    fn remember(&mut self) {
        for reader in &mut self.readers {
            if let Some(stream) = self.model.streams.get(&reader.stream) {
                reader.seen = stream.clone();
            }
        }
    }

    /// Lets those who stay know what has moved, from memory where they can be.
    fn notify(&mut self, effects: &[Effect]) -> Checked {
        for effect in effects {
            let Effect::Notify(notify) = effect else { continue };
            for i in 0..self.readers.len() {
                let reader = &mut self.readers[i];
                if !reader.live.topics().contains(&notify.topic) {
                    continue;
                }
                if let Some(next) = reader.live.accept(notify) {
                    prop_assert!(!reader.take(next, Some(notify.to.bytes()))?, "it ends from memory");
                }
            }
        }
        self.catch_up()
    }

    /// Everyone who stays has all there is.
    fn catch_up(&mut self) -> Checked {
        let mut kept = Vec::new();
        for mut reader in std::mem::take(&mut self.readers) {
            if self.drain(&mut reader)? {
                kept.push(reader);
            }
        }
        self.readers = kept;
        Ok(())
    }

    fn drain(&mut self, reader: &mut Reader) -> Result<bool, TestCaseError> {
        let now = self.model.now;
        if let Some(stream) = self.model.streams.get(&reader.stream) {
            reader.seen = stream.clone();
        }
        let gone = self.model.streams.get(&reader.stream).is_none_or(|s| s.deleted || s.over(now));
        for _ in 0..100 {
            let (next, touch) = self.world.engine.next(&mut reader.live, self.world.now).expect("readable");
            if let Some(touch) = touch {
                self.world.batch(vec![Command::Touch(touch)]);
            }
            if !gone {
                self.model.streams.get_mut(&reader.stream).expect("there").touch(now);
            }
            if let Next::Wait(_) = next {
                prop_assert!(!gone, "it waits for a stream that is gone");
                prop_assert_eq!(reader.at, reader.seen.tail, "it waits before the tail");
                prop_assert!(!reader.seen.closed, "it waits at the end");
                return Ok(true);
            }
            if reader.take(next, None)? {
                return Ok(false);
            }
        }
        prop_assert!(false, "it goes on for ever");
        Ok(false)
    }

    fn follow(&mut self, path: usize, pick: &Pick) -> Checked {
        let query = match query(self.model.at(path), pick) {
            query if query.is_empty() => "live=sse&offset=-1".to_owned(),
            query => format!("{query}&live=sse"),
        };
        let turn = self.world.batch(vec![request("GET", PATHS[path], query, Vec::new(), Vec::new())]).remove(0);
        let Some((_, reply)) = turn.replies.into_iter().next() else { unreachable!("a reply") };
        let (now, stream) = (self.model.now, self.model.find(path).map(|s| &*s).cloned());
        match (reply, stream) {
            (Reply::Whole(got), Err(answer)) => prop_assert_eq!(got.status.as_u16(), answer.status),
            (Reply::Whole(got), Ok(_)) => {
                prop_assert!(matches!(pick, Pick::Bad));
                prop_assert_eq!(got.status.as_u16(), 400);
            }
            (Reply::Live(_), Err(answer)) => prop_assert!(false, "live instead of {}", answer.status),
            (Reply::Live(live), Ok(seen)) => {
                self.model.find(path).expect("there").touch(now);
                let stream = self.model.paths[PATHS[path]];
                let at = seen.offset(pick).min(seen.tail);
                prop_assert_eq!(live.topics().len(), 1);
                prop_assert!(matches!(live.topics()[0], Topic::Stream(_)));
                let mut reader = Reader { live, stream, at, seen };
                if self.drain(&mut reader)? && self.readers.len() < 4 {
                    self.readers.push(reader);
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Ask(asks) => self.ask(asks),
            Step::Burst(path, count, size) => {
                let body = Body::Long(usize::from(*size));
                let post = Post { kind: None, body, closed: false, producer: None, seq: None };
                self.ask(&vec![Ask::Post(*path, post); *count])
            }
            Step::Pass(millis) => {
                self.world.pass(Span::millis(*millis));
                self.model.now += millis;
                self.model.expire();
                self.catch_up()
            }
            Step::Skip(millis) => {
                self.world.now = self.world.now + Span::millis(*millis);
                self.model.now += millis;
                Ok(())
            }
            Step::Restart => {
                let world = std::mem::replace(&mut self.world, World::new());
                self.world = world.restart();
                Ok(())
            }
            Step::Follow(path, pick) => self.follow(*path, pick),
        }
    }

    /// At the end all of every stream is read, from its start and from the middle.
    fn finish(&mut self) -> Checked {
        for path in 0..PATHS.len() {
            self.ask(&[Ask::Head(path)])?;
            let Ok(stream) = self.model.find(path).cloned() else { continue };
            let ends = || stream.entries.iter().map(|entry| entry.end);
            let mut from = 0;
            while from < stream.tail {
                self.ask(&[Ask::Get(path, Pick::Exactly(from))])?;
                // Where a full read may have stopped at the earliest: some are read twice.
                let full = |end: &i64| usize::try_from(end - from).is_ok_and(|bytes| bytes >= READ / 2);
                from = ends().find(full).unwrap_or(stream.tail);
            }
            for from in ends().step_by(17) {
                self.ask(&[Ask::Get(path, Pick::Exactly(from))])?;
            }
        }
        prop_assert_eq!(self.world.engine.counts().panics, 0);
        prop_assert_eq!(self.world.engine.counts().failed_commits, 0);
        prop_assert_eq!(self.world.engine.counts().timer_failures, 0);
        Ok(())
    }
}

impl Reader {
    /// Takes a piece and compares it; says whether it was the last.
    fn take(&mut self, next: Next, upto: Option<i64>) -> Result<bool, TestCaseError> {
        let (bytes, last) = match next {
            Next::Open(head) => {
                prop_assert_eq!(head.status.as_u16(), 200);
                return Ok(false);
            }
            Next::Respond(response) => {
                prop_assert!(response.status.is_client_error(), "{}", response.status);
                return Ok(true);
            }
            Next::Send(bytes) => (bytes, false),
            Next::Finish(bytes) => (bytes, true),
            Next::Wait(_) => return Ok(false),
        };
        let events = interpret(&String::from_utf8(bytes).expect("text"));
        let (data, control) = match events.as_slice() {
            [] => return Ok(last),
            [control] => (None, control),
            [data, control] => (Some(data), control),
            more => return Err(TestCaseError::fail(format!("{} events at once", more.len()))),
        };
        prop_assert_eq!(&control.kind, "control");
        let control: serde_json::Value = serde_json::from_str(&control.data).expect("JSON");
        let next = Offset::parse(control["streamNextOffset"].as_str().expect("a text")).expect("an offset").bytes();
        prop_assert!(upto.is_none_or(|upto| upto == next));
        if let Some(data) = data {
            prop_assert!(next > self.at, "data, and it stands where it stood");
            self.compare(data, next)?;
        } else {
            prop_assert_eq!(next, self.at, "it moves without data");
        }
        self.at = next;
        let closed = self.seen.closed && self.at == self.seen.tail;
        prop_assert_eq!(control["streamClosed"] == true, closed && upto.is_none());
        prop_assert_eq!(last, control["streamClosed"] == true);
        Ok(last)
    }

    fn compare(&self, data: &Event, next: i64) -> Checked {
        use base64::Engine as _;

        prop_assert_eq!(&data.kind, "data");
        let want = self.seen.read(self.at, next);
        let kind = media(&self.seen.kind);
        if kind.starts_with("text/") || kind == "application/json" {
            prop_assert!(data.data == normal(&String::from_utf8_lossy(&want)), "{} to {} differs", self.at, next);
        } else {
            let got = base64::engine::general_purpose::STANDARD.decode(&data.data).expect("base64");
            prop_assert!(got == want, "{} to {} differs", self.at, next);
        }
        Ok(())
    }
}

#[test]
fn whatever_is_done_to_streams_every_answer_is_the_models() {
    check(150, &steps(), |steps| {
        let mut both = Both::new();
        for step in &steps {
            both.step(step)?;
        }
        both.finish()
    });
}

/// The last moment that a timestamp can show.
const LATEST: i64 = 253_402_207_199_999;
