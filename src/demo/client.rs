//! An old client: one connection, bytes as they are, nothing escaped.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use super::PATIENCE;

/// A request.
#[derive(Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) method: &'static str,
    /// Sent as it is.
    pub(super) target: &'r str,
    /// Media type and content.
    pub(super) body: Option<(&'static str, &'r str)>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Status line and fields.
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// Status code and reason.
    pub(super) fn summary(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.split_once(' ').map_or(line, |(_, summary)| summary)
    }
}

/// A kept-alive connection.
pub(super) struct Client {
    stream: TcpStream,
    address: String,
}

impl Client {
    /// Connects.
    pub(super) fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            address: address.to_owned(),
        })
    }

    /// Sends a request and reads its answer.
    pub(super) fn send(&mut self, request: Request<'_>) -> io::Result<Answer> {
        let Request { method, target, .. } = request;
        let host = &self.address;
        let rest = request.body.map_or_else(
            || "\r\n".to_owned(),
            |(kind, body)| {
                let length = body.len();
                format!("Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
            },
        );
        let bytes = format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: old-client/1.0\r\n{rest}"
        );
        self.stream.write_all(bytes.as_bytes())?;
        self.read()
    }

    fn read(&mut self) -> io::Result<Answer> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
                let body = bytes.split_off(end.saturating_add(4));
                let head = std::mem::replace(&mut bytes, body);
                break String::from_utf8_lossy(&head).trim_end().to_owned();
            }
            self.read_some(&mut bytes)?;
        };
        // Neither the toy homeserver nor a refusal is ever chunked.
        let length = field(&head, "content-length")
            .and_then(|length| length.parse().ok())
            .ok_or_else(|| invalid("an answer without Content-Length"))?;
        while bytes.len() < length {
            self.read_some(&mut bytes)?;
        }
        let status = head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| invalid("an answer that is not HTTP"))?;
        Ok(Answer {
            status,
            head,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    fn read_some(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(())
    }
}

/// The value of the field with this lower-case name.
fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
