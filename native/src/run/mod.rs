//! `reveille run`: makes any program an agent. A runner that registers itself and a type, follows its wake stream, claims,
//! and starts the program once for each wake.

mod args;
mod diagnostics;
mod input;
mod output;
mod program;
mod register;
mod report;
mod work;

use std::collections::HashSet;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub(crate) use self::args::{Args, HELP};
use self::diagnostics::Diagnostics;
use self::register::register;
use self::report::{Report, What};
use self::work::{Desk, End, Stop};
use crate::client::tail::{Announcement, Told, tail};
use crate::client::{Client, Failure};

type Signal = Pin<Box<dyn Future<Output = ()>>>;

/// Works until a signal.
pub(crate) async fn run(args: Args) -> ExitCode {
    let mut signal: Signal = Box::pin(crate::signal());
    let client = match args.client() {
        Ok(client) => client,
        Err(message) => return crate::complain(&message, crate::REFUSED),
    };
    if let Err(message) = program::find(&args.program) {
        return crate::complain(&message, crate::REFUSED);
    }
    let report = Report::new();
    let enrolled = tokio::select! {
        enrolled = enrol(&client, &args, report) => enrolled,
        () = &mut signal => return ExitCode::SUCCESS,
    };
    if let Err(failure) = enrolled {
        return crate::complain(&format!("{} will not have this runner: {failure}", client.base()), crate::FAILURE);
    }

    let (stop, stopping) = watch::channel(Stop::No);
    let (tell, told) = mpsc::channel(64);
    let tailing = tokio::spawn(tail(client.clone(), args.runner(), tell));
    let desk = Desk::new(client.clone(), &args, report, stopping);
    let mut office = Office {
        diagnostics: Diagnostics::new(client, args.runner()),
        desk: Arc::new(desk),
        report,
        places: args.concurrency,
        waiting: Vec::new(),
        busy: HashSet::new(),
        working: JoinSet::new(),
    };
    let code = office.open(told, stop, signal, &args).await;
    tailing.abort();
    office.diagnostics.stopped().await;
    code
}

/// Registers, as soon as there is a server that answers.
async fn enrol(client: &Client, args: &Args, report: Report) -> Result<(), Failure> {
    let (mut pause, mut said) = (Duration::from_millis(250), false);
    loop {
        match register(client, args).await {
            Ok(registered) => {
                report.tell(&What::Ready { args, server: client.base(), registered: &registered });
                return Ok(());
            }
            Err(failure) if failure.may_pass() => {
                if !std::mem::replace(&mut said, true) {
                    report.tell(&What::Offline { why: &failure });
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Where announcements wait for a place.
struct Office {
    desk: Arc<Desk>,
    diagnostics: Diagnostics,
    report: Report,
    places: usize,
    waiting: Vec<Announcement>,
    /// Subscriptions that are worked on: one wake at a time each.
    busy: HashSet<String>,
    working: JoinSet<(String, End)>,
}

impl Office {
    /// Hands out work until a signal; then finishes what was begun, or gives it back.
    async fn open(
        &mut self,
        mut told: mpsc::Receiver<Told>,
        stop: watch::Sender<Stop>,
        mut signal: Signal,
        args: &Args,
    ) -> ExitCode {
        let mut beat = tokio::time::interval(diagnostics::BEAT);
        let mut grace: Option<Instant> = None;
        loop {
            if grace.is_none() {
                self.hand_out();
            } else if self.working.is_empty() {
                return ExitCode::SUCCESS;
            }
            let patience = grace.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                Some(told) = told.recv() => {
                    if let Told::Refused(failure) = told {
                        self.give_back(&stop).await;
                        return crate::complain(&format!("the wake stream cannot be read: {failure}"), crate::FAILURE);
                    }
                    if self.hear(told, args).await {
                        beat.reset_after(Duration::from_millis(200));
                    }
                }
                Some(finished) = self.working.join_next() => {
                    if let Ok((subscription, end)) = finished {
                        self.busy.remove(&subscription);
                        self.diagnostics.claimed(&end);
                    }
                }
                _ = beat.tick() => self.diagnostics.beat(),
                () = &mut signal => {
                    if grace.is_some() {
                        // A second signal does not wait.
                        return self.give_back(&stop).await;
                    }
                    signal = Box::pin(crate::signal());
                    grace = Some(Instant::now() + args.grace());
                    let _ = stop.send(Stop::Finish);
                    self.report.tell(&What::Stopping { busy: self.working.len(), grace: args.grace() });
                }
                () = sleep_until(patience), if grace.is_some() => return self.give_back(&stop).await,
            }
        }
    }

    /// Takes news of the wake stream. Says whether the server should hear how this runner is.
    async fn hear(&mut self, told: Told, args: &Args) -> bool {
        let changed = self.diagnostics.hear(&told);
        match told {
            Told::Online if changed => self.report.tell(&What::Online),
            Told::Offline(why) if changed => self.report.tell(&What::Offline { why: &why }),
            Told::Wake(announcement) => {
                // One claim serves all announcements of a subscription.
                self.waiting.retain(|known| known.subscription != announcement.subscription);
                self.waiting.push(announcement);
            }
            Told::Unknown => {
                if let Err(why) = register(&self.desk.client, args).await {
                    self.report.tell(&What::Offline { why: &why });
                }
            }
            Told::Online | Told::Offline(_) | Told::At(_) | Told::Refused(_) => {}
        }
        changed
    }

    /// Starts what waits, as places are free.
    fn hand_out(&mut self) {
        while self.working.len() < self.places {
            let Some(next) = self.waiting.iter().position(|a| !self.busy.contains(&a.subscription)) else { return };
            let announcement = self.waiting.remove(next);
            self.busy.insert(announcement.subscription.clone());
            let desk = Arc::clone(&self.desk);
            self.working.spawn(async move {
                let end = desk.work(&announcement).await;
                (announcement.subscription, end)
            });
        }
    }

    /// Has all work given back, and ends.
    async fn give_back(&mut self, stop: &watch::Sender<Stop>) -> ExitCode {
        let _ = stop.send(Stop::Release);
        let all = async { while self.working.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(Duration::from_secs(3), all).await;
        self.working.abort_all();
        ExitCode::SUCCESS
    }
}
