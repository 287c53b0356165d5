//! The ways in which a credential comes to stand in a log.

use std::fmt::Write as _;

/// The part of a request that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Query,
    Referer,
    /// `Authorization`.
    Header,
}

pub(crate) struct Spelling {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    /// The secret as the client wrote it.
    pub(crate) value: fn(&str) -> String,
    /// All of the part.
    pub(crate) write: fn(&str) -> String,
    pub(crate) times: usize,
    /// Whether only its shape gives it away.
    pub(crate) is_bare: bool,
}

impl Spelling {
    const fn query(name: &'static str, write: fn(&str) -> String) -> Self {
        Self {
            name,
            place: Place::Query,
            value: str::to_owned,
            write,
            times: 1,
            is_bare: false,
        }
    }

    const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    const fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    const fn bare(self) -> Self {
        Self {
            is_bare: true,
            ..self
        }
    }

    const fn valued(self, value: fn(&str) -> String) -> Self {
        Self { value, ..self }
    }
}

const SYNC: &str = "/_matrix/client/v3/sync";

pub(crate) const SPELLINGS: &[Spelling] = &[
    Spelling::query("plain", |secret| format!("{SYNC}?access_token={secret}")),
    Spelling::query("among others", |secret| {
        format!("{SYNC}?filter=1&access_token={secret}&timeout=30000")
    }),
    Spelling::query("a letter encoded", |secret| {
        format!("{SYNC}?%61ccess_token={secret}")
    }),
    Spelling::query("the underscore encoded", |secret| {
        format!("{SYNC}?access%5Ftoken={secret}&a=1")
    }),
    Spelling::query("the whole name encoded", |secret| {
        format!("{SYNC}?{}={secret}", encoded("access_token"))
    }),
    Spelling::query("the name encoded twice", |secret| {
        format!("{SYNC}?access%255Ftoken={secret}")
    }),
    Spelling::query("another case", |secret| {
        format!("{SYNC}?Access_Token={secret}")
    }),
    Spelling::query("without an underscore", |secret| {
        format!("{SYNC}?accessToken={secret}")
    }),
    Spelling::query("the value encoded", |secret| {
        format!("{SYNC}?access_token={secret}&a=1")
    })
    .valued(encoded),
    Spelling::query("nested", |secret| {
        format!("/login?next=%2Fp%3Fa%3D1%26access_token%3D{secret}%26b%3D2&c=3")
    }),
    Spelling::query("nested twice", |secret| {
        format!("/login?next=%252Fp%253Faccess_token%253D{secret}")
    }),
    Spelling::query("behind a semicolon", |secret| {
        format!("{SYNC}?a=1;access_token={secret}")
    }),
    Spelling::query("repeated", |secret| {
        format!("{SYNC}?access_token={secret}&access_token={secret}")
    })
    .times(2),
    Spelling::query("in a form's words", |secret| {
        format!("/form?grant_type=refresh_token&refresh_token={secret}")
    }),
    Spelling::query("of a login", |secret| format!("/?loginToken={secret}")),
    Spelling::query("with nothing but its shape", |secret| {
        format!("/files/{secret}?a=1")
    })
    .bare(),
    Spelling::query("of an appservice", |secret| {
        format!("/_matrix/app/v1/transactions/1?hs_token={secret}")
    }),
    Spelling::query("in a Referer", |secret| {
        format!("https://client.example/?access_token={secret}#/home")
    })
    .at(Place::Referer),
    Spelling::query("in a Referer, nested", |secret| {
        format!("https://client.example/?u=https%3A%2F%2Fh%2F%3Faccess_token%3D{secret}")
    })
    .at(Place::Referer),
    Spelling::query("in a header", |secret| format!("Bearer {secret}")).at(Place::Header),
];

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}
