//! What the listeners need: certificates, versions, tickets, and making them
//! anew when the files change.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::SystemTime,
};

use jiff::Timestamp;
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring::Ticketer},
    server::{
        NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
    version::{TLS12, TLS13},
};
use rustls_pki_types::CertificateDer;

use super::{
    authority,
    certificate::Certificate,
    choice::Choice,
    error::{TlsError, Wrong},
    files::Seen,
    handshake::{HTTP_1, HTTP_2},
    provider,
};
use crate::config::{CertificateFiles, ClientCertificates, Tls, TlsVersion};

const CLIENT_CA: &str = "tls.client_ca_file";

/// The listeners' side of TLS.
///
/// Each handshake takes the [`config`](Self::config) of its moment and keeps it,
/// so files can change at any time and no connection notices.
#[derive(Debug)]
pub struct Server {
    current: RwLock<Arc<Current>>,
    last: Mutex<Last>,
}

/// What a reading of the files brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The certificates that were there before.
    Nothing,
    /// Others, for every handshake from here on.
    Certificates,
}

/// The outcome of one reading of the files.
#[derive(Debug)]
struct Current {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
    choice: Arc<Choice>,
    clients: Clients,
    ticketer: Arc<dyn ProducesTickets>,
    /// The first date at which one of the certificates ends.
    expiry: Option<Timestamp>,
    objections: Vec<String>,
}

/// Which clients are let in. A ticket resumes without asking again, so it must
/// not outlive these.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clients {
    wanted: ClientCertificates,
    authorities: Vec<CertificateDer<'static>>,
}

/// Which files were read last, and what came of it.
#[derive(Debug)]
struct Last {
    certificates: Vec<CertificateFiles>,
    tls: Tls,
    seen: Seen,
    failure: Option<String>,
}

impl Server {
    /// Reads the files of `certificates`, the first for clients without a
    /// better one, and those of `tls`.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the key and the file.
    pub fn new(certificates: &[CertificateFiles], tls: &Tls) -> Result<Self, TlsError> {
        let seen = Seen::of(files(certificates, tls));
        let current = Current::load(certificates, tls, None)?;
        Ok(Self {
            current: RwLock::new(Arc::new(current)),
            last: Mutex::new(Last {
                certificates: certificates.to_vec(),
                tls: tls.clone(),
                seen,
                failure: None,
            }),
        })
    }

    /// What the next handshake needs. HTTP/1.1 is always offered.
    #[must_use]
    pub fn config(&self, http2: bool) -> Arc<ServerConfig> {
        let current = self.current();
        Arc::clone(if http2 {
            &current.http2
        } else {
            &current.http1
        })
    }

    /// Reads other files, or the same again. New handshakes get what they hold now;
    /// tickets stay good unless other clients are admitted.
    ///
    /// # Errors
    ///
    /// [`TlsError`]; everything stays as it was.
    pub fn replace(
        &self,
        certificates: &[CertificateFiles],
        tls: &Tls,
    ) -> Result<Changed, TlsError> {
        let mut last = self.last();
        let seen = Seen::of(files(certificates, tls));
        let changed = self.take_up(certificates, tls)?;
        *last = Last {
            certificates: certificates.to_vec(),
            tls: tls.clone(),
            seen,
            failure: None,
        };
        Ok(changed)
    }

    /// Reads the files again if they changed since they were read, or if they
    /// could not be used. To be called every few seconds; costs one `stat` for
    /// each file.
    ///
    /// A key and its chain are rarely replaced in one moment. While they do not
    /// match, the old pair is shown; the failure is told once, and each call
    /// tries again.
    ///
    /// `None` if there is nothing new to tell.
    #[must_use]
    pub fn look(&self) -> Option<Result<Changed, TlsError>> {
        let mut last = self.last();
        if last.failure.is_none() && last.seen == Seen::of(files(&last.certificates, &last.tls)) {
            return None;
        }
        last.seen = Seen::of(files(&last.certificates, &last.tls));
        let outcome = self.take_up(&last.certificates, &last.tls);
        let failure = outcome.as_ref().err().map(ToString::to_string);
        let is_told = failure.is_some() && failure == last.failure;
        last.failure = failure;
        (!is_told).then_some(outcome)
    }

