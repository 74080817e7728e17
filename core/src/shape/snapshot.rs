//! Snapshots: the rows that are seen, in pieces. Each piece has the rows as they are when it is read; what changed since the
//! commit of the snapshot comes afterwards, and to be told twice does no harm.

use serde_json::json;

use super::answer::{self, Rows};
use super::columns::{PAGE, Projector};
use super::filter::Budget;
use super::{Shape, handle};
use crate::http::Response;
use crate::limits::{SHAPE_ANSWER, SHAPE_LOOKS};
use crate::store::{Read, Since, SqlError, Table};

/// A piece of a snapshot of a commit, after `within`.
pub(super) fn read(read: &Read<'_>, shape: &Shape, at: i64, within: i64) -> Result<Response, SqlError> {
    let handle = handle::fresh(read, shape)?;
    let budget = Budget::default();
    let rows = rows(read, shape, within, &budget)?;
    Ok(if budget.is_spent() { answer::too_expensive() } else { answer::rows(shape, &handle, at, rows) })
}

/// The next piece. Where rows are counted, and one came or went, counting begins anew.
pub(super) fn go_on(read: &Read<'_>, shape: &Shape, handle: &str, at: i64, within: i64) -> Result<Response, SqlError> {
    let since = read.changes_since(at, &[shape.spec.table])?;
    let moved = match &since {
        Since::Known(changes) => is_counted(shape.spec.table) && !changes.is_empty(),
        Since::Forgotten => true,
    };
    if moved || at > read.commit()? { answer::gone(read, shape, handle) } else { self::read(read, shape, at, within) }
}

/// Whether the rows of a table have no ids.
fn is_counted(table: Table) -> bool {
    matches!(table, Table::EntityTypes | Table::Runners | Table::RunnerDiagnostics)
}

fn rows(read: &Read<'_>, shape: &Shape, within: i64, budget: &Budget) -> Result<Rows, SqlError> {
    let projector = Projector::new(read);
    let (mut messages, mut bytes, mut looks, mut after) = (Vec::new(), 0, 0, within);
    loop {
        let page = projector.page(shape.spec, &shape.scope, after)?;
        let last = page.len() < PAGE;
        for (place, row) in page {
            after = place;
            looks += 1;
            if !shape.sees(read, &row, budget)? {
                continue;
            }
            bytes += row.len();
            messages.push(json!({
                "key": row.name(shape.spec),
                "value": row.value(shape.spec, |_| true),
                "headers": { "operation": "insert", "relation": ["public", shape.spec.name] },
            }));
            if bytes >= SHAPE_ANSWER {
                return Ok(Rows { messages, within: Some(after) });
            }
        }
        if last || budget.is_spent() {
            return Ok(Rows { messages, within: None });
        }
        if looks >= SHAPE_LOOKS {
            return Ok(Rows { messages, within: Some(after) });
        }
    }
}
