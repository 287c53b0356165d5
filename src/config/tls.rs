//! TLS, with clients and with the upstream.

use std::path::PathBuf;

use super::choice::{ClientCertificates, ProxyHeader, TlsVersion};
use super::key::{self, Key};
use super::reader::Reader;
use super::{parse, upstream};

/// One `[[certificate]]`: two paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those that lead to its authority; never empty.
    pub chain: PathBuf,
    /// Its private key; never empty.
    pub key: PathBuf,
}

/// The `[tls]` section, for all listeners that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The oldest version that is spoken.
    pub minimum: TlsVersion,
    /// Whether clients have to show a certificate.
    pub client_certificates: ClientCertificates,
    /// The authorities of those certificates; there unless they are `Off`.
    pub client_ca_file: Option<PathBuf>,
}

/// The `[upstream_tls]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The authorities that are believed instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The name to ask for and to check instead of the upstream's host: a DNS name
    /// or an address without brackets.
    pub server_name: Option<String>,
    /// Whether HTTP/2 is spoken with those that know it.
    pub http2: bool,
}

impl CertificateFiles {
    /// All of them; the first is for clients that name none we have.
    pub(super) fn read_all(reader: &mut Reader<'_>) -> Vec<Self> {
        let certificates = reader.tables(
            key::CERTIFICATE,
            "must be written [[certificate]], with `chain` and `key` below it",
            Self::read,
            None,
            |_, _| None,
        );
        certificates.unwrap_or_default()
    }

    fn read(fields: &mut Reader<'_>) -> Option<Self> {
        let mut file = |key: Key| {
            fields.require(key, "is required");
            fields.text(key, parse::file)
        };
        let (chain, key) = (file(key::CERTIFICATE_CHAIN), file(key::CERTIFICATE_KEY));
        Some(Self {
            chain: chain?,
            key: key?,
        })
    }
}

impl Tls {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let is_empty = |path: &PathBuf| path.as_os_str().is_empty();
        let client_ca_file = reader.text(key::CLIENT_CA_FILE, parse::path);
        // A path that is there and wrong has been reported already.
        let has_none = client_ca_file
            .as_ref()
            .map_or_else(|| reader.is_missing(key::CLIENT_CA_FILE), is_empty);
        let tls = Self {
            minimum: reader.choice(key::TLS_MINIMUM, TlsVersion::V1_2),
            client_certificates: reader.choice(key::CLIENT_CERTIFICATES, ClientCertificates::Off),
            client_ca_file: client_ca_file.filter(|path| !is_empty(path)),
        };
        if tls.client_certificates != ClientCertificates::Off && has_none {
            let message = "needs `tls.client_ca_file`, with the authorities to believe";
            reader.refuse(key::CLIENT_CERTIFICATES, message);
        }
        tls
    }
}

impl UpstreamTls {
    /// `proxy_protocol` is what upstream connections begin with.
    pub(super) fn read(reader: &mut Reader<'_>, proxy_protocol: ProxyHeader) -> Self {
        let http2 = reader.boolean(key::UPSTREAM_HTTP2).unwrap_or(false);
        if http2 && proxy_protocol != ProxyHeader::Off {
            let message = "shares connections between clients, so `upstream_proxy_protocol` must \
                           be \"off\"";
            reader.refuse(key::UPSTREAM_HTTP2, message);
        }
        Self {
            ca_file: reader.optional(key::UPSTREAM_CA_FILE, parse::path, None),
            server_name: reader.optional(key::UPSTREAM_SERVER_NAME, upstream::server_name, None),
            http2,
        }
    }
}
