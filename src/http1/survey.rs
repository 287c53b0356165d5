//! One look over the fields of a request: what the later steps ask for.

use super::{
    head::{Field, RequestHead, Version, is_named},
    length::{Framing, Length},
};
use crate::{
    field_value::{is_host, is_media_type, list},
    refusal::{Malformed, Refusal},
    relocate::Authorization,
};

/// The fields we know by name; every other field passes as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// RFC 9110 section 11.6.2.
    Authorization,
    /// RFC 9110 section 7.6.1.
    Connection,
    /// RFC 9110 section 8.4.
    ContentEncoding,
    /// RFC 9110 section 8.6.
    ContentLength,
    /// RFC 9110 section 8.3.
    ContentType,
    /// RFC 9110 section 10.1.1.
    Expect,
    /// RFC 7239, `X-Forwarded-*` and `X-Real-IP`: who the client was.
    Forwarding,
    /// The one of them that carries addresses, `X-Forwarded-For`.
    ForwardedFor,
    /// RFC 9110 section 7.2.
    Host,
    /// `Keep-Alive`, `Proxy-Connection`, `Proxy-Authorization`: for this hop.
    HopByHop,
    /// RFC 9110 section 10.1.3.
    Referer,
    /// RFC 9110 section 10.1.4.
    Te,
    /// RFC 9112 section 6.1.
    TransferEncoding,
    /// RFC 9110 section 7.8.
    Upgrade,
    /// RFC 9110 section 10.1.5.
    UserAgent,
}

/// Recognises a field by name, in any case.
#[must_use]
pub fn known(name: &str) -> Option<Known> {
    match name.len() {
        2 if is_named(name, b"te") => Some(Known::Te),
        4 if is_named(name, b"host") => Some(Known::Host),
        6 if is_named(name, b"expect") => Some(Known::Expect),
        7 if is_named(name, b"referer") => Some(Known::Referer),
        7 if is_named(name, b"upgrade") => Some(Known::Upgrade),
        9 if is_named(name, b"forwarded") || is_named(name, b"x-real-ip") => {
            Some(Known::Forwarding)
        }
        10 if is_named(name, b"user-agent") => Some(Known::UserAgent),
        10 if is_named(name, b"connection") => Some(Known::Connection),
        10 if is_named(name, b"keep-alive") => Some(Known::HopByHop),
        12 if is_named(name, b"content-type") => Some(Known::ContentType),
        13 if is_named(name, b"authorization") => Some(Known::Authorization),
        14 if is_named(name, b"content-length") => Some(Known::ContentLength),
        15 if is_named(name, b"x-forwarded-for") => Some(Known::ForwardedFor),
        16 if is_named(name, b"content-encoding") => Some(Known::ContentEncoding),
        16 if is_named(name, b"x-forwarded-host") || is_named(name, b"x-forwarded-port") => {
            Some(Known::Forwarding)
        }
        16 if is_named(name, b"proxy-connection") => Some(Known::HopByHop),
        17 if is_named(name, b"transfer-encoding") => Some(Known::TransferEncoding),
        17 if is_named(name, b"x-forwarded-proto") => Some(Known::Forwarding),
        19 if is_named(name, b"proxy-authorization") => Some(Known::HopByHop),
        _ => None,
    }
}

/// What the fields of a request say, as far as it concerns a proxy.
#[derive(Clone, Debug, Default)]
pub struct Survey<'r> {
    /// The one `Host`; only HTTP/1.0 may come without.
    pub host: Option<&'r [u8]>,
    /// Where the body ends.
    pub length: Length,
    /// Whether `Content-Length` came, be it zero.
    pub is_sized: bool,
    /// Whether the client keeps the connection open.
    pub keep_alive: bool,
    /// What the client wants to change to.
    pub upgrade: Option<&'r [u8]>,
    /// Whether the client reads trailers.
    pub takes_trailers: bool,
    /// Whether the client waits for a `100 Continue`.
    pub expects_continue: bool,
    /// The credential fields.
    pub authorization: Authorization<'r>,
    /// Whether the body is a form (and not compressed, or we could not read it).
    pub has_form: bool,
    /// Whether the body is a multipart form, which we do not look into.
    pub has_multipart: bool,
    /// The page the request came from.
    pub referer: Option<&'r [u8]>,
    /// The client software.
    pub user_agent: Option<&'r [u8]>,
    /// The last `X-Forwarded-For`.
    pub forwarded_for: Option<&'r [u8]>,
    /// Further fields that `Connection` names, which go no further.
    pub nominated: Vec<&'r [u8]>,
}

/// What is needed only until the survey is complete.
#[derive(Default)]
struct Draft<'r> {
    framing: Framing,
    hosts: usize,
    close: bool,
    keep_alive: bool,
    wants_upgrade: bool,
    upgrade: Option<&'r [u8]>,
    is_encoded: bool,
}

