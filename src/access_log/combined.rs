//! nginx's `combined` format, so that `GoAccess`, fail2ban and every log tool
//! read it. The remote user is the token's fingerprint.

use std::io::Write as _;

use super::{Entry, Stamp};
use crate::{decimal, scan};

/// Appends one line.
pub(super) fn push(out: &mut Vec<u8>, entry: &Entry, stamp: &Stamp) {
    match entry.client {
        Some(address) => decimal::push_address(out, address),
        None => out.extend_from_slice(b"unix:"),
    }
    out.extend_from_slice(b" - ");
    match entry.fingerprint {
        Some(fingerprint) => out.extend_from_slice(&fingerprint.text()),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b" [");
    out.extend_from_slice(stamp.local.as_bytes());
    out.extend_from_slice(b"] \"");
    push_escaped(out, entry.part(&entry.method));
    if !entry.method.is_empty() {
        out.push(b' ');
    }
    push_escaped(out, entry.part(&entry.target));
    if let Some(protocol) = entry.protocol() {
        out.push(b' ');
        out.extend_from_slice(protocol.as_bytes());
    }
    out.extend_from_slice(b"\" ");
    decimal::push(out, entry.status().into());
    out.push(b' ');
    decimal::push(out, entry.bytes);
    out.extend_from_slice(b" \"");
    push_field(out, entry, entry.referer.as_ref());
    out.extend_from_slice(b"\" \"");
    push_field(out, entry, entry.user_agent.as_ref());
    out.extend_from_slice(b"\"\n");
}

fn push_field(out: &mut Vec<u8>, entry: &Entry, field: Option<&std::ops::Range<usize>>) {
    match field {
        Some(range) if !range.is_empty() => push_escaped(out, entry.part(range)),
        _ => out.push(b'-'),
    }
}

/// nginx's escaping: `"`, `\` and everything that is not printable ASCII.
fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    const MARKED: [u8; 2] = *b"\"\\";
    if scan::is_all(text, b' '..=b'~', MARKED) {
        out.extend_from_slice(text);
        return;
    }
    for byte in text {
        if matches!(byte, b' '..=b'~') && !MARKED.contains(byte) {
            out.push(*byte);
        } else {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_cannot_forge_a_field() {
        let mut out = Vec::new();
        push_escaped(&mut out, b"a\" 200 \\\n\xff");
        assert_eq!(out, br"a\x22 200 \x5C\x0A\xFF");
    }
}
