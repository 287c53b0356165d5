//! PEM files: certificates and private keys.
//!
//! What the PEM library says of a broken file may quote a line of it, and that
//! line may be of a key: every message here is our own.

use std::{fs, path::Path};

use memchr::memmem;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject as _},
};
use zeroize::Zeroizing;

use super::error::{TlsError, Wrong};

/// Reads the certificates of `file`, one at least.
pub(super) fn certificates(
    key: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |wrong| TlsError::of_file(key, file, wrong);
    let text = read(file).map_err(wrong)?;
    let found = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(Wrong::BadPem(say(&error))))?;
    if !found.is_empty() {
        return Ok(found);
    }
    // The two files are easily exchanged.
    Err(wrong(if PrivateKeyDer::from_pem_slice(&text).is_ok() {
        Wrong::KeyForCertificate
    } else {
        Wrong::NoCertificate
    }))
}

/// Reads the first private key of `file`.
pub(super) fn private_key(
    key: &'static str,
    file: &Path,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let wrong = |wrong| TlsError::of_file(key, file, wrong);
    let text = read(file).map_err(wrong)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        wrong(if is_encrypted(&text) {
            Wrong::EncryptedKey
        } else if matches!(error, Error::NoItemsFound) {
            Wrong::NoKey
        } else {
            Wrong::BadPem(say(&error))
        })
    })
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    fs::read(file)
        .map(Zeroizing::new)
        .map_err(Wrong::Unreadable)
}

/// PKCS #8 has a label for it, the older formats a header.
fn is_encrypted(text: &[u8]) -> bool {
    [
        b"BEGIN ENCRYPTED PRIVATE KEY".as_slice(),
        b"Proc-Type: 4,ENCRYPTED",
    ]
    .iter()
    .any(|mark| memmem::find(text, mark).is_some())
}

fn say(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a section has no END line",
        Error::IllegalSectionStart { .. } => "a BEGIN line is not complete",
        Error::Base64Decode(_) => "a section is not base64",
        Error::SectionTooLarge => "a section is too large",
        Error::NoItemsFound => "it has no section",
        // The library may add to these.
        _ => "it cannot be read",
    }
}
