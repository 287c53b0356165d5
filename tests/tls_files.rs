//! Files that cannot be used: the message names the key, the file and what is
//! wrong, and holds nothing of what is in them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod tls;

use std::{fs, process::Command};

use tls::{Authority, Files, asking, plain};
use tokenshim::{
    config::{CertificateFiles, ClientCertificates, UpstreamTls},
    tls::{Client, Server},
};

/// What one file is, and what is said of it.
struct Case {
    name: &'static str,
    chain: Option<String>,
    key: Option<String>,
    says: &'static str,
}

/// Cases about the key, beside a good chain.
fn about_keys(good: &tls::Pair, other: &tls::Pair) -> Vec<Case> {
    let case = |name, key: &str, says| Case {
        name,
        chain: Some(good.chain.clone()),
        key: Some(key.to_owned()),
        says,
    };
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nU0VDUkVU\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted_by_header = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nU0VDUkVU\n-----END RSA PRIVATE KEY-----\n";
    vec![
        case(
            "empty",
            "",
            "`certificate.key` (x.key) holds no private key",
        ),
        case(
            "a certificate",
            &good.chain,
            "`certificate.key` (x.key) holds no private key",
        ),
        case(
            "another's",
            &other.key,
            "`certificate.key` (x.key) does not belong to the first certificate in x.pem",
        ),
        case(
            "encrypted",
            encrypted,
            "`certificate.key` (x.key) is encrypted",
        ),
        case(
            "encrypted, older",
            encrypted_by_header,
            "`certificate.key` (x.key) is encrypted",
        ),
        case(
            "cut",
            &good.key.replace("-----END", "----"),
            "is not valid PEM: a section has no END line",
        ),
        case(
            "damaged base64",
            &good.key.replace("KEY-----\nM", "KEY-----\n!SECRET!"),
            "is not valid PEM: a section is not base64",
        ),
        case(
            "damaged mark",
            &good.key.replacen("KEY-----", "KEY-SECRET", 1),
            "is not valid PEM: a BEGIN line is not complete",
        ),
        case(
            "no key within",
            "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n",
            "holds a private key that is broken or of a kind",
        ),
        Case {
            name: "missing",
            chain: Some(good.chain.clone()),
            key: None,
            says: "`certificate.key` (x.key) cannot be read: No such file",
        },
    ]
}

/// Cases about the chain, beside a good key.
fn about_chains(good: &tls::Pair, authority: &Authority) -> Vec<Case> {
    let case = |name, chain: &str, says| Case {
        name,
        chain: Some(chain.to_owned()),
        key: Some(good.key.clone()),
        says,
    };
    let reversed = format!("{}{}", authority.pem, good.chain);
    vec![
        case(
            "empty",
            "",
            "`certificate.chain` (x.pem) holds no certificate",
        ),
        case(
            "text",
            "hello\n",
            "`certificate.chain` (x.pem) holds no certificate",
        ),
        case(
            "the key",
            &good.key,
            "`certificate.chain` (x.pem) holds a private key and no certificate",
        ),
        case(
            "authority first",
            &reversed,
            "the server's own certificate has to come first",
        ),
        case(
            "cut",
            &good.chain.replace("-----END", "----"),
            "`certificate.chain` (x.pem) is not valid PEM",
        ),
        case(
            "no certificate within",
            "-----BEGIN CERTIFICATE-----\nU0VDUkVU\n-----END CERTIFICATE-----\n",
            "holds a certificate that cannot be read",
        ),
        Case {
            name: "missing",
            chain: None,
            key: Some(good.key.clone()),
            says: "`certificate.chain` (x.pem) cannot be read: No such file",
        },
    ]
}

