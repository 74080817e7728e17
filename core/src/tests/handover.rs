//! Handing an entity over: who had it hears no more of it, also where what they hear comes from memory.

use serde_json::{Value as Json, json};

use super::world::World;
use crate::effect::{Effect, Notify};
use crate::stream::Next;
use crate::{Live, Reply};

const ALICE: [(&str, &str); 1] = [("electric-principal", "user:alice")];

/// A live read of Alice's that waits.
fn waiting(w: &mut World, path: &str) -> Box<Live> {
    let turn = w.batch(vec![World::command("GET", path, &ALICE, "")]).remove(0);
    let Some((_, Reply::Live(mut live))) = turn.replies.into_iter().next() else { unreachable!("a live read") };
    loop {
        if let (Next::Wait(_), _) = w.engine.next(&mut live, w.now).expect("readable") {
            return live;
        }
    }
}

#[test]
fn who_had_an_entity_is_handed_nothing_from_memory_that_comes_after() {
    let mut w = World::new();
    w.webhook_type("t");
    assert_eq!(w.ask("PUT", "/_electric/entities/t/a", &ALICE, &json!({})).status, 201);
    let mut live = waiting(&mut w, "/t/a/main?offset=now&live=sse");
    let owner = json!({ "principal": "user:bob" }).to_string();
    let secret = json!({ "payload": "for Bob" }).to_string();
    // In one batch, so that her reader is told of both before it can ask.
    let turns = w.batch(vec![
        World::command("POST", "/_reveille/entities/t/a/owner", &[], &owner),
        World::command("POST", "/_electric/entities/t/a/send", &[], &secret),
    ]);
    let topics = live.topics();
    let notices = turns.iter().flat_map(|turn| &turn.effects).filter_map(|effect| match effect {
        Effect::Notify(notify) if topics.contains(&notify.topic) => Some(notify),
        _ => None,
    });
    let notices: Vec<&Notify> = notices.collect();
    assert!(notices.iter().any(|notify| notify.bytes.is_some()), "{notices:?}");
    for notify in notices {
        assert!(live.accept(notify).is_none(), "{notify:?}");
    }
    let end = w.engine.next(&mut live, w.now).expect("readable").0;
    assert!(matches!(&end, Next::Finish(bytes) if bytes.is_empty()), "{end:?}");
    let refused = w.ask("GET", "/t/a/main", &ALICE, &Json::Null);
    assert_eq!(refused.status, 401);
}
