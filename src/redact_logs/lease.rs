//! Asks the kernel whether somebody has a file open for writing.
//!
//! It grants a read lease only if nobody has, be it a process of another user, or one in
//! another container. The lease is given back at once: it is only the question.
//!
//! The one place of this program with `unsafe`, which no crate for leases spares us.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, RawFd},
};

use rustix::io::Errno;

/// What the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody can write to it.
    Nobody,
    /// Somebody can.
    Somebody,
    /// It is not for us to ask (only for the owner, and root), or this file system knows no
    /// leases.
    Unable,
}

/// Asks about a file that is open for reading only.
pub(super) fn ask(file: &File) -> Answer {
    let file = file.as_raw_fd();
    match set(file, libc::F_RDLCK) {
        Ok(()) => match set(file, libc::F_UNLCK) {
            Ok(()) => Answer::Nobody,
            Err(_) => Answer::Unable,
        },
        Err(error) if error.raw_os_error() == Some(Errno::AGAIN.raw_os_error()) => Answer::Somebody,
        Err(_) => Answer::Unable,
    }
}

fn set(file: RawFd, lease: libc::c_int) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "F_SETLEASE takes a number and touches no memory of ours"
    )]
    // SAFETY: a descriptor and two numbers go in, and the descriptor is open for as long as
    // the caller's borrow of its file.
    let done = unsafe { libc::fcntl(file, libc::F_SETLEASE, lease) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn who_writes_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let writer = File::create(&path).unwrap();
        let file = File::open(&path).unwrap();
        if ask(&file) == Answer::Unable {
            // This file system has none; then `/proc` is asked, and tested.
            return;
        }
        assert_eq!(ask(&file), Answer::Somebody, "open for writing");
        drop(writer);
        assert_eq!(ask(&file), Answer::Nobody, "closed");
        let reader = File::open(&path).unwrap();
        assert_eq!(ask(&file), Answer::Nobody, "another reader");
        let both = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&path)
            .unwrap();
        assert_eq!(ask(&file), Answer::Somebody, "open to append");
        drop((reader, both));
        // The question leaves nothing behind that would hold a writer up.
        assert_eq!(ask(&file), Answer::Nobody);
        OpenOptions::new().write(true).open(&path).unwrap();
    }
}
