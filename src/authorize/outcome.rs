//! What the upstream is to get, read from the head that it would have got from us.

/// What a proxy that asks has to send on in place of what its client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome<'h> {
    /// The target, without its token.
    pub target: &'h [u8],
    /// The fields behind the request line.
    fields: &'h [u8],
}

impl<'h> Outcome<'h> {
    /// Reads a head that [`plan`](crate::plan) wrote.
    #[must_use]
    pub fn of(head: &'h [u8]) -> Option<Self> {
        let (line, fields) = head.split_at_checked(memchr::memchr(b'\n', head)?)?;
        let line = line.strip_suffix(b"\r")?.strip_suffix(b" HTTP/1.1")?;
        let (_, target) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
        Some(Self {
            target: target.get(1..)?,
            fields: fields.get(1..)?,
        })
    }

    /// The values of the fields of that name, in any case.
    pub fn values(&self, name: &'static str) -> impl Iterator<Item = &'h [u8]> {
        self.lines().filter_map(move |line| {
            let (found, value) = line.split_at_checked(name.len())?;
            let is_name = found.eq_ignore_ascii_case(name.as_bytes());
            is_name.then(|| value.strip_prefix(b": ")).flatten()
        })
    }

    /// Whether there is a field of that name, in any case.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.lines().any(|line| {
            line.split_at_checked(name.len())
                .is_some_and(|(found, rest)| {
                    found.eq_ignore_ascii_case(name) && rest.starts_with(b":")
                })
        })
    }

    fn lines(&self) -> impl Iterator<Item = &'h [u8]> {
        let mut rest = self.fields;
        std::iter::from_fn(move || {
            let (line, behind) = rest.split_at_checked(memchr::memchr(b'\n', rest)?)?;
            rest = behind.get(1..)?;
            Some(line.strip_suffix(b"\r").unwrap_or(line))
        })
    }
}

/// Whether a field may have this value: nobody must be able to add a line to an answer.
#[must_use]
pub fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_head_of_ours() {
        let head = b"GET /p?a=b HTTP/1.1\r\nHost: h\r\nauthorization: Bearer FAKE\r\n\
                     X-A: b\r\nAuthorization: Basic x\r\n\r\n";
        let outcome = Outcome::of(head).unwrap();
        assert_eq!(outcome.target, b"/p?a=b");
        let found: Vec<_> = outcome.values("authorization").collect();
        assert_eq!(found, [&b"Bearer FAKE"[..], b"Basic x"]);
        assert_eq!(outcome.values("referer").next(), None);
        assert!(outcome.has(b"X-a") && !outcome.has(b"X") && !outcome.has(b"X-A: b"));
        for (name, bytes) in [
            ("nothing", &b""[..]),
            ("not whole", b"GET /"),
            ("another version", b"GET / HTTP/1.0\r\n\r\n"),
        ] {
            assert_eq!(Outcome::of(bytes), None, "case: {name}");
        }
    }
}
