//! The timeline: what woke whom, why, and how many milliseconds after its cause; as it happens.

use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::cause::Cause;
use super::printer::Printer;
use super::scene::Scene;

/// Where the agents say what they do. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Timeline(mpsc::UnboundedSender<Line>);

/// What happened.
#[derive(Debug)]
pub(super) enum What {
    /// An agent woke.
    Woke {
        /// Why.
        cause: Cause,
        /// How it was reached.
        by: &'static str,
    },
    /// Somebody did something.
    Did {
        /// In words.
        text: String,
        /// What it wrote, when that is an answer.
        wrote: Option<String>,
    },
    /// An agent has ended its wake. People are told with what it did.
    Sleeps,
    /// A demo from before is there and goes on.
    GoesOn {
        /// How many answers it has.
        answers: usize,
    },
    /// Nothing happens yet.
    Waits,
    /// Something went wrong.
    Trouble {
        /// What.
        text: String,
    },
    /// The planner has finished.
    Finished {
        /// Its answer.
        text: String,
    },
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: SystemTime,
    pub(super) who: String,
    pub(super) what: What,
}

impl Timeline {
    /// Begins to print.
    pub(super) fn begin(scene: &Scene, url: &str, began: SystemTime) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        let planner = scene.open.planner.clone();
        tokio::spawn(print(Printer::new(url, &planner, began), planner, lines));
        Self(sender)
    }

    /// Something happens now.
    pub(super) fn tell(&self, who: &str, what: What) {
        self.tell_at(SystemTime::now(), who, what);
    }

    /// Something happened at a moment that is just past.
    pub(super) fn tell_at(&self, at: SystemTime, who: &str, what: What) {
        let _ = self.0.send(Line { at, who: who.to_owned(), what });
    }
}

/// Prints lines in the order of their moments: agents tell of a wake when they have read why.
async fn print(mut printer: Printer, planner: String, mut lines: mpsc::UnboundedReceiver<Line>) {
    let mut waiting: Vec<Line> = Vec::new();
    // When to explain that nothing happens.
    let mut hush = None;
    loop {
        let settled = match (waiting.is_empty(), hush) {
            (false, _) => Instant::now() + SETTLE,
            (true, Some(hush)) => hush,
            (true, None) => Instant::now() + Duration::from_secs(3600),
        };
        tokio::select! {
            line = lines.recv() => {
                let Some(line) = line else { return };
                match &line.what {
                    What::GoesOn { .. } => hush = Some(Instant::now() + HUSH),
                    What::Woke { .. } => hush = None,
                    _ => {}
                }
                waiting.push(line);
            }
            () = tokio::time::sleep_until(settled) => {
                waiting.sort_by_key(|line| line.at);
                waiting.drain(..).for_each(|line| printer.line(&line));
                if hush.take_if(|hush| *hush <= Instant::now()).is_some() {
                    printer.line(&Line { at: SystemTime::now(), who: planner.clone(), what: What::Waits });
                }
            }
        }
    }
}

/// How long a line waits for one that happened before it.
const SETTLE: Duration = Duration::from_millis(25);
/// When it is said why a demo that goes on may stand still at first.
const HUSH: Duration = Duration::from_secs(3);
