//! Streams one body from one socket to another.
//!
//! One piece at a time: the source is read again only when the sink has taken
//! what there was, so a slow reader slows the sender and nobody buffers.

use std::{fmt, io, time::Duration};

use super::{
    buffer::Buffer,
    chunked::{self, BadChunk, Chunks, Piece},
    length::Length,
    pace::Pace,
    stream::{self, Shared},
};
use crate::clock;

/// Which side ended a body early, and how.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The source closed before the end.
    #[error("sender closed the connection before the end of the body")]
    SourceClosed,
    /// The source's socket failed.
    #[error("sender's connection failed")]
    SourceFailed(#[source] io::Error),
    /// The source sent nothing for too long.
    #[error("sender stopped")]
    SourceTimeout,
    /// The source sent more than it may.
    #[error("body too large")]
    TooLarge,
    /// The source sends, but hardly.
    #[error("sender is too slow")]
    TooSlow,
    /// The source broke the chunked grammar.
    #[error(transparent)]
    BadChunk(#[from] BadChunk),
    /// The sink's socket failed.
    #[error("receiver's connection failed")]
    SinkFailed(#[source] io::Error),
    /// The sink took nothing for too long.
    #[error("receiver stopped")]
    SinkTimeout,
}

impl BodyError {
    /// What a failed write says of the sink.
    #[must_use]
    pub fn sink(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::SinkTimeout,
            _ => Self::SinkFailed(error),
        }
    }
}

/// A body on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Incoming(State);

#[derive(Clone, Copy, Debug)]
enum State {
    Sized(u64),
    Chunked(Chunks),
    UntilClose,
}

/// How a body is framed on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// As it is; the head told the length, or closing does.
    Raw,
    /// In chunks.
    Chunked,
}

/// Up to this many bytes, copying a body behind its head is cheaper than telling
/// the kernel of two places.
const SMALL: usize = 1024;

/// What the front of the input is.
enum Front {
    Partial,
    Data { skip: usize, len: usize },
    End { skip: usize, trailers: usize },
}

impl Incoming {
    /// A body of this length.
    #[must_use]
    pub fn new(length: Length) -> Self {
        Self(match length {
            Length::Zero => State::Sized(0),
            Length::Sized(length) => State::Sized(length),
            Length::Chunked => State::Chunked(Chunks::default()),
            Length::UntilClose => State::UntilClose,
        })
    }

    fn front(&mut self, input: &[u8]) -> Result<Front, BadChunk> {
        match &mut self.0 {
            State::Sized(0) => Ok(Front::End {
                skip: 0,
                trailers: 0,
            }),
            State::Sized(left) => {
                let len = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(input.len());
                *left = left.saturating_sub(len as u64);
                Ok(if len == 0 {
                    Front::Partial
                } else {
                    Front::Data { skip: 0, len }
                })
            }
            State::UntilClose if input.is_empty() => Ok(Front::Partial),
            State::UntilClose => Ok(Front::Data {
                skip: 0,
                len: input.len(),
            }),
            State::Chunked(chunks) => {
                let mut skip = 0_usize;
                loop {
                    match chunks.next(input.get(skip..).unwrap_or_default())? {
                        Piece::Framing(len) => skip = skip.saturating_add(len),
                        Piece::Partial if skip > 0 => return Ok(Front::Data { skip, len: 0 }),
                        Piece::Partial => return Ok(Front::Partial),
                        Piece::Data(len) => return Ok(Front::Data { skip, len }),
                        Piece::Trailers(trailers) => return Ok(Front::End { skip, trailers }),
                    }
                }
            }
        }
    }

