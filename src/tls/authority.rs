//! The authorities whose signatures are believed.

use std::path::Path;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use super::{
    error::{TlsError, Wrong},
    pem,
};

/// Every certificate in `file`; one that cannot be used is an error, for the
/// operator chose them.
pub(super) fn of_file(
    key: &'static str,
    file: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let certificates = pem::certificates(key, file)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| {
            TlsError::of_file(key, file, Wrong::BadCertificate(error.to_string()))
        })?;
    }
    Ok((roots, certificates))
}

/// The system's. Some of them may be unreadable, or too old for us, and the
/// rest still good.
pub(super) fn of_system(key: &'static str) -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    if let Some(error) = found.errors.first() {
        tracing::warn!(%error, count = found.errors.len(), "certificate authorities of the system cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (usable, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(usable, ignored, "certificate authorities of the system");
    if roots.is_empty() {
        return Err(TlsError::new(key, Wrong::NoAuthorities));
    }
    Ok(roots)
}
