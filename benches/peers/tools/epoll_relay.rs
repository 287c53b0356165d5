//! The floor of the benchmarks: carries bytes between a client and the upstream, and looks at none.
//!
//! One process, one thread, one upstream connection for each client connection, and for a small
//! request the least there is: a read and a write each way. What a proxy costs beyond this is
//! the price of what it does with the bytes.
//!
//!     epoll_relay LISTEN UPSTREAM
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a tool for measuring: two ends, and lengths that the kernel gave"
)]

use std::{
    env,
    error::Error,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
};
use slab::Slab;

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let addresses: Vec<SocketAddr> = env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let [listen, upstream] = addresses[..] else {
        return Err("usage: epoll_relay LISTEN UPSTREAM".into());
    };
    Relay::new(listen, upstream)?.run()
}

/// The listener's key; pairs have theirs from 0 on.
const LISTENER: u64 = u64::MAX;
/// As much as a proxy's buffer; larger ones make no difference for small requests.
const BUFFER: usize = 64 * 1024;

struct Relay {
    epoll: rustix::fd::OwnedFd,
    listener: TcpListener,
    upstream: SocketAddr,
    pairs: Slab<Pair>,
    buffer: Vec<u8>,
}

/// A client's connection (0), and its own to the upstream (1).
struct Pair {
    ends: [TcpStream; 2],
    /// What an end has not taken yet. Until it has, the other end is not read.
    unsent: [Vec<u8>; 2],
}

impl Relay {
    fn new(listen: SocketAddr, upstream: SocketAddr) -> Result<Self, Failed> {
        let listener = TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        Ok(Self {
            epoll,
            listener,
            upstream,
            pairs: Slab::new(),
            buffer: vec![0; BUFFER],
        })
    }

    fn run(mut self) -> Result<(), Failed> {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        loop {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    key => self.serve(key, event.flags),
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Failed> {
        let client = match self.listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let ends = [client, TcpStream::connect(self.upstream)?];
        let entry = self.pairs.vacant_entry();
        for (end, stream) in ends.iter().enumerate() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let data = EventData::new_u64(event_key(entry.key(), end));
            epoll::add(&self.epoll, stream, data, EventFlags::IN)?;
        }
        entry.insert(Pair {
            ends,
            unsent: [Vec::new(), Vec::new()],
        });
        Ok(())
    }

    /// A pair that fails in any way is over; closing its sockets takes them out of epoll, too.
    fn serve(&mut self, event_key: u64, flags: EventFlags) {
        let (key, end) = pair_and_end(event_key);
        // An earlier event of the same wait may have ended it.
        let Some(pair) = self.pairs.get_mut(key) else {
            return;
        };
        let stalled = pair.unsent.each_ref().map(|unsent| !unsent.is_empty());
        let mut carried = Some(());
        if flags.contains(EventFlags::OUT) {
            carried = pair.flush(end);
        }
        if carried.is_some() && flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
        {
            carried = pair.carry(end, &mut self.buffer);
        }
        if carried.is_some() && stalled != pair.unsent.each_ref().map(|unsent| !unsent.is_empty()) {
            carried = pair.watch(key, &self.epoll);
        }
        if carried.is_none() {
            self.pairs.remove(key);
        }
    }
}

impl Pair {
    /// One read, and a write of what it gave.
    fn carry(&mut self, from: usize, buffer: &mut [u8]) -> Option<()> {
        let to = 1 - from;
        let read = match self.ends[from].read(buffer) {
            Ok(0) => return None,
            Ok(read) => read,
            Err(error) => return (error.kind() == ErrorKind::WouldBlock).then_some(()),
        };
        let sent = send(&mut self.ends[to], &buffer[..read])?;
        self.unsent[to].extend_from_slice(&buffer[sent..read]);
        Some(())
    }

    fn flush(&mut self, to: usize) -> Option<()> {
        let sent = send(&mut self.ends[to], &self.unsent[to])?;
        self.unsent[to].drain(..sent);
        Some(())
    }

    /// Read where the other end has taken everything; write where something waits.
    fn watch(&self, key: usize, epoll: &rustix::fd::OwnedFd) -> Option<()> {
        for end in 0..2 {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, self.unsent[1 - end].is_empty());
            flags.set(EventFlags::OUT, !self.unsent[end].is_empty());
            let data = EventData::new_u64(event_key(key, end));
            epoll::modify(epoll, &self.ends[end], data, flags).ok()?;
        }
        Some(())
    }
}

/// How much the stream took; nothing if it is over.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> Option<usize> {
    match stream.write(bytes) {
        Ok(sent) => Some(sent),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
        Err(_) => None,
    }
}

fn event_key(pair: usize, end: usize) -> u64 {
    (pair * 2 + end) as u64
}

fn pair_and_end(event_key: u64) -> (usize, usize) {
    let key = usize::try_from(event_key).unwrap_or(usize::MAX);
    (key / 2, key % 2)
}