    /// Takes what is at the front of `input` into `body`; `true` at the end.
    ///
    /// # Errors
    ///
    /// [`BadChunk`].
    pub fn collect(&mut self, input: &mut Buffer, body: &mut Vec<u8>) -> Result<bool, BadChunk> {
        loop {
            match self.front(input.filled())? {
                Front::Partial => return Ok(false),
                Front::End { skip, trailers } => {
                    input.consume(skip);
                    input.consume(trailers);
                    return Ok(true);
                }
                Front::Data { skip, len } => {
                    input.consume(skip);
                    body.extend_from_slice(input.filled().get(..len).unwrap_or_default());
                    input.consume(len);
                }
            }
        }
    }
}

/// One direction of an exchange.
#[derive(Debug)]
pub struct Relay<'a> {
    /// Where the body comes from.
    pub source: &'a Shared,
    /// What was read of it already.
    pub input: &'a mut Buffer,
    /// How it is framed there.
    pub incoming: Incoming,
    /// Where it goes.
    pub sink: &'a Shared,
    /// How it is framed there.
    pub outgoing: Outgoing,
    /// How long the source may be silent.
    pub source_timeout: Duration,
    /// The most bytes that the body may have.
    pub most: Option<u64>,
    /// The fewest bytes a second that the source must send, over any span of
    /// `source_timeout` in which we waited for it.
    pub least_rate: Option<u64>,
    /// How long the sink may take nothing.
    pub sink_timeout: Duration,
    /// Who gets a copy.
    pub copy: Option<Copy<'a>>,
}

/// A copy of a short body that is passed on, shown to somebody before the receiver can
/// have the end of it.
pub struct Copy<'a> {
    bytes: Vec<u8>,
    most: usize,
    is_too_long: bool,
    show: &'a dyn Fn(&[u8]),
}

impl<'a> Copy<'a> {
    /// Copies bodies of up to `most` bytes; `show` gets them whole.
    #[must_use]
    pub fn of_up_to(most: usize, show: &'a dyn Fn(&[u8])) -> Self {
        Self {
            bytes: Vec::new(),
            most,
            is_too_long: false,
            show,
        }
    }

    fn take(&mut self, piece: &[u8]) {
        if self.is_too_long || piece.len() > self.most.saturating_sub(self.bytes.len()) {
            self.is_too_long = true;
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn end(&self) {
        if !self.is_too_long {
            (self.show)(&self.bytes);
        }
    }
}

impl fmt::Debug for Copy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copy").finish_non_exhaustive()
    }
}

