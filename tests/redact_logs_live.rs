//! `tokenshim redact --live`: in the place of each secret, while somebody appends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

fn live(path: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
        .args(["redact", "--live"])
        .arg(path)
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn length_and_file_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let cases = [
        (
            "parameter",
            "GET /p?access_token=FAKE&b=1\n",
            "GET /p?access_token=****&b=1\n",
        ),
        (
            "several",
            "token=FAKE&token=FAKE2\ntoken=FAKE\n",
            "token=****&token=*****\ntoken=****\n",
        ),
        (
            "JSON",
            "{\"access_token\":\"FAKE SECRET\"}\n",
            "{\"access_token\":\"***********\"}\n",
        ),
        (
            "header",
            "Authorization: Bearer FAKE_SECRET1\n",
            "Authorization: Bearer ************\n",
        ),
        (
            "masked before",
            "token=****&x token=<redacted>\n",
            "token=****&x token=<redacted>\n",
        ),
        ("no line feed", "token=FAKE", "token=****"),
        ("nothing", "GET / HTTP/1.1\n", "GET / HTTP/1.1\n"),
    ];
    for (name, text, expected) in cases {
        fs::write(&path, text).unwrap();
        let before = fs::metadata(&path).unwrap();
        assert_eq!(live(&path).0, Some(0), "case: {name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), expected, "case: {name}");
        let once = fs::metadata(&path).unwrap();
        assert_eq!(
            (once.ino(), once.len()),
            (before.ino(), before.len()),
            "case: {name}"
        );
        let (code, told) = live(&path);
        assert_eq!(
            (code, told),
            (Some(0), format!("{}: nothing to mask\n", path.display())),
            "case: {name}"
        );
        let twice = fs::metadata(&path).unwrap();
        assert_eq!(
            (twice.mtime(), twice.mtime_nsec()),
            (once.mtime(), once.mtime_nsec()),
            "case: {name}"
        );
    }
}

#[test]
fn a_long_secret_is_masked_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let secret = "FAKE".repeat(1_000_000);
    fs::write(&path, format!("a\nGET /p?access_token={secret}&b=1\nz\n")).unwrap();
    assert_eq!(live(&path).0, Some(0));
    let expected = format!(
        "a\nGET /p?access_token={}&b=1\nz\n",
        "*".repeat(secret.len())
    );
    assert!(fs::read_to_string(&path).unwrap() == expected);
}

/// One that appends line by line, and knows what it has written.
#[test]
fn no_line_is_lost_while_somebody_appends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    let line = |number: usize| {
        format!("{number} \"GET /p?access_token=FAKE{number:07}&b=1 HTTP/1.1\" 200\n")
    };
    let masked =
        |number: usize| format!("{number} \"GET /p?access_token=***********&b=1 HTTP/1.1\" 200\n");
    for number in 0..5000 {
        log.write_all(line(number).as_bytes()).unwrap();
    }
    let inode = log.metadata().unwrap().ino();
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let mut number = 5000;
            while number < 60_000 && !is_over.load(Ordering::Relaxed) {
                log.write_all(line(number).as_bytes()).unwrap();
                number += 1;
                thread::yield_now();
            }
            number
        }
    });
    for _ in 0..3 {
        let (code, told) = live(&path);
        // Endless, if the writer was quicker; then that is said.
        assert!(
            code == Some(0) || told.contains("clean what writes them first"),
            "{told}"
        );
    }
    is_over.store(true, Ordering::Relaxed);
    let count = writer.join().unwrap();
    assert_eq!(live(&path).0, Some(0));
    let expected = (0..count).map(masked).collect::<Vec<_>>().concat();
    assert!(
        fs::read_to_string(&path).unwrap() == expected,
        "{count} lines"
    );
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

#[test]
fn what_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "token=FAKE\n").unwrap();
    symlink("file", at("link")).unwrap();
    fs::write(
        at("packed"),
        zstd::encode_all(&b"token=FAKE\n"[..], 3).unwrap(),
    )
    .unwrap();
    for (name, expected) in [
        ("link", "symbolic link"),
        ("packed", "--in-place cleans it"),
        ("missing", "No such file"),
    ] {
        let (code, told) = live(&at(name));
        assert_eq!(code, Some(2), "case: {name}");
        assert!(told.contains(expected), "case: {name}: {told}");
    }
    assert_eq!(fs::read(at("file")).unwrap()[6..10], *b"FAKE");
}
