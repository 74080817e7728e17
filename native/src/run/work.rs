//! One wake, from its claim to its end: the program runs, what it prints is appended, the lease is kept.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::Value as Json;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};

use super::args::Args;
use super::output::Output;
use super::program::{Program, Step, failure};
use super::report::{Report, What};
use super::{input, report};
use crate::client::tail::Announcement;
use crate::client::wake::{Wake, consumed, fresh};
use crate::client::{Client, Failure};

/// What all wakes share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) client: Client,
    runner: String,
    program: Vec<String>,
    report: Report,
    stop: watch::Receiver<Stop>,
    /// Up to where streams were acknowledged: saves reading them from their beginning, and may be forgotten.
    known: Mutex<HashMap<String, String>>,
}

/// Whether to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// No.
    No,
    /// When the program has ended.
    Finish,
    /// Now.
    Release,
}

/// How a claim ended.
#[derive(Debug)]
pub(super) enum End {
    /// There was nothing to do, or somebody else does it.
    NoWork,
    /// The program ran.
    Worked,
    /// The claim, or what had to be done for it, failed. The server announces the work again.
    Failed,
}

/// How a program's time ended.
enum Outcome {
    /// It ended: completed, or failed for this reason.
    Ended(Option<String>),
    /// The lease is lost: somebody else has the work.
    Lost,
    /// The work is to be given back.
    Released,
}

impl Desk {
    pub(super) fn new(client: Client, args: &Args, report: Report, stop: watch::Receiver<Stop>) -> Self {
        let (runner, program) = (args.runner(), args.program.clone());
        Self { client, runner, program, report, stop, known: Mutex::default() }
    }

    /// Claims what was announced and does it.
    pub(super) async fn work(&self, announcement: &Announcement) -> End {
        let path = format!("/_electric/runners/{}/claim", self.runner);
        let claim = announcement.event.to_string().into();
        let notification = match self.client.call_patiently(Method::POST, &path, &[], claim).await {
            Ok(answer) => answer.json(),
            Err(failure) if matches!(failure.code(), "ALREADY_CLAIMED" | "NO_PENDING_WORK") => return End::NoWork,
            Err(failure) => {
                let entity = announcement.event["stream"].as_str().unwrap_or("?").trim_end_matches("/main");
                self.report.tell(&What::Trouble { entity: &format!("/{entity}"), why: &failure });
                return End::Failed;
            }
        };
        if !notification["wakeId"].is_string() {
            // 204, or the entity is paused.
            return End::NoWork;
        }
        let entity = notification["entity"]["url"].as_str().unwrap_or("?").to_owned();
        match self.serve(notification).await {
            Ok(end) => end,
            Err(failure) if is_lost(&failure) => {
                self.report.tell(&What::Lost { entity: &entity });
                End::Failed
            }
            Err(failure) => {
                self.report.tell(&What::Trouble { entity: &entity, why: &failure });
                End::Failed
            }
        }
    }

    async fn serve(&self, notification: Json) -> Result<End, Failure> {
        let mut wake = Wake::claim(&self.client, notification).await?;
        let entity = wake.entity().to_owned();
        let from = self.known().get(&wake.stream).cloned().unwrap_or_else(|| "-1".to_owned());
        let read = wake.read(&from).await?;
        let fresh = fresh(&read.rows);
        if fresh.is_empty() {
            wake.done(Some(&read.end)).await?;
            return Ok(End::NoWork);
        }
        let why: Vec<String> = fresh.iter().map(|row| report::why(row)).collect();
        self.report.tell(&What::Started { entity: &entity, wake: wake.id(), epoch: wake.epoch(), why: &why });
        let started = Instant::now();
        let (line, environment) = (input::line(&wake, &fresh), input::environment(&wake, &fresh, self.client.base()));
        let mut output = Output::new(format!("run-{}", wake.id()));
        let outcome = match Program::start(&self.program, line, &environment) {
            Ok(mut program) => {
                let outcome = self.attend(&mut wake, &mut program, &mut output).await;
                program.kill();
                outcome
            }
            Err(error) => Outcome::Ended(Some(format!("the program cannot be started: {error}"))),
        };
        match outcome {
            Outcome::Lost => self.report.tell(&What::Lost { entity: &entity }),
            Outcome::Released => {
                wake.done(None).await?;
                self.report.tell(&What::Released { entity: &entity });
            }
            Outcome::Ended(failed) => {
                let end = match wake.append(&output.end(failed.as_deref(), &read.end)).await {
                    Err(why) if !is_lost(&why) && !why.may_pass() => {
                        // It would be refused the next time too: the program must not run again and again.
                        self.report.tell(&What::Trouble { entity: &entity, why: &why });
                        read.end.clone()
                    }
                    result => result?,
                };
                let after = wake.read(&read.end).await?;
                let acknowledged = consumed(&after.rows, &read.end, &end);
                wake.done(Some(acknowledged)).await?;
                self.known().insert(wake.stream.clone(), acknowledged.to_owned());
                let (took, lines) = (started.elapsed(), output.lines);
                self.report.tell(&What::Ended { entity: &entity, failed: failed.as_deref(), took, lines });
            }
        }
        Ok(End::Worked)
    }

    /// Appends what the program prints and keeps the lease, until it ends or has to.
    async fn attend(&self, wake: &mut Wake, program: &mut Program, output: &mut Output) -> Outcome {
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                step = program.next() => match step {
                    Step::Prints(lines) => match wake.append(&output.rows(&lines)).await {
                        Ok(_) => {}
                        Err(failure) if is_lost(&failure) || failure.may_pass() => return Outcome::Lost,
                        Err(failure) => {
                            let why = format!("the server refused what the program printed: {failure}");
                            return Outcome::Ended(Some(why));
                        }
                    },
                    Step::Ends(status) => {
                        let complaint = program.complaint().await;
                        return Outcome::Ended(failure(&status, &complaint));
                    }
                },
                _ = beat.tick() => {
                    if wake.keep().await.is_err_and(|failure| is_lost(&failure)) {
                        return Outcome::Lost;
                    }
                }
                () = released(&mut stop) => return Outcome::Released,
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes when work is to be given back.
async fn released(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop == Stop::Release).await;
}

/// Whether the server says that the wake is somebody else's by now, or nobody's.
fn is_lost(failure: &Failure) -> bool {
    failure.code() == "FENCED" || matches!(failure.status(), 401 | 404)
}

/// How often the lease is extended, which lasts 30 seconds.
const BEAT: Duration = Duration::from_secs(10);
