//! Who owns a socket's file.
//!
//! Names are read from `/etc/passwd` and `/etc/group` and nowhere else: asking the
//! system's name service means loading its modules at run time, which a static
//! binary cannot do safely, and a container has none. A user that is only in a
//! directory, or that systemd made up for the service, is written as a number.

use std::{fs, io, os::unix::fs::lchown, path::Path};

use crate::config::Owner;

/// An [`Owner`] whose names are known to this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    user: Option<u32>,
    group: Option<u32>,
}

impl Ids {
    pub(crate) fn of(owner: Option<&Owner>) -> io::Result<Self> {
        let Some(owner) = owner else {
            return Ok(Self::default());
        };
        let id = |name: &Option<String>, kind, file| {
            let id = |name: &String| resolve(name, kind, Path::new(file));
            name.as_ref().map(id).transpose()
        };
        Ok(Self {
            user: id(&owner.user, "user", "/etc/passwd")?,
            group: id(&owner.group, "group", "/etc/group")?,
        })
    }

    pub(crate) fn own(self, path: &Path) -> io::Result<()> {
        if self == Self::default() {
            return Ok(());
        }
        lchown(path, self.user, self.group).map_err(|error| {
            io::Error::new(error.kind(), format!("its owner cannot be set: {error}"))
        })
    }
}

/// The number of a name in `file`, or of a number as it is.
fn resolve(name: &str, kind: &str, file: &Path) -> io::Result<u32> {
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let id = if is_number {
        name.parse().ok()
    } else {
        let entries = fs::read(file).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        })?;
        look_up(&entries, name)
    };
    // The last number means "leave it as it is" to the kernel.
    id.filter(|&id| id != u32::MAX).ok_or_else(|| {
        let message = format!("there is no {kind} `{name}` in {}", file.display());
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

/// The third field of the line that begins with `name`: both files have it so.
fn look_up(entries: &[u8], name: &str) -> Option<u32> {
    let mut lines = entries.split(|&byte| byte == b'\n');
    lines.find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let is_it = fields.next() == Some(name.as_bytes());
        let id = fields.nth(1).filter(|_| is_it && !name.is_empty())?;
        str::from_utf8(id).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_name_is_looked_up() {
        let file = b"root:x:0:0:root:/root:/bin/sh\n# www:x:1:1\nwww-data:x:33:33:::\nno-number:x:a:1\nshort\nshort:x\n:x:7:\nlast:x:65534";
        let cases = [
            ("first", "root", Some(0)),
            ("middle", "www-data", Some(33)),
            ("last, without a line's end", "last", Some(65534)),
            ("the beginning of a name", "www", None),
            ("nobody", "nobody", None),
            ("a broken number", "no-number", None),
            ("a broken line", "short", None),
            ("empty", "", None),
            ("another field", "x", None),
        ];
        for (name, wanted, expected) in cases {
            assert_eq!(look_up(file, wanted), expected, "case: {name}");
        }
    }

    #[test]
    fn names_and_numbers() {
        let id = |name: &str| resolve(name, "user", Path::new("/etc/passwd"));
        assert_eq!(id("root").unwrap(), 0);
        assert_eq!(id("12345").unwrap(), 12345);
        let cases = ["no-such-user", "4294967295", "4294967296", "-1", "+1", ""];
        for name in cases {
            let error = id(name).unwrap_err();
            let message = format!("there is no user `{name}` in /etc/passwd");
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let before = fs::metadata(&target).unwrap();
        // Root gives it away; others can only give it to themselves.
        let wanted = if before.uid() == 0 {
            12345
        } else {
            before.uid()
        };
        let owner = Owner {
            user: Some(wanted.to_string()),
            group: None,
        };
        Ids::of(Some(&owner)).unwrap().own(&link).unwrap();
        assert_eq!(fs::symlink_metadata(&link).unwrap().uid(), wanted);
        assert_eq!(fs::metadata(&target).unwrap().uid(), before.uid());
        Ids::of(Some(&owner)).unwrap().own(&target).unwrap();
        let after = fs::metadata(&target).unwrap();
        assert_eq!((after.uid(), after.gid()), (wanted, before.gid()));
        Ids::of(None).unwrap().own(&target).unwrap();
    }
}
