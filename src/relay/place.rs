//! Where lines come from: sockets and pipes, and how they are read.
//!
//! All of them are read as fast as lines come, whatever becomes of the lines. A named pipe
//! is held open for writing as well, so that it outlives whoever writes to it.

use std::{
    fmt, fs,
    io::{self, ErrorKind},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixDatagram as StdDatagram,
    },
    path::{Path, PathBuf},
    pin::Pin,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::{
    io::Interest,
    net::{UnixDatagram, UnixListener, UnixStream, unix::pipe},
    sync::watch,
    task::{JoinSet, yield_now},
};

use super::{framing::Framing, inlet::Inlet};
use crate::{
    config::Owner,
    listen::{
        owner::Ids,
        unix::{SocketFile, bind},
    },
};

/// More than a datagram may have by the kernel's own limits.
const DATAGRAM: usize = 1024 * 1024;

/// What a stream is read by, and what a pipe is asked to hold.
const STREAM: usize = 64 * 1024;
const PIPE: usize = 1024 * 1024;

/// How many messages are read before others have their turn.
const TURN: usize = 256;

/// How often it is read again at the end, by somebody who sends on and on.
const LAST_TURNS: usize = 256;

/// How many streams may be open.
const MOST: usize = 256;

/// `unixgram:PATH`, `unix:PATH` or `fifo:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    kind: Kind,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Datagram,
    Stream,
    Fifo,
}

/// An open place.
#[derive(Debug)]
pub(super) enum Entry {
    Datagram(UnixDatagram, SocketFile),
    Stream(UnixListener, SocketFile),
    Fifo(pipe::Receiver),
}

/// Turns true when everything is to end.
type Stop = watch::Receiver<bool>;

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (kind, path) = text.split_once(':').unwrap_or((text, ""));
        let kind = match kind {
            "unixgram" => Kind::Datagram,
            "unix" => Kind::Stream,
            "fifo" => Kind::Fifo,
            _ => return Err("it begins with unixgram:, unix: or fifo:".into()),
        };
        if !path.starts_with('/') || path.ends_with('/') {
            return Err("an absolute path follows the colon".into());
        }
        let path = path.into();
        Ok(Self { kind, path })
    }

    /// Makes the socket or pipe; needs a runtime around it.
    pub(super) fn open(&self, mode: u32, owner: Option<&Owner>) -> io::Result<Entry> {
        match self.kind {
            Kind::Stream => {
                let (listener, file) = bind(&self.path, mode, owner)?;
                Ok(Entry::Stream(listener, file))
            }
            Kind::Datagram => {
                let ids = Ids::of(owner)?;
                remove_stale(&self.path)?;
                let socket = UnixDatagram::bind(&self.path)?;
                let file = SocketFile::new(&self.path);
                dress(&self.path, mode, ids)?;
                warn_of_short_queues();
                Ok(Entry::Datagram(socket, file))
            }
            Kind::Fifo => {
                let ids = Ids::of(owner)?;
                match mknodat(CWD, &self.path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
                    Ok(()) => dress(&self.path, mode, ids)?,
                    // It stays when we end: its writers may wait for it.
                    Err(rustix::io::Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let pipe = pipe::OpenOptions::new()
                    .read_write(true)
                    .open_receiver(&self.path)?;
                // Nothing is wrong if it has all the room it may have.
                let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE);
                Ok(Entry::Fifo(pipe))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Datagram => "unixgram",
            Kind::Stream => "unix",
            Kind::Fifo => "fifo",
        };
        write!(f, "{kind}:{}", self.path.display())
    }
}

/// What the kernel keeps of datagrams that are not read yet is counted in messages, and
/// set when a socket is made.
fn warn_of_short_queues() {
    const FEW: u32 = 128;
    let length = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap_or_default();
    if let Some(messages) = length
        .trim()
        .parse()
        .ok()
        .filter(|length: &u32| *length < FEW)
    {
        tracing::warn!(
            messages,
            "the kernel drops messages early: raise net.unix.max_dgram_qlen to 512"
        );
    }
}

/// Removes a datagram socket that nobody reads from any more; anything else stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let is_refused = || {
        let connected = StdDatagram::unbound().and_then(|socket| socket.connect(path));
        connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    if is_socket && is_refused() {
        fs::remove_file(path)
    } else {
        Ok(())
    }
}

