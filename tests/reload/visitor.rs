//! A client of TLS that looks at the certificate.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};

use super::engine::{PATIENCE, get};

/// Certificates for the same host, by the names of their files.
pub(crate) type Made = Vec<(String, CertificateDer<'static>)>;

/// Makes `NAME.pem` and `NAME.key` for each name.
pub(crate) fn certificates(directory: &Path, names: &[&str]) -> Made {
    let make = |name: &&str| {
        let made = rcgen::generate_simple_self_signed(["h.example".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(directory.join(format!("{name}.pem")), chain).unwrap();
        fs::write(directory.join(format!("{name}.key")), key).unwrap();
        ((*name).to_owned(), made.cert.der().clone())
    };
    names.iter().map(make).collect()
}

/// An open connection.
pub(crate) struct Visitor {
    stream: StreamOwned<ClientConnection, TcpStream>,
    sees: String,
}

impl Visitor {
    pub(crate) fn connect(address: &str, made: &Made) -> Self {
        let mut roots = RootCertStore::empty();
        for (_, certificate) in made {
            roots.add(certificate.clone()).unwrap();
        }
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        let name = ServerName::try_from("h.example").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        let leaf = tls.peer_certificates().unwrap()[0].clone();
        let sees = made.iter().find(|(_, known)| *known == leaf).unwrap();
        Self {
            sees: sees.0.clone(),
            stream: StreamOwned::new(tls, socket),
        }
    }

    /// The name of the certificate.
    pub(crate) fn sees(&self) -> &str {
        &self.sees
    }

    /// The body of the answer.
    pub(crate) fn ask(&mut self, target: &str) -> String {
        self.stream.write_all(get(target).as_bytes()).unwrap();
        let mut answer = String::new();
        loop {
            if let Some((head, body)) = answer.split_once("\r\n\r\n") {
                let (_, length) = head.split_once("Content-Length: ").unwrap();
                let length: usize = length.lines().next().unwrap().parse().unwrap();
                if body.len() == length {
                    return body.to_owned();
                }
            }
            let mut piece = [0; 4096];
            let count = self.stream.read(&mut piece).unwrap();
            assert!(count > 0, "closed after {answer:?}");
            answer.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
    }
}
