//! `tokenshim redact` as an operator runs it: as a filter, and on rotated files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant, SystemTime},
};

use flate2::{Compression, GzBuilder, read::MultiGzDecoder};

const LINE: &str = "127.0.0.1 - - [22/Nov/2026:09:00:00 +0000] \"GET /_matrix/client/v3/sync?access_token=FAKE_SECRET&since=s1 HTTP/1.1\" 200 17 \"-\" \"x\"\n";
const MASKED: &str = "127.0.0.1 - - [22/Nov/2026:09:00:00 +0000] \"GET /_matrix/client/v3/sync?access_token=<redacted>&since=s1 HTTP/1.1\" 200 17 \"-\" \"x\"\n";

fn redact() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenshim"));
    command.arg("redact");
    command
}

/// In its place. Forced, since whoever runs the tests may not see all processes.
fn in_place<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> (Option<i32>, String) {
    let output = redact()
        .args(["--in-place", "--force"])
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"", "results of files are the files");
    told(&output)
}

fn told(output: &Output) -> (Option<i32>, String) {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(
        !text.contains("FAKE_SECRET"),
        "no report tells a secret: {text}"
    );
    (output.status.code(), text)
}

fn filter(input: &[u8]) -> Vec<u8> {
    let mut child = redact()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    output.stdout
}

#[test]
fn a_stream_is_masked_and_nothing_else_changes() {
    let cases: &[(&str, &[u8], &[u8])] = &[
        ("a line", LINE.as_bytes(), MASKED.as_bytes()),
        (
            "no line feed at the end",
            b"a\nx?token=FAKE",
            b"a\nx?token=<redacted>",
        ),
        (
            "not UTF-8",
            b"\xff\xfe token=FAKE \x00\n\xc3",
            b"\xff\xfe token=<redacted> \x00\n\xc3",
        ),
        (
            "carriage returns",
            b"token=FAKE\r\n\r\n",
            b"token=<redacted>\r\n\r\n",
        ),
        ("nothing", b"", b""),
        ("begins like a compressed file", b"\x1f", b"\x1f"),
        (
            "begins like bzip2",
            b"BZh9 token=FAKE",
            b"BZh9 token=<redacted>",
        ),
    ];
    for (name, input, expected) in cases {
        assert_eq!(
            filter(input).escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "case: {name}"
        );
    }
    let many = LINE.repeat(30_000);
    assert!(filter(many.as_bytes()) == MASKED.repeat(30_000).as_bytes());
}

#[test]
fn lines_of_any_length_in_bounded_memory() {
    let mut child = redact()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        let filler = "&since=s1_2&filter=x".repeat(10_000);
        for _ in 0..500 {
            stdin.write_all(filler.as_bytes()).unwrap();
            stdin.write_all(b"&access_token=FAKE_SECRET").unwrap();
        }
        stdin.write_all(b"&access_token=").unwrap();
        for _ in 0..500 {
            stdin
                .write_all("FAKE_SECRET".repeat(10_000).as_bytes())
                .unwrap();
        }
        stdin.write_all(b"&x=1\nnext\n").unwrap();
    });
    let mut stdout = child.stdout.take().unwrap();
    let mut length = 0;
    let mut end = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    let mut peak = 0;
    loop {
        let read = stdout.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        length += read;
        let text = &buffer[..read];
        assert!(memchr::memmem::find(text, b"FAKE_SECRET").is_none());
        end.extend_from_slice(text);
        end.drain(..end.len().saturating_sub(100));
        peak = peak.max(resident_kib(child.id()));
    }
    feeder.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        end.ends_with(b"&access_token=<redacted>&x=1\nnext\n"),
        "{}",
        end.escape_ascii()
    );
    assert_eq!(
        length,
        500 * (200_000 + "&access_token=<redacted>".len()) + 24 + 10
    );
    assert!(peak < 48 * 1024, "{peak} KiB");
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or(0, |peak| {
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    })
}

#[test]
fn a_line_is_out_as_soon_as_it_is_complete() {
    let mut child = redact()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..3 {
        stdin.write_all(&LINE.as_bytes()[..60]).unwrap();
        stdin.write_all(&LINE.as_bytes()[60..]).unwrap();
        // It comes while our side of the input is open.
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, MASKED);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_output_ends_quietly() {
    let mut child = redact()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // Until it has seen that nobody reads.
    while stdin.write_all(LINE.as_bytes()).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(told(&output), (Some(0), String::new()));
}

#[test]
fn files_come_one_behind_the_other_and_compressed_ones_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("one");
    let packed = folder.path().join("two.gz");
    fs::write(&plain, LINE).unwrap();
    fs::write(&packed, gzip("two", LINE)).unwrap();
    let output = redact()
        .arg("--parameter")
        .arg("since")
        .args([&plain, &packed])
        .output()
        .unwrap();
    let expected = MASKED.replace("since=s1", "since=<redacted>").repeat(2);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!(output.status.code(), Some(0));
    // One that cannot be read is named, and the others are not left out.
    let missing = folder.path().join("missing");
    let output = redact().args([&plain, &missing, &plain]).output().unwrap();
    assert_eq!(output.stdout, MASKED.repeat(2).as_bytes());
    let (code, text) = told(&output);
    assert_eq!(code, Some(2));
    assert!(
        text.contains(&format!("{}: cannot be read: ", missing.display())),
        "{text}"
    );
    // One that is cut gives what there is of it.
    let cut = gzip("two", &LINE.repeat(2000));
    fs::write(&packed, &cut[..cut.len() - 20]).unwrap();
    let output = redact().arg(&packed).output().unwrap();
    assert!(output.stdout.starts_with(MASKED.as_bytes()));
    assert_eq!(told(&output).0, Some(2));
}

