//! A new file beside an old one, which takes its place at once or not at all.
//!
//! It has no name while it is written, where the file system can do that (`O_TMPFILE`),
//! and gets one only to be renamed, in a folder that nobody else may enter. So whoever
//! is killed leaves nothing that others could read; a folder that was left is
//! cleared by the next run.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Metadata},
    io::{self, Seek as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::{MetadataExt as _, fchown},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self as sys, Timespec, Timestamps},
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, XattrFlags},
    io::Errno,
    process::geteuid,
};

use super::writers::Identity;

/// The folder of a file, opened, and the file's name in it.
#[derive(Debug)]
pub(super) struct Parent {
    folder: OwnedFd,
    name: OsString,
}

impl Parent {
    /// The folder that `path` is in.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = sys::open(
            folder,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self {
            folder,
            name: name.to_owned(),
        })
    }

    /// Opens the file; never through a link.
    pub(super) fn open(&self) -> io::Result<File> {
        // A pipe in its place must not make us wait. That we read it is no use of the file.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |flags| sys::openat(&self.folder, &self.name, flags, Mode::empty());
        let file = match open(flags | OFlags::NOATIME) {
            Err(Errno::PERM) => open(flags),
            result => result,
        };
        Ok(file?.into())
    }

    /// What the name stands for now; of a link, the link.
    pub(super) fn identity(&self) -> io::Result<Identity> {
        let stat = sys::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

/// A file that is to take the place of another.
#[derive(Debug)]
pub(super) struct Beside<'p> {
    parent: &'p Parent,
    file: File,
    /// Where it has a name already.
    room: Option<Room<'p>>,
}

impl<'p> Beside<'p> {
    /// An empty one that only its owner may read.
    pub(super) fn new(parent: &'p Parent) -> io::Result<Self> {
        let mode = Mode::RUSR | Mode::WUSR;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        match sys::openat(&parent.folder, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => Ok(Self {
                parent,
                file: file.into(),
                room: None,
            }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Self::named(parent),
            Err(error) => Err(error.into()),
        }
    }

    /// The same for file systems where every file has a name.
    fn named(parent: &'p Parent) -> io::Result<Self> {
        let room = Room::enter(parent)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = sys::openat(&room.folder, &parent.name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self {
            parent,
            file: file.into(),
            room: Some(room),
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The file once more, from its beginning.
    pub(super) fn read_again(&self) -> io::Result<&File> {
        (&self.file).rewind()?;
        Ok(&self.file)
    }

    /// Makes it look as `old` does: owner, mode, extended attributes (access lists and
    /// labels are some), and last the times, which were `looks`.
    pub(super) fn dress(&self, old: &File, looks: &Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (looks.uid(), looks.gid()) {
            fchown(&self.file, Some(looks.uid()), Some(looks.gid()))
                .map_err(cannot("its owner"))?;
        }
        self.file
            .set_permissions(looks.permissions())
            .map_err(cannot("its mode"))?;
        copy_attributes(old, &self.file)?;
        let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: time(looks.atime(), looks.atime_nsec()),
            last_modification: time(looks.mtime(), looks.mtime_nsec()),
        };
        sys::futimens(&self.file, &times).map_err(|error| cannot("its times")(error.into()))
    }

    /// Puts it in the place of the file that is `expected` there, for good: no crash undoes
    /// it, if what is in it was synced before. `false` if another had got the name in the
    /// last moment, which then has it again.
    pub(super) fn take_place(self, expected: Identity) -> io::Result<bool> {
        let parent = self.parent;
        let room = if let Some(room) = self.room {
            room
        } else {
            let room = Room::enter(parent)?;
            let ours = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            sys::linkat(
                CWD,
                ours,
                &room.folder,
                &parent.name,
                AtFlags::SYMLINK_FOLLOW,
            )?;
            room
        };
        let is_done = room.change_places(expected)?;
        drop(room);
        sys::fsync(&parent.folder)?;
        Ok(is_done)
    }
}

/// A folder that only we may enter, beside the file; empty at the end.
#[derive(Debug)]
struct Room<'p> {
    parent: &'p Parent,
    name: OsString,
    /// Locked: two that clean one file would clear each other's room.
    folder: OwnedFd,
}

impl<'p> Room<'p> {
    fn enter(parent: &'p Parent) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(&parent.name);
        name.push(".tokenshim");
        match sys::mkdirat(&parent.folder, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = sys::openat(&parent.folder, &name, flags, Mode::empty())?;
        let shown = PathBuf::from(&name);
        let stat = sys::fstat(&folder)?;
        if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
            return Err(io::Error::other(format!("{} is not ours", shown.display())));
        }
        match sys::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(io::Error::other(format!(
                    "{} is in use: another run is at work",
                    shown.display()
                )));
            }
            Err(error) => return Err(error.into()),
        }
        let room = Self {
            parent,
            name,
            folder,
        };
        // Left by a run that was killed.
        room.clear()?;
        Ok(room)
    }

