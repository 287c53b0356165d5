use proptest::prelude::*;

use super::*;

/// A literal whose first byte is `first`, and what is behind its name.
fn plain(first: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = first.to_vec();
    hpack::push_length(&mut out, value.len());
    out.extend_from_slice(value);
    out
}

fn huffman(first: &[u8], value: &[u8]) -> Vec<u8> {
    let encoded = huffman::encode(value);
    let mut out = plain(first, &encoded);
    out[first.len()] |= 0x80;
    out
}

/// `:path` by the static table: not kept, never kept, kept.
const PATH: &[u8] = b"\x04";
const NEVER: &[u8] = b"\x15";
const KEPT: &[u8] = b"\x44";

#[test]
fn lets_pass_what_h2_takes() {
    let paths: [&[u8]; 8] = [
        b"/",
        b"/a?b=c&d=%7B%22%7D",
        b"//a/../b//",
        b"/{}|\\^?{}|\\^",
        b"/%zz",
        b"/!$'()*+,-.:;=@[]_~",
        b"*",
        // There is no room for a copy.
        b"",
    ];
    for path in paths {
        for first in [
            PATH,
            NEVER,
            KEPT,
            b"\x00\x05:path",
            b"\x00\x84\xb9\x58\xd3\x3f",
        ] {
            for block in [plain(first, path), huffman(first, path)] {
                let found = Paths::default().read(&block).unwrap();
                assert_eq!(found, Found::default(), "{}", path.escape_ascii());
            }
        }
    }
}

#[test]
fn sends_the_others_around() {
    let paths: [&[u8]; 16] = [
        b"/a#b",
        b"/a?b#c",
        b"/a?b=\"c\"",
        b"/<",
        b"/a?>",
        b"/`",
        b"/a b",
        b"/a\x7f",
        b"/a\0",
        b"/a\r\nb",
        b"/\xe9",
        "/\u{e9}?\u{e9}".as_bytes(),
        b"nothing",
        b"http://evil/",
        b"*x",
        b"#",
    ];
    for path in paths {
        for first in [
            PATH,
            NEVER,
            KEPT,
            b"\x00\x05:path",
            b"\x40\x84\xb9\x58\xd3\x3f",
        ] {
            for block in [plain(first, path), huffman(first, path)] {
                let block = [b"\x82\x86", &block[..], b"\x90"].concat();
                let found = Paths::default().read(&block).unwrap();
                let copy = plain(first, &vec![b'?'; path.len()]);
                let name = path.escape_ascii();
                assert_eq!(found.raw.as_deref(), Some(path), "{name}");
                let expected = [b"\x82\x86", &copy[..], b"\x90"].concat();
                assert_eq!(found.block, Some(expected), "{name}");
            }
        }
    }
    let other = plain(b"\x00\x06:patha", b"/<");
    assert_eq!(Paths::default().read(&other).unwrap(), Found::default());
    let other = plain(b"\x03", b"/<");
    assert_eq!(Paths::default().read(&other).unwrap(), Found::default());
}

#[test]
fn remembers_what_entered_the_table() {
    type Case<'a> = (&'a str, Vec<Vec<u8>>, &'a [u8], Option<&'a [u8]>);
    let field = |length: usize| plain(b"\x40\x01x", &vec![b'y'; length]);
    let dirty = plain(KEPT, b"/<CANARY>");
    // What came before, what names a path now, and which.
    let cases: [Case<'_>; 11] = [
        (
            "the newest",
            vec![dirty.clone()],
            b"\xbe",
            Some(b"/<CANARY>"),
        ),
        ("a clean one", vec![plain(KEPT, b"/")], b"\xbe", None),
        (
            "one that did not enter",
            vec![plain(PATH, b"/<")],
            b"\xbe",
            None,
        ),
        (
            "the second",
            vec![dirty.clone(), field(1)],
            b"\xbf",
            Some(b"/<CANARY>"),
        ),
        (
            "its neighbour",
            vec![dirty.clone(), field(1)],
            b"\xbe",
            None,
        ),
        (
            "the third, from the same block",
            vec![[&dirty[..], &field(1), &field(1)].concat()],
            b"\xc0",
            Some(b"/<CANARY>"),
        ),
        (
            "one of the static table",
            vec![dirty.clone()],
            b"\x84",
            None,
        ),
        ("none", vec![dirty.clone()], b"\x80", None),
        (
            "what is behind a field larger than the table",
            vec![dirty.clone(), field(5000), field(1)],
            b"\xbe",
            None,
        ),
        (
            "behind an index of two bytes",
            [vec![dirty.clone()], vec![field(0); 66]].concat(),
            b"\xff\x01",
            Some(b"/<CANARY>"),
        ),
        (
            "the older of two",
            vec![dirty.clone(), plain(KEPT, b"/`")],
            b"\xbf",
            Some(b"/<CANARY>"),
        ),
    ];
    for (name, before, block, expected) in cases {
        let mut paths = Paths::default();
        for block in before {
            paths.read(&block).unwrap();
        }
        let found = paths.read(block).unwrap();
        assert_eq!(found.raw.as_deref(), expected, "case: {name}");
        assert_eq!(found.block, None, "case: {name}");
    }
}

