//! The route table: method and path to the function that answers.

use std::sync::LazyLock;

use http::{Method, StatusCode};
use matchit::Router;

use super::{Error, Refusal, Request, Response, dev};
use crate::config::Config;
use crate::dispatch::{callback, runner};
use crate::engine::{Done, Reply};
use crate::store::{Read, Tx};
use crate::tenant::Principal;
use crate::time::Time;
use crate::{entity, stream, subscription, wake};

/// A request on its way to its function, with the store as that function may use it.
pub(crate) struct Call<'a, S> {
    /// The store: a [`Read`] or a [`Tx`].
    pub(crate) store: &'a S,
    pub(crate) request: &'a Request,
    pub(crate) params: &'a Params,
}

/// The parameters of a path, still percent-encoded.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// What answers a route.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// Answers from any committed snapshot.
    Read(fn(&Call<'_, Read<'_>>) -> Result<Reply, Error>),
    /// Runs in a transaction of its own.
    Write(fn(&Call<'_, Tx<'_>>) -> Result<Done, Error>),
    /// Moves the virtual clock.
    Clock(Advance),
}

/// Where a request moves the virtual clock to.
pub(crate) type Advance = fn(&Request, &Config, Time) -> Result<Time, Refusal>;

/// Where a request goes.
pub(crate) struct Found {
    pub(crate) handler: Handler,
    pub(crate) params: Params,
    /// Whether nobody needs to be known to call it.
    pub(crate) open: bool,
}

/// Whether a route reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It answers from any committed snapshot, on any connection: [`read`](crate::engine::read).
    Read,
    /// It must go through [`Engine::batch`](crate::Engine::batch).
    Write,
}

struct Route {
    method: Method,
    path: &'static str,
    handler: Handler,
    open: bool,
}

const fn read(method: Method, path: &'static str, handler: fn(&Call<'_, Read<'_>>) -> Result<Reply, Error>) -> Route {
    Route { method, path, handler: Handler::Read(handler), open: false }
}

const fn write(method: Method, path: &'static str, handler: fn(&Call<'_, Tx<'_>>) -> Result<Done, Error>) -> Route {
    Route { method, path, handler: Handler::Write(handler), open: false }
}

/// Needs no principal: preflights and probes carry none, and callbacks prove themselves by their claim token.
const fn open(mut route: Route) -> Route {
    route.open = true;
    route
}

static ROUTES: [Route; 28] = [
    open(read(Method::GET, "/", hello)),
    open(read(Method::GET, "/_electric/health", health)),
    read(Method::GET, "/_electric/entity-types", entity::types::list),
    write(Method::POST, "/_electric/entity-types", entity::register::register),
    read(Method::GET, "/_electric/entity-types/{name}", entity::types::show),
    write(Method::DELETE, "/_electric/entity-types/{name}", entity::types::delete),
    read(Method::GET, "/_electric/entities", entity::show::list),
    read(Method::GET, "/_electric/entities/{type}/{id}", entity::show::show),
    read(Method::HEAD, "/_electric/entities/{type}/{id}", entity::show::head),
    write(Method::PUT, "/_electric/entities/{type}/{id}", entity::spawn::spawn),
    write(Method::DELETE, "/_electric/entities/{type}/{id}", entity::kill::kill),
    write(Method::POST, "/_electric/entities/{type}/{id}/send", entity::send::send),
    write(Method::POST, "/_electric/entities/{type}/{id}/signal", entity::kill::signal),
    write(Method::POST, "/_electric/wake", wake::register::register),
    write(Method::POST, "/_electric/wake/unregister", wake::register::unregister),
    open(write(Method::POST, "/_electric/wake-callbacks/{wake}", callback::callback)),
    read(Method::GET, "/_electric/runners", runner::show::list),
    write(Method::POST, "/_electric/runners", runner::register::register),
    read(Method::GET, "/_electric/runners/{id}", runner::show::show),
    read(Method::GET, "/_electric/runners/{id}/health", runner::health::show),
    write(Method::POST, "/_electric/runners/{id}/heartbeat", runner::heartbeat::heartbeat),
    write(Method::POST, "/_electric/runners/{id}/enable", runner::register::enable),
    write(Method::POST, "/_electric/runners/{id}/disable", runner::register::disable),
    write(Method::POST, "/_electric/runners/{id}/claim", runner::claim::claim),
    open(read(Method::GET, "/__ds/jwks.json", subscription::signing::jwks)),
    Route { method: Method::POST, path: "/_reveille/dev/clock", handler: Handler::Clock(dev::clock), open: false },
    write(Method::POST, "/_reveille/dev/panic", dev::panic),
    write(Method::POST, "/_reveille/dev/timer", dev::timer),
];

