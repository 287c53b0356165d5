//! One end of a connection, a client's or an upstream's.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
    time::Duration,
};

use super::{Message, PATIENCE, message::field, upstream::Tally};

/// A socket of either family.
pub trait Wire: Read + Write + Send {
    fn limit(&self, patience: Option<Duration>);
    fn finish(&self);
    fn twin(&self) -> Box<dyn Wire>;
}

macro_rules! wire {
    ($socket:ty) => {
        impl Wire for $socket {
            fn limit(&self, patience: Option<Duration>) {
                self.set_read_timeout(patience).unwrap();
                self.set_write_timeout(patience).unwrap();
            }

            fn finish(&self) {
                let _ = self.shutdown(Shutdown::Write);
            }

            fn twin(&self) -> Box<dyn Wire> {
                Box::new(self.try_clone().unwrap())
            }
        }
    };
}
wire!(TcpStream);
wire!(UnixStream);

/// One end of a connection: a client's or an upstream's.
pub struct End {
    wire: Box<dyn Wire>,
    /// Read and not yet used.
    pub input: Vec<u8>,
    /// Which connection of the upstream it is, from 0.
    pub number: usize,
    tally: Option<Arc<Tally>>,
}

impl End {
    pub fn new(wire: Box<dyn Wire>, number: usize, tally: Option<Arc<Tally>>) -> Self {
        wire.limit(Some(PATIENCE));
        Self {
            wire,
            input: Vec::new(),
            number,
            tally,
        }
    }

    /// `IP:PORT` or `unix:/PATH`.
    pub fn connect(address: &str) -> Self {
        let wire: Box<dyn Wire> = match address.strip_prefix("unix:") {
            Some(path) => Box::new(UnixStream::connect(path).unwrap()),
            None => {
                let stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                Box::new(stream)
            }
        };
        Self::new(wire, 0, None)
    }

    /// A socket that was accepted elsewhere.
    pub fn from_tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::new(Box::new(stream), 0, None)
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.write_all(bytes.as_ref())
    }

    /// Sends a byte at a time.
    pub fn trickle(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
            // Long enough for the byte to be read alone, as a rule.
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        self.wire.finish();
    }

    /// The same socket, for another thread.
    pub fn twin(&self) -> Self {
        Self::new(self.wire.twin(), self.number, self.tally.clone())
    }

    pub fn limit(&self, patience: Duration) {
        self.wire.limit(Some(patience));
    }

    /// Reads once; 0 at the end, be it a reset.
    pub fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let count = match self.wire.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            read => read.unwrap_or(0),
        };
        self.input.extend_from_slice(&piece[..count]);
        Ok(count)
    }

    /// Waits for the end of the connection and returns what came before it.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().expect("the connection stays open") > 0 {}
        std::mem::take(&mut self.input)
    }

    /// Whether the other side ends the connection, and sends nothing before, in this time.
    pub fn is_closed_within(&mut self, patience: Duration) -> bool {
        self.limit(patience);
        let is_closed = matches!(self.fill(), Ok(0));
        self.limit(PATIENCE);
        is_closed
    }

    /// Whether nothing comes in this time, not even the end.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.limit(time);
        let is_silent = self.input.is_empty() && self.fill().is_err();
        self.limit(PATIENCE);
        is_silent
    }

    /// The next `count` bytes, or fewer at the end.
    #[track_caller]
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.input.len() < count && self.fill().expect("bytes are missing") > 0 {}
        let count = count.min(self.input.len());
        self.input.drain(..count).collect()
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                break at;
            }
            if !matches!(self.fill(), Ok(1..)) {
                return None;
            }
        };
        let line = self.input.drain(..end + 2).collect::<Vec<_>>();
        Some(line[..end].to_vec())
    }

    /// The next head, without a body; `None` at the end or after [`PATIENCE`].
    pub fn head(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(at) = self.input.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            if !matches!(self.fill(), Ok(1..)) {
                return None;
            }
        };
        let head: Vec<u8> = self.input.drain(..end).collect();
        match Message::parse(&head[..end - 4]) {
            Ok(message) => Some(message),
            Err(fault) => {
                self.blame(&format!("{fault}: {}", head.escape_ascii()));
                None
            }
        }
    }

    /// The next request, judged; `None` at the end.
    pub fn request(&mut self) -> Option<Message> {
        let mut message = self.request_head()?;
        self.body(&mut message, false)?;
        if let Some(tally) = &self.tally {
            tally.note(message.clone());
        }
        Some(message)
    }

    /// The next request's head, judged.
    pub fn request_head(&mut self) -> Option<Message> {
        let message = self.head()?;
        if let Err(fault) = message.judge_request() {
            self.blame(&format!("{fault}: {message:?}"));
            return None;
        }
        Some(message)
    }

    /// The next final response to something else than `HEAD`.
    #[track_caller]
    pub fn response(&mut self) -> Message {
        self.response_to(false)
    }

    #[track_caller]
    pub fn response_to(&mut self, is_head: bool) -> Message {
        let mut message = self.head().expect("no response");
        let is_whole = is_head || matches!(message.status(), 100..=199 | 204 | 304);
        if !is_whole {
            self.body(&mut message, true).expect("response cut short");
        }
        message
    }

    /// Reads the body of `message`; `None` if it ends early.
    pub fn body(&mut self, message: &mut Message, is_response: bool) -> Option<()> {
        if message.value("transfer-encoding").is_some() {
            return self.chunks(message);
        }
        match message.value("content-length") {
            Some(length) => {
                let length: usize = length.parse().unwrap();
                message.body = self.exactly(length);
                (message.body.len() == length).then_some(())
            }
            None if is_response => {
                message.body = self.rest();
                Some(())
            }
            None => Some(()),
        }
    }

    fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let line = String::from_utf8(self.line()?).unwrap();
            let is_strict = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            let Some(size) = usize::from_str_radix(&line, 16).ok().filter(|_| is_strict) else {
                self.blame(&format!("chunk size {line:?}"));
                return None;
            };
            if size == 0 {
                break;
            }
            let data = self.exactly(size);
            message.body.extend_from_slice(&data);
            message.chunks += 1;
            let end = self.exactly(2);
            if data.len() < size || end.len() < 2 {
                return None;
            }
            if end != b"\r\n" {
                self.blame("chunk without its end");
                return None;
            }
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(());
            }
            match field(&line) {
                Ok(field) => message.trailers.push(field),
                Err(fault) => self.blame(&format!("trailer {fault}")),
            }
        }
    }

    fn blame(&self, fault: &str) {
        match &self.tally {
            Some(tally) => tally.blame(fault.to_owned()),
            None => panic!("{fault}"),
        }
    }
}