fn dress(path: &Path, mode: u32, ids: Ids) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    ids.own(path)
}

impl Entry {
    /// Reads until it is told to stop, and then what has come already.
    pub(super) async fn read(self, inlet: Inlet, stop: Stop) {
        match self {
            Self::Datagram(socket, _file) => datagrams(&socket, inlet, stop).await,
            Self::Stream(listener, _file) => streams(&listener, &inlet, stop).await,
            Self::Fifo(pipe) => stream(&Source::Fifo(pipe), inlet, stop).await,
        }
    }
}

async fn asked(stop: &mut Stop) {
    // Whoever could ask is gone: that is the end as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn datagrams(socket: &UnixDatagram, mut inlet: Inlet, mut stop: Stop) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let is_stopped = tokio::select! {
            biased;
            () = asked(&mut stop) => true,
            ready = socket.readable() => ready.is_err(),
        };
        let turns = if is_stopped { LAST_TURNS } else { 1 };
        for _ in 0..turns {
            let is_empty = turn(socket, &mut buffer, &mut inlet);
            inlet.hand_on();
            yield_now().await;
            if is_empty {
                break;
            }
        }
        if is_stopped {
            return;
        }
    }
}

/// Reads for a while; says whether nothing is left.
fn turn(socket: &UnixDatagram, buffer: &mut [u8], inlet: &mut Inlet) -> bool {
    for _ in 0..TURN {
        match socket.try_recv(buffer) {
            Ok(length) => inlet.message(buffer.get(..length).unwrap_or_default()),
            Err(_) => return true,
        }
    }
    false
}

async fn streams(listener: &UnixListener, inlet: &Inlet, mut stop: Stop) {
    let mut open = JoinSet::new();
    let seen = stop.clone();
    loop {
        tokio::select! {
            () = asked(&mut stop) => break,
            _ = open.join_next(), if !open.is_empty() => {}
            accepted = listener.accept(), if open.len() < MOST => match accepted {
                Ok((connection, _)) => {
                    let source = Source::Stream(connection);
                    let (inlet, stop) = (inlet.clone(), seen.clone());
                    open.spawn(async move { stream(&source, inlet, stop).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "a stream could not be taken");
                    yield_now().await;
                }
            },
        }
    }
    while open.join_next().await.is_some() {}
}

enum Source {
    Stream(UnixStream),
    Fifo(pipe::Receiver),
}

impl Source {
    fn ready(&self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        match self {
            Self::Stream(stream) => {
                Box::pin(async { stream.ready(Interest::READABLE).await.map(drop) })
            }
            Self::Fifo(pipe) => Box::pin(pipe.readable()),
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stream(stream) => stream.try_read(buffer),
            Self::Fifo(pipe) => pipe.try_read(buffer),
        }
    }

    const fn framing(&self) -> Framing {
        match self {
            Self::Stream(_) => Framing::syslog(),
            Self::Fifo(_) => Framing::lines(),
        }
    }
}

async fn stream(source: &Source, mut inlet: Inlet, mut stop: Stop) {
    let mut framing = source.framing();
    let mut buffer = vec![0; STREAM];
    let mut is_open = true;
    while is_open {
        let is_stopped = tokio::select! {
            biased;
            () = asked(&mut stop) => true,
            ready = source.ready() => ready.is_err(),
        };
        is_open = !is_stopped;
        let turns = if is_stopped { LAST_TURNS } else { 1 };
        for _ in 0..turns {
            match source.try_read(&mut buffer) {
                Ok(0) => {
                    is_open = false;
                    break;
                }
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or_default();
                    framing.read(bytes, |message| inlet.message(message));
                    inlet.hand_on();
                }
                Err(error) => {
                    is_open &= error.kind() == ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        yield_now().await;
    }
    framing.finish(|message| inlet.message(message));
    inlet.hand_on();
}
