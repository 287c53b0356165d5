//! The key under which an audit names secrets.
//!
//! The same file as `access_log.fingerprint_key_file` gives the same names as the proxy's
//! access log has. Without a file there is a key for this run alone, whose names mean
//! nothing to anybody else, and nothing tomorrow.

use std::{
    fmt, fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::secret::{FingerprintKey, ShortKey};

/// The longest key file, in bytes; who names a log by mistake is told so.
const LONGEST: u64 = 64 * 1024;

/// Read by everybody, or written by everybody.
const OTHERS: u32 = 0o006;

/// The key of one run.
#[derive(Clone)]
pub struct Key {
    fingerprints: FingerprintKey,
    is_ephemeral: bool,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("--key {path} cannot be read", path = .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// Who knows the key can find out which token a report speaks of.
    #[error(
        "--key {path} can be read or written by everybody on this machine: chmod 600 {path}",
        path = .0.display()
    )]
    Exposed(PathBuf),
    /// It is no key.
    #[error("--key {path} is longer than {LONGEST} bytes", path = .0.display())]
    TooLong(PathBuf),
    /// It could be guessed.
    #[error("--key {path} cannot be used", path = .0.display())]
    TooShort(PathBuf, #[source] ShortKey),
    /// No key of our own.
    #[error("the system gives no random bytes for a key")]
    Randomness(#[source] io::Error),
}

impl Key {
    /// The key in `file`, or a new one for this run.
    ///
    /// # Errors
    ///
    /// [`KeyError`].
    pub fn load(file: Option<&Path>) -> Result<Self, KeyError> {
        match file {
            Some(path) => of_file(path),
            None => ephemeral(),
        }
    }

    /// Names secrets.
    #[must_use]
    pub fn fingerprints(&self) -> &FingerprintKey {
        &self.fingerprints
    }

    /// Whether it ends with this run.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        self.is_ephemeral
    }

    /// Tells keys apart.
    #[must_use]
    pub fn id(&self) -> String {
        self.fingerprints.key_id()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

fn of_file(path: &Path) -> Result<Key, KeyError> {
    let unreadable = |error| KeyError::Unreadable(path.to_owned(), error);
    let file = fs::File::open(path).map_err(unreadable)?;
    // Of the open file: nobody puts another one into its place in between.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    // With room for the longest one nothing is moved, which would leave a copy behind.
    let room = usize::try_from(LONGEST).unwrap_or(usize::MAX);
    let mut key = Zeroizing::new(Vec::with_capacity(room.saturating_add(2)));
    file.take(LONGEST.saturating_add(1))
        .read_to_end(&mut key)
        .map_err(unreadable)?;
    if key.len() > room {
        return Err(KeyError::TooLong(path.to_owned()));
    }
    // As the proxy reads the file: white space at the end is an editor's.
    let fingerprints = FingerprintKey::new(key.trim_ascii_end())
        .map_err(|error| KeyError::TooShort(path.to_owned(), error))?;
    Ok(Key {
        fingerprints,
        is_ephemeral: false,
    })
}

fn ephemeral() -> Result<Key, KeyError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice())
        .map_err(|error| KeyError::Randomness(io::Error::other(error)))?;
    let fingerprints = FingerprintKey::new(key.as_slice())
        .map_err(|error| KeyError::Randomness(io::Error::other(error)))?;
    Ok(Key {
        fingerprints,
        is_ephemeral: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn reads_a_file_as_the_proxy_does() {
        let expected = FingerprintKey::new(b"FAKE-KEY-FAKE-KEY").unwrap().key_id();
        let cases: [(&str, &[u8], u32, bool); 8] = [
            ("plain", b"FAKE-KEY-FAKE-KEY", 0o600, true),
            ("a line", b"FAKE-KEY-FAKE-KEY\n", 0o400, true),
            ("from Windows", b"FAKE-KEY-FAKE-KEY\r\n", 0o600, true),
            ("for the service's group", b"FAKE-KEY-FAKE-KEY", 0o640, true),
            ("read by all", b"FAKE-KEY-FAKE-KEY", 0o604, false),
            ("written by all", b"FAKE-KEY-FAKE-KEY", 0o602, false),
            ("short", b"FAKE-KEY-FAKE-K\n\n\n", 0o600, false),
            ("empty", b"", 0o600, false),
        ];
        for (name, content, mode, is_good) in cases {
            let file = file(content, mode);
            let key = Key::load(Some(file.path()));
            assert_eq!(key.is_ok(), is_good, "case: {name}");
            match key {
                Ok(key) => {
                    assert_eq!(key.id(), expected, "case: {name}");
                    assert!(!key.is_ephemeral(), "case: {name}");
                }
                Err(error) => assert!(!error.to_string().contains("FAKE-KEY"), "case: {name}"),
            }
        }
    }

    #[test]
    fn refuses_what_is_no_key_file() {
        let long = file(&vec![b'F'; 64 * 1024 + 1], 0o600);
        assert!(matches!(
            Key::load(Some(long.path())),
            Err(KeyError::TooLong(_))
        ));
        let longest = file(&vec![b'F'; 64 * 1024], 0o600);
        assert!(Key::load(Some(longest.path())).is_ok());
        let nowhere = Key::load(Some(Path::new("/nonexistent/key")));
        assert!(matches!(nowhere, Err(KeyError::Unreadable(..))));
    }

    #[test]
    fn a_key_of_one_run_is_no_other_runs() {
        let (one, other) = (Key::load(None).unwrap(), Key::load(None).unwrap());
        assert!(one.is_ephemeral());
        assert_ne!(one.id(), other.id());
        assert_eq!(format!("{one:?}"), format!("Key({})", one.id()));
    }
}
