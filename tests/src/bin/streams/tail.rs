//! Readers at the tail of a stream, by server-sent events.

use reveille_tests::Result;

use crate::message::read;
use crate::pair::Side;
use crate::wire::Wire;

/// A reader that has been told that it is up to date.
#[derive(Debug)]
pub(crate) struct Tail(Wire);

impl Tail {
    pub(crate) async fn open(side: &Side, path: &str) -> Result<Self> {
        let mut wire = side.connect().await?;
        wire.listen(&read(path, "offset=now&live=sse")).await?;
        wire.until(b"upToDate").await?;
        Ok(Self(wire))
    }

    /// So many of them.
    pub(crate) async fn open_all(side: &Side, path: &str, count: usize) -> Result<Vec<Self>> {
        let mut tails = Vec::with_capacity(count);
        for _ in 0..count {
            tails.push(Self::open(side, path).await?);
        }
        Ok(tails)
    }

    /// Waits until something has come that has `mark` in it.
    pub(crate) async fn until(&mut self, mark: &str) -> Result<()> {
        self.0.until(mark.as_bytes()).await
    }
}
