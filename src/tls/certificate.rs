//! One certificate of ours with its chain and its key, checked.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::UnixTime;
use webpki::{EndEntityCert, KeyUsage};

use super::{
    error::{TlsError, Wrong},
    pem,
};
use crate::config::CertificateFiles;

const CHAIN: &str = "certificate.chain";
const KEY: &str = "certificate.key";

/// The last second of the year 9999, which stands for "no end" (RFC 5280 §4.1.2.5).
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_799);

/// A certificate that can be shown, and the names it is for.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) certified: CertifiedKey,
    /// As in the certificate, lower-cased: `example.org` or `*.example.org`.
    pub(super) names: Vec<String>,
    /// When it ends, if it does.
    pub(super) expiry: Option<Timestamp>,
    objection: Option<Objection>,
    file: PathBuf,
}

/// Why clients may refuse a certificate that we can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Objection {
    #[error("certificate has expired, {0}")]
    Expired(Timestamp),
    #[error("certificate is not valid before {0}")]
    NotYetValid(Timestamp),
    #[error("certificate is not meant for servers")]
    NotForServers,
}

impl Certificate {
    /// Reads both files and checks that they belong together.
    pub(super) fn load(
        files: &CertificateFiles,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let of_chain = |wrong| TlsError::of_file(CHAIN, &files.chain, wrong);
        let of_key = |wrong| TlsError::of_file(KEY, &files.key, wrong);
        let chain = pem::certificates(CHAIN, &files.chain)?;
        let key = pem::private_key(KEY, &files.key)?;
        // The library's reasons are dropped: they are about the key's bytes.
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(|_| of_key(Wrong::BadKey))?;
        let certified = CertifiedKey::new(chain, key);
        let leaf =
            Leaf::read(&certified, now).map_err(|error| of_chain(Wrong::BadCertificate(error)))?;
        match certified.keys_match() {
            // A key that cannot tell: the handshakes will.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                return Err(of_key(Wrong::Mismatch {
                    chain: files.chain.clone(),
                }));
            }
            Err(error) => return Err(of_chain(Wrong::BadCertificate(error.to_string()))),
        }
        Ok(Self {
            certified,
            names: leaf.names,
            expiry: leaf.expiry,
            objection: leaf.objection,
            file: files.chain.clone(),
        })
    }

    /// What clients will object to, though it can be shown.
    pub(super) fn objection(&self) -> Option<String> {
        let objection = self.objection.as_ref()?;
        Some(format!("`{CHAIN}` ({}): {objection}", self.file.display()))
    }
}

/// What a certificate says of itself.
struct Leaf {
    names: Vec<String>,
    expiry: Option<Timestamp>,
    objection: Option<Objection>,
}

impl Leaf {
    fn read(certified: &CertifiedKey, now: SystemTime) -> Result<Self, String> {
        let leaf = certified
            .end_entity_cert()
            .map_err(|error| error.to_string())?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|error| error.to_string())?;
        let names = leaf
            .valid_dns_names()
            .map(str::to_ascii_lowercase)
            .collect();
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let expiry = match judge(&leaf, UnixTime::since_unix_epoch(END_OF_TIME)) {
            Some(webpki::Error::CertExpired { not_after, .. }) => Some(timestamp(not_after)),
            _ => None,
        };
        let objection = match judge(&leaf, UnixTime::since_unix_epoch(now)) {
            Some(webpki::Error::CertExpired { not_after, .. }) => {
                Some(Objection::Expired(timestamp(not_after)))
            }
            Some(webpki::Error::CertNotValidYet { not_before, .. }) => {
                Some(Objection::NotYetValid(timestamp(not_before)))
            }
            Some(
                webpki::Error::RequiredEkuNotFoundContext(_) | webpki::Error::EmptyEkuExtension,
            ) => Some(Objection::NotForServers),
            // "Nobody known signed it": this is as far as the check can come.
            _ => None,
        };
        Ok(Self {
            names,
            expiry,
            objection,
        })
    }
}

/// Checks a certificate as a client would, but against no authority at all:
/// what it says of itself is judged first, and the library tells its dates in
/// no other way.
fn judge(leaf: &EndEntityCert<'_>, time: UnixTime) -> Option<webpki::Error> {
    leaf.verify_for_usage(&[], &[], &[], time, KeyUsage::server_auth(), None, None)
        .err()
}

/// For messages; a date beyond the calendar is its end.
pub(super) fn timestamp(time: UnixTime) -> Timestamp {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}
