//! Unix sockets: the file appears with its mode and owner, and goes at the end.
//!
//! A socket is bound first, and refuses everybody until it listens; in between its
//! file gets mode and owner. So nobody comes in before they are right, without a
//! umask, which would be the whole process's, and without another name, which
//! would stay in the kernel's tables (`ss -xl`) for good.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixSocket};

use super::{BACKLOG, owner::Ids};
use crate::config::Owner;

/// The file of a unix socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own in this place.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
        }
    }

    /// Where it is.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn is_in_place(&self) -> bool {
        self.identity.is_some() && identity(&self.path) == self.identity
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_in_place() {
            // Whoever cannot remove it now finds it stale at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Listens at `path`; needs a tokio runtime around it.
pub(crate) fn bind(
    path: &Path,
    mode: u32,
    owner: Option<&Owner>,
) -> io::Result<(UnixListener, SocketFile)> {
    // Before there is anything to clean up.
    let ids = Ids::of(owner)?;
    remove_stale(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let file = SocketFile::new(path);
    // Once it is given away, its mode is no longer ours to set.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    ids.own(path)?;
    let listener = socket.listen(BACKLOG)?;
    if !file.is_in_place() {
        // Another start took what did not listen yet for stale.
        return Err(io::ErrorKind::AddrInUse.into());
    }
    Ok((listener, file))
}

/// Removes a socket that nobody listens on, left by a process that was killed;
/// anything else stays and makes the bind fail.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket =
        fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let is_refused = || {
        std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if is_socket && is_refused() {
        fs::remove_file(path)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::net::{UnixListener as StdListener, UnixStream},
        sync::{Arc, Barrier},
    };

    use super::*;

    fn owner(user: &str) -> Owner {
        Owner {
            user: Some(user.into()),
            group: None,
        }
    }

    #[tokio::test]
    async fn mode_and_owner_are_as_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let ours = directory.path().metadata().unwrap().uid();
        // Root gives it away; others can only keep it.
        let wanted = if ours == 0 { 12345 } else { ours };
        for mode in [0o600, 0o660, 0o666] {
            let owner = owner(&wanted.to_string());
            let (_listener, file) = bind(&path, mode, Some(&owner)).unwrap();
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode);
            assert_eq!(metadata.uid(), wanted);
            UnixStream::connect(&path).unwrap();
            drop(file);
            assert!(!path.exists(), "removed at the end");
        }
    }

    #[tokio::test]
    async fn whoever_gets_in_finds_mode_and_owner_right() {
        let directory = tempfile::tempdir().unwrap();
        for number in 0..200 {
            let path = directory.path().join(number.to_string());
            let start = Arc::new(Barrier::new(2));
            let visitor = std::thread::spawn({
                let (path, start) = (path.clone(), Arc::clone(&start));
                move || {
                    start.wait();
                    while UnixStream::connect(&path).is_err() {
                        std::hint::spin_loop();
                    }
                    fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777
                }
            });
            start.wait();
            // A mode that no umask makes.
            let _bound = bind(&path, 0o717, None).unwrap();
            assert_eq!(visitor.join().unwrap(), 0o717, "at the door");
        }
    }

    #[tokio::test]
    async fn a_bound_socket_refuses_until_it_listens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = UnixSocket::new_stream().unwrap();
        socket.bind(&path).unwrap();
        let error = UnixStream::connect(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn what_is_in_the_way() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        // Left by a process that was killed.
        drop(StdListener::bind(&path).unwrap());
        drop(bind(&path, 0o600, None).unwrap());
        // In use.
        let other = StdListener::bind(&path).unwrap();
        let error = bind(&path, 0o600, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        drop(other);
        fs::remove_file(&path).unwrap();
        // No socket at all.
        fs::write(&path, "precious").unwrap();
        let error = bind(&path, 0o600, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn the_socket_of_another_is_left_alone_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let bound = bind(&path, 0o600, None).unwrap();
        fs::rename(&path, directory.path().join("old")).unwrap();
        let _other = StdListener::bind(&path).unwrap();
        drop(bound);
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn an_owner_that_cannot_be_leaves_no_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let error = bind(&path, 0o600, Some(&owner("no-such-user"))).unwrap_err();
        let expected = "there is no user `no-such-user` in /etc/passwd";
        assert_eq!(error.to_string(), expected);
        assert!(!path.exists());
    }
}
