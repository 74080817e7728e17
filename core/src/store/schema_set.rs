//! The message and event schemas that types have had: what an entity was spawned with, kept once for all of them.

use serde_json::value::RawValue;

use super::{Read, Row, SqlError, Tx};

/// Schemas by message type and by event type, each a JSON object.
#[derive(Clone, Debug, Default)]
pub(crate) struct SchemaSet {
    pub(crate) inbox: Option<Box<RawValue>>,
    pub(crate) state: Option<Box<RawValue>>,
}

impl SchemaSet {
    fn from(row: Row<'_>) -> Result<Self, SqlError> {
        let map = |column| {
            let text = row.opt_text(column)?.map(str::to_owned);
            text.map(RawValue::from_string)
                .transpose()
                .map_err(|e| SqlError::new(format!("stored schemas do not parse: {e}")))
        };
        Ok(Self { inbox: map(0)?, state: map(1)? })
    }
}

impl Read<'_> {
    pub(crate) fn schema_set(&self, id: i64) -> Result<Option<SchemaSet>, SqlError> {
        self.one("SELECT inbox, state FROM schema_set WHERE id = ?1", &[id.into()], SchemaSet::from)
    }
}

impl Tx<'_> {
    /// Keeps schemas; their id.
    pub(crate) fn insert_schema_set(
        &self,
        inbox: Option<&RawValue>,
        state: Option<&RawValue>,
    ) -> Result<i64, SqlError> {
        let id = self.next_id();
        let (inbox, state) = (inbox.map(RawValue::get), state.map(RawValue::get));
        self.write(
            "INSERT INTO schema_set (id, inbox, state) VALUES (?1, ?2, ?3)",
            &[id.into(), inbox.into(), state.into()],
        )?;
        Ok(id)
    }
}
