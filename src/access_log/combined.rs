//! nginx's `combined` format, so that `GoAccess`, fail2ban and every log tool
//! read it. The remote user is the token's fingerprint.

use std::io::Write as _;

use super::{Entry, Stamp};
use crate::http1::head::Version;

/// Appends one line.
pub(super) fn push(out: &mut Vec<u8>, entry: &Entry, stamp: &Stamp) {
    // Writing to a Vec cannot fail.
    let _ = match entry.client {
        Some(address) => write!(out, "{address} - "),
        None => write!(out, "unix: - "),
    };
    let _ = match entry.fingerprint {
        Some(fingerprint) => write!(out, "{fingerprint}"),
        None => write!(out, "-"),
    };
    out.extend_from_slice(b" [");
    out.extend_from_slice(stamp.local.as_bytes());
    out.extend_from_slice(b"] \"");
    push_escaped(out, entry.part(&entry.method));
    if !entry.method.is_empty() {
        out.push(b' ');
    }
    push_escaped(out, entry.part(&entry.target));
    out.extend_from_slice(match entry.version {
        Some(Version::Http10) => b" HTTP/1.0",
        Some(Version::Http11) => b" HTTP/1.1",
        None => b"",
    });
    let _ = write!(out, "\" {} {} \"", entry.status(), entry.bytes);
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
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.iter().all(is_plain) {
        out.extend_from_slice(text);
        return;
    }
    for byte in text {
        if is_plain(byte) {
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