impl Relay<'_> {
    /// Moves the body behind the head in `framing`, which is left empty; `moved`
    /// counts what the sink took of the body. With a body at hand, head and
    /// body leave in one write.
    ///
    /// # Errors
    ///
    /// [`BodyError`] names the side at fault.
    pub async fn run(mut self, framing: &mut Vec<u8>, moved: &mut u64) -> Result<(), BodyError> {
        let mut pace = Pace::default();
        loop {
            match self.incoming.front(self.input.filled())? {
                Front::Partial => {
                    self.send(framing, 0, b"").await?;
                    framing.clear();
                    self.read(&mut pace, moved).await?;
                }
                Front::Data { skip, len } => {
                    self.input.consume(skip);
                    if len == 0 {
                        continue;
                    }
                    if self
                        .most
                        .is_some_and(|most| moved.saturating_add(len as u64) > most)
                    {
                        return Err(BodyError::TooLarge);
                    }
                    if self.outgoing == Outgoing::Chunked {
                        chunked::push_size(framing, len);
                    }
                    let end = self.plain_end_behind(len);
                    if let Some(copy) = &mut self.copy {
                        copy.take(self.input.filled().get(..len).unwrap_or_default());
                        if end.is_some() {
                            copy.end();
                        }
                    }
                    let suffix: &[u8] = match (self.outgoing, end) {
                        (Outgoing::Raw, _) => b"",
                        (Outgoing::Chunked, None) => b"\r\n",
                        (Outgoing::Chunked, Some(_)) => b"\r\n0\r\n\r\n",
                    };
                    if len <= SMALL && !framing.is_empty() {
                        let data = self.input.filled().get(..len).unwrap_or_default();
                        framing.extend_from_slice(data);
                        framing.extend_from_slice(suffix);
                        self.send(framing, 0, b"").await?;
                    } else {
                        self.send(framing, len, suffix).await?;
                    }
                    framing.clear();
                    self.input.consume(len);
                    *moved = moved.saturating_add(len as u64);
                    if let Some(end) = end {
                        self.input.consume(end);
                        return Ok(());
                    }
                }
                Front::End { skip, trailers } => {
                    self.input.consume(skip);
                    if let Some(copy) = &self.copy {
                        copy.end();
                    }
                    if self.outgoing == Outgoing::Chunked {
                        let section = self.input.filled().get(..trailers).unwrap_or_default();
                        chunked::push_end(framing, section)?;
                    }
                    self.input.consume(trailers);
                    return self.send(framing, 0, b"").await;
                }
            }
        }
    }

    /// How many bytes of framing end the body right behind the next `len` bytes,
    /// if no trailers do: then one write can carry both.
    fn plain_end_behind(&self, len: usize) -> Option<usize> {
        let mut ahead = self.incoming;
        match ahead.front(self.input.filled().get(len..)?) {
            Ok(Front::End {
                skip,
                trailers: trailers @ (0 | 2),
            }) => Some(skip.saturating_add(trailers)),
            _ => None,
        }
    }

    /// How much there is to come that may pass without our looking at it.
    fn opaque(&self) -> u64 {
        match (&self.incoming.0, self.outgoing) {
            (State::Sized(left), Outgoing::Raw) if self.copy.is_none() => *left,
            _ => 0,
        }
    }

    /// Reads once more, while nothing is left to be sent. What went past the
    /// input is sent at once.
    async fn read(&mut self, pace: &mut Pace, moved: &mut u64) -> Result<(), BodyError> {
        let since = self.least_rate.map(|least| (least, clock::now()));
        let (patience, opaque) = (self.source_timeout, self.opaque());
        let pool = self.input.pool();
        let read = async {
            if pool.pipes.can_carry(self.source, self.sink, opaque) {
                self.input.release();
                if let Some(pipe) = pool.pipes.fill(self.source, opaque).await? {
                    return Ok((pipe.filled(), Some(pipe)));
                }
            }
            Ok((self.input.fill_body(self.source).await?, None))
        };
        let (count, pipe) = clock::timeout(patience, read)
            .await
            .map_err(|_| BodyError::SourceTimeout)?
            .map_err(BodyError::SourceFailed)?;
        if count == 0 {
            // An end that nobody declared may have been made by somebody else
            // (RFC 9112 section 9.8).
            let is_end =
                matches!(self.incoming.0, State::UntilClose) && !self.source.borrow().is_cut();
            if !is_end {
                return Err(BodyError::SourceClosed);
            }
            // The end of the connection is the end of the body.
            self.incoming.0 = State::Sized(0);
            return Ok(());
        }
        if since
            .is_some_and(|(least, since)| pace.is_too_slow(since.elapsed(), count, least, patience))
        {
            return Err(BodyError::TooSlow);
        }
        match (pipe, &mut self.incoming.0) {
            (Some(pipe), State::Sized(left)) => {
                *left = left.saturating_sub(count as u64);
                pipe.empty(self.sink, self.sink_timeout, moved)
                    .await
                    .map_err(BodyError::sink)
            }
            _ => Ok(()),
        }
    }

    /// Writes framing, the first `len` bytes of the input, and a suffix.
    async fn send(&self, framing: &[u8], len: usize, suffix: &[u8]) -> Result<(), BodyError> {
        if framing.is_empty() && len == 0 {
            return Ok(());
        }
        let data = self.input.filled().get(..len).unwrap_or_default();
        stream::write_all(self.sink, [framing, data, suffix], self.sink_timeout)
            .await
            .map_err(BodyError::sink)
    }
}
