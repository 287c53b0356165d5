//! The documentation is true as far as a program can tell: every configuration in it
//! loads, every command exists, every claim names a test that there is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
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
    assert!(seen > 0, "README.md shows a configuration");
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
            let file = path
                .parent()
                .unwrap()
                .join(target.split('#').next().unwrap());
            assert!(file.exists(), "{} links to {target}", path.display());
        }
    }
}

#[test]
fn every_claim_names_a_test_that_there_is() {
    for (page, least) in [("docs/claims.md", 40), ("docs/pitfalls.md", 80)] {
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
