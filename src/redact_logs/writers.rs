//! Who has a file open for writing.
//!
//! The kernel knows ([`lease`]), but names nobody, and tells only the file's owner and
//! root. So every descriptor of every process is looked at as well, in `/proc`. That is only
//! as good as what we may see: a process of another user, or one outside of our
//! container, may hide a descriptor, and then, if the kernel did not say more, the answer is
//! that nobody can tell.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::lease::{self, Answer};

/// Device and inode.
pub(super) type Identity = (u64, u64);

/// What could be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Writers {
    Nobody,
    /// This process, and there may be others.
    Somebody(Process),
    /// Of nobody it is known, but not everybody could be asked.
    Unknown(Hidden),
}

/// A process, as an operator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) id: String,
}

impl Process {
    /// Of which the kernel says that there is one, and no more.
    fn unseen() -> Self {
        Self {
            name: "somebody".to_owned(),
            id: "of another user or container".to_owned(),
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.id)
    }
}

/// Why not everybody could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    /// The first of some processes.
    Process(Process),
    /// Processes outside of our own name space.
    Container,
    /// There is no `/proc`, or it hides the others.
    Proc,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "{process} does not show its files to this user"),
            Self::Container => f.write_str("processes outside of this container cannot be seen"),
            Self::Proc => f.write_str("/proc does not show other processes"),
        }
    }
}

/// The number that the first name space of a machine always has.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Who can write to the file, which is open for reading only.
///
/// # Errors
///
/// If the file cannot be told apart from others.
pub(super) fn of(file: &File) -> io::Result<Writers> {
    let looks = file.metadata()?;
    let answer = lease::ask(file);
    if answer == Answer::Nobody {
        return Ok(Writers::Nobody);
    }
    let seen = look(Path::new("/proc"), (looks.dev(), looks.ino()));
    Ok(match (answer, seen) {
        (_, Writers::Somebody(process)) => Writers::Somebody(process),
        (Answer::Somebody, _) => Writers::Somebody(Process::unseen()),
        (_, seen) => seen,
    })
}

fn look(proc: &Path, file: Identity) -> Writers {
    let Ok(entries) = fs::read_dir(proc) else {
        return Writers::Unknown(Hidden::Proc);
    };
    // Where processes are hidden, so is the first.
    let mut hidden = (!proc.join("1").exists()).then_some(Hidden::Proc);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_process = |name: &OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process(&name) {
            continue;
        }
        match writes(&entry.path(), file) {
            Ok(false) => {}
            Ok(true) => return Writers::Somebody(process(&entry.path())),
            // It has ended.
            Err(error) if is_gone(&error) => {}
            Err(_) => {
                let _ = hidden.get_or_insert_with(|| Hidden::Process(process(&entry.path())));
            }
        }
    }
    let namespace = fs::read_link(proc.join("self/ns/pid"));
    if !namespace.is_ok_and(|name| name == Path::new(FIRST_NAMESPACE)) {
        let _ = hidden.get_or_insert(Hidden::Container);
    }
    hidden.map_or(Writers::Nobody, Writers::Unknown)
}

fn is_gone(error: &io::Error) -> bool {
    // ESRCH, where it ended while we looked.
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// Whether a process has a descriptor of the file that it can write to.
fn writes(process: &Path, file: Identity) -> io::Result<bool> {
    for entry in fs::read_dir(process.join("fd"))? {
        let entry = entry?;
        // Leads to the file itself, wherever its name went.
        let is_it = match fs::metadata(entry.path()) {
            Ok(metadata) => (metadata.dev(), metadata.ino()) == file,
            Err(error) if is_gone(&error) => false,
            Err(error) => return Err(error),
        };
        if is_it && is_writable(&process.join("fdinfo").join(entry.file_name()))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `flags:` of a descriptor, an octal number, ends in `O_WRONLY` or `O_RDWR`.
fn is_writable(info: &Path) -> io::Result<bool> {
    let info = match fs::read_to_string(info) {
        // Closed in the meantime.
        Err(error) if is_gone(&error) => return Ok(false),
        info => info?,
    };
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    // What cannot be read may be anything.
    Ok(flags.is_none_or(|flags| flags & 0o3 != 0))
}

fn process(path: &Path) -> Process {
    let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
    let printable = |character: char| {
        if character.is_control() {
            '?'
        } else {
            character
        }
    };
    Process {
        name: name.trim_end().chars().map(printable).collect(),
        id: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::symlink};

    use super::*;

    /// A `/proc` with one process besides the first.
    fn proc(flags: &str, namespace: &str) -> (tempfile::TempDir, Identity) {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let identity = File::create(&log).unwrap().metadata().unwrap();
        for (id, name, target) in [
            ("1", "init", "/dev/null"),
            ("7", "nginx\n", log.to_str().unwrap()),
        ] {
            let process = folder.path().join(id);
            fs::create_dir_all(process.join("fd")).unwrap();
            fs::create_dir_all(process.join("fdinfo")).unwrap();
            fs::write(process.join("comm"), name).unwrap();
            symlink(target, process.join("fd/4")).unwrap();
            fs::write(
                process.join("fdinfo/4"),
                format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t1\n"),
            )
            .unwrap();
        }
        fs::create_dir_all(folder.path().join("self/ns")).unwrap();
        symlink(namespace, folder.path().join("self/ns/pid")).unwrap();
        (folder, (identity.dev(), identity.ino()))
    }

    #[test]
    fn what_is_seen() {
        let nginx = Writers::Somebody(Process {
            name: "nginx".into(),
            id: "7".into(),
        });
        let cases = [
            ("append", "0102001", FIRST_NAMESPACE, nginx.clone()),
            ("read and write", "0100002", FIRST_NAMESPACE, nginx.clone()),
            ("read", "0100000", FIRST_NAMESPACE, Writers::Nobody),
            ("strange flags", "x", FIRST_NAMESPACE, nginx.clone()),
            (
                "in a container",
                "0100000",
                "pid:[4026532000]",
                Writers::Unknown(Hidden::Container),
            ),
            ("seen even there", "0102001", "pid:[4026532000]", nginx),
        ];
        for (name, flags, namespace, expected) in cases {
            let (proc, file) = proc(flags, namespace);
            assert_eq!(look(proc.path(), file), expected, "case: {name}");
        }
    }

    #[test]
    fn what_is_hidden() {
        let (proc, file) = proc("0102001", FIRST_NAMESPACE);
        assert_eq!(
            look(&proc.path().join("none"), file),
            Writers::Unknown(Hidden::Proc)
        );
        fs::remove_dir_all(proc.path().join("7")).unwrap();
        fs::remove_dir_all(proc.path().join("1")).unwrap();
        assert_eq!(look(proc.path(), file), Writers::Unknown(Hidden::Proc));
        fs::create_dir_all(proc.path().join("1")).unwrap();
        // A file in the place of the folder: refused, though not as another user's is.
        fs::write(proc.path().join("1/fd"), "").unwrap();
        assert!(matches!(
            look(proc.path(), file),
            Writers::Unknown(Hidden::Process(_))
        ));
    }

    #[test]
    fn ourselves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        let us = std::process::id().to_string();
        assert!(matches!(of(&reader).unwrap(), Writers::Somebody(process) if process.id == us));
        drop(file);
        assert!(!matches!(of(&reader).unwrap(), Writers::Somebody(_)));
    }
}
