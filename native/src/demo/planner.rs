//! The planner: an HTTP endpoint that webhooks wake. It believes them by their signature, answers at once, and works on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::cause::Cause;
use super::plan::{JOBS, decide};
use super::scene::runner_policy;
use super::signature::{self, KeySet};
use super::timeline::{Timeline, What};
use crate::client::wake::{Wake, ack, consumed, fresh};
use crate::client::{Client, Failure};

/// The planner.
#[derive(Debug)]
pub(super) struct Planner {
    client: Client,
    timeline: Timeline,
    keys: KeySet,
}

/// A webhook that was believed.
type Call = (Json, SystemTime);

impl Planner {
    pub(super) fn new(client: Client, timeline: Timeline) -> Arc<Self> {
        Arc::new(Self { keys: KeySet::new(client.clone()), client, timeline })
    }

    /// Takes webhooks until told to leave; then ends what it began.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener, mut leaving: watch::Receiver<bool>) {
        let (calls, mut called) = mpsc::unbounded_channel();
        let mut wakes = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((socket, _)) = accepted else { continue };
                    let (planner, calls) = (Arc::clone(&self), calls.clone());
                    let service = service_fn(move |request| {
                        let (planner, calls) = (Arc::clone(&planner), calls.clone());
                        async move { Ok::<_, Infallible>(planner.answer(request, &calls).await) }
                    });
                    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
                }
                Some((webhook, at)) = called.recv() => {
                    let planner = Arc::clone(&self);
                    wakes.spawn(async move { planner.wake(webhook, at).await });
                }
                Some(_) = wakes.join_next() => {}
                _ = leaving.wait_for(|leaving| *leaving) => break,
            }
        }
        wakes.join_all().await;
    }

    /// Answers a webhook: 200 when it is the server's.
    async fn answer(&self, request: Request<Incoming>, calls: &mpsc::UnboundedSender<Call>) -> Response<Full<Bytes>> {
        let at = SystemTime::now();
        let reply = |status: StatusCode, body: Json| {
            let mut response = Response::new(Full::from(body.to_string()));
            *response.status_mut() = status;
            response
        };
        if request.method() != Method::POST {
            return reply(StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "webhooks are posted" }));
        }
        let signature =
            request.headers().get("webhook-signature").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let Ok(body) = Limited::new(request.into_body(), LARGEST).collect().await else {
            return reply(StatusCode::BAD_REQUEST, json!({ "error": "the body cannot be read" }));
        };
        let body = body.to_bytes();
        if let Err(why) = signature::verify(&self.keys, &signature, &body, at).await {
            return reply(StatusCode::UNAUTHORIZED, json!({ "error": why }));
        }
        let Ok(webhook) = serde_json::from_slice(&body) else {
            return reply(StatusCode::BAD_REQUEST, json!({ "error": "the body is not JSON" }));
        };
        let _ = calls.send((webhook, at));
        reply(StatusCode::OK, json!({ "ok": true }))
    }

    async fn wake(&self, webhook: Json, at: SystemTime) {
        let entity = webhook["entity"]["url"].as_str().unwrap_or("?").to_owned();
        match self.work(&entity, webhook, at).await {
            // A later wake has taken its place, and does its work.
            Ok(()) | Err(Failure::Refused { status: 401 | 409, .. }) => {}
            Err(failure) => self.timeline.tell(&entity, What::Trouble { text: failure.to_string() }),
        }
    }

    /// One wake, from claim to done.
    async fn work(&self, entity: &str, webhook: Json, at: SystemTime) -> Result<(), Failure> {
        let mut wake = Wake::claim(&self.client, webhook).await?;
        let read = wake.read("-1").await?;
        let fresh = fresh(&read.rows);
        if !fresh.is_empty() {
            self.timeline.tell_at(at, entity, What::Woke { cause: Cause::of(&fresh), by: "webhook" });
        }
        let plan = decide(&read.rows, &fresh);
        if plan.spawn {
            for job in &JOBS {
                self.spawn(entity, job.name, &json!({ "say": job.say, "after_ms": job.after_ms })).await?;
            }
        }
        for text in plan.words {
            self.timeline.tell(entity, What::Did { text, wrote: None });
        }
        let mut end = read.end.clone();
        if !fresh.is_empty() {
            let rows: Vec<String> = plan.write.iter().chain([&ack(&read.end)]).map(Json::to_string).collect();
            end = wake.append(&rows).await?;
        }
        let after = wake.read(&read.end).await?;
        wake.done(Some(consumed(&after.rows, &read.end, &end))).await?;
        self.timeline.tell(entity, What::Sleeps);
        if let Some(text) = plan.finished {
            self.timeline.tell(entity, What::Finished { text });
        }
        Ok(())
    }

    /// Sees that a worker exists. Its finished runs wake the planner.
    async fn spawn(&self, planner: &str, name: &str, message: &Json) -> Result<(), Failure> {
        let id = format!("{}-{name}", planner.rsplit('/').next().unwrap_or(""));
        let key = format!("child:worker:{id}");
        let wake = json!({ "subscriberUrl": planner, "condition": "runFinished", "manifestKey": key });
        let body =
            json!({ "parent": planner, "initialMessage": message, "dispatch_policy": runner_policy(), "wake": wake });
        match self.client.put(&format!("/_electric/entities/worker/{id}"), &body).await {
            Err(Failure::Refused { code, .. }) if code == "DUPLICATE_URL" => Ok(()),
            result => result.map(|_| ()),
        }
    }
}

const LARGEST: usize = 1 << 20;
