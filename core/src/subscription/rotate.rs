//! `/_reveille/signing-keys`: the keys that sign webhooks, and a new one in their place.
//!
//! A new key is published first and signs only when every copy of the key set that a verifier may have kept is too old to
//! use; the one before it stays published until what it signed last can no longer be replayed. So nobody ever sees a
//! signature by a key that they cannot find. A key that got out is another matter: `{"at_once": true}`.

use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::engine::{Done, Reply};
use crate::http::{Body, Call, Error, Response, failure};
use crate::limits::SIGNING_KEYS;
use crate::store::{Read, SqlError, TimerKind, Tx, encode_key};
use crate::subscription::signing::Ring;
use crate::tenant::Principal;
use crate::time::{Span, Time};

failure! {
    /// Keys are the operator's.
    NotTheOperator => UNAUTHORIZED "UNAUTHORIZED", "signing keys are for a built-in system principal"
}

failure! {
    /// Keys come faster than they retire.
    TooManyKeys => CONFLICT "INVALID_REQUEST", "{SIGNING_KEYS} keys are published already: wait until some have retired"
}

/// `GET`: the keys that are published, oldest first: which signs, from when, until when each is published.
pub(crate) fn list(call: &Call<'_, Read<'_>>) -> Result<Reply, Error> {
    check(call.by()?)?;
    Ok(Reply::Whole(Response::json(StatusCode::OK, &keys(call.store)?)))
}

/// `POST {"at_once": bool}`: adds a key, and says until when the others are published.
pub(crate) fn rotate(call: &Call<'_, Tx<'_>>) -> Result<Done, Error> {
    let tx = call.store;
    check(call.by()?)?;
    let body = Body::of(call.request)?;
    let at_once = body.flag("at_once").unwrap_or(false);
    body.check()?;
    let before = tx.signing_keys()?;
    if before.len() >= SIGNING_KEYS && !at_once {
        return Err(TooManyKeys.into());
    }
    let signs_from = if at_once { tx.now } else { tx.now + KEPT };
    for key in before {
        if at_once {
            tx.delete_signing_key(key.id)?;
        } else if key.retires_at.is_none() {
            let retires_at = signs_from + REPLAY;
            tx.retire_signing_key(key.id, retires_at)?;
            tx.arm(retires_at, TimerKind::Retire, key.id)?;
        }
    }
    tx.insert_signing_key(&encode_key(&tx.draw.bytes::<32>()), signs_from)?;
    tx.rekey();
    Ok(Response::json(StatusCode::CREATED, &keys(tx)?).into())
}

/// A key is no longer published.
pub(crate) fn retire(tx: &Tx<'_>, id: i64) -> Result<(), SqlError> {
    tx.delete_signing_key(id)?;
    tx.rekey();
    Ok(())
}

fn keys(read: &Read<'_>) -> Result<Json, SqlError> {
    let rows = read.signing_keys()?;
    let ring = Ring::new(&rows)?;
    let signing = ring.signer(read.now).id().to_owned();
    let keys = rows.iter().zip(ring.ids()).map(|(row, kid)| {
        json!({
            "kid": kid,
            "signs": kid == signing,
            "signs_from": (row.signs_from > Time::ZERO).then(|| row.signs_from.iso()),
            "retires_at": row.retires_at.map(Time::iso),
        })
    });
    Ok(json!({ "keys": keys.collect::<Vec<_>>() }))
}

fn check(by: &Principal) -> Result<(), Error> {
    if by.is_system() { Ok(()) } else { Err(NotTheOperator.into()) }
}

/// How long a verifier may keep the key set.
pub(super) const KEPT: Span = Span::secs(300);
/// How old a signature may be that a verifier accepts, and a delivery on its way besides.
const REPLAY: Span = Span::secs(600);
