//! Files as they are stored: compressed, cut, damaged, and named by rotation.

use std::{fs, io::Write as _, path::Path};

use crate::{Place, assert_exact, log, read};

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

fn xz(text: &[u8]) -> Vec<u8> {
    let mut writer = liblzma::write::XzEncoder::new(Vec::new(), 1);
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    writer.write_all(text).unwrap();
    writer.finish().unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;
const COMPRESSED: [(&str, Compress); 4] =
    [("gzip", gzip), ("zstd", zstd), ("xz", xz), ("bzip2", bzip2)];

#[test]
fn what_a_file_is_its_content_says() {
    let place = Place::new();
    let log = log::make(9_000, 9, 7);
    let (head, rest) = log.text.split_at(log.text.len() / 3);
    for (name, compress) in COMPRESSED {
        let members = [compress(head), compress(b""), compress(rest)].concat();
        for (form, bytes) in [
            ("one member", compress(&log.text)),
            ("several members", members),
        ] {
            let path = place.file("access.log", &bytes);
            let case = format!("{name}, {form}");
            let (report, code) = place.report(&[], &[&path]);
            assert_exact(&log, &report, 1, &case);
            assert_eq!(code, 1, "case: {case}");
            let mut stdin = place.command(&["--format", "json"], &[Path::new("-")]);
            let stdin = stdin
                .stdin(fs::File::open(&path).unwrap())
                .output()
                .unwrap();
            assert_exact(&log, &read(&stdin).0, 1, &format!("{case}, by stdin"));
        }
    }
}

#[test]
fn what_cannot_be_read_is_named_and_never_clean() {
    let place = Place::new();
    let clean = log::make(9_000, u64::MAX, 8);
    let good = place.file("good.log", &clean.text);
    let missing = place.path("missing.log");
    let mut bad = vec![("a file that is not there", missing)];
    for (name, compress) in COMPRESSED {
        let whole = compress(&clean.text);
        let cut = &whole[..whole.len() - whole.len() / 4];
        bad.push((name, place.file(&format!("cut.{name}"), cut)));
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x55);
        bad.push((name, place.file(&format!("damaged.{name}"), &damaged)));
        let tail = [&whole[..], &whole[..whole.len() / 3]].concat();
        bad.push((name, place.file(&format!("cut-second.{name}"), &tail)));
    }
    bad.push(("an archive", place.file("a.zip", b"PK\x03\x04 and so on")));
    bad.push((
        "a journal",
        place.file("system.journal", b"LPKSHHRH and so on"),
    ));
    fs::create_dir(place.path("empty")).unwrap();
    bad.push(("nothing", place.path("empty")));
    for (name, path) in bad {
        let case = format!("{name}: {}", path.display());
        let (report, code) = place.report(&[], &[&good, &path]);
        if name != "nothing" {
            assert_eq!(code, 3, "case: {case}");
            assert_eq!(report["meta"]["complete"], false, "case: {case}");
            let gaps = report["meta"]["incomplete"].to_string();
            let file = path.file_name().unwrap().to_str().unwrap();
            assert!(gaps.contains(file), "case: {case}: {gaps}");
        }
        let (_, alone) = place.report(&[], &[&path]);
        assert_eq!(alone, 3, "alone, case: {case}");
    }
}

#[test]
fn each_file_is_read_once() {
    let place = Place::new();
    let log = log::make(300, 5, 9);
    place.file("logs/access.log", &log.text);
    place.file("logs/access.log.1", &log.text);
    place.file("logs/access.log.2.gz", &gzip(&log.text));
    place.file("logs/access.log.10.gz", &gzip(&log.text));
    place.file("logs/deep/error.log", &log.text);
    let folder = place.path("logs");
    fs::hard_link(
        place.path("logs/access.log.1"),
        place.path("logs/again.log"),
    )
    .unwrap();
    std::os::unix::fs::symlink(&folder, place.path("logs/deep/loop")).unwrap();
    let again = place.path("logs/access.log");
    let (report, code) = place.report(&[], &[&folder, &again, &folder]);
    assert_exact(&log, &report, 5, "a folder");
    assert_eq!(code, 1);
    let mut names: Vec<_> = report["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap().rsplit('/').next().unwrap())
        .collect();
    names.sort_unstable();
    let expected = [
        "access.log",
        "access.log.1",
        "access.log.10.gz",
        "access.log.2.gz",
        "error.log",
    ];
    assert_eq!(names, expected);
}