#[test]
fn knows_names_from_the_table() {
    let mut paths = Paths::default();
    paths.read(&plain(KEPT, b"/")).unwrap();
    paths.read(&plain(b"\x40\x01x", b"y")).unwrap();
    for (first, is_path) in [
        (&b"\x0f\x30"[..], true),
        (b"\x0f\x2f", false),
        (b"\x0f\x31", false),
    ] {
        let found = paths.read(&plain(first, b"/<")).unwrap();
        assert_eq!(found.raw.is_some(), is_path, "{}", first.escape_ascii());
    }
    // 127 behind it; h2's table does not hold so many.
    for _ in 0..126 {
        paths.read(&plain(b"\x40\x01x", b"y")).unwrap();
    }
    let found = paths.read(&plain(b"\x0f\xae\x01", b"/<")).unwrap();
    assert!(found.raw.is_some());
    paths.read(&plain(b"\x40\x01x", b"y")).unwrap();
    let found = paths.read(&plain(b"\x0f\xaf\x01", b"/<")).unwrap();
    assert!(found.raw.is_none());
}

#[test]
fn the_first_of_two_counts_and_both_are_replaced() {
    let block = [plain(PATH, b"/<1"), huffman(KEPT, b"/<22")].concat();
    let found = Paths::default().read(&block).unwrap();
    assert_eq!(found.raw.as_deref(), Some(&b"/<1"[..]));
    assert_eq!(
        found.block,
        Some([plain(PATH, b"???"), plain(KEPT, b"????")].concat())
    );
}

#[test]
fn keeps_no_more_than_a_table_full() {
    let mut paths = Paths::default();
    for number in 0..1000_usize {
        let path = vec![b'<'; number * 7 % 5000];
        paths.read(&plain(KEPT, &path)).unwrap();
        let kept: usize = paths.raw.iter().map(|(_, raw)| raw.len() + 37).sum();
        assert!(kept <= TABLE);
    }
}

proptest! {
    /// Any block: what is read in its place has the same pieces, and nothing left to replace.
    #[test]
    fn takes_any_bytes(blocks in prop::collection::vec(prop::collection::vec(
        prop_oneof![Just(0x04_u8), Just(0x44), Just(0x03), Just(0x83), Just(b'/'), Just(b'<'), Just(0xbe), any::<u8>()],
        0..24,
    ), 0..6)) {
        let (mut paths, mut again) = (Paths::default(), Paths::default());
        for block in blocks {
            let Ok(found) = paths.read(&block) else { break };
            let Some(copy) = found.block else {
                again.read(&block).unwrap();
                continue;
            };
            prop_assert!(found.raw.is_some());
            let kinds = |block: &[u8]| -> Vec<_> {
                Pieces::of(block).map(|piece| match piece.unwrap() {
                    Piece::Literal { name, is_kept, .. } => Some((format!("{name:?}"), is_kept)),
                    Piece::Indexed(_) | Piece::Size => None,
                }).collect()
            };
            prop_assert_eq!(kinds(&block), kinds(&copy));
            prop_assert_eq!(again.read(&copy).unwrap().block.unwrap_or(copy.clone()), copy);
        }
    }
}
