//! What is asked for, checked in the order of the wire: where, table, then what Electric itself would refuse, in its stages
//! and its words (electric shapes, sections 1.2 and 2.1).

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;

use super::columns::Spec;
use super::filter::{Filter, is_self_contained};
use super::handle::{self, Place};
use super::poll::Mode;
use super::{Scope, Shape};
use crate::http::{Refusal, Request, Response, failure};
use crate::tenant::Principal;

failure! {
    /// The condition could break out of the parentheses around it.
    InvalidWhere => BAD_REQUEST "INVALID_WHERE", "Invalid where clause"
}

failure! {
    /// The table is not one that clients see.
    TableNotAllowed => FORBIDDEN "TABLE_NOT_ALLOWED", "Table is not available through the Electric proxy"
}

/// A question, as it is understood.
pub(super) struct Ask {
    pub(super) shape: Shape,
    pub(super) start: Start,
    /// How to wait, when to wait is asked for.
    pub(super) live: Option<Mode>,
    /// The cursor of the last answer.
    pub(super) cursor: i64,
    /// The rows that are there already are not wanted.
    pub(super) changes_only: bool,
}

/// From where on.
pub(super) enum Start {
    Beginning,
    Now,
    Handle { handle: String, place: Place },
}

/// What Electric refuses: a parameter, and why.
#[derive(Debug)]
pub(super) struct Invalid(&'static str, String);

impl Invalid {
    pub(super) fn response(&self) -> Response {
        let body = json!({ "message": "Invalid request", "errors": { self.0: [self.1] } });
        Response::json(StatusCode::BAD_REQUEST, &body).with("cache-control", "no-store")
    }
}

impl Ask {
    pub(super) fn of(request: &Request, by: &Principal) -> Result<Result<Self, Invalid>, Refusal> {
        let condition = request.query_one("where").unwrap_or_default().into_owned();
        if !is_self_contained(&condition) {
            return Err(InvalidWhere.into());
        }
        let tables = request.query_all("table");
        let spec = match tables.as_slice() {
            [name] => Spec::of(name),
            _ => None,
        };
        let spec = spec.ok_or_else(|| Refusal::from(TableNotAllowed))?;
        Ok(Self::checked(request, by, spec, &condition))
    }

    fn checked(request: &Request, by: &Principal, spec: &'static Spec, condition: &str) -> Result<Self, Invalid> {
        let query = |name: &str| request.query_one(name);
        let is_set = |name: &str| query(name).is_some_and(|value| value != "false");
        let invalid = |field, why: &str| Err(Invalid(field, why.to_owned()));
        let replica = query("replica").unwrap_or_default().into_owned();
        if !matches!(replica.as_str(), "" | "default" | "full") {
            return invalid("replica", "is invalid");
        }
        let log = query("log").unwrap_or_default().into_owned();
        if !matches!(log.as_str(), "" | "full" | "changes_only") {
            return invalid("log", "is invalid");
        }
        let start = match query("offset").as_deref() {
            None | Some("") => return invalid("offset", "can't be blank"),
            Some("-1") => Start::Beginning,
            Some("now") => Start::Now,
            Some(offset) => {
                let Some(place) = Place::parse(offset) else { return invalid("offset", "has invalid format") };
                match query("handle").filter(|handle| !handle.is_empty()) {
                    Some(handle) => Start::Handle { handle: handle.into_owned(), place },
                    None => return invalid("handle", "can't be blank when offset != -1"),
                }
            }
        };
        let live = is_set("live");
        match start {
            Start::Beginning if live => return invalid("live", "can't be true when offset == -1"),
            Start::Now if live => return invalid("live", "can't be true when offset is 'now'"),
            Start::Handle { place, .. } if live && place.within > 0 => {
                return invalid("live", "can't be true within a snapshot");
            }
            _ => {}
        }
        let sse = is_set("live_sse") || is_set("experimental_live_sse");
        if sse && !live {
            return invalid("live_sse", "can't be true unless live is also true");
        }
        let params = params(request)?;
        let filter = match condition.trim() {
            "" => None,
            text => Some(Filter::parse(spec, text, &params).map_err(|why| Invalid("where", why))?),
        };
        if request.query_pairs().iter().any(|(name, _)| name.starts_with("subset__")) {
            return invalid("subset", "is not supported: read the shape whole");
        }
        let (scope, full) = (Scope::of(by), replica == "full");
        let hash = handle::hash(spec, &scope, condition.trim(), &params, full, &log);
        Ok(Self {
            shape: Shape { spec, scope, filter, full, hash },
            start,
            live: live.then_some(if sse { Mode::Sse } else { Mode::LongPoll }),
            cursor: query("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0),
            changes_only: log == "changes_only",
        })
    }
}

/// The texts of `params[1]`, `params[2]`, …
fn params(request: &Request) -> Result<Vec<String>, Invalid> {
    let mut all = BTreeMap::new();
    for (name, value) in request.query_pairs() {
        let Some(key) = name.strip_prefix("params[").and_then(|rest| rest.strip_suffix(']')) else { continue };
        let number: usize =
            key.parse().map_err(|_| Invalid("params", "Parameters can only use numbers as keys".to_owned()))?;
        all.insert(number, value.into_owned());
    }
    if all.keys().copied().eq(1..=all.len()) {
        return Ok(all.into_values().collect());
    }
    Err(Invalid("params", "Parameters must be numbered sequentially, starting from 1".to_owned()))
}