fn gzip(name: &str, text: &str) -> Vec<u8> {
    let header = GzBuilder::new().filename(name).mtime(1_700_000_000);
    let mut encoder = header.write(Vec::new(), Compression::new(9));
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn ungzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(bytes)
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// All that a second run must not change.
fn looks(path: &Path) -> (u64, i64, i64, i64, Vec<u8>) {
    let file = fs::metadata(path).unwrap();
    (
        file.ino(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime_nsec(),
        fs::read(path).unwrap(),
    )
}

#[test]
fn a_rotated_file_is_replaced_and_looks_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log.1");
    fs::write(&path, LINE.repeat(3)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let (_, attribute) = (
        SystemTime::now(),
        rustix::fs::setxattr(&path, "user.note", b"kept", rustix::fs::XattrFlags::empty()),
    );
    let owner = fs::metadata(&path).unwrap().uid();
    if owner == 0 {
        std::os::unix::fs::chown(&path, Some(12345), Some(54321)).unwrap();
    }
    let old_time = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_789);
    let times = fs::FileTimes::new()
        .set_modified(old_time)
        .set_accessed(old_time);
    File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_times(times)
        .unwrap();
    let before = fs::metadata(&path).unwrap();

    let (code, text) = in_place([&path]);
    assert_eq!(
        (code, text),
        (Some(0), format!("{}: masked 3\n", path.display()))
    );
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    assert_eq!(
        (after.modified().unwrap(), after.atime()),
        (old_time, before.atime())
    );
    assert_ne!(after.ino(), before.ino());
    assert_eq!(fs::read_to_string(&path).unwrap(), MASKED.repeat(3));
    if attribute.is_ok() {
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(&path, "user.note", &mut value).unwrap();
        assert_eq!(&value[..length], b"kept");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing else is left"
    );

    let once = looks(&path);
    let (code, text) = in_place([&path]);
    assert_eq!(
        (code, text),
        (Some(0), format!("{}: nothing to mask\n", path.display()))
    );
    assert_eq!(looks(&path), once, "a second run changes nothing");
}

#[test]
fn compressed_files_stay_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let text = LINE.repeat(20);
    let members = [gzip("access.log", LINE), gzip("other", &LINE.repeat(19))].concat();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(text.as_bytes()).unwrap();
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(3));
    bz.write_all(text.as_bytes()).unwrap();
    let files = [
        ("gzip", members),
        ("zstd", zstd::encode_all(text.as_bytes(), 3).unwrap()),
        ("xz", xz.finish().unwrap()),
        ("bzip2", bz.finish().unwrap()),
    ];
    for (name, bytes) in &files {
        // By its content, whatever it is called.
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert_eq!(in_place([&path]).0, Some(0), "{name}");
        let packed = fs::read(&path).unwrap();
        assert_eq!(packed[..4], bytes[..4], "{name}: the same kind");
        let output = redact().arg(&path).output().unwrap();
        assert_eq!(output.stdout, MASKED.repeat(20).as_bytes(), "{name}");
        let once = looks(&path);
        assert_eq!(in_place([&path]).0, Some(0), "{name}");
        assert_eq!(looks(&path), once, "{name}: a second run changes nothing");
    }
    let packed = fs::read(folder.path().join("gzip")).unwrap();
    let decoder = MultiGzDecoder::new(packed.as_slice());
    let header = decoder.header().unwrap();
    assert_eq!(
        (header.filename(), header.mtime()),
        (Some(&b"access.log"[..]), 1_700_000_000)
    );
    assert_eq!(packed[8], 2, "as well compressed as it was");
    assert_eq!(ungzip(&packed), MASKED.repeat(20));
}

