//! Files of this machine, and patterns that stand for several.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use super::Files;

/// The files of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

/// More than any configuration has.
const LONGEST: u64 = 16 * 1024 * 1024;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() || metadata.len() > LONGEST {
            return Err(io::Error::other("is no configuration file"));
        }
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![PathBuf::new()];
        let mut is_listed = false;
        for component in pattern.components() {
            let text = component.as_os_str().to_string_lossy().into_owned();
            if !(matches!(component, Component::Normal(_)) && is_pattern(&text)) {
                for path in &mut found {
                    path.push(component);
                }
                is_listed = false;
                continue;
            }
            let mut next = Vec::new();
            for directory in found {
                for entry in list(&directory)? {
                    if matches(&text, &entry) {
                        next.push(directory.join(entry));
                    }
                }
            }
            found = next;
            is_listed = true;
        }
        // What a directory names is there, and fails aloud where it cannot be read: a link
        // to nothing, or a file in a directory that may be listed and not entered.
        if !is_listed {
            found.retain(|path| !fs::symlink_metadata(path).is_err_and(|it| is_absent(&it)));
        }
        found.sort();
        Ok(found)
    }
}

fn list(directory: &Path) -> io::Result<Vec<String>> {
    let here = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let entries = match fs::read_dir(here) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        entries => entries?,
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

/// Not there, which is another thing than closed.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether it may stand for several names.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether a name is one of those that a pattern stands for, as a shell has it: a name
/// that begins with a dot has to be named so.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    fits(pattern.as_bytes(), name.as_bytes())
}

/// Goes back to the last `*` alone, so time is at most the product of the lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (pattern, name);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        let step = match (at, read) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, read));
                at = rest;
                continue;
            }
            ([], []) => return true,
            ([], _) | (_, []) => None,
            ([b'?', rest @ ..], [_, behind @ ..]) => Some((rest, behind)),
            ([b'[', ..], [byte, behind @ ..]) => {
                class(at, *byte).and_then(|(rest, is_in)| is_in.then_some((rest, behind)))
            }
            ([wanted, rest @ ..], [byte, behind @ ..]) => {
                (wanted == byte).then_some((rest, behind))
            }
        };
        match (step, star) {
            (Some((rest, behind)), _) => (at, read) = (rest, behind),
            (None, Some((behind_star, [_, later @ ..]))) => {
                star = Some((behind_star, later));
                (at, read) = (behind_star, later);
            }
            (None, _) => return false,
        }
    }
}

/// `[a-z]` or `[!a-z]`: what is behind it, and whether the byte is in it. Without its end
/// it is a bracket.
fn class(pattern: &[u8], byte: u8) -> Option<(&[u8], bool)> {
    let inside = pattern.get(1..)?;
    let (inside, is_not) = match inside {
        [b'!' | b'^', rest @ ..] => (rest, true),
        _ => (inside, false),
    };
    // A bracket that comes first is one of the class.
    let end = inside
        .iter()
        .skip(1)
        .position(|byte| *byte == b']')
        .map(|at| at.saturating_add(1));
    let Some(end) = end else {
        return (byte == b'[').then_some((pattern.get(1..)?, true));
    };
    let mut rest = inside.get(..end)?;
    let mut is_in = false;
    loop {
        match rest {
            [low, b'-', high, behind @ ..] => {
                is_in |= (*low..=*high).contains(&byte);
                rest = behind;
            }
            [one, behind @ ..] => {
                is_in |= *one == byte;
                rest = behind;
            }
            [] => break,
        }
    }
    Some((inside.get(end.saturating_add(1)..)?, is_in != is_not))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_a_shell_does() {
        let rows = [
            ("*.conf", "a.conf", true),
            ("*.conf", ".conf", false),
            ("*.conf", "a.conf.bak", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?.conf", "a.conf", true),
            ("?.conf", ".conf", false),
            ("[0-9][0-9]-*", "10-matrix", true),
            ("[!0-9]*", "10-matrix", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("*", "", true),
            ("", "a", false),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn expands_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b/x.conf", "a/x.conf", "a/y.txt", "c/.x.conf"] {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = Disk.expand(&directory.path().join("*/*.conf")).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(directory.path()).unwrap())
            .collect();
        assert_eq!(names, [Path::new("a/x.conf"), Path::new("b/x.conf")]);
        assert!(
            Disk.expand(&directory.path().join("no/*"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn what_is_there_and_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("a.conf");
        std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        assert_eq!(
            Disk.expand(&directory.path().join("*.conf")).unwrap(),
            [link]
        );
        // Not a directory, so there is nothing in it.
        let within = Disk.expand(&directory.path().join("file/*")).unwrap();
        assert!(within.is_empty(), "{within:?}");
        // A name that is too long stands for a directory that cannot be listed.
        let closed = directory.path().join("n".repeat(300)).join("*");
        assert!(Disk.expand(&closed).is_err());
    }
}
