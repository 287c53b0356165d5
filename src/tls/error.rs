//! What is wrong with the files that TLS needs.

use std::{error, fmt, io, path::PathBuf};

/// The files or names for TLS cannot be used.
///
/// `Display` names the key of the configuration and the file; what is wrong is
/// in the same line, and never a byte of what the file holds.
#[derive(Debug)]
pub struct TlsError {
    key: &'static str,
    file: Option<PathBuf>,
    wrong: Wrong,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// A part of the file is broken.
    #[error("is not valid PEM: {0}")]
    BadPem(&'static str),
    /// There is no certificate in it.
    #[error("holds no certificate")]
    NoCertificate,
    /// There is a private key where a certificate should be.
    #[error("holds a private key and no certificate")]
    KeyForCertificate,
    /// A certificate cannot be understood.
    #[error("holds a certificate that cannot be read: {0}")]
    BadCertificate(String),
    /// There is no private key in it.
    #[error("holds no private key")]
    NoKey,
    /// A password would be needed.
    #[error("is encrypted: write the key without a password, readable for this service alone")]
    EncryptedKey,
    /// A key of a kind that cannot sign here.
    #[error(
        "holds a private key that is broken or of a kind that is not supported (ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits and more are)"
    )]
    BadKey,
    /// The key is another certificate's.
    #[error("does not belong to the first certificate in {}: the server's own certificate has to come first, and the key has to be its own", .chain.display())]
    Mismatch {
        /// The file with the certificate.
        chain: PathBuf,
    },
    /// Nobody to believe.
    #[error("is needed: this system has no certificate authorities that can be read")]
    NoAuthorities,
    /// Something that is needed was not given.
    #[error("is missing")]
    Missing,
    /// Neither a host name nor an IP address.
    #[error("is no host name: {0}")]
    BadName(String),
    /// The library refuses.
    #[error("cannot be set up: {0}")]
    Setup(String),
}

impl TlsError {
    pub(super) fn new(key: &'static str, wrong: Wrong) -> Self {
        Self {
            key,
            file: None,
            wrong,
        }
    }

    pub(super) fn of_file(key: &'static str, file: impl Into<PathBuf>, wrong: Wrong) -> Self {
        Self {
            key,
            file: Some(file.into()),
            wrong,
        }
    }

    pub(super) fn setup(error: &dyn error::Error) -> Self {
        Self::new("tls", Wrong::Setup(error.to_string()))
    }

    /// The configuration's key, such as `certificate.key`.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// What is wrong.
    #[must_use]
    pub fn wrong(&self) -> &Wrong {
        &self.wrong
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", self.key)?;
        if let Some(file) = &self.file {
            write!(f, "({}) ", file.display())?;
        }
        self.wrong.fmt(f)
    }
}

// The line says it all: with the cause as a source too, a printed chain would
// say it twice.
impl error::Error for TlsError {}
