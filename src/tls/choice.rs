//! Which certificate a client is shown.
//!
//! The name that the client asks for decides: an exact name before a wildcard,
//! which stands for one label (RFC 6125 §6.4.3). A client that gives no name, or
//! one that nobody has, gets the first certificate: the handshake completes, and
//! the client can say what it got. Where several certificates have the name, it
//! is the first whose key the client can check, so RSA may stand beside ECDSA.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::certificate::Certificate;

/// All certificates of the listeners.
#[derive(Debug, Default)]
pub(super) struct Choice {
    all: Vec<Arc<CertifiedKey>>,
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// Under what follows the `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Choice {
    /// The first of `certificates` is for everybody without a better one.
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        let mut choice = Self::default();
        for Certificate {
            certified, names, ..
        } in certificates
        {
            let certified = Arc::new(certified);
            for name in names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut choice.wildcard, parent.to_owned()),
                    None => (&mut choice.exact, name),
                };
                map.entry(name).or_default().push(Arc::clone(&certified));
            }
            choice.all.push(certified);
        }
        choice
    }

    /// The certificates of the same order have the same chains.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.all.len() == other.all.len()
            && self
                .all
                .iter()
                .zip(&other.all)
                .all(|(one, other)| one.cert == other.cert)
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| self.named(name)).unwrap_or(&self.all);
        named
            .iter()
            .find(|certified| certified.key.choose_scheme(schemes).is_some())
            // The handshake fails, and says why.
            .or_else(|| named.first())
            .map(Arc::clone)
    }

    fn named(&self, name: &str) -> Option<&Vec<Arc<CertifiedKey>>> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        self.exact.get(&*name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        })
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};
    use rustls_pki_types::ServerName;
    use webpki::EndEntityCert;

    use super::*;
    use crate::config::CertificateFiles;

    /// Certificates for these names, the first for everybody else.
    const NAMES: [&[&str]; 5] = [
        &["default.example"],
        &["hs.example", "Matrix.HS.example"],
        &["*.hs.example", "*.wild.example"],
        &["exact.wild.example", "late.example"],
        &["late.example"],
    ];

    fn choice() -> Choice {
        let directory = tempfile::tempdir().unwrap();
        let load = |(number, names): (usize, &&[&str])| {
            let key = KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let params = CertificateParams::new(names).unwrap();
            let files = CertificateFiles {
                chain: directory.path().join(format!("{number}.pem")),
                key: directory.path().join(format!("{number}.key")),
            };
            std::fs::write(&files.chain, params.self_signed(&key).unwrap().pem()).unwrap();
            std::fs::write(&files.key, key.serialize_pem()).unwrap();
            let provider = super::super::provider();
            Certificate::load(&files, &provider, SystemTime::now()).unwrap()
        };
        Choice::new(NAMES.iter().enumerate().map(load).collect())
    }

    fn chosen(choice: &Choice, name: Option<&str>, schemes: &[SignatureScheme]) -> usize {
        let chosen = choice.choose(name, schemes).unwrap();
        choice
            .all
            .iter()
            .position(|one| Arc::ptr_eq(one, &chosen))
            .unwrap()
    }

    #[test]
    fn the_name_decides() {
        let choice = choice();
        let cases = [
            ("no name", None, 0),
            ("unknown name", Some("other.example"), 0),
            ("the first one's own name", Some("default.example"), 0),
            ("exact", Some("hs.example"), 1),
            ("exact before wildcard", Some("matrix.hs.example"), 1),
            ("case of the client", Some("HS.Example"), 1),
            ("final dot", Some("hs.example."), 1),
            ("wildcard", Some("element.hs.example"), 2),
            ("wildcard, case", Some("ELEMENT.hs.example"), 2),
            ("wildcard is one label", Some("a.b.hs.example"), 0),
            ("wildcard is not its parent", Some("wild.example"), 0),
            (
                "exact behind wildcard in the list",
                Some("exact.wild.example"),
                3,
            ),
            ("twice: the first", Some("late.example"), 3),
            ("a star is no name", Some("*.hs.example"), 2),
            ("empty label", Some(".hs.example"), 2),
            ("empty", Some(""), 0),
        ];
        for (case, name, expected) in cases {
            let found = chosen(&choice, name, &[SignatureScheme::ECDSA_NISTP256_SHA256]);
            assert_eq!(found, expected, "case: {case}");
        }
    }

    #[test]
    fn a_client_without_a_scheme_in_common_gets_the_named_one() {
        let choice = choice();
        let found = chosen(&choice, Some("hs.example"), &[SignatureScheme::ED25519]);
        assert_eq!(found, 1);
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_valid_for_the_name_if_any_is(
            name in "(a|matrix|exact|late|b\\.c)?\\.?(hs|wild|default|late|x)\\.example",
        ) {
            thread_local! {
                static CHOICE: Choice = choice();
            }
            let Ok(reference) = ServerName::try_from(name.clone()) else {
                return Ok(());
            };
            CHOICE.with(|choice| {
                let valid: Vec<bool> = choice
                    .all
                    .iter()
                    .map(|one| {
                        EndEntityCert::try_from(one.end_entity_cert().unwrap())
                            .unwrap()
                            .verify_is_valid_for_subject_name(&reference)
                            .is_ok()
                    })
                    .collect();
                let found = chosen(
                    choice,
                    Some(&name),
                    &[SignatureScheme::ECDSA_NISTP256_SHA256],
                );
                assert_eq!(valid[found], valid.contains(&true), "{name}: {found}");
                if !valid.contains(&true) {
                    assert_eq!(found, 0, "{name}");
                }
            });
        }
    }
}
