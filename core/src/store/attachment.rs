//! Attachments, as the rows of their entities' manifests tell of them. The bytes are in streams.

use super::{Read, Row, SqlError, Tx};

/// What is needed to serve an attachment.
#[derive(Clone, Debug)]
pub(crate) struct AttachmentRow {
    /// All of it is there.
    pub(crate) complete: bool,
    /// The manifest names another stream than the attachment's own.
    pub(crate) astray: bool,
    /// What it is served as: a header can carry it.
    pub(crate) mime: String,
    pub(crate) filename: Option<String>,
}

impl AttachmentRow {
    fn from(row: Row<'_>) -> Result<Self, SqlError> {
        Ok(Self {
            complete: row.int(0)? != 0,
            astray: row.int(1)? != 0,
            mime: row.text(2)?.to_owned(),
            filename: row.opt_text(3)?.map(str::to_owned),
        })
    }
}

impl Read<'_> {
    /// The attachment of an entity whose stream's path ends with `name`.
    pub(crate) fn attachment(&self, entity: i64, name: &str) -> Result<Option<AttachmentRow>, SqlError> {
        let sql = "SELECT complete, astray, mime, filename FROM attachment WHERE entity = ?1 AND name = ?2";
        self.one(sql, &[entity.into(), name.into()], AttachmentRow::from)
    }

    /// How many attachments an entity has.
    pub(crate) fn attachments_of(&self, entity: i64) -> Result<i64, SqlError> {
        let count =
            self.one("SELECT count(*) FROM attachment WHERE entity = ?1", &[entity.into()], |row| row.int(0))?;
        Ok(count.unwrap_or(0))
    }
}

impl Tx<'_> {
    /// Writes what a manifest says of an attachment now.
    pub(crate) fn write_attachment(&self, entity: i64, name: &str, row: &AttachmentRow) -> Result<(), SqlError> {
        self.write(
            "INSERT INTO attachment (entity, name, complete, astray, mime, filename) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (entity, name) DO UPDATE SET complete = ?3, astray = ?4, mime = ?5, filename = ?6",
            &[
                entity.into(),
                name.into(),
                row.complete.into(),
                row.astray.into(),
                (&row.mime).into(),
                row.filename.as_ref().into(),
            ],
        )
    }

    /// The manifest says nothing of an attachment any more.
    pub(crate) fn delete_attachment(&self, entity: i64, name: &str) -> Result<(), SqlError> {
        self.write("DELETE FROM attachment WHERE entity = ?1 AND name = ?2", &[entity.into(), name.into()])
    }
}
