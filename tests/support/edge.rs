//! What a proxy at the edge meets: TLS at both ends, clients of many addresses,
//! senders of PROXY headers, and somebody who reads its numbers.

#![allow(
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test crate uses a part of this, and tests fail by panicking"
)]

use std::{
    fs,
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};

use crate::engine::{End, Message, Shim, Upstream, Wire, get, until};

/// An authority that nobody else knows.
pub struct Authority {
    pub pem: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub struct Pair {
    pub chain: String,
    pub key: String,
}

impl Authority {
    /// Of this name: two that share one cannot be told apart.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A client that believes this authority.
    pub fn client_config(&self, alpn: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// A certificate for a server with this name.
    pub fn issue(&self, name: &str) -> Pair {
        self.issue_with(name, |_| {})
    }

    /// One whose time is over.
    pub fn issue_expired(&self, name: &str) -> Pair {
        self.issue_with(name, |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        })
    }

    /// One whose time has not come.
    pub fn issue_early(&self, name: &str) -> Pair {
        self.issue_with(name, |params| {
            params.not_before = date_time_ymd(2101, 1, 1);
            params.not_after = date_time_ymd(2102, 1, 1);
        })
    }

    fn issue_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Pair {
            chain: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Pair {
    /// Writes both files; their `[[certificate]]`.
    pub fn section(&self, directory: &Path) -> String {
        let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
        fs::write(&chain, &self.chain).unwrap();
        fs::write(&key, &self.key).unwrap();
        format!(
            "[[certificate]]\nchain = \"{}\"\nkey = \"{}\"\n",
            chain.display(),
            key.display()
        )
    }
}

macro_rules! wire {
    ($connection:ty) => {
        impl Wire for StreamOwned<$connection, TcpStream> {
            fn limit(&self, patience: Option<Duration>) {
                self.sock.set_read_timeout(patience).unwrap();
                self.sock.set_write_timeout(patience).unwrap();
            }

            fn finish(&self) {
                let _ = self.sock.shutdown(Shutdown::Write);
            }

            fn twin(&self) -> Box<dyn Wire> {
                panic!("TLS has one state for both directions")
            }
        }
    };
}
wire!(ClientConnection);
wire!(ServerConnection);

/// Turns a client's socket into TLS that believes `authority`.
pub fn tls_client(stream: TcpStream, authority: &Authority, name: &str, alpn: &[&str]) -> End {
    let config = authority.client_config(alpn);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    stream.set_nodelay(true).unwrap();
    End::new(Box::new(StreamOwned::new(connection, stream)), 0, None)
}

/// An upstream behind TLS; a failed handshake is the end of a connection.
pub fn https(pair: &Pair, script: impl Fn(End) + Send + Sync + 'static) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes()).map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .unwrap();
    let config = Arc::new(config);
    let accept = move || -> Box<dyn Wire> {
        let (stream, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        Box::new(StreamOwned::new(connection, stream))
    };
    Upstream::run(format!("https://localhost:{port}"), accept, script)
}

/// A connection from another address of this machine.
pub fn connect_from(client: &str, address: &str) -> End {
    let client: IpAddr = client.parse().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(client, 0)).unwrap();
        let stream = socket.connect(address).await.unwrap();
        stream.into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    End::from_tcp(stream)
}

/// The line that begins a connection of `client` by version 1.
pub fn header_v1(client: &str) -> String {
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let proxy = if client.contains(':') {
        "::1"
    } else {
        "127.0.0.1"
    };
    format!("PROXY {family} {client} {proxy} 4711 443\r\n")
}

/// A header of version 2 with this command and these addresses.
pub fn header_v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
    header.extend(addresses);
    header
}

/// Requires an answer of the shim's own: status, code and sentence.
#[track_caller]
pub fn assert_refused(name: &str, answer: &Message, status: u16, errcode: &str, error: &str) {
    assert_eq!(answer.status(), status, "case: {name}: {answer:?}");
    assert_eq!(answer.errcode(), errcode, "case: {name}");
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["error"], error, "case: {name}");
    let wait = matches!(status, 429 | 502..=504).then_some("5");
    assert_eq!(answer.value("retry-after"), wait, "case: {name}");
}

/// The administrator's socket of one shim.
pub struct Admin {
    directory: tempfile::TempDir,
}

impl Admin {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// The `[admin]` section.
    pub fn section(&self) -> String {
        format!("[admin]\nlisten = \"unix:{}\"\n", self.path().display())
    }

    /// The number of one series now.
    #[track_caller]
    pub fn number(&self, series: &str) -> u64 {
        let mut end = End::connect(&format!("unix:{}", self.path().display()));
        end.send(get("/metrics"));
        let text = end.response().text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let number = line.unwrap_or_else(|| panic!("no {series} in {text}"));
        number.parse().unwrap()
    }

    /// Waits until the series has this number.
    #[track_caller]
    pub fn wait_for(&self, series: &str, number: u64) {
        until(&format!("{series} is {number}"), || {
            self.number(series) == number
        });
    }
}

/// Reloads the configuration, changed by `change`; the workers are told when this
/// returns, and use it soon.
pub fn reload(shim: &Shim, change: impl FnOnce(String) -> String) {
    let file = shim.directory.path().join("tokenshim.toml");
    let text = change(fs::read_to_string(&file).unwrap());
    fs::write(&file, text).unwrap();
    let said = || shim.diagnostics().matches("configuration reloaded").count();
    let before = said();
    shim.signal(rustix::process::Signal::HUP);
    until("it is reloaded", || said() > before);
}
