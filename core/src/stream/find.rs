//! Finding a stream to use it.

use http::StatusCode;

use crate::http::{Error, Refusal};
use crate::store::{Read, StreamRow};

/// The live stream at a path: 404 where there is none, 410 where one is kept for its forks alone.
pub(super) fn find(read: &Read<'_>, path: &str) -> Result<StreamRow, Error> {
    let over = |stream: &StreamRow| stream.deleted || stream.lifetime.is_over(read.now);
    match read.stream(path)? {
        Some(stream) if over(&stream) && stream.refs > 0 => {
            Err(Refusal::plain(StatusCode::GONE, format!("`{path}` was deleted")).into())
        }
        Some(stream) if !over(&stream) => Ok(stream),
        _ => Err(Refusal::plain(StatusCode::NOT_FOUND, format!("no stream at `{path}`")).into()),
    }
}
