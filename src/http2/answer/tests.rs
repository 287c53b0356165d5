use proptest::prelude::*;

use super::*;
use crate::http1::chunked;

#[test]
fn reads_heads() {
    type Case<'a> = (
        &'a str,
        &'a str,
        bool,
        Option<(u16, &'a [(&'a str, &'a str)], Length)>,
    );
    let cases: [Case<'_>; 9] = [
        (
            "sized",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\n",
            false,
            Some((
                200,
                &[("content-length", "2"), ("x-a", "b")],
                Length::Sized(2),
            )),
        ),
        (
            "fields of HTTP/1.1 stay behind",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: x\r\nUpgrade: x\r\nProxy-Connection: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
            Some((200, &[], Length::Chunked)),
        ),
        (
            "to HEAD: a length without a body",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
            true,
            Some((200, &[("content-length", "2")], Length::Zero)),
        ),
        (
            "not modified",
            "HTTP/1.1 304 x\r\nETag: \"1\"\r\n\r\n",
            false,
            Some((304, &[("etag", "\"1\"")], Length::Zero)),
        ),
        (
            "interim",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
            false,
            Some((103, &[("link", "</a>")], Length::Zero)),
        ),
        (
            "nothing is upgraded",
            "HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n",
            false,
            None,
        ),
        (
            "unknown status",
            "HTTP/1.1 799 x\r\nContent-Length: 0\r\n\r\n",
            false,
            Some((799, &[("content-length", "0")], Length::Zero)),
        ),
        (
            "two lengths",
            "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            false,
            None,
        ),
        ("no head", "SSH-2.0\r\n\r\n", false, None),
    ];
    for (name, head, to_head, expected) in cases {
        let found = parse(head.as_bytes(), to_head).ok();
        let found = found.as_ref().map(|head| {
            let fields: Vec<_> = head
                .fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .collect();
            (head.status.as_u16(), fields, head.length)
        });
        assert_eq!(
            found,
            expected.map(|(status, fields, length)| (status, fields.to_vec(), length)),
            "case: {name}"
        );
    }
}

#[test]
fn takes_as_many_fields_as_an_upstream_may_send() {
    use std::fmt::Write as _;
    let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
    for number in 0..response::MOST_FIELDS + 5 {
        write!(head, "x-{number}: v\r\n").unwrap();
    }
    head.push_str("\r\n");
    assert_eq!(
        parse(head.as_bytes(), false).unwrap().fields.len(),
        response::MOST_FIELDS + 5
    );
}

#[test]
fn keeps_secrets_out_of_compression() {
    let head =
        b"HTTP/1.1 200 OK\r\nSet-Cookie: s=FAKE\r\nAuthorization: Bearer FAKE\r\nX: y\r\n\r\n";
    let fields = parse(head, false).unwrap().fields;
    for (name, value) in &fields {
        assert_eq!(value.is_sensitive(), name.as_str() != "x", "{name}");
    }
}

/// Reads a body that is offered in pieces of `step`, with `room` for data each time.
fn read(
    wire: &[u8],
    length: Length,
    step: usize,
    room: usize,
) -> Result<(Vec<u8>, Option<HeaderMap>, bool), BadAnswer> {
    let (mut body, mut out) = (Body::new(length), Vec::new());
    let mut trailers = None;
    for piece in wire.chunks(step) {
        let mut rest = piece;
        while !rest.is_empty() {
            let before = out.len();
            let promised = body.data_in(&[rest]);
            let count = match body.next(rest, room)? {
                Step::Framing(count) => count,
                Step::Data(count) => {
                    out.extend_from_slice(&rest[..count]);
                    count
                }
                Step::Full => panic!("there is room"),
                Step::End(count, found) => {
                    trailers = found;
                    count
                }
            };
            assert!(
                promised >= out.len().saturating_sub(before),
                "room is asked for what comes"
            );
            rest = &rest[count..];
        }
    }
    Ok((out, trailers, body.is_ended()))
}

#[test]
fn reads_bodies() {
    type Case<'a> = (
        &'a str,
        &'a str,
        Length,
        Result<(&'a str, usize, bool), BadAnswer>,
    );
    let cases: [Case<'_>; 9] = [
        ("sized", "abc", Length::Sized(3), Ok(("abc", 0, true))),
        ("cut", "ab", Length::Sized(3), Ok(("ab", 0, false))),
        ("too long", "abcd", Length::Sized(3), Err(BadAnswer)),
        ("nothing, and a byte", "a", Length::Zero, Err(BadAnswer)),
        (
            "until close",
            "abc",
            Length::UntilClose,
            Ok(("abc", 0, false)),
        ),
        (
            "chunks",
            "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            Length::Chunked,
            Ok(("abcd", 0, true)),
        ),
        (
            "trailers",
            "1\r\na\r\n0\r\nX: y\r\n\r\n",
            Length::Chunked,
            Ok(("a", 1, true)),
        ),
        (
            "cut chunks",
            "3\r\nabc\r\n",
            Length::Chunked,
            Ok(("abc", 0, false)),
        ),
        ("not a chunk", "x\r\n", Length::Chunked, Err(BadAnswer)),
    ];
    for (name, wire, length, expected) in cases {
        for step in [1, 2, 5, 100] {
            for room in [1, 2, 100] {
                let found = read(wire.as_bytes(), length, step, room);
                let found = found.map(|(body, trailers, ended)| {
                    (
                        String::from_utf8(body).unwrap(),
                        trailers.map_or(0, |map| map.len()),
                        ended,
                    )
                });
                let expected =
                    expected.map(|(body, trailers, ended)| (body.to_owned(), trailers, ended));
                assert_eq!(found, expected, "case: {name}, step {step}, room {room}");
            }
        }
    }
}

#[test]
fn without_room_there_is_no_data() {
    let mut body = Body::new(Length::Chunked);
    assert!(matches!(body.next(b"3\r\nabc", 0), Ok(Step::Framing(3))));
    assert!(matches!(body.next(b"abc", 0), Ok(Step::Full)));
    assert!(matches!(body.next(b"abc", 2), Ok(Step::Data(2))));
    assert_eq!(body.data_in(&[b"c", b"\r\n0\r\n", b"\r\n"]), 1);
}

proptest! {
    #[test]
    fn what_the_engine_frames_is_what_the_client_gets(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        step in 1..60_usize,
        room in 1..50_usize,
    ) {
        let mut wire = Vec::new();
        for piece in &pieces {
            chunked::push_size(&mut wire, piece.len());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
        chunked::push_end(&mut wire, b"\r\n").unwrap();
        let (body, trailers, ended) = read(&wire, Length::Chunked, step, room).unwrap();
        prop_assert_eq!(body, pieces.concat());
        prop_assert!(ended && trailers.is_none());
    }
}
