//! Which fields of a request go on, and which forwarding fields are added.
//!
//! Hop-by-hop fields are dropped before anything is added: a client may name
//! `authorization` in `Connection`, and would have us drop the token we are about
//! to add. Forwarding fields are kept whole from a trusted peer and replaced whole
//! otherwise; appending would be wrong, since Synapse reads the leftmost address
//! and Tuwunel the rightmost.

use std::net::IpAddr;

use crate::{
    decimal,
    http1::{
        head::Field,
        survey::{self, Known, Survey},
    },
    redact::Redactor,
    relocate::{field, query::Names},
};

/// Who is at the other end of a client connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address; a unix socket has none.
    pub address: Option<IpAddr>,
    /// Whether it may say who its client is.
    pub is_trusted: bool,
    /// Whether it came by TLS.
    pub is_tls: bool,
}

impl Peer {
    /// The client's address as far as it can be known: a trusted peer's word,
    /// read from the right past every trusted hop, else the peer itself.
    #[must_use]
    pub fn client(
        &self,
        forwarded_for: Option<&[u8]>,
        is_trusted: impl Fn(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        if !self.is_trusted {
            return self.address;
        }
        let Some(said) = forwarded_for.and_then(|value| str::from_utf8(value).ok()) else {
            return self.address;
        };
        let mut hops = said
            .rsplit(',')
            .map_while(|hop| hop.trim().parse::<IpAddr>().ok());
        let mut nearest = self.address;
        hops.find(|hop| {
            nearest = Some(*hop);
            !is_trusted(*hop)
        })
        .or(nearest)
    }
}

/// What the steps before decided about single fields.
#[derive(Clone, Copy, Debug)]
pub struct Edits<'a> {
    /// Drop `Authorization`, because another takes its place.
    pub replaces_authorization: bool,
    /// Drop `Expect`, because we answered it.
    pub answers_expect: bool,
    /// Parameter names to cut from `Referer`.
    pub names: &'a Names,
    /// What masks the rest of it.
    pub redactor: &'a Redactor,
    /// Drop the fields that tell the upstream who it is: only we may say that.
    pub drops_identity: bool,
}

/// The fields that tell the upstream whose token it was.
pub const IDENTITY: [&str; 4] = [
    "X-Matrix-User",
    "X-Matrix-Device",
    "X-Token-Scope",
    "X-Token-Label",
];

/// Whether a field would pass as one of [`IDENTITY`]: tools that see fields as
/// variables do not tell `_` from `-`.
pub(crate) fn is_identity(name: &str) -> bool {
    let is = |known: &&str| {
        known.len() == name.len()
            && known.bytes().zip(name.bytes()).all(|(known, byte)| {
                known.eq_ignore_ascii_case(&byte) || (known, byte) == (b'-', b'_')
            })
    };
    matches!(name.as_bytes(), [b'x' | b'X', ..]) && IDENTITY.iter().any(is)
}