/// Looks over the fields.
///
/// # Errors
///
/// [`Refusal`] where host or framing could be read in two ways.
pub fn survey<'r>(head: &RequestHead<'r, '_>) -> Result<Survey<'r>, Refusal> {
    let (mut survey, mut draft) = (Survey::default(), Draft::default());
    for field in head.fields {
        if let Some(known) = known(field.name) {
            note(known, field, &mut survey, &mut draft);
        }
    }
    let is_host_right = match draft.hosts {
        0 => head.version == Version::Http10,
        1 => survey.host.is_some_and(is_host),
        _ => false,
    };
    if !is_host_right {
        return Err(Refusal::Malformed(Malformed::Host));
    }
    survey.length = draft.framing.of_request(head.version)?;
    survey.is_sized = draft.framing.is_sized();
    survey.has_form &= !draft.is_encoded;
    match head.version {
        Version::Http11 => survey.keep_alive = !draft.close,
        Version::Http10 => {
            survey.keep_alive = draft.keep_alive && !draft.close;
            survey.expects_continue = false;
        }
    }
    let may_upgrade =
        draft.wants_upgrade && head.version == Version::Http11 && survey.length == Length::Zero;
    survey.upgrade = draft
        .upgrade
        .filter(|protocols| may_upgrade && !list(protocols).any(is_http2));
    Ok(survey)
}

/// Takes one field into account.
fn note<'r>(known: Known, field: &Field<'r>, survey: &mut Survey<'r>, draft: &mut Draft<'r>) {
    let value = field.value;
    match known {
        Known::Authorization => {
            survey.authorization = match survey.authorization {
                Authorization::Absent => Authorization::One(value),
                _ => Authorization::Several,
            };
        }
        Known::Connection => {
            for option in list(value) {
                match option {
                    _ if option.eq_ignore_ascii_case(b"close") => draft.close = true,
                    _ if option.eq_ignore_ascii_case(b"keep-alive") => draft.keep_alive = true,
                    _ if option.eq_ignore_ascii_case(b"upgrade") => draft.wants_upgrade = true,
                    _ => survey.nominated.push(option),
                }
            }
        }
        Known::ContentEncoding => draft.is_encoded |= !value.eq_ignore_ascii_case(b"identity"),
        Known::ContentLength => draft.framing.content_length(value),
        Known::ContentType => {
            survey.has_form |= is_media_type(value, b"application/x-www-form-urlencoded");
            survey.has_multipart |= is_media_type(value, b"multipart/form-data");
        }
        Known::Expect => survey.expects_continue |= value.eq_ignore_ascii_case(b"100-continue"),
        Known::ForwardedFor => survey.forwarded_for = Some(value),
        Known::Host => {
            draft.hosts = draft.hosts.saturating_add(1);
            survey.host = Some(value);
        }
        Known::Referer => survey.referer = Some(value),
        Known::Te => {
            survey.takes_trailers |=
                list(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
        }
        Known::TransferEncoding => draft.framing.transfer_encoding(value),
        Known::Upgrade => draft.upgrade = Some(value),
        Known::UserAgent => survey.user_agent = Some(value),
        Known::Forwarding | Known::HopByHop => {}
    }
}

/// Requests inside a cleartext HTTP/2 tunnel would pass us by unread.
fn is_http2(protocol: &[u8]) -> bool {
    protocol
        .get(..2)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"h2"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head;

    #[test]
    fn surveys() {
        let check = |name: &str,
                     fields: &str,
                     version: &str,
                     test: &dyn Fn(Result<Survey<'_>, Refusal>) -> bool| {
            let head = format!("GET / HTTP/{version}\r\n{fields}\r\n");
            let mut room = [httparse::EMPTY_HEADER; head::MOST_FIELDS];
            let head = head::parse(head.as_bytes(), &mut room).unwrap();
            assert!(test(survey(&head)), "case: {name}");
        };
        let bad_host = |found: Result<Survey<'_>, Refusal>| {
            found.unwrap_err() == Refusal::Malformed(Malformed::Host)
        };
        check("no host", "", "1.1", &bad_host);
        check("two hosts", "Host: a\r\nHost: a\r\n", "1.1", &bad_host);
        check("1.0 without host", "", "1.0", &|found| {
            found.is_ok_and(|survey| !survey.keep_alive)
        });
        check(
            "1.0 kept alive",
            "Connection: Keep-Alive\r\n",
            "1.0",
            &|found| found.unwrap().keep_alive,
        );
        check(
            "closed",
            "Host: a\r\nConnection: x, Close\r\n",
            "1.1",
            &|found| !found.unwrap().keep_alive,
        );
        check(
            "nominated",
            "Host: a\r\nConnection: x-a, authorization\r\n",
            "1.1",
            &|found| found.unwrap().nominated == [&b"x-a"[..], b"authorization"],
        );
        check(
            "upgrade",
            "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            "1.1",
            &|found| found.unwrap().upgrade == Some(b"websocket"),
        );
        check(
            "no HTTP/2 inside",
            "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
            "1.1",
            &|found| found.unwrap().upgrade.is_none(),
        );
        check(
            "upgrade unasked",
            "Host: a\r\nUpgrade: websocket\r\n",
            "1.1",
            &|found| found.unwrap().upgrade.is_none(),
        );
        check(
            "form",
            "Host: a\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n",
            "1.1",
            &|found| found.unwrap().has_form,
        );
        check(
            "two credentials",
            "Host: a\r\nAuthorization: x\r\nauthorization: x\r\n",
            "1.1",
            &|found| matches!(found.unwrap().authorization, Authorization::Several),
        );
        check(
            "no 100 for 1.0",
            "Expect: 100-continue\r\n",
            "1.0",
            &|found| !found.unwrap().expects_continue,
        );
    }
}
