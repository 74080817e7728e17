//! Rows of collections to which others may only add.

use super::{Read, SqlError, Tx};
use crate::stream::Offset;

/// A row that was added to a stream, and is there or was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CollectionRow {
    /// Where the append ends that added it.
    pub(crate) at: Offset,
    /// Where the append ends that took it away.
    pub(crate) gone: Option<Offset>,
    /// Hash of who added it and what it says; empty for the entity's own.
    pub(crate) said: Vec<u8>,
}

impl Read<'_> {
    /// What a stream itself knows of the row with this hash, as of a place in it.
    pub(crate) fn collection_row(
        &self,
        stream: i64,
        row: &[u8],
        until: Offset,
    ) -> Result<Option<CollectionRow>, SqlError> {
        let sql = "SELECT at, gone, said FROM collection_row WHERE stream = ?1 AND row = ?2 AND at <= ?3 ORDER BY at DESC LIMIT 1";
        self.one(sql, &[stream.into(), row.into(), until.into()], |row| {
            Ok(CollectionRow {
                at: Offset::at(row.int(0)?),
                gone: row.opt_int(1)?.map(Offset::at),
                said: row.blob(2)?.to_vec(),
            })
        })
    }
}

impl Tx<'_> {
    /// Writes what a stream knows of a row.
    pub(crate) fn write_collection_row(&self, stream: i64, row: &[u8], known: &CollectionRow) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO collection_row (stream, row, at, gone, said) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (stream, row, at) DO UPDATE SET gone = ?4, said = ?5",
            &[stream.into(), row.into(), known.at.into(), known.gone.into(), known.said.as_slice().into()],
        )
    }
}
