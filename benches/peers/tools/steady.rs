//! Sends requests at a fixed rate, and says how long their answers took.
//!
//! Each request has a time at which it is due, whatever happened to the others, and its answer's
//! time counts from then: if the proxy stops for a while, every request that should have been
//! sent meanwhile has waited. (wrk and `h2load --rps` start the clock at the moment of sending,
//! which hides exactly the worst moments: "coordinated omission".)
//!
//!     steady ADDRESS RATE SECONDS CONNECTIONS HEAD
//!
//! HEAD is a file with the bytes of one request. Prints the microseconds at p50, p99 and p99.9,
//! and the number of answers.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a tool for measuring: its indexes are its own, and it prints what it found"
)]

use std::{
    collections::VecDeque,
    env,
    error::Error,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    time::Timespec,
};

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, rate, seconds, connections, head] = &arguments[..] else {
        return Err("usage: steady ADDRESS RATE SECONDS CONNECTIONS HEAD".into());
    };
    // Linux lets a sleep be 50 us late unless it is told otherwise.
    fs::write("/proc/self/timerslack_ns", "1")?;
    let interval = Duration::from_secs_f64(1.0 / rate.parse::<f64>()?);
    let length = Duration::from_secs_f64(seconds.parse()?);
    let mut run = Run::new(address.parse()?, connections.parse()?, fs::read(head)?)?;
    run.go(interval, length)?;
    run.report();
    Ok(())
}

/// How long to wait for the last answers.
const PATIENCE: Duration = Duration::from_secs(5);

struct Run {
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    /// Longest unused first, so that all of them are used.
    idle: VecDeque<usize>,
    request: Vec<u8>,
    took: Vec<Duration>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// When the request that it carries was due.
    due: Instant,
    answer: Vec<u8>,
}

impl Run {
    fn new(address: SocketAddr, count: usize, request: Vec<u8>) -> Result<Self, Failed> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for index in 0..count {
            let stream = TcpStream::connect(address)?;
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let data = EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, EventFlags::IN)?;
            connections.push(Connection {
                stream,
                due: Instant::now(),
                answer: Vec::new(),
            });
        }
        Ok(Self {
            epoll,
            connections,
            idle: (0..count).collect(),
            request,
            took: Vec::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    fn go(&mut self, interval: Duration, length: Duration) -> Result<(), Failed> {
        let start = Instant::now();
        let end = start + length;
        let mut due = start;
        let mut events: Vec<Event> = Vec::with_capacity(256);
        while due < end || self.idle.len() < self.connections.len() {
            let now = Instant::now();
            if now > end + PATIENCE {
                return Err("the proxy cannot keep this rate".into());
            }
            while due < end && due <= now && !self.idle.is_empty() {
                self.send(due)?;
                due += interval;
            }
            let wait = if due < end && !self.idle.is_empty() {
                due.saturating_duration_since(Instant::now())
            } else {
                PATIENCE
            };
            events.clear();
            let timeout = Timespec::try_from(wait)?;
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout))?;
            for event in &events {
                self.receive(usize::try_from(event.data.u64())?)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, due: Instant) -> Result<(), Failed> {
        let index = self.idle.pop_front().ok_or("no connection is idle")?;
        let connection = &mut self.connections[index];
        connection.due = due;
        connection.stream.write_all(&self.request)?;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<(), Failed> {
        let connection = &mut self.connections[index];
        let read = connection.stream.read(&mut self.buffer)?;
        if read == 0 {
            return Err("the proxy closed a connection".into());
        }
        connection.answer.extend_from_slice(&self.buffer[..read]);
        if is_complete(&connection.answer)? {
            self.took.push(connection.due.elapsed());
            connection.answer.clear();
            self.idle.push_back(index);
        }
        Ok(())
    }

    fn report(mut self) {
        self.took.sort_unstable();
        let count = self.took.len();
        let at = |permille: usize| self.took[(count * permille / 1000).min(count - 1)].as_micros();
        println!("{} {} {} {count}", at(500), at(990), at(999));
    }
}

/// Whether a 200 with its Content-Length is there as a whole.
fn is_complete(answer: &[u8]) -> Result<bool, Failed> {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let (status, fields) = head.split_once("\r\n").ok_or("an answer without fields")?;
    if !status.starts_with("http/1.1 200") {
        return Err(status.into());
    }
    let length = fields
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .ok_or("an answer without a Content-Length")?;
    Ok(answer.len() >= end + 4 + length.trim().parse::<usize>()?)
}