/// Every path that the table knows, each with its routes.
static PATHS: LazyLock<Router<Vec<&'static Route>>> = LazyLock::new(|| {
    let mut router: Router<Vec<&'static Route>> = Router::new();
    for route in &ROUTES {
        match router.at_mut(route.path) {
            Ok(found) if found.value[0].path == route.path => found.value.push(route),
            _ => router.insert(route.path, vec![route]).expect("the table's paths do not overlap"),
        }
    }
    router
});

/// Finds what answers a request. Trailing slashes do not count in the table; whatever it does not know is a stream, or
/// nothing.
pub(crate) fn route(method: &Method, path: &str) -> Found {
    let trimmed = path.trim_end_matches('/');
    let found = PATHS.at(if trimmed.is_empty() { "/" } else { trimmed }).ok();
    if let Some(found) = found
        && let Some(route) = found.value.iter().find(|r| r.method == *method)
    {
        let params = Params(found.params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
        return Found { handler: route.handler, params, open: route.open };
    }
    Found { handler: elsewhere(method, path), params: Params::default(), open: false }
}

/// Whether a request reads or writes, so that a host can send reads past the writer.
#[must_use]
pub fn access(method: &Method, path: &str) -> Access {
    match route(method, path).handler {
        Handler::Read(_) => Access::Read,
        Handler::Write(_) | Handler::Clock(_) => Access::Write,
    }
}

/// What is not in the table: streams everywhere but under the reserved prefixes.
fn elsewhere(method: &Method, path: &str) -> Handler {
    let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if under("/__ds") {
        return Handler::Read(no_control_route);
    }
    if under("/_reveille") || path == "/" || (under("/_electric") && !path.starts_with("/_electric/shared-state/")) {
        return Handler::Read(nothing);
    }
    match method.as_str() {
        "GET" => Handler::Read(stream::read),
        "HEAD" => Handler::Read(stream::head),
        "PUT" => Handler::Write(stream::create),
        "POST" => Handler::Write(stream::append),
        "DELETE" => Handler::Write(stream::delete),
        _ => Handler::Read(method_not_allowed),
    }
}

impl<'a, S> Call<'a, S> {
    /// Who calls.
    pub(crate) fn by(&self) -> Result<&'a Principal, Refusal> {
        let missing = || Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "Missing Electric-Principal");
        self.request.by.as_ref().ok_or_else(missing)
    }

    /// A parameter of the path, still percent-encoded.
    pub(crate) fn param(&self, name: &str) -> &'a str {
        self.params.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// A parameter of the path, percent-decoded.
    pub(crate) fn decoded(&self, name: &str) -> Result<String, Refusal> {
        let decoded = percent_encoding::percent_decode_str(self.param(name)).decode_utf8();
        let refuse = |_| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "INVALID_REQUEST",
                format!("`{name}` in the path is not UTF-8 when percent-decoded"),
            )
        };
        decoded.map(std::borrow::Cow::into_owned).map_err(refuse)
    }

    /// The path as a stream's.
    pub(crate) fn stream_path(&self) -> Result<&'a str, Refusal> {
        Ok(&self.request.path)
    }
}

fn hello(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let body = serde_json::json!({
        "name": "reveille",
        "version": env!("CARGO_PKG_VERSION"),
        "now": call.store.now.iso(),
        "see": { "health": "/_electric/health", "entities": "/_electric/entities", "types": "/_electric/entity-types", "runners": "/_electric/runners" }
    });
    Ok(Reply::Whole(Response::json(StatusCode::OK, &body)))
}

fn health(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Ok(Reply::Whole(Response::json(StatusCode::OK, &serde_json::json!({ "status": "ok" }))))
}

fn nothing(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Ok(Reply::Whole(Response::empty(StatusCode::NOT_FOUND)))
}

fn no_control_route(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Err(Refusal::new(StatusCode::NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "Durable Streams control route not found").into())
}

fn method_not_allowed(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Err(Refusal::plain(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn paths_are_matched_as_they_were_sent() {
        let found = route(&Method::PUT, "/_electric/entities/task/a%2Fb/");
        assert!(matches!(found.handler, Handler::Write(_)));
        assert_eq!(found.params.0, [("type".to_owned(), "task".to_owned()), ("id".to_owned(), "a%2Fb".to_owned())]);
    }

    #[test]
    fn reads_and_writes_are_told_apart() {
        for (method, path, want) in [
            (Method::GET, "/_electric/entities", Access::Read),
            (Method::PUT, "/_electric/entities/a/b", Access::Write),
            (Method::GET, "/any/stream", Access::Read),
            (Method::POST, "/any/stream", Access::Write),
            (Method::PATCH, "/any/stream", Access::Read),
            (Method::POST, "/_electric/unknown", Access::Read),
            (Method::PUT, "/_electric/shared-state/x", Access::Write),
        ] {
            assert_eq!(access(&method, path), want, "{method} {path}");
        }
    }
}
