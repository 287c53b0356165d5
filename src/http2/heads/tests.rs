use proptest::prelude::*;

use super::*;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let length = u32::try_from(payload.len()).unwrap();
    Frame {
        length,
        kind,
        flags,
        stream,
    }
    .push_header(&mut out);
    out.extend_from_slice(payload);
    out
}

const CLEAN: &[u8] = b"\x82\x86\x04\x02/a";
const DIRTY: &[u8] = b"\x82\x86\x04\x02/<";
const COPY: &[u8] = b"\x82\x86\x04\x02??";
const END: u8 = frames::END_HEADERS;

/// What goes on, the frames and the paths that were heard of, and whether it is hostile.
type Outcome = (Vec<u8>, Vec<Frame>, Vec<(u32, Vec<u8>)>, bool);

fn pass(wire: &[u8], step: usize, room: usize) -> Outcome {
    let mut heads = Heads::new(16 * 1024);
    let (mut out, mut seen, mut paths, mut is_hostile) =
        (Vec::new(), Vec::new(), Vec::new(), false);
    for piece in wire.chunks(step) {
        let passed = heads.read(piece, |event| match event {
            Event::Frame(frame) => seen.push(frame),
            Event::Path(stream, path) => paths.push((stream, path)),
            Event::Hostile => is_hostile = true,
        });
        out.extend_from_slice(&piece[..passed]);
        while !heads.ready().is_empty() && !is_hostile {
            let count = room.min(heads.ready().len());
            out.extend_from_slice(&heads.ready()[..count]);
            heads.gave(count);
        }
        if is_hostile {
            return (out, seen, paths, true);
        }
    }
    heads.end();
    out.extend_from_slice(heads.ready());
    (out, seen, paths, false)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn replaces_heads_and_nothing_else() {
    type Case<'a> = (&'a str, Vec<Vec<u8>>, Option<Vec<Vec<u8>>>);
    let headers = |flags, payload: &[u8]| frame(frames::HEADERS, flags, 1, payload);
    let continuation = |flags, payload: &[u8]| frame(frames::CONTINUATION, flags, 1, payload);
    let long = [
        DIRTY,
        &[b"\x00\x01x\x7f\x81\x3f", &[b'y'; 8192][..]].concat(),
    ]
    .concat();
    let cases: [Case<'_>; 11] = [
        ("clean", vec![headers(END, CLEAN)], None),
        (
            "dirty",
            vec![headers(END | 1, DIRTY)],
            Some(vec![headers(END | 1, COPY)]),
        ),
        (
            "among others",
            vec![
                frame(4, 0, 0, b""),
                headers(END, DIRTY),
                frame(0, 0, 1, b"body"),
                frame(6, 0, 0, &[0; 8]),
            ],
            Some(vec![
                frame(4, 0, 0, b""),
                headers(END, COPY),
                frame(0, 0, 1, b"body"),
                frame(6, 0, 0, &[0; 8]),
            ]),
        ),
        (
            "padding and priority",
            vec![headers(
                END | 0x28,
                &[b"\x03\x80\0\0\0\xff", DIRTY, b"<<<"].concat(),
            )],
            Some(vec![headers(END, COPY)]),
        ),
        (
            "too much padding",
            vec![headers(END | 8, &[b"\x09", DIRTY].concat())],
            None,
        ),
        (
            "a stream that depends on itself",
            vec![headers(END | 0x20, &[b"\0\0\0\x01\xff", DIRTY].concat())],
            None,
        ),
        (
            "split",
            vec![
                headers(1, &DIRTY[..3]),
                continuation(0, b""),
                continuation(END, &DIRTY[3..]),
            ],
            Some(vec![headers(END | 1, COPY)]),
        ),
        (
            "split, clean",
            vec![
                headers(0, &CLEAN[..3]),
                continuation(0, b""),
                continuation(END, &CLEAN[3..]),
            ],
            None,
        ),
        (
            "another frame within",
            vec![
                headers(0, &DIRTY[..3]),
                frame(6, 0, 0, &[0; 8]),
                continuation(END, &DIRTY[3..]),
            ],
            None,
        ),
        (
            "another stream's within",
            vec![headers(0, &DIRTY[..3]), frame(9, END, 3, &DIRTY[3..])],
            None,
        ),
        (
            "long",
            vec![headers(0, &long[..99]), continuation(END, &long[99..])],
            Some(vec![headers(END, &[COPY, &long[6..]].concat())]),
        ),
    ];
    for (name, wire, expected) in cases {
        let expected = [PREFACE, &expected.unwrap_or(wire.clone()).concat()].concat();
        let wire = [PREFACE, &wire.concat()].concat();
        let (out, _, paths, is_hostile) = pass(&wire, wire.len(), 9999);
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "case: {name}"
        );
        assert_eq!(paths.is_empty(), out == wire, "case: {name}");
        assert!(!is_hostile, "case: {name}");
        for (step, room) in [(1, 1), (2, 7), (7, 2), (1000, 3)] {
            assert_eq!(pass(&wire, step, room).0, out, "case: {name}, step {step}");
        }
    }
}

