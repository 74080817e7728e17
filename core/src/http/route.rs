//! The route table: method and path to the function that answers.

use std::sync::LazyLock;

use http::{Method, StatusCode};
use matchit::Router;

use super::{Error, Refusal, Request, Response, dev};
use crate::config::Config;
use crate::dispatch::{callback, check, dead, explain, journal, runner};
use crate::engine::{Done, Reply};
use crate::limits::PATH;
use crate::observe::webhook_sources;
use crate::permission::{entity_grants, type_grants};
use crate::store::{Read, Tx};
use crate::tenant::Principal;
use crate::time::Time;
use crate::{entity, observe, schedule, shape, stream, subscription, wake};

/// A request on its way to its function, with the store as that function may use it.
pub(crate) struct Call<'a, S> {
    /// The store: a [`Read`] or a [`Tx`].
    pub(crate) store: &'a S,
    pub(crate) request: &'a Request,
    pub(crate) found: &'a Found<'a>,
}

/// The parameters of a path, still percent-encoded.
#[derive(Debug, Default)]
struct Params(Vec<(String, String)>);

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
pub(crate) struct Found<'p> {
    pub(crate) handler: Handler,
    params: Params,
    /// The path below the stream root.
    below: &'p str,
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

static ROUTES: [Route; 83] = [
    open(read(Method::GET, "/", hello)),
    open(read(Method::HEAD, "/", here)),
    open(read(Method::GET, "/_electric/health", health)),
    read(Method::GET, "/_electric/entity-types", entity::types::list),
    write(Method::POST, "/_electric/entity-types", entity::register::register),
    read(Method::GET, "/_electric/entity-types/{name}", entity::types::show),
    write(Method::DELETE, "/_electric/entity-types/{name}", entity::types::delete),
    write(Method::PATCH, "/_electric/entity-types/{name}/schemas", entity::amend::amend),
    read(Method::GET, "/_electric/entity-types/{name}/grants", type_grants::list),
    write(Method::POST, "/_electric/entity-types/{name}/grants", type_grants::create),
    write(Method::DELETE, "/_electric/entity-types/{name}/grants/{grant}", type_grants::delete),
    read(Method::GET, "/_electric/entities", entity::show::list),
    write(Method::GET, "/_electric/entities/principal/{id}", entity::principal::show),
    write(Method::HEAD, "/_electric/entities/principal/{id}", entity::principal::head),
    write(Method::PUT, "/_electric/entities/principal/{id}", entity::spawn::spawn),
    write(Method::DELETE, "/_electric/entities/principal/{id}", entity::kill::kill),
    read(Method::GET, "/_electric/entities/{type}/{id}", entity::show::show),
    read(Method::HEAD, "/_electric/entities/{type}/{id}", entity::show::head),
    write(Method::PUT, "/_electric/entities/{type}/{id}", entity::spawn::spawn),
    write(Method::DELETE, "/_electric/entities/{type}/{id}", entity::kill::kill),
    write(Method::POST, "/_electric/entities/{type}/{id}/send", entity::send::send),
    write(Method::POST, "/_electric/entities/{type}/{id}/signal", entity::kill::signal),
    write(Method::POST, "/_electric/entities/{type}/{id}/fork", entity::fork::fork),
    write(Method::PATCH, "/_electric/entities/{type}/{id}/inbox/{key}", entity::edit::update),
    write(Method::DELETE, "/_electric/entities/{type}/{id}/inbox/{key}", entity::edit::delete),
    write(Method::POST, "/_electric/entities/{type}/{id}/collections/{collection}", entity::collection::append),
    write(Method::POST, "/_electric/entities/{type}/{id}/attachments", entity::attachments::upload),
    read(Method::GET, "/_electric/entities/{type}/{id}/attachments/{attachment}", entity::attachments::download),
    write(Method::DELETE, "/_electric/entities/{type}/{id}/attachments/{attachment}", entity::attachments::delete),
    write(Method::POST, "/_electric/entities/{type}/{id}/tags/{key}", entity::tags::set),
    write(Method::DELETE, "/_electric/entities/{type}/{id}/tags/{key}", entity::tags::remove),
    write(Method::PUT, "/_electric/entities/{type}/{id}/schedules/{schedule}", entity::schedules::put),
    write(Method::DELETE, "/_electric/entities/{type}/{id}/schedules/{schedule}", entity::schedules::delete),
    read(Method::GET, "/_electric/entities/{type}/{id}/grants", entity_grants::list),
    write(Method::POST, "/_electric/entities/{type}/{id}/grants", entity_grants::create),
    write(Method::DELETE, "/_electric/entities/{type}/{id}/grants/{grant}", entity_grants::delete),
    write(
        Method::DELETE,
        "/_electric/entities/{type}/{id}/pg-sync-observations/{reference}",
        observe::pg_sync::unobserve,
    ),
    write(
        Method::PUT,
        "/_electric/entities/{type}/{id}/webhook-source-subscriptions/{subscription}",
        webhook_sources::subscribe,
    ),
    write(
        Method::DELETE,
        "/_electric/entities/{type}/{id}/webhook-source-subscriptions/{subscription}",
        webhook_sources::unsubscribe,
    ),
    read(Method::GET, "/_electric/electric/v1/shape", shape::read),
    read(Method::GET, "/_electric/electric/v1/health", shape::health),
    read(Method::GET, "/_electric/webhook-sources", webhook_sources::list),
    write(Method::POST, "/_electric/observations/cron/ensure-stream", schedule::ticks::ensure_stream),
    write(Method::POST, "/_electric/observations/entities/ensure-stream", observe::members::ensure_stream),
    write(Method::POST, "/_electric/pg-sync/register", observe::pg_sync::register),
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
    write(Method::PUT, "/__ds/subscriptions/{id}", subscription::create::create),
    read(Method::GET, "/__ds/subscriptions/{id}", subscription::show::show),
    write(Method::DELETE, "/__ds/subscriptions/{id}", subscription::delete::delete),
    write(Method::POST, "/__ds/subscriptions/{id}/streams", subscription::streams::add),
    write(Method::DELETE, "/__ds/subscriptions/{id}/streams/{*path}", subscription::streams::remove),
    open(write(Method::POST, "/__ds/subscriptions/{id}/callback", subscription::callback::callback)),
    write(Method::POST, "/__ds/subscriptions/{id}/claim", subscription::claim::claim),
    open(write(Method::POST, "/__ds/subscriptions/{id}/ack", subscription::callback::ack)),
    open(write(Method::POST, "/__ds/subscriptions/{id}/release", subscription::callback::release)),
    open(read(Method::GET, "/__ds/jwks.json", subscription::signing::jwks)),
    read(Method::GET, "/_reveille/entities/{type}/{id}/journal", journal::show::of_entity),
    read(Method::GET, "/_reveille/entities/{type}/{id}/explain", explain::explain),
    read(Method::GET, "/_reveille/entities/{type}/{id}/next", explain::next::show),
    write(Method::POST, "/_reveille/entities/{type}/{id}/revive", dead::revive),
    write(Method::POST, "/_reveille/entities/{type}/{id}/owner", entity::owner::hand_over),
    read(Method::GET, "/_reveille/runners/{id}/journal", journal::show::of_runner),
    read(Method::GET, "/_reveille/wakes/{wake}/journal", journal::show::of_wake),
    read(Method::GET, "/_reveille/dead-letters", dead::list),
    write(Method::POST, "/_reveille/dead-letters/revive", dead::revive_all),
    read(Method::GET, "/_reveille/check", check::show),
    write(Method::POST, "/_reveille/check", check::repair),
    read(Method::GET, "/_reveille/signing-keys", subscription::rotate::list),
    write(Method::POST, "/_reveille/signing-keys", subscription::rotate::rotate),
    Route { method: Method::POST, path: "/_reveille/dev/clock", handler: Handler::Clock(dev::clock), open: false },
    write(Method::POST, "/_reveille/dev/lock", dev::lock),
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
/// nothing. Where streams have a root of their own, there is no control plane, and `__ds` stands below that.
pub(crate) fn route<'p>(config: &Config, method: &Method, path: &'p str) -> Found<'p> {
    let root = config.stream_root.as_str();
    let below = path.strip_prefix(root).filter(|below| root.is_empty() || below.starts_with('/'));
    let known = match below {
        _ if root.is_empty() => Some(path),
        Some(below) => Some(below).filter(|below| is_under(below, "/__ds")),
        None => Some(path).filter(|path| *path == "/" || is_under(path, "/_reveille")),
    };
    let trimmed = known.map(|known| known.trim_end_matches('/'));
    let found = trimmed.and_then(|path| PATHS.at(if path.is_empty() { "/" } else { path }).ok());
    let below = below.unwrap_or("");
    if let Some(found) = &found
        && let Some(route) = found.value.iter().find(|r| r.method == *method)
    {
        let params = Params(found.params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
        return Found { handler: route.handler, params, open: route.open, below };
    }
    let webhooks = root.is_empty() && is_under(below, "/_electric/subscription-webhooks");
    let handler = if is_under(below, "/__ds") && found.is_some() {
        Handler::Read(method_not_allowed)
    } else if webhooks {
        Handler::Write(subscription_webhook)
    } else {
        elsewhere(config, method, below)
    };
    Found { handler, params: Params::default(), open: webhooks, below }
}

