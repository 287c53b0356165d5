//! The documentation is true as far as a program can tell: every configuration in it
//! loads, every command and key exists, every default is the one that is told, every
//! claim names a test that there is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use tokenshim::config::{self, Flags, Sources};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, with its path.
fn pages() -> Vec<(PathBuf, String)> {
    let folders = [
        root().to_owned(),
        root().join("docs"),
        root().join("docker"),
    ];
    let pages: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    assert!(pages.len() >= 5, "where have the pages gone?");
    pages
}

/// The fenced blocks of a page in `language`.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect()
}

#[test]
fn every_configuration_in_the_pages_loads() {
    let mut seen = 0;
    for (path, page) in pages() {
        for block in blocks(&page, "toml") {
            let sources = Sources {
                file: Some((&path, block)),
                environment: Vec::new(),
                flags: Flags::default(),
            };
            config::load(&sources)
                .unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
            seen += 1;
        }
    }
    assert!(seen >= 10, "the pages show configurations: {seen}");
}

/// What stands between backticks in a page's text.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split("```")
        .step_by(2)
        .flat_map(|text| text.split('`').skip(1).step_by(2))
}

/// The settings of a TOML text, commented or not, as `section.key` with their values.
fn settings(text: &str) -> BTreeMap<String, &str> {
    let mut section = String::new();
    let mut settings = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim_start_matches('#');
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_matches(['[', ']']));
        } else if let Some((key, value)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            settings.insert(format!("{section}{key}"), value);
        }
    }
    settings
}

#[test]
fn every_key_in_the_pages_exists() {
    let example = fs::read_to_string(root().join("config/tokenshim.example.toml")).unwrap();
    let keys = settings(&example);
    let sections: BTreeSet<&str> = keys
        .keys()
        .filter_map(|key| key.split_once('.'))
        .map(|(section, _)| section)
        .collect();
    let mut seen = 0;
    for (path, page) in pages() {
        for word in quoted(&page) {
            let name = word.split(" = ").next().unwrap();
            if let Some((section, _)) = name.split_once('.')
                && sections.contains(section)
                && name
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
            {
                assert!(keys.contains_key(name), "{}: {name}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 40, "the pages name keys: {seen}");
}

#[test]
fn every_default_is_the_one_that_is_told() {
    // Its defaults are tested to be those of the program.
    let example = fs::read_to_string(root().join("config/tokenshim.example.toml")).unwrap();
    let mut defaults = settings(&example);
    defaults.retain(|name, _| name.starts_with("limits.") || name.starts_with("timeouts."));
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let told: BTreeMap<String, &str> = page
        .lines()
        .filter(|line| line.starts_with("| `limits.") || line.starts_with("| `timeouts."))
        .map(|row| {
            let (name, rest) = row.trim_start_matches("| `").split_once("` | `").unwrap();
            (name.to_owned(), rest.split('`').next().unwrap())
        })
        .collect();
    assert_eq!(told, defaults);
}

/// Drop-ins for the units: each begins with its path, and systemd takes it.
#[test]
fn systemd_takes_the_drop_ins() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["tokenshim.service", "tokenshim.socket"] {
        let unit = fs::read_to_string(root().join("contrib/systemd").join(name)).unwrap();
        let unit = unit.replace("/usr/bin/tokenshim", env!("CARGO_BIN_EXE_tokenshim"));
        fs::write(directory.path().join(name), &unit).unwrap();
        // "Restart without a pause" copies it.
        if name == "tokenshim.service" {
            fs::write(directory.path().join("tokenshim-next.service"), unit).unwrap();
        }
    }
    let mut units = BTreeSet::new();
    for (path, page) in pages() {
        for block in blocks(&page, "ini") {
            let (first, rest) = block.split_once('\n').unwrap();
            let file = first.strip_prefix("# /etc/systemd/system/").unwrap();
            let (unit, _) = file.split_once(".d/").unwrap();
            let file = directory.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, rest).unwrap();
            assert!(
                units.insert(directory.path().join(unit)),
                "{}: {unit} twice",
                path.display()
            );
        }
    }
    assert!(units.len() >= 3, "docs/operations.md shows drop-ins");
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .args(&units)
        .output();
    if matches!(&verified, Err(error) if error.kind() == ErrorKind::NotFound) {
        // No systemd here: their form was checked.
        return;
    }
    let verified = verified.unwrap();
    assert_eq!(String::from_utf8_lossy(&verified.stderr), "");
    assert!(verified.status.success());
}

#[test]
fn the_nginx_block_is_the_one_that_is_tested() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let example = fs::read_to_string(root().join("config/nginx.conf.example")).unwrap();
    assert_eq!(blocks(&readme, "nginx"), [example]);
}

#[test]
fn every_command_in_the_pages_exists() {
    let mut seen = 0;
    for (path, page) in pages() {
        for line in blocks(&page, "sh").into_iter().flat_map(str::lines) {
            let line = line.split_once(" #").map_or(line, |(line, _)| line).trim();
            let rest = line
                .strip_prefix("tokenshim ")
                .or_else(|| line.strip_prefix("cargo run --release -- "));
            let Some(command) = rest.and_then(|rest| rest.split_whitespace().next()) else {
                continue;
            };
            let help = Command::new(env!("CARGO_BIN_EXE_tokenshim"))
                .args([command, "--help"])
                .output()
                .unwrap();
            assert!(help.status.success(), "{}: {line}", path.display());
            for flag in line
                .split_whitespace()
                .filter(|word| word.starts_with("--") && *word != "--" && *word != "--release")
            {
                let text = String::from_utf8_lossy(&help.stdout);
                assert!(
                    text.contains(flag),
                    "{}: {flag} in `{line}`",
                    path.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen >= 4, "README.md shows its commands");
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .replace(' ', "-")
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    for (path, page) in pages() {
        for target in page
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
        {
            let target = target.0;
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = path.parent().unwrap().join(file);
            assert!(file.exists(), "{} links to {target}", path.display());
            let is_there = heading.is_empty() || {
                let page = fs::read_to_string(&file).unwrap();
                page.lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading)
            };
            assert!(is_there, "{} links to {target}", path.display());
        }
    }
}

#[test]
fn every_claim_names_a_test_that_there_is() {
    for (page, least) in [("docs/claims.md", 120), ("docs/pitfalls.md", 140)] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let mut seen = 0;
        for name in text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains("::") && name.contains('/'))
        {
            let (file, function) = name.split_once("::").unwrap();
            let source = fs::read_to_string(root().join(file))
                .unwrap_or_else(|error| panic!("{page}, {name}: {error}"));
            let is_there = source.contains(&format!("fn {function}("))
                || source.contains(&format!("def {function}("));
            assert!(is_there, "{page}: there is no {name}");
            seen += 1;
        }
        assert!(seen >= least, "{page} has only {seen}");
    }
}