#[test]
fn what_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), LINE).unwrap();
    symlink("file", at("link")).unwrap();
    fs::write(at("hard"), LINE).unwrap();
    fs::hard_link(at("hard"), at("other")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let cut = gzip("x", &LINE.repeat(100));
    fs::write(
        at("cut"),
        [&cut[..cut.len() - 9], b"BROKEN".as_slice()].concat(),
    )
    .unwrap();
    let cases = [
        ("link", "symbolic link", &["link"][..]),
        ("hard link", "it has 2 names", &["hard"]),
        ("folder", "no regular file", &["folder"]),
        ("missing", "No such file", &["missing"]),
        ("broken", "cannot be read", &["cut"]),
    ];
    for (name, expected, files) in cases {
        let before: Vec<_> = files.iter().map(|file| fs::read(at(file)).ok()).collect();
        let (code, text) = in_place(files.iter().map(|file| at(file)));
        assert_eq!(code, Some(2), "case: {name}");
        assert!(
            text.contains(expected) && text.contains(files[0]),
            "case: {name}: {text}"
        );
        let after: Vec<_> = files.iter().map(|file| fs::read(at(file)).ok()).collect();
        assert!(before == after, "case: {name}");
    }
    // The others are cleaned all the same.
    let (code, text) = in_place([at("link"), at("file")]);
    assert_eq!(code, Some(2));
    assert!(
        text.ends_with(&format!(
            "{}: masked 1\ntokenshim: one file may still hold secrets\n",
            at("file").display()
        )),
        "{text}"
    );
    // Asked for, links are no hindrance.
    fs::write(at("file"), LINE).unwrap();
    let (code, _) = in_place([OsStr::new("--follow-symlinks"), at("link").as_os_str()]);
    assert_eq!(
        (code, fs::read_to_string(at("file")).unwrap()),
        (Some(0), MASKED.to_owned())
    );
    assert!(
        fs::symlink_metadata(at("link")).unwrap().is_symlink(),
        "the link stays"
    );
    let (code, _) = in_place([OsStr::new("--break-hard-links"), at("hard").as_os_str()]);
    assert_eq!(
        (code, fs::read_to_string(at("hard")).unwrap()),
        (Some(0), MASKED.to_owned())
    );
    assert_eq!(fs::read_to_string(at("other")).unwrap(), LINE);
}

#[test]
fn a_file_that_is_still_written_is_left_to_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut writer = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    writer.write_all(LINE.as_bytes()).unwrap();
    let (code, text) = in_place([&path]);
    assert_eq!(code, Some(2));
    let us = format!("(process {}) still writes to it", std::process::id());
    assert!(
        text.contains(&us) && text.contains("nginx -s reopen"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), LINE);
    // Rotated, and its writer gone on elsewhere.
    let rotated = folder.path().join("access.log.1");
    fs::rename(&path, &rotated).unwrap();
    assert_eq!(
        in_place([&rotated]).0,
        Some(2),
        "the name is not what matters"
    );
    drop(writer);
    let reader = File::open(&rotated).unwrap();
    assert_eq!(in_place([&rotated]).0, Some(0), "readers do not matter");
    drop(reader);
    assert_eq!(fs::read_to_string(&rotated).unwrap(), MASKED);
}

#[test]
fn killed_at_any_instant_the_old_or_the_new_file_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log.1");
    let old = LINE.repeat(3000);
    let new = MASKED.repeat(3000);
    fs::write(&path, &old).unwrap();
    let started = Instant::now();
    assert_eq!(in_place([&path]).0, Some(0));
    let whole = started.elapsed();
    let (mut olds, mut news) = (0, 0);
    let mut part = 0.1;
    for round in 0..80 {
        fs::write(&path, &old).unwrap();
        let mut child = redact()
            .args(["--in-place", "--force"])
            .arg(&path)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Later after the old file, earlier after the new one: mostly near the change.
        std::thread::sleep(whole.mul_f64(part));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = fs::read_to_string(&path).unwrap();
        assert!(
            now == old || now == new,
            "round {round}: neither the old nor the new file"
        );
        if now == old {
            olds += 1;
            part *= 1.25;
        } else {
            news += 1;
            part *= 0.8;
        }
        for left in fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let mode = fs::metadata(&left).unwrap().mode();
            assert!(
                left == path || mode.trailing_zeros() >= 6,
                "{} is open to others",
                left.display()
            );
        }
    }
    assert!(
        olds > 0 && news > 0,
        "{olds} old, {news} new: the kills missed"
    );
    // The next run clears what the killed ones left.
    fs::write(&path, &old).unwrap();
    assert_eq!(in_place([&path]).0, Some(0));
    let left: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, [path]);
}

#[test]
fn the_command_line() {
    let cases = [
        (&["--in-place"][..], 64, "files are missing"),
        (&["--live", "--in-place", "x"], 64, "one way"),
        (&["--force", "x"], 64, "nothing is forced"),
        (&["--parameter", "", "x"], 64, "a name"),
        (&["--help"], 0, "help"),
    ];
    for (arguments, expected, name) in cases {
        let output = redact()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(expected), "case: {name}");
    }
    let output = redact().arg("/").output().unwrap();
    assert_eq!(told(&output).0, Some(2), "a folder is no log");
    assert!(!output.stderr.is_empty(), "and it is named");
}
