//! What is said of one secret.

use std::{borrow::Cow, ops::Range};

use super::{
    placeholder,
    token::{self, Checksum, Token},
    unit,
};

/// One secret: where it stands and how it was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The bytes of the secret, still encoded.
    pub span: Range<usize>,
    /// What gave it away.
    pub kind: Kind,
    /// What reports call the value of the name beside it.
    pub(super) name: Option<&'static str>,
}

impl Finding {
    /// How sure it is that this is a secret.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        match self.kind.token() {
            Some(Token {
                checksum: Checksum::Verified,
                ..
            }) => Confidence::Verified,
            Some(_) => Confidence::Shape,
            None => Confidence::Context,
        }
    }

    /// What reports call it, one of a fixed set: by its shape, else by its name.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        match self.kind.token() {
            Some(token) => token.kind.name(),
            None => self.name.unwrap_or("token"),
        }
    }

    /// The secret as it was minted, without the encodings of the place where it stands.
    ///
    /// Decodes as often as the engine reads: no server mints a token that has an escape.
    #[must_use]
    pub fn decoded<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let raw = text.get(self.span.clone()).unwrap_or_default();
        if memchr::memchr2(b'%', b'\\', raw).is_none() {
            return Cow::Borrowed(raw);
        }
        let mut decoded = Vec::with_capacity(raw.len());
        let mut at = 0;
        while let Some(unit) = unit::read(raw, at) {
            at = at.saturating_add(unit.width);
            match raw.get(at) {
                // JSON writes a quote, a backslash and (if it likes) a slash like this.
                Some(b'"' | b'\\' | b'/') if unit.byte == b'\\' && unit.is_raw() => {}
                _ => decoded.push(unit.byte),
            }
        }
        Cow::Owned(decoded)
    }

    /// What reports call a token whose line ended before it did, as nginx cuts its error
    /// log at 2 kB: what it is can be told, which one cannot.
    #[must_use]
    pub fn cut_name(&self, line: &[u8]) -> Option<&'static str> {
        let token = self
            .kind
            .token()
            .filter(|token| token.checksum == Checksum::Absent && self.span.end == line.len());
        token.and_then(|token| token.kind.cut_name())
    }

    /// Whether it is no secret but what somebody wrote in the place of one.
    ///
    /// [`mask`](super::mask) masks it all the same: it does not decide what is harmless.
    /// Nothing that has the shape of a token looks like one, classified or not.
    #[must_use]
    pub fn is_placeholder(&self, text: &[u8]) -> bool {
        self.kind.token().is_none() && placeholder::is_one(&self.decoded(text))
    }

    /// What its name says of it, if anything.
    #[must_use]
    pub(crate) fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The same with the token that its value is, if that has the shape of one.
    #[must_use]
    pub fn classified(self, text: &[u8]) -> Self {
        let token = || text.get(self.span.clone()).and_then(token::alone);
        let kind = match self.kind {
            Kind::Parameter(None) => Kind::Parameter(token()),
            Kind::Field(None) => Kind::Field(token()),
            Kind::Authorization(None) => Kind::Authorization(token()),
            known => known,
        };
        Self { kind, ..self }
    }

    /// The same with what its name says of it.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self {
            name: Some(name),
            ..self
        }
    }
}

/// What gave a secret away: its surroundings, or only its own shape.
///
/// A value whose name gave it away is looked at as well: the token says which
/// server made it, if its shape is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `name=value` of a query, form or configuration line.
    Parameter(Option<Token>),
    /// `"name": "value"` of JSON, debug output or a header line.
    Field(Option<Token>),
    /// Credentials of an `Authorization` field, or behind a bare `Bearer`.
    Authorization(Option<Token>),
    /// Nothing named it; the shape is enough.
    Token(Token),
}

impl Kind {
    /// The token, where the secret has the shape of one.
    #[must_use]
    pub fn token(self) -> Option<Token> {
        match self {
            Self::Parameter(token) | Self::Field(token) | Self::Authorization(token) => token,
            Self::Token(token) => Some(token),
        }
    }
}

/// How much a finding proves, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It stands where a secret stands.
    Context,
    /// It has the shape of a token.
    Shape,
    /// Its checksum is right: a server minted it.
    Verified,
}
