//! What an input is, by its content.

use std::io::Read as _;

use super::{content::Content, *};

#[test]
fn the_first_bytes_tell() {
    let cases: [(&str, &[u8], Content); 9] = [
        ("text", b"192.0.2.1 - -", Content::Plain),
        ("nothing", b"", Content::Plain),
        ("gzip", b"\x1f\x8b\x08\0", Content::Gzip),
        ("zstd", b"\x28\xb5\x2f\xfd\0", Content::Zstd),
        (
            "a zstd frame that says nothing",
            b"\x50\x2a\x4d\x18",
            Content::Zstd,
        ),
        ("xz", b"\xfd7zXZ\0\0", Content::Xz),
        ("bzip2", b"BZh91AY&SY", Content::Bzip2),
        ("a line that begins like bzip2", b"BZh9 is", Content::Plain),
        ("a line that begins like zip", b"PK says", Content::Plain),
    ];
    for (name, head, expected) in cases {
        assert_eq!(Content::of(head), expected, "case: {name}");
    }
    assert!(matches!(Content::of(b"LPKSHHRH"), Content::Foreign(_)));
}

#[test]
fn a_pipe_is_read_whole_behind_its_first_bytes() {
    let watch = Arc::default();
    for text in ["", "a", "longer than what tells what it is\n"] {
        let raw: Raw = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
        let Ok(Opened::Stream(mut whole)) = stream(Counted(raw, Arc::clone(&watch))) else {
            panic!("not a stream: {text:?}")
        };
        let mut read = String::new();
        whole.read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }
}
