use std::collections::BTreeSet;

use super::*;
use crate::secret::AccessToken;

/// The texts of a list, after a look at its order and its spelling.
fn texts<L: Label + std::fmt::Debug>() -> BTreeSet<&'static str> {
    let texts: BTreeSet<_> = L::ALL.iter().map(|label| label.as_str()).collect();
    let places: BTreeSet<_> = L::ALL.iter().map(|label| label.index()).collect();
    assert_eq!(texts.len(), L::ALL.len(), "two have one text: {:?}", L::ALL);
    assert_eq!(
        places,
        (0..L::ALL.len()).collect(),
        "two share a place, or one has none: {:?}",
        L::ALL
    );
    texts
}

#[test]
fn every_label_has_its_own_text_and_place() {
    let all = [
        texts::<RouteClass>(),
        texts::<Ending>(),
        texts::<TokenSource>(),
        texts::<Rewrite>(),
        texts::<Reason>(),
        texts::<Attempt>(),
        texts::<ConnectFailure>(),
        texts::<Protocol>(),
        texts::<Tls>(),
        texts::<Handshake>(),
        texts::<Limit>(),
        texts::<Timeout>(),
        texts::<Log>(),
        texts::<Reload>(),
    ];
    for text in all.into_iter().flatten() {
        let is_snake_case = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        assert!(is_snake_case, "{text}");
    }
    assert_eq!(texts::<Method>().len(), 8);
}

#[test]
fn methods_have_a_case() {
    for method in Method::ALL {
        assert_eq!(Method::of(method.as_str().as_bytes()), *method);
    }
    for unknown in [&b"get"[..], b"", b"PROPFIND", b"GET "] {
        assert_eq!(Method::of(unknown), Method::Other);
    }
}

#[test]
fn a_token_is_counted_where_it_was_and_by_what_became_of_it() {
    let token = || AccessToken::from_parameter(b"FAKE").unwrap();
    let moved = || Ok(Credential::Moved(token()));
    let kept = || Ok(Credential::Kept(Some(token())));
    let cases = [
        (
            "none",
            (Source::None, false, Ok(Credential::Absent)),
            (TokenSource::None, None),
        ),
        (
            "as it should be",
            (Source::Header, false, kept()),
            (TokenSource::Header, None),
        ),
        (
            "moved from the query",
            (Source::Query, true, moved()),
            (TokenSource::Query, Some(Rewrite::Query)),
        ),
        (
            "moved from a form",
            (Source::Form, true, moved()),
            (TokenSource::Form, Some(Rewrite::Form)),
        ),
        (
            "the header stays",
            (Source::Both, true, kept()),
            (TokenSource::Both, Some(Rewrite::Cut)),
        ),
        (
            "the query wins",
            (Source::Both, true, moved()),
            (TokenSource::Both, Some(Rewrite::Query)),
        ),
        (
            "cut where none is needed",
            (Source::Query, true, Ok(Credential::Absent)),
            (TokenSource::Query, Some(Rewrite::Cut)),
        ),
        (
            "refused",
            (Source::Both, true, Err(Refusal::MixedToken)),
            (TokenSource::Both, None),
        ),
        (
            "no token at all",
            (Source::Query, true, Err(Refusal::UnusableToken)),
            (TokenSource::Malformed, None),
        ),
    ];
    for (name, (source, cut, credential), expected) in cases {
        let relocated = Relocated {
            source,
            cut,
            cut_from: 0,
            to_query: false,
            long_poll_ms: 0,
            is_plain: true,
            credential,
        };
        let found = (TokenSource::of(&relocated), Rewrite::of(&relocated));
        assert_eq!(found, expected, "case: {name}");
    }
}

#[test]
fn what_the_log_calls_a_source_is_its_label() {
    for source in [
        Source::None,
        Source::Header,
        Source::Query,
        Source::Both,
        Source::Form,
    ] {
        let relocated = Relocated {
            source,
            cut: false,
            cut_from: 0,
            to_query: false,
            long_poll_ms: 0,
            is_plain: true,
            credential: Ok(Credential::Absent),
        };
        assert_eq!(TokenSource::of(&relocated).as_str(), source.as_str());
    }
}

#[test]
fn a_failure_to_connect_has_a_kind() {
    let cases = [
        (io::ErrorKind::ConnectionRefused, ConnectFailure::Refused),
        (io::ErrorKind::NotFound, ConnectFailure::Refused),
        (
            io::ErrorKind::NetworkUnreachable,
            ConnectFailure::Unreachable,
        ),
        (io::ErrorKind::TimedOut, ConnectFailure::Timeout),
        (io::ErrorKind::OutOfMemory, ConnectFailure::Other),
    ];
    for (kind, expected) in cases {
        let found = ConnectFailure::of(&io::Error::from(kind));
        assert_eq!(found, expected, "{kind:?}");
    }
}
