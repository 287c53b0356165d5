//! Certificates: the upstreams' own, and the shim's, which are renewed under load.

use std::{
    cell::{Cell, RefCell},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

/// An authority, and what it made for the shim so far.
pub(crate) struct Seals {
    directory: PathBuf,
    authority: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// The shim's; the last is the one that is on disk.
    made: RefCell<Vec<CertificateDer<'static>>>,
    /// The oldest that a new handshake may still show.
    oldest: Cell<usize>,
    /// Handshakes that have shown the last.
    seen: Cell<u64>,
}

/// The link to the directory that has the shim's chain and key.
const LIVE: &str = "live";

impl Seals {
    pub(crate) fn new(directory: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "the soak");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(directory.join("authority.pem"), certificate.pem()).unwrap();
        let seals = Self {
            directory: directory.to_owned(),
            authority: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            made: RefCell::default(),
            oldest: Cell::default(),
            seen: Cell::default(),
        };
        seals.issue("hs.example", directory);
        seals.renew(true);
        seals
    }

    /// Writes a new `chain.pem` and `key.pem`.
    fn issue(&self, name: &str, directory: &Path) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(directory.join("chain.pem"), certificate.pem()).unwrap();
        fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
        certificate.der().clone()
    }

    /// Puts a new one in place of the shim's: by a link, as certbot does, or over the
    /// files themselves, one after the other.
    pub(crate) fn renew(&self, by_link: bool) {
        let live = self.directory.join(LIVE);
        let certificate = if by_link {
            let number = self.made.borrow().len();
            let name = format!("archive-{number}");
            let archive = self.directory.join(&name);
            fs::create_dir(&archive).unwrap();
            let certificate = self.issue("h.example", &archive);
            let next = self.directory.join("next");
            symlink(name, &next).unwrap();
            fs::rename(next, live).unwrap();
            certificate
        } else {
            self.issue("h.example", &live)
        };
        self.seen.set(0);
        self.made.borrow_mut().push(certificate);
    }

    /// From now on new handshakes have to show the last.
    pub(crate) fn is_taken_up(&self) {
        self.oldest.set(self.made.borrow().len() - 1);
    }

    /// Whether a handshake has shown the last since it was made.
    pub(crate) fn is_seen(&self) -> bool {
        self.seen.get() > 0
    }

    /// Which is the oldest now; for [`Seals::check`].
    pub(crate) fn oldest(&self) -> usize {
        self.oldest.get()
    }

    /// Whether a handshake may show this, which began when `oldest` was so.
    pub(crate) fn check(&self, shown: &CertificateDer<'_>, oldest: usize) -> bool {
        let made = self.made.borrow();
        let number = made.iter().position(|known| known == shown);
        if number == made.len().checked_sub(1) {
            self.seen.set(self.seen.get() + 1);
        }
        number.is_some_and(|number| number >= oldest)
    }

    /// Whom to believe.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        roots
    }
}
