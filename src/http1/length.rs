//! Where a body ends (RFC 9112 section 6.3), for requests and responses.

use super::head::Version;
use crate::refusal::{Malformed, Refusal};

/// How a message tells the length of its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// There is no body.
    #[default]
    Zero,
    /// `Content-Length`, at least 1.
    Sized(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Until the connection closes; responses only.
    UntilClose,
}

/// The framing fields of one message, as they are met.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framing {
    sized: Option<u64>,
    chunked: bool,
    other_coding: bool,
    conflict: bool,
}

impl Framing {
    /// Takes a `Content-Length` field.
    pub fn content_length(&mut self, value: &[u8]) {
        let length = if value.iter().all(u8::is_ascii_digit) {
            str::from_utf8(value)
                .ok()
                .and_then(|digits| digits.parse().ok())
        } else {
            None
        };
        // Twice is refused even when equal: who repeats it may mean two things.
        self.conflict |= self.sized.is_some() || length.is_none();
        self.sized = length;
    }

    /// Takes a `Transfer-Encoding` field. Only `chunked`, once, is understood.
    pub fn transfer_encoding(&mut self, value: &[u8]) {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            self.other_coding = true;
        }
        self.chunked = true;
    }

    /// Whether a length was given, be it zero: some servers refuse a `POST`
    /// without one.
    #[must_use]
    pub const fn is_sized(self) -> bool {
        self.sized.is_some()
    }

    /// The length of a request's body.
    ///
    /// # Errors
    ///
    /// 501 for codings that are not understood, 400 for everything two readers could
    /// read differently.
    pub fn of_request(self, version: Version) -> Result<Length, Refusal> {
        let malformed = Refusal::Malformed(Malformed::Length);
        if self.other_coding {
            return Err(Refusal::TransferCoding);
        }
        if self.conflict || (self.chunked && (self.sized.is_some() || version == Version::Http10)) {
            return Err(malformed);
        }
        Ok(match (self.chunked, self.sized) {
            (true, _) => Length::Chunked,
            (false, None | Some(0)) => Length::Zero,
            (false, Some(length)) => Length::Sized(length),
        })
    }

    /// Whether the lengths that came are not one length. A message without a body
    /// may say so all the same, to a client that believes one of them.
    #[must_use]
    pub const fn is_conflict(self) -> bool {
        self.conflict
    }

    /// Whether a length came beside the chunks, be it one that is none.
    #[must_use]
    pub const fn is_double(self) -> bool {
        self.chunked && (self.sized.is_some() || self.conflict)
    }

    /// The length of a response's body; `None` if it cannot be told.
    #[must_use]
    pub fn of_response(self, version: Version, status: u16, to_head: bool) -> Option<Length> {
        if to_head || matches!(status, 100..=199 | 204 | 304) {
            return Some(Length::Zero);
        }
        if self.other_coding || (self.conflict && !self.chunked) {
            return None;
        }
        // Some take such chunks for the body itself (RFC 9112 section 6.1).
        if self.chunked && version == Version::Http10 {
            return None;
        }
        Some(match (self.chunked, self.sized) {
            (true, _) => Length::Chunked,
            (false, Some(0)) => Length::Zero,
            (false, Some(length)) => Length::Sized(length),
            (false, None) => Length::UntilClose,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(sized: &[&str], codings: &[&str]) -> Framing {
        let mut framing = Framing::default();
        for value in sized {
            framing.content_length(value.as_bytes());
        }
        for value in codings {
            framing.transfer_encoding(value.as_bytes());
        }
        framing
    }

    #[test]
    fn tells_the_length_of_requests() {
        type Case<'a> = (
            &'a str,
            &'a [&'a str],
            &'a [&'a str],
            Result<Length, Refusal>,
        );
        let bad = Err(Refusal::Malformed(Malformed::Length));
        let coding = Err(Refusal::TransferCoding);
        let cases: [Case<'_>; 14] = [
            ("none", &[], &[], Ok(Length::Zero)),
            ("zero", &["0"], &[], Ok(Length::Zero)),
            ("sized", &["12"], &[], Ok(Length::Sized(12))),
            (
                "chunked in any case",
                &[],
                &["Chunked"],
                Ok(Length::Chunked),
            ),
            ("both: smuggling", &["3"], &["chunked"], bad),
            ("twice equal", &["3", "3"], &[], bad),
            ("list", &["3, 3"], &[], bad),
            ("sign", &["+3"], &[], bad),
            ("empty", &[""], &[], bad),
            ("past 64 bits", &["18446744073709551616"], &[], bad),
            ("gzip", &[], &["gzip, chunked"], coding),
            ("chunked twice", &[], &["chunked", "chunked"], coding),
            ("chunked listed twice", &[], &["chunked, chunked"], coding),
            ("identity", &[], &["identity"], coding),
        ];
        for (name, sized, codings, expected) in cases {
            assert_eq!(
                framing(sized, codings).of_request(Version::Http11),
                expected,
                "case: {name}"
            );
        }
        assert_eq!(
            framing(&[], &["chunked"]).of_request(Version::Http10),
            bad,
            "1.0 knows no chunks"
        );
    }

    #[test]
    fn tells_the_length_of_responses() {
        type Case<'a> = (&'a str, u16, bool, Framing, Option<Length>);
        let cases: [Case<'_>; 7] = [
            (
                "to HEAD",
                200,
                true,
                framing(&["9"], &[]),
                Some(Length::Zero),
            ),
            (
                "not modified",
                304,
                false,
                framing(&["9"], &[]),
                Some(Length::Zero),
            ),
            (
                "sized",
                200,
                false,
                framing(&["9"], &[]),
                Some(Length::Sized(9)),
            ),
            (
                "both: chunked wins",
                200,
                false,
                framing(&["9"], &["chunked"]),
                Some(Length::Chunked),
            ),
            (
                "neither",
                200,
                false,
                framing(&[], &[]),
                Some(Length::UntilClose),
            ),
            ("other coding", 200, false, framing(&[], &["gzip"]), None),
            ("two lengths", 200, false, framing(&["1", "2"], &[]), None),
        ];
        for (name, status, to_head, framing, expected) in cases {
            assert_eq!(
                framing.of_response(Version::Http11, status, to_head),
                expected,
                "case: {name}"
            );
        }
        let chunked = framing(&[], &["chunked"]);
        assert_eq!(
            chunked.of_response(Version::Http10, 200, false),
            None,
            "1.0 knows no chunks"
        );
    }
}