#[test]
fn a_bad_file_is_named_and_not_quoted() {
    let authority = Authority::new("root");
    let good = authority.issue(&["hs.example"]);
    let other = authority.issue(&["hs.example"]);
    let mut cases = about_keys(&good, &other);
    cases.extend(about_chains(&good, &authority));
    for Case {
        name,
        chain,
        key,
        says,
    } in cases
    {
        let files = Files::new();
        let paths = CertificateFiles {
            chain: files.path("x.pem"),
            key: files.path("x.key"),
        };
        for (path, text) in [(&paths.chain, &chain), (&paths.key, &key)] {
            if let Some(text) = text {
                fs::write(path, text).unwrap();
            }
        }
        let error = Server::new(&[paths], &plain()).unwrap_err();
        let directory = format!(
            "{}/",
            files.path("").display().to_string().trim_end_matches('/')
        );
        let text = error.to_string().replace(&directory, "");
        assert!(text.contains(says), "case: {name}: {text}");
        for line in good
            .key
            .lines()
            .chain(other.key.lines())
            .filter(|line| !line.contains("KEY"))
        {
            assert!(!text.contains(line), "case: {name}: {text}");
        }
        for secret in ["SECRET", "U0VDUkVU"] {
            assert!(
                !format!("{text}{error:?}").contains(secret),
                "case: {name}: {text}"
            );
        }
    }
}

#[test]
fn keys_of_every_kind_are_read() {
    let files = Files::new();
    let kinds: [(&str, &[&str]); 6] = [
        (
            "PKCS #8, P-256",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ],
        ),
        (
            "PKCS #8, P-384",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-384",
            ],
        ),
        (
            "SEC1, with parameters",
            &["ecparam", "-name", "prime256v1", "-genkey"],
        ),
        (
            "PKCS #8, RSA",
            &[
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
            ],
        ),
        ("PKCS #1", &["genrsa", "-traditional", "2048"]),
        ("Ed25519", &["genpkey", "-algorithm", "ED25519"]),
    ];
    for (kind, command) in kinds {
        let pair = CertificateFiles {
            chain: files.path("kind.pem"),
            key: files.path("kind.key"),
        };
        let key = openssl(command);
        fs::write(&pair.key, &key).unwrap();
        let chain = openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            pair.key.to_str().unwrap(),
            "-days",
            "2",
            "-subj",
            "/CN=hs.example",
            "-addext",
            "subjectAltName=DNS:hs.example",
        ]);
        fs::write(&pair.chain, chain).unwrap();
        let loaded = Server::new(&[pair], &plain());
        assert!(loaded.is_ok(), "{kind}: {:?}", loaded.err());
    }
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
    output.stdout
}

#[test]
fn authorities_are_named_as_well() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let pair = files.write_pair("hs", &authority.issue(&["hs.example"]));
    let missing = files.path("none.pem");
    let empty = files.write("empty.pem", "");
    let required = ClientCertificates::Required;
    for (file, words) in [
        (&missing, "cannot be read"),
        (&empty, "holds no certificate"),
    ] {
        let clients = Server::new(std::slice::from_ref(&pair), &asking(required, file));
        let text = clients.unwrap_err().to_string();
        assert!(
            text.starts_with("`tls.client_ca_file` (") && text.contains(words),
            "{text}"
        );
        let upstream_tls = UpstreamTls {
            ca_file: Some(file.clone()),
            server_name: None,
            http2: false,
        };
        let text = Client::new(&upstream_tls).unwrap_err().to_string();
        assert!(
            text.starts_with("`upstream_tls.ca_file` (") && text.contains(words),
            "{text}"
        );
    }
    let text = Server::new(&[], &plain()).unwrap_err().to_string();
    assert_eq!(text, "`certificate` is missing");
    let upstream_tls = UpstreamTls {
        ca_file: Some(files.write("root.pem", &authority.pem)),
        server_name: Some("not a name".into()),
        http2: false,
    };
    let text = Client::new(&upstream_tls).unwrap_err().to_string();
    assert_eq!(
        text,
        "`upstream_tls.server_name` is no host name: not a name"
    );
}

/// Set for the process that the test below starts.
const WITHIN: &str = "TOKENSHIM_TEST_WITHOUT_AUTHORITIES";

#[test]
fn a_system_without_authorities_needs_a_file() {
    if std::env::var_os(WITHIN).is_none() {
        // The environment of this process is shared by all its tests.
        let empty = Files::new();
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_system_without_authorities_needs_a_file",
                "--nocapture",
            ])
            .env(WITHIN, "1")
            .env_remove("SSL_CERT_FILE")
            .env("SSL_CERT_DIR", empty.path(""))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("1 passed"),
            "{output:?}"
        );
        return;
    }
    let system = UpstreamTls {
        ca_file: None,
        server_name: None,
        http2: false,
    };
    let text = Client::new(&system).unwrap_err().to_string();
    assert!(
        text.starts_with("`upstream_tls.ca_file` is needed"),
        "{text}"
    );
}
