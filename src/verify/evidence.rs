//! A 401 of the upstream on its way to the client, seen whole before it is believed.

use super::learn::{self, Lesson};
use crate::http1::head::Field;

/// What the head of a 401 says of its body.
#[derive(Clone, Debug)]
pub struct Evidence {
    content_type: Option<Vec<u8>>,
    content_encoding: Option<Vec<u8>>,
}

impl Evidence {
    /// Begins with the head's fields.
    #[must_use]
    pub fn begin(fields: &[Field<'_>]) -> Self {
        let values = |name: &'static str| {
            let is = move |field: &&Field<'_>| field.name.eq_ignore_ascii_case(name);
            fields.iter().filter(is).map(|field| field.value)
        };
        let (mut types, codings) = (values("content-type"), values("content-encoding"));
        Self {
            // Of two, nobody knows which counts: then it is none.
            content_type: types
                .next()
                .filter(|_| types.next().is_none())
                .map(<[u8]>::to_vec),
            content_encoding: codings
                .map(<[u8]>::to_vec)
                .reduce(|all, coding| [all, coding].join(&b", "[..])),
        }
    }

    /// What it teaches, with the whole body.
    #[must_use]
    pub fn lesson(&self, body: &[u8]) -> Option<Lesson> {
        learn::lesson(
            401,
            self.content_type.as_deref(),
            self.content_encoding.as_deref(),
            body,
        )
    }
}
