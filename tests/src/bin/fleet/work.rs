//! What a runner does with a wake event, step by step, so that it may die between any two.

use std::time::Instant;

use reveille_tests::Result;
use reveille_tests::client::{Answer, Ask, Connection};
use reveille_tests::wake::{Wake, write_token};
use serde_json::{Value as Json, json};

use crate::claim::{Asked, Claim, What};
use crate::name::Runner;

/// How far a work has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Announced,
    Claimed,
    Opened,
    Written,
    Done,
}

/// The work on one event.
#[derive(Debug)]
pub(crate) struct Work {
    event: Json,
    pub(crate) stage: Stage,
    taken: Option<Taken>,
}

/// A wake that was claimed.
#[derive(Debug)]
struct Taken {
    wake: Wake,
    /// The write token, once there is one.
    token: String,
    claim: Claim,
}

/// What a work is done with: its runner's, and a connection.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) runner: Runner,
    pub(crate) connection: Connection,
}

impl Work {
    pub(crate) fn new(event: Json) -> Self {
        Self { event, stage: Stage::Announced, taken: None }
    }

    /// Whether somebody holds a claim for it.
    pub(crate) fn is_claimed(&self) -> bool {
        self.taken.is_some()
    }

    /// What its holder saw, if it was claimed.
    pub(crate) fn claim(self) -> Option<Claim> {
        self.taken.map(|taken| taken.claim)
    }

    /// Goes one step. Says whether there is another: not after the done, nor after a refusal.
    pub(crate) async fn step(&mut self, hand: &mut Hand) -> Result<bool> {
        let next = match (self.stage, &mut self.taken) {
            (Stage::Announced, _) => self.start(hand).await?,
            (Stage::Claimed, Some(taken)) => taken.open(hand).await?,
            (Stage::Opened, Some(taken)) => taken.write(hand).await?,
            (Stage::Written, Some(taken)) => taken.finish(hand).await?,
            _ => None,
        };
        self.stage = next.unwrap_or(self.stage);
        Ok(next.is_some())
    }

    async fn start(&mut self, hand: &mut Hand) -> Result<Option<Stage>> {
        let sent = Instant::now();
        let path = format!("/_electric/runners/{}/claim", hand.runner.id());
        let answer = hand.connection.ask(Ask::post(path, &self.event).by(&hand.runner.principal())).await?;
        let answered = Instant::now();
        if answer.status == 409 && [ALREADY_CLAIMED, NO_PENDING_WORK].contains(&code(&answer).as_str()) {
            return Ok(None);
        }
        if answer.status != 200 {
            return Err(answer.unexpected(&format!("a claim by {}", hand.runner.id())).into());
        }
        let wake = Wake::of(&answer.json()?)?;
        let asked = vec![Asked { what: What::Claim, sent, answered, accepted: true }];
        let claim = Claim { entity: wake.entity.clone(), epoch: wake.epoch, asked, messages: Vec::new() };
        self.taken = Some(Taken { wake, token: String::new(), claim });
        Ok(Some(Stage::Claimed))
    }
}

impl Taken {
    async fn open(&mut self, hand: &mut Hand) -> Result<Option<Stage>> {
        let Some(answer) = self.ask(hand, What::Token, self.wake.claim()).await? else { return Ok(None) };
        self.token = write_token(&answer.json()?)?;
        Ok(Some(Stage::Opened))
    }

    async fn write(&mut self, hand: &mut Hand) -> Result<Option<Stage>> {
        if self.wake.epoch.is_multiple_of(HEARTBEATS)
            && self.ask(hand, What::Heartbeat, self.wake.heartbeat()).await?.is_none()
        {
            return Ok(None);
        }
        let headers = json!({ "operation": "insert" });
        let event =
            json!({ "type": "note", "key": self.wake.id, "value": { "epoch": self.wake.epoch }, "headers": headers });
        let append = Ask::post(&self.wake.stream, &json!([event])).under(&self.token);
        Ok(self.ask(hand, What::Write, append).await?.map(|_| Stage::Written))
    }

    /// Reads the whole stream, as a fresh process has to, and acknowledges what it has read.
    async fn finish(&mut self, hand: &mut Hand) -> Result<Option<Stage>> {
        let mut offset = "-1".to_owned();
        loop {
            let read = Ask::get(format!("{}?offset={offset}", self.wake.stream)).by(&hand.runner.principal());
            let answer = hand.connection.expect(read).await?;
            answer.header("stream-next-offset").clone_into(&mut offset);
            let events = answer.json()?;
            let messages = events.as_array().into_iter().flatten().filter(|event| event["type"] == "inbox");
            self.claim.messages.extend(messages.filter_map(|event| event.pointer("/value/payload/n")?.as_u64()));
            if answer.header("stream-up-to-date") == "true" {
                break;
            }
        }
        Ok(self.ask(hand, What::Done, self.wake.done(&offset)).await?.map(|_| Stage::Done))
    }

    /// Asks under the claim and notes it. Nothing is given when the answer is that the claim is over.
    async fn ask(&mut self, hand: &mut Hand, what: What, ask: Ask) -> Result<Option<Answer>> {
        let sent = Instant::now();
        let answer = hand.connection.ask(ask).await?;
        let accepted = answer.status.is_success();
        let over =
            if what == What::Write { answer.status == 401 } else { answer.status == 409 && code(&answer) == FENCED };
        if !accepted && !over {
            return Err(answer.unexpected(&format!("{what:?} for {}", self.wake.entity)).into());
        }
        self.claim.asked.push(Asked { what, sent, answered: Instant::now(), accepted });
        Ok(accepted.then_some(answer))
    }
}

impl Stage {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Announced, Self::Claimed, Self::Opened, Self::Written, Self::Done];

    /// When that is, of a death.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Announced => "before the claim",
            Self::Claimed => "after the claim",
            Self::Opened => "with the write token",
            Self::Written => "after the write",
            Self::Done => "after the done",
        }
    }
}

fn code(answer: &Answer) -> String {
    let code = answer.json().ok().and_then(|body| body.pointer("/error/code")?.as_str().map(str::to_owned));
    code.unwrap_or_default()
}

const ALREADY_CLAIMED: &str = "ALREADY_CLAIMED";
const NO_PENDING_WORK: &str = "NO_PENDING_WORK";
const FENCED: &str = "FENCED";
/// One of so many generations is kept by a heartbeat.
const HEARTBEATS: u64 = 3;