/// Whether a request reads or writes, so that a host can send reads past the writer.
#[must_use]
pub fn access(config: &Config, method: &Method, path: &str) -> Access {
    match route(config, method, path).handler {
        Handler::Read(_) => Access::Read,
        Handler::Write(_) | Handler::Clock(_) => Access::Write,
    }
}

/// Whether a path is one of the stream protocol's control routes.
pub(crate) fn is_subscription(config: &Config, path: &str) -> bool {
    path.strip_prefix(&config.stream_root).is_some_and(|below| is_under(below, "/__ds"))
}

/// Whether a path below the stream root is one at which a stream can stand.
pub(crate) fn is_stream(config: &Config, below: &str) -> bool {
    let streams = ["/_electric/shared-state/", "/_electric/pg-sync/"];
    let control = is_under(below, "/_electric") && !streams.iter().any(|prefix| below.starts_with(prefix));
    let others = ["/_reveille", UI].iter().any(|prefix| is_under(below, prefix));
    let reserved = config.stream_root.is_empty() && (control || others);
    // Where the native host tells its metrics, no other host has a stream either.
    let metrics = config.stream_root.is_empty() && below == "/metrics";
    below.len() > 1 && below.len() <= PATH && !reserved && !metrics && !is_under(below, "/__ds")
}