    /// Gives the new file the name of the one that is `expected` to have it, which is here
    /// then until it is cleared; undone if that was another.
    fn change_places(&self, expected: Identity) -> io::Result<bool> {
        let Parent { folder, name } = self.parent;
        let change = || {
            let flags = RenameFlags::EXCHANGE;
            sys::renameat_with(&self.folder, name, folder, name, flags)
        };
        match change() {
            Ok(()) => {}
            // Not every file system has it; there the last look was a moment earlier.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                sys::renameat(&self.folder, name, folder, name)?;
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
        let old = sys::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if (old.st_dev, old.st_ino) == expected {
            return Ok(true);
        }
        change()?;
        Ok(false)
    }

    fn clear(&self) -> io::Result<()> {
        match sys::unlinkat(&self.folder, &self.parent.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        // What cannot be removed now is cleared by the next run.
        let _ = self.clear();
        let _ = sys::unlinkat(&self.parent.folder, &self.name, AtFlags::REMOVEDIR);
    }
}

/// An error that says what of the old file the new one could not have.
fn cannot(what: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what} cannot be kept: {error}"))
}

fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    for name in attributes(from)? {
        let mut value = vec![0; sys::fgetxattr_query(from, &name)?];
        let length = sys::fgetxattr(from, &name, value.as_mut_slice())?;
        value.truncate(length);
        // The kernel may have set it already, such as a label that is the folder's.
        if value_of(to, &name).as_deref() == Some(value.as_slice()) {
            continue;
        }
        sys::fsetxattr(to, &name, &value, XattrFlags::empty()).map_err(|error| {
            let error = io::Error::from(error);
            let message = format!(
                "its attribute {} cannot be kept: {error}",
                name.to_string_lossy()
            );
            io::Error::new(error.kind(), message)
        })?;
    }
    Ok(())
}

/// The names of all extended attributes; none where there is no such thing.
fn attributes(file: &File) -> io::Result<Vec<OsString>> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut names = Vec::new();
    let read = sys::flistxattr_query(file.as_fd()).and_then(|length| {
        names.resize(length, 0);
        sys::flistxattr(file.as_fd(), names.as_mut_slice())
    });
    match read {
        Ok(length) => names.truncate(length),
        Err(Errno::OPNOTSUPP) => names.clear(),
        Err(error) => return Err(error.into()),
    }
    let names = names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect())
}

fn value_of(file: &File, name: &OsStr) -> Option<Vec<u8>> {
    let mut value = vec![0; sys::fgetxattr_query(file, name).ok()?];
    let length = sys::fgetxattr(file, name, value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn folder() -> (tempfile::TempDir, Parent) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "old").unwrap();
        let parent = Parent::of(&path).unwrap();
        (folder, parent)
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn with_a_name_or_without() {
        for (name, is_named) in [("without", false), ("with", true)] {
            let (folder, parent) = folder();
            let make = || {
                let new = if is_named { Beside::named } else { Beside::new };
                new(&parent).unwrap()
            };
            let new = make();
            new.file().write_all(b"new").unwrap();
            assert_eq!(
                new.file().metadata().unwrap().permissions().mode() & 0o777,
                0o600
            );
            assert!(new.take_place(parent.identity().unwrap()).unwrap());
            assert_eq!(
                fs::read(folder.path().join("log")).unwrap(),
                b"new",
                "{name}"
            );
            assert_eq!(names(&folder), ["log"], "{name}");
            // One that is given up leaves nothing.
            drop(make());
            assert_eq!(names(&folder), ["log"], "{name}");
            assert_eq!(
                fs::read(folder.path().join("log")).unwrap(),
                b"new",
                "{name}"
            );
        }
    }

    fn take_place(parent: &Parent) -> io::Result<bool> {
        Beside::new(parent)?.take_place(parent.identity()?)
    }

    #[test]
    fn who_got_the_name_meanwhile_keeps_it() {
        let (folder, parent) = folder();
        let expected = parent.identity().unwrap();
        let new = Beside::new(&parent).unwrap();
        new.file().write_all(b"new").unwrap();
        let log = folder.path().join("log");
        fs::rename(&log, folder.path().join("log.1")).unwrap();
        fs::write(&log, b"of today").unwrap();
        assert!(!new.take_place(expected).unwrap());
        assert_eq!(fs::read(&log).unwrap(), b"of today");
        assert_eq!(names(&folder), ["log", "log.1"]);
        // Gone, and nothing in its place: nothing is put there either.
        fs::remove_file(&log).unwrap();
        Beside::new(&parent)
            .unwrap()
            .take_place(expected)
            .unwrap_err();
        assert_eq!(names(&folder), ["log.1"]);
    }

    #[test]
    fn what_is_in_the_way() {
        let (folder, parent) = folder();
        let room = folder.path().join(".log.tokenshim");
        let make = |mode| {
            fs::create_dir(&room).unwrap();
            fs::write(room.join("log"), "half").unwrap();
            fs::set_permissions(&room, fs::Permissions::from_mode(mode)).unwrap();
        };
        make(0o700);
        let is_done = take_place(&parent).unwrap();
        assert!(is_done);
        assert_eq!(names(&folder), ["log"], "what a killed run left is cleared");
        make(0o755);
        let error = take_place(&parent).unwrap_err();
        assert_eq!(error.to_string(), ".log.tokenshim is not ours");
        fs::remove_dir_all(&room).unwrap();
        std::os::unix::fs::symlink("/", &room).unwrap();
        take_place(&parent).unwrap_err();
        fs::remove_file(&room).unwrap();
        let busy = Beside::named(&parent).unwrap();
        let error = take_place(&parent).unwrap_err();
        assert_eq!(
            error.to_string(),
            ".log.tokenshim is in use: another run is at work"
        );
        drop(busy);
        assert_eq!(names(&folder), ["log"]);
    }
}
