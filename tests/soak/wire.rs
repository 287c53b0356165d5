//! HTTP/1.1 as a strict client reads it.

use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::{
    ask::{Ask, Kind, token},
    doors::Io,
};

pub(crate) type Wire = BufReader<Box<dyn Io>>;

/// How a client takes its time, if it does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Milliseconds between pieces of what it sends and reads.
    pub(crate) pause: u64,
    /// Whether it sends a body without telling its length first.
    pub(crate) is_chunked: bool,
}

/// A slow client's piece.
const PIECE: u64 = 8 * 1024;

impl Pace {
    async fn wait(self) {
        if self.pause > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(self.pause)).await;
        }
    }

    const fn piece(self) -> u64 {
        if self.pause > 0 { PIECE } else { 8 * PIECE }
    }
}

/// The head of an answer, as far as a client here looks at it.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) closes: bool,
    pub(crate) length: Option<u64>,
    pub(crate) is_chunked: bool,
    pub(crate) upstream: Option<String>,
    pub(crate) came: Option<String>,
    pub(crate) deprecation: Option<String>,
}

/// The head of a request; `framing` is the fields of its body.
pub(crate) fn head(ask: &Ask, framing: &str) -> String {
    let token = if ask.is_moved() {
        String::new()
    } else {
        format!("Authorization: Bearer {}\r\n", token(ask.id))
    };
    format!(
        "{} {} HTTP/1.1\r\nHost: h.example\r\n{token}{framing}\r\n",
        ask.method(),
        ask.target()
    )
}

/// Sends a request whole, at the client's pace.
pub(crate) async fn send(wire: &mut Wire, ask: &Ask, pace: Pace) -> io::Result<()> {
    let body = if ask.method() == "PUT" { ask.size } else { 0 };
    let framing = match (body, pace.is_chunked) {
        _ if ask.kind == Kind::Tunnel => "Connection: upgrade\r\nUpgrade: echo\r\n".to_owned(),
        (0, _) => String::new(),
        (_, true) => "Transfer-Encoding: chunked\r\n".to_owned(),
        (_, false) => format!("Content-Length: {body}\r\n"),
    };
    wire.write_all(head(ask, &framing).as_bytes()).await?;
    let mut offset = 0;
    while offset < body {
        let piece = super::ask::bytes(ask.id, offset, pace.piece().min(body - offset));
        if pace.is_chunked {
            wire.write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                .await?;
            wire.write_all(piece).await?;
            wire.write_all(b"\r\n").await?;
        } else {
            wire.write_all(piece).await?;
        }
        offset += piece.len() as u64;
        wire.flush().await?;
        pace.wait().await;
    }
    if body > 0 && pace.is_chunked {
        wire.write_all(b"0\r\n\r\n").await?;
    }
    wire.flush().await
}

async fn line(wire: &mut Wire) -> io::Result<String> {
    let mut line = String::new();
    wire.read_line(&mut line).await?;
    match line.strip_suffix("\r\n") {
        Some(text) => Ok(text.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads the head of an answer.
pub(crate) async fn read_head(wire: &mut Wire) -> io::Result<Head> {
    let start = line(wire).await?;
    let status = start
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok());
    let mut head = Head {
        status: status.ok_or_else(|| broken(&start))?,
        ..Head::default()
    };
    loop {
        let line = line(wire).await?;
        if line.is_empty() {
            return Ok(head);
        }
        let (name, value) = line.split_once(": ").ok_or_else(|| broken(&line))?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.parse().ok(),
            "transfer-encoding" => head.is_chunked = value == "chunked",
            "connection" => head.closes = value.eq_ignore_ascii_case("close"),
            "x-upstream" => head.upstream = Some(value.to_owned()),
            "x-came" => head.came = Some(value.to_owned()),
            "deprecation" => head.deprecation = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// Reads a body and gives it to `take`, which may refuse.
pub(crate) async fn read_body(
    wire: &mut Wire,
    head: &Head,
    pace: Pace,
    mut take: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    loop {
        let size = match (head.is_chunked, head.length) {
            (true, _) => {
                let text = line(wire).await?;
                u64::from_str_radix(&text, 16).map_err(|_| broken(&text))?
            }
            (false, Some(length)) => length,
            (false, None) => return Err(broken("no framing")),
        };
        let mut left = size;
        while left > 0 {
            let most = left.min(pace.piece()) as usize;
            let filled = wire.fill_buf().await?;
            let count = filled.len().min(most);
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if !take(&filled[..count]) {
                return Err(broken("other bytes than the upstream sent"));
            }
            wire.consume(count);
            left -= count as u64;
            pace.wait().await;
        }
        if !head.is_chunked {
            return Ok(());
        }
        if !line(wire).await?.is_empty() {
            return Err(broken("chunk without its end"));
        }
        if size == 0 {
            return Ok(());
        }
    }
}

/// Sends bytes through a tunnel and expects them back.
pub(crate) async fn echo(wire: &mut Wire, ask: &Ask, offset: u64) -> io::Result<()> {
    let piece = super::ask::bytes(ask.id, offset, PIECE);
    wire.write_all(piece).await?;
    wire.flush().await?;
    let mut back = vec![0; piece.len()];
    wire.read_exact(&mut back).await?;
    if back == piece {
        Ok(())
    } else {
        Err(broken("other bytes than were sent"))
    }
}