/// What is not in the table: streams, wherever they can stand.
fn elsewhere(config: &Config, method: &Method, below: &str) -> Handler {
    if is_under(below, "/__ds") {
        return Handler::Read(no_control_route);
    }
    if config.stream_root.is_empty() && is_under(below, UI) && matches!(*method, Method::GET | Method::HEAD) {
        return Handler::Read(no_app);
    }
    if !is_stream(config, below) {
        return Handler::Read(nothing);
    }
    // What the control plane writes there, others only read; and where it has a route, there is no stream.
    let control = below.starts_with("/_electric/pg-sync/");
    if control && (!matches!(*method, Method::GET | Method::HEAD) || is_under(below, "/_electric/pg-sync/register")) {
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

/// Whether a path is a prefix or below it.
pub(super) fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl<'a, S> Call<'a, S> {
    /// Who calls.
    pub(crate) fn by(&self) -> Result<&'a Principal, Refusal> {
        let missing = || Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "Missing Electric-Principal");
        self.request.by.as_ref().ok_or_else(missing)
    }

    /// A parameter of the path, still percent-encoded.
    pub(crate) fn param(&self, name: &str) -> &'a str {
        self.found.params.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
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

    /// The path as a stream's: below the stream root.
    pub(crate) fn stream_path(&self) -> &'a str {
        self.found.below
    }
}

fn hello(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let root = &call.store.config.stream_root;
    let see = if root.is_empty() {
        serde_json::json!({ "health": "/_electric/health", "entities": "/_electric/entities", "types": "/_electric/entity-types", "runners": "/_electric/runners" })
    } else {
        serde_json::json!({ "streams": root, "subscriptions": format!("{root}/__ds/subscriptions"), "keys": format!("{root}/__ds/jwks.json") })
    };
    let body = serde_json::json!({
        "name": "reveille",
        "version": env!("CARGO_PKG_VERSION"),
        "now": call.store.now.iso(),
        "see": see,
    });
    Ok(Reply::Whole(Response::json(StatusCode::OK, &body)))
}

fn here(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Ok(Reply::Whole(Response::empty(StatusCode::OK)))
}

fn health(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Ok(Reply::Whole(Response::json(StatusCode::OK, &serde_json::json!({ "status": "ok" }))))
}

fn nothing(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Ok(Reply::Whole(Response::empty(StatusCode::NOT_FOUND)))
}

