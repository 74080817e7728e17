//! What the fuzz targets ask of conditions.

use super::columns::{Row, Spec};
use super::filter::{Budget, Filter};

/// Whether a row of entities meets a condition, and what asking it has left of its budget; `None` when it is refused.
pub(crate) fn lets_in(condition: &str, params: &[String]) -> Option<(bool, bool)> {
    let spec = Spec::of("entities")?;
    let filter = Filter::parse(spec, condition, params).ok()?;
    let texts = ["default", "/t/a", "t", "idle"].map(|text| Some(text.to_owned()));
    let later = spec.columns[texts.len()..].iter().map(|column| {
        let text = match column.name {
            "tags" => r#"{"k":"v","n":"%_"}"#,
            "created_at" | "type_revision" => "17",
            _ => return None,
        };
        Some(text.to_owned())
    });
    let row = Row(texts.into_iter().chain(later).collect());
    let budget = Budget::default();
    let is_in = filter.lets_in(&row, &budget);
    Some((is_in, budget.is_spent()))
}