    /// Until when every certificate is valid, as far as one says.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        self.current().expiry
    }

    /// What clients will object to in certificates that are used all the same:
    /// they have expired, or are not valid yet. One line each.
    #[must_use]
    pub fn objections(&self) -> Vec<String> {
        self.current().objections.clone()
    }

    /// Reads the files, and shows what they hold to whoever comes next.
    fn take_up(&self, certificates: &[CertificateFiles], tls: &Tls) -> Result<Changed, TlsError> {
        let before = self.current();
        let current = Current::load(certificates, tls, Some(&before))?;
        let is_same = before.choice.is_same(&current.choice) && before.clients == current.clients;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
        Ok(if is_same {
            Changed::Nothing
        } else {
            Changed::Certificates
        })
    }

    /// Locked for as long as it takes to count a reference.
    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every file that is read.
fn files<'a>(
    certificates: &'a [CertificateFiles],
    tls: &'a Tls,
) -> impl Iterator<Item = &'a PathBuf> {
    certificates
        .iter()
        .flat_map(|files| [&files.chain, &files.key])
        .chain(&tls.client_ca_file)
}

impl Current {
    fn load(
        certificates: &[CertificateFiles],
        tls: &Tls,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let provider = provider();
        let now = SystemTime::now();
        let certificates = certificates
            .iter()
            .map(|files| Certificate::load(files, &provider, now))
            .collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            return Err(TlsError::new("certificate", Wrong::Missing));
        }
        let objections = certificates
            .iter()
            .filter_map(Certificate::objection)
            .collect();
        let expiry = certificates
            .iter()
            .filter_map(|certificate| certificate.expiry)
            .min();
        let choice = Arc::new(Choice::new(certificates));
        let (verifier, clients) = clients(tls, &provider)?;
        let ticketer = match before {
            Some(before) if before.clients == clients => Arc::clone(&before.ticketer),
            _ => Ticketer::new().map_err(|error| TlsError::setup(&error))?,
        };
        let config = |protocols: &[&[u8]]| {
            config(
                &provider,
                tls.minimum,
                &verifier,
                &choice,
                &ticketer,
                protocols,
            )
        };
        Ok(Self {
            http1: config(&[HTTP_1])?,
            http2: config(&[HTTP_2, HTTP_1])?,
            choice,
            clients,
            ticketer,
            expiry,
            objections,
        })
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    minimum: TlsVersion,
    verifier: &Arc<dyn ClientCertVerifier>,
    choice: &Arc<Choice>,
    ticketer: &Arc<dyn ProducesTickets>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match minimum {
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
        TlsVersion::V1_3 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::setup(&error))?
        .with_client_cert_verifier(Arc::clone(verifier))
        .with_cert_resolver(Arc::<Choice>::clone(choice));
    config.alpn_protocols = protocols.iter().map(|&name| name.to_vec()).collect();
    // Sessions live in the clients' tickets: nothing is kept for each of them here,
    // and no worker waits for another's lock. A TLS 1.2 client without tickets
    // makes a full handshake again.
    config.ticketer = Arc::clone(ticketer);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // Early data can be replayed. The library's default, and it is to stay.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

fn clients(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<(Arc<dyn ClientCertVerifier>, Clients), TlsError> {
    let wanted = tls.client_certificates;
    if wanted == ClientCertificates::Off {
        let clients = Clients {
            wanted,
            authorities: Vec::new(),
        };
        return Ok((WebPkiClientVerifier::no_client_auth(), clients));
    }
    let file = tls
        .client_ca_file
        .as_ref()
        .ok_or_else(|| TlsError::new(CLIENT_CA, Wrong::Missing))?;
    let (roots, authorities) = authority::of_file(CLIENT_CA, file)?;
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = match wanted {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        ClientCertificates::Required | ClientCertificates::Off => builder,
    }
    .build()
    .map_err(|error| TlsError::of_file(CLIENT_CA, file, Wrong::Setup(error.to_string())))?;
    let clients = Clients {
        wanted,
        authorities,
    };
    Ok((verifier, clients))
}