/// Appends the fields that pass, in the order and case they came in.
pub fn push_passing(
    out: &mut Vec<u8>,
    fields: &[Field<'_>],
    survey: &Survey<'_>,
    peer: &Peer,
    edits: &Edits<'_>,
) {
    for field in fields {
        let passes = match survey::known(field.name) {
            None if edits.drops_identity && is_identity(field.name) => false,
            None | Some(Known::ContentEncoding | Known::ContentType | Known::UserAgent) => {
                !is_nominated(field, survey)
            }
            Some(Known::Referer) => {
                if !is_nominated(field, survey) {
                    push(
                        out,
                        field.name,
                        &field::clean_referer(field.value, edits.names, edits.redactor),
                    );
                }
                false
            }
            // Never by nomination: whoever could drop these could change whose request it is.
            Some(Known::Authorization) => !edits.replaces_authorization,
            Some(Known::Expect) => !edits.answers_expect,
            Some(Known::Forwarding | Known::ForwardedFor) => peer.is_trusted,
            Some(
                Known::Connection
                | Known::ContentLength
                | Known::HopByHop
                | Known::Host
                | Known::Te
                | Known::TransferEncoding
                | Known::Upgrade,
            ) => false,
        };
        if passes {
            push(out, field.name, field.value);
        }
    }
}

fn is_nominated(field: &Field<'_>, survey: &Survey<'_>) -> bool {
    survey
        .nominated
        .iter()
        .any(|name| name.eq_ignore_ascii_case(field.name.as_bytes()))
}

/// Appends what the upstream has to know of this hop.
pub fn push_added(out: &mut Vec<u8>, survey: &Survey<'_>, peer: &Peer, host: &[u8]) {
    match survey.upgrade {
        Some(protocol) => {
            push(out, "Connection", b"Upgrade");
            push(out, "Upgrade", protocol);
        }
        None if survey.takes_trailers => {
            push(out, "Connection", b"TE");
            push(out, "TE", b"trailers");
        }
        None => {}
    }
    if peer.is_trusted {
        return;
    }
    let scheme = if peer.is_tls { "https" } else { "http" };
    match peer.address {
        Some(address) => push_address(out, address),
        None => out.extend_from_slice(b"Forwarded: for=unknown"),
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(scheme.as_bytes());
    out.extend_from_slice(b";host=\"");
    out.extend_from_slice(host);
    out.extend_from_slice(b"\"\r\n");
    push(out, "X-Forwarded-Proto", scheme.as_bytes());
    push(out, "X-Forwarded-Host", host);
}

/// Appends the fields that name the client, up to its part of `Forwarded`.
fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    decimal::push_address(out, address);
    out.extend_from_slice(b"\r\nX-Real-IP: ");
    decimal::push_address(out, address);
    // RFC 7239 section 6: an IPv6 address is quoted and in brackets.
    let (before, behind): (&[u8], &[u8]) = match address {
        IpAddr::V4(_) => (b"", b""),
        IpAddr::V6(_) => (b"\"[", b"]\""),
    };
    out.extend_from_slice(b"\r\nForwarded: for=");
    out.extend_from_slice(before);
    decimal::push_address(out, address);
    out.extend_from_slice(behind);
}

/// Appends one field line.
pub fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Takes every `Authorization` out of a head of ours that is complete.
pub fn drop_credentials(head: &mut Vec<u8>) {
    const NAME: &[u8] = b"authorization:";
    let mut at = 0_usize;
    while let Some(line) = head.get(at..).filter(|rest| !rest.is_empty()) {
        let end = memchr::memchr(b'\n', line).map_or(line.len(), |feed| feed.saturating_add(1));
        let is_credential = line
            .get(..NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        let behind = at.saturating_add(end);
        if is_credential {
            head.drain(at..behind);
        } else {
            at = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head;

    const TRUSTED: Peer = Peer {
        address: Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        is_trusted: true,
        is_tls: false,
    };
    const STRANGER: Peer = Peer {
        address: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
        is_trusted: false,
        is_tls: false,
    };

    fn forwarded(fields: &str, peer: &Peer) -> String {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
        let head = head::parse(head.as_bytes(), &mut room).unwrap();
        let survey = survey::survey(&head).unwrap();
        let edits = Edits {
            replaces_authorization: false,
            answers_expect: false,
            names: &Names::default(),
            redactor: &Redactor::default(),
            drops_identity: true,
        };
        let mut out = Vec::new();
        push_passing(&mut out, head.fields, &survey, peer, &edits);
        push_added(&mut out, &survey, peer, b"h");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn drops_what_is_for_this_hop() {
        let cases = [
            (
                "case and order kept",
                "x-B: 1\r\nX-a: 2\r\n",
                "x-B: 1\r\nX-a: 2\r\n",
            ),
            (
                "hop by hop",
                "Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nUpgrade: h2c\r\n",
                "",
            ),
            (
                "who it is, is for us to say",
                "X-Matrix-User: @a:b\r\nx_matrix_USER: @a:b\r\nX-Token_Scope: s\r\nX-Matrix-Userx: 1\r\n",
                "X-Matrix-Userx: 1\r\n",
            ),
            (
                "nominated",
                "Connection: X-A\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n",
                "X-C: 3\r\n",
            ),
            (
                "authorization cannot be nominated",
                "Connection: authorization\r\nAuthorization: Bearer FAKE\r\n",
                "Authorization: Bearer FAKE\r\n",
            ),
            (
                "trailers are asked for",
                "TE: trailers\r\n",
                "Connection: TE\r\nTE: trailers\r\n",
            ),
            (
                "upgrade is asked for",
                "Connection: upgrade\r\nUpgrade: websocket\r\n",
                "Connection: Upgrade\r\nUpgrade: websocket\r\n",
            ),
            (
                "referer cut",
                "Referer: /x?access_token=SECRET\r\n",
                "Referer: /x\r\n",
            ),
            (
                "trusted word passes",
                "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=a\r\n",
                "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=a\r\n",
            ),
        ];
        for (name, fields, expected) in cases {
            assert_eq!(forwarded(fields, &TRUSTED), expected, "case: {name}");
        }
    }

    #[test]
    fn a_stranger_is_named_by_us_alone() {
        let out = forwarded(
            "X-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nForwarded: for=a\r\nX-Forwarded-Proto: https\r\n",
            &STRANGER,
        );
        assert_eq!(
            out,
            "X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\n\
             Forwarded: for=192.0.2.7;proto=http;host=\"h\"\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n"
        );
    }

    #[test]
    fn finds_the_client_behind_trusted_hops() {
        let trusted = |address: IpAddr| address.is_loopback();
        let cases = [
            ("nobody said", &TRUSTED, None, "127.0.0.1"),
            ("one hop", &TRUSTED, Some("192.0.2.1"), "192.0.2.1"),
            (
                "forged by the client",
                &TRUSTED,
                Some("6.6.6.6, 192.0.2.1"),
                "192.0.2.1",
            ),
            (
                "trusted hops skipped",
                &TRUSTED,
                Some("192.0.2.1, 127.0.0.1"),
                "192.0.2.1",
            ),
            (
                "garbage ends it",
                &TRUSTED,
                Some("192.0.2.1, x, 127.0.0.1"),
                "127.0.0.1",
            ),
            (
                "a stranger's word is nothing",
                &STRANGER,
                Some("1.2.3.4"),
                "192.0.2.7",
            ),
        ];
        for (name, peer, said, expected) in cases {
            let client = peer.client(said.map(str::as_bytes), trusted);
            assert_eq!(client.unwrap().to_string(), expected, "case: {name}");
        }
    }

    #[test]
    fn credentials_are_dropped_whole() {
        let cases = [
            (
                "one",
                "GET /authorization: HTTP/1.1\r\nA: b\r\nAuthorization: Bearer SECRET\r\n\r\n",
            ),
            (
                "in any case",
                "GET /authorization: HTTP/1.1\r\naUTHORIZATION: x\r\nA: b\r\n\r\n",
            ),
            (
                "two",
                "GET /authorization: HTTP/1.1\r\nAuthorization: x\r\nAuthorization:y\r\nA: b\r\n\r\n",
            ),
            ("none", "GET /authorization: HTTP/1.1\r\nA: b\r\n\r\n"),
        ];
        for (name, head) in cases {
            let mut head = head.as_bytes().to_vec();
            drop_credentials(&mut head);
            let left = String::from_utf8(head).unwrap();
            assert_eq!(
                left, "GET /authorization: HTTP/1.1\r\nA: b\r\n\r\n",
                "case: {name}"
            );
        }
    }
}
