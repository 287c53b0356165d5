//! HTTP/1.1 messages as bytes on a socket, read with no code of the product.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
};

use super::{PATIENCE, text};

/// One end of a connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// Read, and not yet part of a message.
    buffer: Vec<u8>,
}

/// One message, exactly as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// First line, fields and the empty line.
    pub(crate) head: Vec<u8>,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).unwrap())
    }

    /// Sends all of it.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends it if the other side still takes it.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Says that no more is coming.
    pub(crate) fn finish(&self) {
        // The other side may have closed already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Sends a request and reads the response to it.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        let request = request.as_ref();
        self.send(request);
        self.response(request.starts_with(b"HEAD "))
    }

    /// Reads a response, which must be there.
    pub(crate) fn response(&mut self, to_head: bool) -> Message {
        self.try_response(to_head)
            .unwrap_or_else(|| panic!("no response, only {:?}", text(&self.buffer)))
    }

    /// Reads a response, unless the connection ends first.
    pub(crate) fn try_response(&mut self, to_head: bool) -> Option<Message> {
        let mut message = self.head()?;
        let bodiless = to_head || matches!(message.status(), 100..=199 | 204 | 304);
        if bodiless {
            message.is_whole = true;
        } else {
            self.body(&mut message, true);
        }
        Some(message)
    }

    /// Reads a request, unless the connection ends first.
    pub(crate) fn request(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        self.body(&mut message, false);
        Some(message)
    }

    /// Reads only a request's head.
    pub(crate) fn head(&mut self) -> Option<Message> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.take(at + 4);
                return Some(Message {
                    head,
                    ..Message::default()
                });
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// Reads what is left until the other side closes; `Err` for a reset.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.buffer);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn body(&mut self, message: &mut Message, ends_by_close: bool) {
        let is_chunked = message
            .field("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        if is_chunked {
            message.is_whole = self.chunks(&mut message.body);
        } else if let Some(length) = message.field("content-length") {
            let length = length.parse().unwrap();
            message.is_whole = self.fill(length);
            let length = length.min(self.buffer.len());
            message.body = self.take(length);
        } else if ends_by_close {
            while self.more() {}
            message.body = std::mem::take(&mut self.buffer);
            message.is_whole = true;
        } else {
            message.is_whole = true;
        }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let Some(line) = self.line() else {
                return false;
            };
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16)
                .unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
            if size == 0 {
                while let Some(trailer) = self.line() {
                    if trailer.is_empty() {
                        return true;
                    }
                }
                return false;
            }
            if !self.fill(size + 2) {
                body.append(&mut self.buffer);
                return false;
            }
            body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n", "behind a chunk");
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line = self.take(at + 2);
                return Some(text(&line[..at]));
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn fill(&mut self, length: usize) -> bool {
        while self.buffer.len() < length {
            if !self.more() {
                return false;
            }
        }
        true
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.buffer.drain(..length).collect()
    }

    /// Reads once; `false` at the end of the connection.
    fn more(&mut self) -> bool {
        let mut block = [0; 16 * 1024];
        match self.stream.read(&mut block) {
            Ok(count) => {
                self.buffer.extend_from_slice(&block[..count]);
                count > 0
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}, after {:?}", text(&self.buffer)),
        }
    }
}

impl Message {
    /// The first line.
    pub(crate) fn line(&self) -> &[u8] {
        let end = find(&self.head, b"\r\n").unwrap_or(self.head.len());
        &self.head[..end]
    }

    /// What a request asks for, as bytes.
    pub(crate) fn target(&self) -> &[u8] {
        let line = self.line();
        let start = line.iter().position(|&byte| byte == b' ').unwrap() + 1;
        let end = line.iter().rposition(|&byte| byte == b' ').unwrap();
        &line[start..end]
    }

    /// A response's status.
    pub(crate) fn status(&self) -> u16 {
        let line = text(self.line());
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        status.unwrap_or_else(|| panic!("no status line: {line}"))
    }

    /// The values of every field with this name.
    pub(crate) fn fields(&self, name: &str) -> Vec<String> {
        text(&self.head)
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    /// The value of the only field with this name.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut values = self.fields(name);
        assert!(values.len() < 2, "{name} twice: {}", text(&self.head));
        values.pop()
    }

    /// The `errcode` of a Matrix error; empty where there is none.
    pub(crate) fn errcode(&self) -> String {
        serde_json::from_slice::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|body| Some(body.get("errcode")?.as_str()?.to_owned()))
            .unwrap_or_default()
    }
}

/// Where `needle` first stands.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, needle)
}
