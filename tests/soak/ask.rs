//! One request, and the bytes that both ends know of it.

use std::sync::OnceLock;

/// Which upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// One that always answers; which of two depends on the file in effect.
    Stable,
    /// One that dies, behind TCP.
    Flaky,
    /// One that dies, behind a unix socket.
    Fickle,
    /// One that always answers, behind TLS.
    Tls,
    /// The same, and it speaks HTTP/2.
    Http2,
    /// One that speaks HTTP/2, and dies.
    Torn,
}

impl Site {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Flaky => "flaky",
            Self::Fickle => "fickle",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Torn => "torn",
        }
    }
}

/// What the upstream is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To answer with so many bytes.
    Get,
    /// The same, in chunks and not at once.
    Drip,
    /// To take so many bytes.
    Put,
    /// To answer after so many milliseconds.
    Hold,
    /// To become an echo.
    Tunnel,
    /// Never to answer.
    Hang,
    /// To break off in the middle of so many bytes.
    Cut,
    /// To close the connection instead of answering.
    Mute,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Get,
        Self::Drip,
        Self::Put,
        Self::Hold,
        Self::Tunnel,
        Self::Hang,
        Self::Cut,
        Self::Mute,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Drip => "drip",
            Self::Put => "put",
            Self::Hold => "hold",
            Self::Tunnel => "tunnel",
            Self::Hang => "hang",
            Self::Cut => "cut",
            Self::Mute => "mute",
        }
    }
}

/// A request; its number is in its path, and there is no other with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) id: u64,
    pub(crate) site: Site,
    pub(crate) kind: Kind,
    /// Bytes, or milliseconds.
    pub(crate) size: u64,
}

/// In every token, and in no output.
pub(crate) const CANARY: &str = "FAKE_CANARY";

impl Ask {
    /// As the upstream reads it from a path.
    pub(crate) fn parse(path: &str) -> Option<(Kind, u64, u64)> {
        let mut parts = path.split('/').skip(2);
        let kind = parts.next()?;
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
        Some((
            kind,
            parts.next()?.parse().ok()?,
            parts.next()?.parse().ok()?,
        ))
    }

    pub(crate) fn method(&self) -> &'static str {
        if self.kind == Kind::Put { "PUT" } else { "GET" }
    }

    /// Half of them have the token in the query.
    pub(crate) fn is_moved(&self) -> bool {
        self.id.is_multiple_of(2)
    }

    pub(crate) fn target(&self) -> String {
        let Self {
            id,
            site,
            kind,
            size,
        } = self;
        let path = format!("/{}/{}/{id}/{size}", site.name(), kind.name());
        if self.is_moved() {
            format!("{path}?access_token={}", token(*id))
        } else {
            path
        }
    }

    /// How many bytes the answer has.
    pub(crate) fn length(&self) -> u64 {
        match self.kind {
            Kind::Get | Kind::Drip | Kind::Cut => self.size,
            _ => SHORT,
        }
    }
}

/// The length of an answer that is not about its length.
pub(crate) const SHORT: u64 = 40;

pub(crate) fn token(id: u64) -> String {
    format!("{CANARY}_{id}")
}

/// Bytes of the body with this number, from `offset` on: at least one, at most `most`.
pub(crate) fn bytes(id: u64, offset: u64, most: u64) -> &'static [u8] {
    const LENGTH: u64 = 1 << 16;
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut random = super::random::Random::new(1);
        (0..LENGTH).map(|_| random.below(256) as u8).collect()
    });
    let start = id.wrapping_mul(7919).wrapping_add(offset) % LENGTH;
    let end = LENGTH.min(start + most);
    &table[start as usize..end as usize]
}

/// Compares a body with what it has to be, as it comes.
pub(crate) struct Check {
    id: u64,
    offset: u64,
}

impl Check {
    pub(crate) const fn new(id: u64) -> Self {
        Self { id, offset: 0 }
    }

    /// Whether these are the next bytes.
    pub(crate) fn take(&mut self, mut piece: &[u8]) -> bool {
        while !piece.is_empty() {
            let expected = bytes(self.id, self.offset, piece.len() as u64);
            let (now, rest) = piece.split_at(expected.len());
            if now != expected {
                return false;
            }
            self.offset += now.len() as u64;
            piece = rest;
        }
        true
    }

    pub(crate) const fn length(&self) -> u64 {
        self.offset
    }
}
