//! Snapshots: the rows that are seen, in pieces. Each piece has the rows as they are when it is read; what changed since the
//! commit of the snapshot comes afterwards, and to be told twice does no harm.

use serde_json::json;

use super::answer::{self, Rows};
use super::columns::Projector;
use super::filter::Budget;
use super::{Place, Shape};
use crate::http::Response;
use crate::limits::{SHAPE_ANSWER, SHAPE_LOOKS};
use crate::store::{Read, Since, SqlError, Table};

/// A piece of a snapshot of a commit, after `within`. A snapshot of several pieces leaves its reader in a loose place.
pub(super) fn read(read: &Read<'_>, shape: &Shape, handle: String, at: i64, within: i64) -> Result<Response, SqlError> {
    let rows = rows(read, shape, within)?;
    Ok(match rows {
        Some(rows) => answer::rows(shape, &handle, at, rows, within > 0),
        None => answer::too_expensive(),
    })
}

/// The next piece. Where rows are counted, and one came or went, counting begins anew.
pub(super) fn go_on(read: &Read<'_>, shape: &Shape, handle: String, place: Place) -> Result<Response, SqlError> {
    let since = read.changes_since(place.at, &[shape.spec.table])?;
    let moved = !shape.is_logged_since(read, place.at)?
        || match &since {
            Since::Known(changes) => shape.spec.table == Table::EntityTypes && !changes.is_empty(),
            Since::Forgotten => true,
        };
    if moved || place.at > read.commit()? {
        answer::gone(read, shape, &handle)
    } else {
        self::read(read, shape, handle, place.at, place.within)
    }
}

/// The rows of a piece; `None` when the condition is too expensive for a single one.
fn rows(read: &Read<'_>, shape: &Shape, within: i64) -> Result<Option<Rows>, SqlError> {
    let (projector, budget) = (Projector::new(read), Budget::default());
    let (mut messages, mut bytes, mut looks, mut after) = (Vec::new(), 0, 0, within);
    loop {
        let page = projector.page(shape.spec, &shape.scope, after)?;
        for (place, row) in page.rows {
            let sees = shape.sees(read, &row, &budget)?;
            if budget.is_spent() {
                return Ok((after > within).then_some(Rows { messages, within: Some(after) }));
            }
            after = place;
            if !sees {
                continue;
            }
            bytes += row.len();
            messages.push(json!({
                "key": row.name(shape.spec),
                "value": row.value(shape.spec, |_| true),
                "headers": { "operation": "insert", "relation": ["public", shape.spec.name] },
            }));
            if bytes >= SHAPE_ANSWER {
                return Ok(Some(Rows { messages, within: Some(after) }));
            }
        }
        let Some(upto) = page.upto else { return Ok(Some(Rows { messages, within: None })) };
        after = upto;
        looks += page.looked;
        if looks >= SHAPE_LOOKS {
            return Ok(Some(Rows { messages, within: Some(after) }));
        }
    }
}
