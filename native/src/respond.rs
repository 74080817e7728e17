//! From a raw request to its answer: ask the engine whether it may come in, read its body, let a reader or the engine
//! answer it.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Method, StatusCode, Uri};
use reveille_core::http::{
    Access, Request, Response, access, admit, canonical_path, canonical_query, dress, too_large, too_slow,
};
use reveille_core::{Reply, engine};

use crate::answer::{Answer, Busy, refuse, whole};
use crate::body::{self, Unread};
use crate::live;
use crate::now::now;
use crate::server::Shared;

/// Answers one request.
pub(crate) async fn respond(request: hyper::Request<Incoming>, shared: &Arc<Shared>) -> Answer {
    let (head, body) = request.into_parts();
    let path = canonical_path(head.uri.path()).into_owned();
    if let Some(ui) = &shared.ui
        && let Some(response) = ui.answer(&head.method, &path).await
    {
        body::drain(body);
        return whole(response);
    }
    let admission = match admit(&shared.config, &head.method, &path, &head.headers) {
        Ok(admission) => admission,
        Err(response) => {
            body::drain(body);
            return whole(response);
        }
    };
    let body = match body::read(body, admission.limit, shared.patience).await {
        Ok(body) => body,
        Err(Unread::TooLarge(rest)) => {
            body::drain(rest);
            return whole(too_large(&shared.config, &path));
        }
        Err(Unread::TooSlow) => return last(too_slow(&shared.config, &path)),
        Err(Unread::Broken) => {
            let mut response = Response::text(StatusCode::BAD_REQUEST, "the body is not what HTTP says it should be");
            dress(&mut response, &path);
            return last(response);
        }
    };
    if path == "/metrics" && head.method == Method::GET && !shared.metrics_apart {
        return whole(metrics(shared, &path));
    }
    let query = head.uri.query().map(canonical_query).unwrap_or_default();
    let scheme = if shared.https.is_some() { "https" } else { "http" };
    let origin = authority(&head.uri, &head.headers).map(|named| format!("{scheme}://{named}"));
    let Parts { method, headers, .. } = head;
    let request = Request { method, path: path.clone(), query, headers, body, by: admission.by, origin };
    match reply(request, shared).await {
        Ok(Reply::Whole(response)) => whole(response),
        Ok(Reply::Live(live)) => live::answer(live, &path, shared).await,
        Err(busy) => refuse(busy, &path),
    }
}

/// The reply to a request: from a snapshot where its route only reads, else from the engine.
async fn reply(request: Request, shared: &Arc<Shared>) -> Result<Reply, Busy> {
    match access(&shared.config, &request.method, &request.path) {
        Access::Read => read(request, shared).await,
        Access::Write => write(request, shared).await,
    }
}

async fn read(request: Request, shared: &Arc<Shared>) -> Result<Reply, Busy> {
    let config = Arc::clone(&shared.config);
    let request = Arc::new(request);
    let asked = Arc::clone(&request);
    let reply = shared.readers.read(move |sql| engine::read(sql, &config, &asked, now())).await;
    match reply {
        Ok(Some((reply, touch))) => {
            touch.into_iter().for_each(|touch| shared.queue.touch(touch));
            Ok(reply)
        }
        Ok(None) => write(Arc::unwrap_or_clone(request), shared).await,
        Err(error) => {
            tracing::error!(%error, "a read failed");
            Err(Busy::Failed)
        }
    }
}

async fn write(request: Request, shared: &Arc<Shared>) -> Result<Reply, Busy> {
    let Ok(reply) = shared.queue.request(request) else {
        shared.metrics.turned_away.add(1);
        return Err(if *shared.stopping.borrow() { Busy::Stopping } else { Busy::Queue });
    };
    reply.await.map_err(|_| Busy::Stopping)
}

/// An answer after which the connection is of no more use.
fn last(response: Response) -> Answer {
    let mut answer = whole(response);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn metrics(shared: &Shared, path: &str) -> Response {
    let mut response = Response::text(StatusCode::OK, shared.metrics.text()).with("content-type", METRICS);
    dress(&mut response, path);
    response
}

/// Where the caller reached the server, by what it says itself.
pub(crate) fn authority(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let host = || Authority::try_from(headers.get(HOST)?.as_bytes()).ok();
    let named = uri.authority().cloned().or_else(host)?;
    Some(named.as_str().rsplit('@').next().unwrap_or_default().to_owned())
}

/// `/metrics` on a listener of its own, which needs no authentication because nothing else is there.
pub(crate) fn metrics_alone(request: &hyper::Request<Incoming>, shared: &Shared) -> Answer {
    let path = request.uri().path();
    if request.method() == Method::GET && path == "/metrics" {
        return whole(metrics(shared, path));
    }
    whole(Response::text(StatusCode::NOT_FOUND, "only /metrics is here\n"))
}

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