/// Where a host that has a web app would have answered.
fn no_app(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    let (code, message) = ("AGENT_UI_NOT_FOUND", "Agent UI build artifacts are missing");
    Err(Refusal::new(StatusCode::NOT_FOUND, code, message).into())
}

/// Where a web app is served, by hosts that have one.
const UI: &str = "/__agent_ui";

/// Where a server whose streams are another's would be told of its subscriptions. Ours tell the agents themselves.
fn subscription_webhook(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    Err(if call.store.stopping {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "SERVER_STOPPING", "Server is shutting down").into()
    } else {
        Refusal::new(StatusCode::NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "Unknown webhook subscription").into()
    })
}

fn no_control_route(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Err(Refusal::new(StatusCode::NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "Durable Streams control route not found").into())
}

fn method_not_allowed(_: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    Err(Refusal::plain(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed").into())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::http::admit;
    use crate::tenant::Authentication;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn paths_are_matched_as_they_were_sent() {
        let found = route(&Config::dev(), &Method::PUT, "/_electric/entities/task/a%2Fb/");
        assert!(matches!(found.handler, Handler::Write(_)));
        assert_eq!(found.params.0, [("type".to_owned(), "task".to_owned()), ("id".to_owned(), "a%2Fb".to_owned())]);
    }

    #[test]
    fn whoever_calls_is_known_but_where_they_prove_themselves_otherwise() {
        let serve = Config::serve(Authentication::TrustedHeader("x-forwarded-principal".to_owned()));
        let mut open = Vec::new();
        for route in &ROUTES {
            match admit(&serve, &route.method, route.path, &HeaderMap::new()) {
                Ok(admission) => open.push((route.method.as_str(), route.path, admission.by.is_none())),
                Err(refused) => assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{} {}", route.method, route.path),
            }
        }
        let want = [
            ("GET", "/", true),
            ("HEAD", "/", true),
            ("GET", "/_electric/health", true),
            ("POST", "/_electric/wake-callbacks/{wake}", true),
            ("POST", "/__ds/subscriptions/{id}/callback", true),
            ("POST", "/__ds/subscriptions/{id}/ack", true),
            ("POST", "/__ds/subscriptions/{id}/release", true),
            ("GET", "/__ds/jwks.json", true),
        ];
        assert_eq!(open, want);
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
            assert_eq!(access(&Config::dev(), &method, path), want, "{method} {path}");
        }
    }

    #[test]
    fn a_root_of_its_own_has_streams_and_nothing_else() {
        let config = Config { stream_root: "/v1/stream".to_owned(), ..Config::dev() };
        let find = |method: Method, path| {
            let found = route(&config, &method, path);
            (matches!(found.handler, Handler::Write(_)), found.below.to_owned(), found.params.0.len())
        };
        assert_eq!(find(Method::PUT, "/v1/stream/a/b"), (true, "/a/b".to_owned(), 0));
        assert_eq!(find(Method::PUT, "/v1/stream/__ds/subscriptions/x"), (true, "/__ds/subscriptions/x".to_owned(), 1));
        assert_eq!(find(Method::PUT, "/v1/stream/_electric/x"), (true, "/_electric/x".to_owned(), 0));
        for path in
            ["/v1/streams/a", "/v1/stream", "/v1/stream/", "/a", "/_electric/entities/a/b", "/__ds/subscriptions/x"]
        {
            assert!(!find(Method::PUT, path).0, "{path}");
        }
        assert!(find(Method::POST, "/_reveille/signing-keys").0);
    }

    #[test]
    fn a_control_route_has_its_methods_alone() {
        for (method, path, status) in [
            (Method::PATCH, "/__ds/subscriptions/x", 405),
            (Method::GET, "/__ds/subscriptions/x/streams", 405),
            (Method::GET, "/__ds/subscriptions/x/streams/a/b", 405),
            (Method::POST, "/__ds/jwks.json", 405),
            (Method::GET, "/__ds", 404),
            (Method::PUT, "/__ds/subscriptions", 404),
            (Method::GET, "/__ds/other", 404),
        ] {
            let config = Config::dev();
            let Handler::Read(handler) = route(&config, &method, path).handler else { panic!("{path} writes") };
            let want: fn(&Call<'_, Read<'_>>) -> Result<Reply, Error> =
                if status == 405 { method_not_allowed } else { no_control_route };
            assert!(std::ptr::fn_addr_eq(handler, want), "{method} {path}");
        }
    }
}
