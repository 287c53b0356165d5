use proptest::prelude::*;

use super::*;

/// All pieces; `None` for a block that is broken.
fn pieces(block: &[u8]) -> Option<Vec<Piece<'_>>> {
    Pieces::of(block).collect::<Result<_, _>>().ok()
}

#[test]
fn takes_the_examples_apart() {
    type Case<'a> = (&'a str, &'a [u8], Option<Vec<Piece<'a>>>);
    let plain = |name, value, at, is_kept| Piece::Literal {
        name,
        value: Text::Plain(value),
        at,
        is_kept,
    };
    let custom = Name::Literal(Text::Plain(b"custom-key"));
    // RFC 7541, appendix C, and what it has no example of.
    let cases: [Case<'_>; 13] = [
        ("nothing", b"", Some(vec![])),
        (
            "C.2.1, entering the table",
            b"\x40\x0acustom-key\x0dcustom-header",
            Some(vec![plain(custom, b"custom-header", 12..26, true)]),
        ),
        (
            "C.2.2, not entering",
            b"\x04\x0c/sample/path",
            Some(vec![plain(Name::Indexed(4), b"/sample/path", 1..14, false)]),
        ),
        (
            "C.2.3, never entering",
            b"\x10\x08password\x06secret",
            Some(vec![plain(
                Name::Literal(Text::Plain(b"password")),
                b"secret",
                10..17,
                false,
            )]),
        ),
        (
            "C.2.4, from the table",
            b"\x82",
            Some(vec![Piece::Indexed(2)]),
        ),
        (
            "C.4.1, compressed",
            b"\x82\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
            Some(vec![
                Piece::Indexed(2),
                Piece::Literal {
                    name: Name::Indexed(1),
                    value: Text::Huffman(b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"),
                    at: 2..15,
                    is_kept: true,
                },
            ]),
        ),
        (
            "C.1.2, 1337 as a size",
            b"\x3f\x9a\x0a",
            Some(vec![Piece::Size]),
        ),
        (
            "an index of two bytes",
            b"\xff\x00",
            Some(vec![Piece::Indexed(127)]),
        ),
        (
            "the largest",
            b"\xff\xff\xff\xff\x7f",
            Some(vec![Piece::Indexed((1 << 28) + 126)]),
        ),
        ("one byte more", b"\xff\x80\x80\x80\x80\x00", None),
        ("an integer cut off", b"\xff\x80", None),
        ("a value cut off", b"\x04\x02/", None),
        ("no value", b"\x04", None),
    ];
    for (name, block, expected) in cases {
        assert_eq!(pieces(block), expected, "case: {name}");
    }
}

#[test]
fn lengths_are_read_as_they_are_written() {
    for length in [0, 1, 126, 127, 128, 254, 255, 256, 16_384, 70_000] {
        let mut block = vec![0x04];
        push_length(&mut block, length);
        block.resize(block.len() + length, b'x');
        let found = pieces(&block).unwrap();
        let [
            Piece::Literal {
                value: Text::Plain(value),
                ..
            },
        ] = found[..]
        else {
            panic!("{length}: {found:?}");
        };
        assert_eq!(value.len(), length);
    }
}

proptest! {
    /// Pieces stand in order and within the block, whatever it is.
    #[test]
    fn takes_any_bytes(block in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut last = 0;
        for piece in Pieces::of(&block).map_while(Result::ok) {
            if let Piece::Literal { value: Text::Plain(text) | Text::Huffman(text), at, .. } = piece {
                prop_assert!(last < at.start && at.end <= block.len());
                prop_assert!(block[at.clone()].ends_with(text));
                last = at.end;
            }
        }
    }
}

#[test]
fn nothing_prints() {
    let block = [&[0x04, 10][..], b"/p?SECRETS"].concat();
    let mut pieces = Pieces::of(&block);
    let piece = pieces.next();
    assert!(piece.is_some());
    let shown = format!("{pieces:?} {piece:?} {:?}", Text::Plain(b"SECRET"));
    assert!(
        !shown.contains("SECRET") && !shown.contains("83, 69"),
        "{shown}"
    );
}
