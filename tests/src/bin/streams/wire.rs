//! A connection that costs next to nothing: requests are bytes that are ready, answers are read and no more.
//!
//! The load shares the processors with the server that it measures.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use httparse::Status;
use reveille_tests::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection: kept alive, one request at a time.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    /// What has come and is not taken yet.
    buffer: BytesMut,
}

/// What the head of an answer says.
#[derive(Debug)]
pub(crate) struct Head {
    status: u16,
    body: Framing,
    /// `Stream-Next-Offset`
    pub(crate) next: Option<String>,
    /// `Stream-Up-To-Date`
    pub(crate) up_to_date: bool,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Sized(usize),
    Chunked,
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: BytesMut::new() })
    }

    /// Asks for what must succeed. The answer's body is put behind what is in `body`.
    pub(crate) async fn ask(&mut self, request: &[u8], body: &mut Vec<u8>) -> Result<Head> {
        self.socket.write_all(request).await?;
        let head = self.head().await?;
        match head.body {
            Framing::Sized(count) => self.take(count, body).await?,
            Framing::Chunked => self.chunks(body).await?,
        }
        head.expect(request)
    }

    /// Asks for a body that does not end. What comes of it is for [`Self::until`].
    pub(crate) async fn listen(&mut self, request: &[u8]) -> Result<Head> {
        self.socket.write_all(request).await?;
        self.head().await?.expect(request)
    }

    /// Reads until `mark` has come, and drops all that has come with it.
    pub(crate) async fn until(&mut self, mark: &[u8]) -> Result<()> {
        while !self.buffer.windows(mark.len()).any(|bytes| bytes == mark) {
            self.fill().await?;
        }
        self.buffer.clear();
        Ok(())
    }

    async fn head(&mut self) -> Result<Head> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            if let Status::Complete(length) = response.parse(&self.buffer)? {
                let head = Head::of(&response)?;
                self.buffer.advance(length);
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    async fn chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        loop {
            let parsed = httparse::parse_chunk_size(&self.buffer).map_err(|_| "a chunk without a size")?;
            let Status::Complete((start, size)) = parsed else {
                self.fill().await?;
                continue;
            };
            self.buffer.advance(start);
            self.take(usize::try_from(size)?, body).await?;
            while self.buffer.len() < LINE_END {
                self.fill().await?;
            }
            self.buffer.advance(LINE_END);
            if size == 0 {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, count: usize, body: &mut Vec<u8>) -> Result<()> {
        let here = count.min(self.buffer.len());
        body.extend_from_slice(&self.buffer.split_to(here));
        let left = count - here;
        if left > 0 {
            body.reserve(left);
            if (&mut self.socket).take(left as u64).read_to_end(body).await? < left {
                return Err(ENDED.into());
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(ROOM);
        if self.socket.read_buf(&mut self.buffer).await? == 0 { Err(ENDED.into()) } else { Ok(()) }
    }
}

impl Head {
    fn of(response: &httparse::Response<'_, '_>) -> Result<Self> {
        let status = response.code.ok_or("an answer without a status")?;
        let mut head = Self { status, body: Framing::Sized(0), next: None, up_to_date: false };
        for header in &*response.headers {
            let value = std::str::from_utf8(header.value)?;
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                head.body = Framing::Sized(value.parse()?);
            } else if is("transfer-encoding") {
                head.body = Framing::Chunked;
            } else if is("stream-next-offset") {
                head.next = Some(value.to_owned());
            } else if is("stream-up-to-date") {
                head.up_to_date = value == "true";
            }
        }
        Ok(head)
    }

    fn expect(self, request: &[u8]) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let line = request.split(|&byte| byte == b'\r').next().unwrap_or(request);
        Err(format!("{} was answered {}", String::from_utf8_lossy(line), self.status).into())
    }
}

const HEADERS: usize = 40;
const LINE_END: usize = 2;
const ROOM: usize = 4096;
const ENDED: &str = "the server ended a connection in the middle of an answer";