#[test]
fn a_copy_that_is_longer_gets_more_frames() {
    // 16 380 zeros have 5 bits each.
    let path = [&b"/<"[..], &[b'0'; 16_380]].concat();
    let encoded = super::super::hpack::huffman::encode(&path);
    let mut block = vec![0x04];
    super::super::hpack::push_length(&mut block, encoded.len());
    block[1] |= 0x80;
    block.extend_from_slice(&encoded);
    let wire = [PREFACE, &frame(1, END | 1, 5, &block)].concat();
    let (out, _, paths, _) = pass(&wire, 4096, 4096);
    assert_eq!(paths, [(5, path.clone())]);
    let first = Frame::parse(&out[PREFACE.len()..]).unwrap();
    assert_eq!((first.payload(), first.flags), (frames::LARGEST, 1));
    let rest = &out[PREFACE.len() + first.whole()..];
    let second = Frame::parse(rest).unwrap();
    assert_eq!(
        (second.kind, second.flags, second.stream),
        (frames::CONTINUATION, END, 5)
    );
    assert_eq!(second.whole(), rest.len());
}

#[test]
fn tells_what_h2_must_not_read() {
    let open = frame(frames::HEADERS, 0, 1, b"\x82");
    let more = frame(frames::CONTINUATION, 0, 1, b"\x90");
    for (name, wire, expected) in [
        (
            "as many as h2 takes",
            [open.clone(), more.repeat(5)].concat(),
            false,
        ),
        ("one more", [open.clone(), more.repeat(7)].concat(), true),
        (
            "a push",
            frame(frames::PUSH_PROMISE, END, 1, b"\0\0\0\x02\x82"),
            true,
        ),
    ] {
        let wire = [PREFACE, &wire].concat();
        assert_eq!(pass(&wire, 10, 10).3, expected, "case: {name}");
    }
}

#[test]
fn trailers_have_no_path() {
    let wire = [
        PREFACE,
        &frame(frames::HEADERS, END, 1, CLEAN),
        &frame(frames::HEADERS, END | 1, 1, DIRTY),
    ]
    .concat();
    let (_, _, paths, _) = pass(&wire, wire.len(), 10);
    assert_eq!(paths, []);
}

proptest! {
    /// Whatever comes goes on, and how it arrives does not matter.
    #[test]
    fn hears_of_every_frame(
        all in prop::collection::vec((prop::sample::select(&[0_u8, 1, 1, 1, 3, 4, 6, 8, 9, 9][..]), 0..70_usize, any::<u8>(), 0..5_u32), 0..9),
        fill in prop::sample::select(&b"\x04\x44\x82\xff"[..]),
        step in 1..40_usize,
    ) {
        let mut wire = PREFACE.to_vec();
        for &(kind, length, flags, stream) in &all {
            wire.extend(frame(kind, flags, stream, &vec![fill; length]));
        }
        let whole = pass(&wire, wire.len(), 9999);
        prop_assert_eq!(&pass(&wire, step, 5), &whole);
        let (out, seen, _, is_hostile) = whole;
        if !is_hostile && out == wire {
            // Those of a head that never ended were not heard of.
            let kinds: Vec<u8> = all.iter().map(|frame| frame.0).collect();
            prop_assert!(kinds.starts_with(&seen.iter().map(|frame| frame.kind).collect::<Vec<_>>()));
        }
    }
}
