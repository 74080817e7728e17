//! The host's own limits. What a client can make grow in the engine is bounded in `reveille_core`.

use std::time::Duration;

/// The most connections at once, and requests that share one; more connections wait in the kernel's backlog, more requests
/// are answered 503.
pub(crate) const CONNECTIONS: usize = 16_384;
/// The most long-polls and SSE readers at once; more are answered 503.
pub(crate) const LIVE_READERS: usize = 10_000;
/// The most notifications that wait for one live reader; a slower one asks the store instead.
pub(crate) const NOTICES: usize = 16;
/// The most requests that wait for the engine; more are answered 503.
pub(crate) const QUEUE: usize = 8_192;
/// The most commands in one batch, and so in one transaction.
pub(crate) const BATCH: usize = 256;
/// How many connections read beside the writer.
pub(crate) const READERS: usize = 4;
/// How long a tick's batch should take: what a request that arrives meanwhile may have to wait.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// How long a connection may wait for its next request, and a request for its head to be complete.
pub(crate) const HEAD: Duration = Duration::from_secs(75);
/// The most handshakes at once; more wait for their turn, which costs nothing but their connection.
pub(crate) const HANDSHAKES: usize = 256;
/// The longest head of a request over HTTP/2. Of its other limits hyper's suffice: 200 streams a connection, 1 MB of
/// bodies that nobody has read yet, 20 streams that were reset before they were looked at.
pub(crate) const HEADERS: u32 = 64 << 10;
/// How often a connection over HTTP/2 is asked whether it is still there.
pub(crate) const PING: Duration = Duration::from_secs(30);
/// How much of a refused body is read and thrown away, so that its sender sees the refusal and not a reset.
pub(crate) const DRAIN: usize = 64 << 20;
/// How long that may take.
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(10);
/// How long a webhook's connection may take to be made.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// How long shutting down waits for requests that were accepted.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// How long it waits after that for deliveries, which are rows and are repeated anyhow.
pub(crate) const DELIVERY_GRACE: Duration = Duration::from_secs(1);

/// How patient the server is with a body that comes slowly, and with an answer that is taken slowly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long nothing at all may come.
    pub(crate) silence: Duration,
    /// How long a connection may take for its first byte where HTTPS is spoken, and then for its handshake.
    pub(crate) handshake: Duration,
    /// How long an answer may wait for its reader to take any more of it.
    pub(crate) stall: Duration,
    /// What a body must have come in on average, once `silence` has passed: bytes a second.
    pub(crate) rate: usize,
}

impl Default for Patience {
    fn default() -> Self {
        let (silence, handshake, stall) = (Duration::from_secs(10), Duration::from_secs(10), Duration::from_secs(30));
        Self { silence, handshake, stall, rate: 16 << 10 }
    }
}
