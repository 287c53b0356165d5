//! Certificates made at run time, and both ends of a handshake in one task.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "each test uses its own part of this, and tests fail by panicking"
)]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tempfile::TempDir;
use tokenshim::{
    config::{CertificateFiles, ClientCertificates, Tls, TlsVersion},
    tls::{Accepted, HandshakeError, Server, accept},
};
use tokio::{
    io::{DuplexStream, duplex},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client};

/// The longest wait for anything; who gets there has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What belongs to a certificate, as PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// An authority that nobody else knows.
pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A good certificate for servers.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_with(names, |_| {})
    }

    /// A certificate for servers, changed by `change`.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair {
            chain: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// A certificate for a client.
    pub(crate) fn issue_to_client(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.issue_with(&["client.example"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            change(params);
        })
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        roots
    }
}

/// Valid until long ago.
pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
}

/// Valid from a day that is far away.
pub(crate) fn not_yet_valid(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2101, 1, 1);
    params.not_after = date_time_ymd(2102, 1, 1);
}

/// A directory for files as an operator has them.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file under another name and moves it to its place.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let (new, path) = (self.path(".new"), self.path(name));
        fs::File::create(&new)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub(crate) fn write_pair(&self, name: &str, pair: &Pair) -> CertificateFiles {
        CertificateFiles {
            chain: self.write(&format!("{name}.pem"), &pair.chain),
            key: self.write(&format!("{name}.key"), &pair.key),
        }
    }
}

/// `[tls]` with its defaults.
pub(crate) fn plain() -> Tls {
    Tls {
        minimum: TlsVersion::V1_2,
        client_certificates: ClientCertificates::Off,
        client_ca_file: None,
    }
}

/// `[tls]` that asks clients for a certificate.
pub(crate) fn asking(wanted: ClientCertificates, file: &Path) -> Tls {
    Tls {
        client_certificates: wanted,
        client_ca_file: Some(file.to_owned()),
        ..plain()
    }
}

/// A client that trusts `authority`, with a certificate or without.
pub(crate) fn client(authority: &Authority, own: Option<&Pair>) -> ClientConfig {
    client_of(authority, own, rustls::ALL_VERSIONS)
}

pub(crate) fn client_of(
    authority: &Authority,
    own: Option<&Pair>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(authority.roots());
    match own {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes())
                .map(Result::unwrap)
                .collect();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

pub(crate) type ClientStream = client::TlsStream<DuplexStream>;

/// What came of a handshake: our side, and the client's.
pub(crate) struct Met {
    pub(crate) accepted: Result<Accepted<DuplexStream>, HandshakeError>,
    pub(crate) client: std::io::Result<ClientStream>,
}

/// A handshake with `server` for the name `name`.
pub(crate) async fn meet(
    server: &Server,
    http2: bool,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Met {
    let (near, far) = duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let config = server.config(http2);
    let connector = TlsConnector::from(Arc::clone(client));
    let both = async { tokio::join!(accept(near, &config), connector.connect(name, far)) };
    let (accepted, client) = timeout(PATIENCE, both).await.unwrap();
    Met { accepted, client }
}

/// A handshake that succeeds on both sides.
pub(crate) async fn met(
    server: &Server,
    client: &Arc<ClientConfig>,
    name: &str,
) -> (Accepted<DuplexStream>, ClientStream) {
    let met = meet(server, false, client, name).await;
    (met.accepted.unwrap(), met.client.unwrap())
}

/// The certificate that a client was shown.
pub(crate) fn shown(client: &ClientStream) -> CertificateDer<'static> {
    client.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

/// The certificate in a PEM file's text.
pub(crate) fn leaf(pair: &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pair.chain.as_bytes()).unwrap()
}
