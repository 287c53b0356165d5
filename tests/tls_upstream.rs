//! Upstreams by `https`, good and bad.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod tls;

use std::sync::Arc;

use rustls::{HandshakeKind, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tls::{Authority, Files, PATIENCE, Pair, asking, plain};
use tokenshim::{
    config::{ClientCertificates, UpstreamTls},
    tls::{Client, ConnectError, Server, Stream, accept},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A client that believes `authority`.
fn believing(authority: &Authority, server_name: Option<&str>) -> Client {
    let files = Files::new();
    Client::new(&UpstreamTls {
        ca_file: Some(files.write("ca.pem", &authority.pem)),
        server_name: server_name.map(ToOwned::to_owned),
        http2: false,
    })
    .unwrap()
}

/// An upstream of somebody else's make.
fn upstream(pair: &Pair, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes())
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|&name| name.to_vec()).collect();
    Arc::new(config)
}

type Connected = Result<Stream<DuplexStream>, ConnectError>;

async fn connect(
    client: &Client,
    host: &str,
    upstream: &Arc<ServerConfig>,
) -> (Connected, std::io::Result<TlsStream<DuplexStream>>) {
    let (near, far) = duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::clone(upstream));
    let both = async { tokio::join!(client.connect(near, host), acceptor.accept(far)) };
    timeout(PATIENCE, both).await.unwrap()
}

#[tokio::test]
async fn a_certificate_for_the_host_is_believed() {
    let authority = Authority::new("root");
    let pair = authority.issue(&["hs.example", "*.wild.example", "127.0.0.1", "::1"]);
    let cases = [
        ("name", "hs.example", None),
        ("name, other case", "HS.example", None),
        ("name with a final dot", "hs.example.", None),
        ("wildcard", "a.wild.example", None),
        ("IPv4", "127.0.0.1", None),
        ("IPv6", "::1", None),
        ("IPv6 in brackets", "[::1]", None),
        ("another name is asked for", "10.0.0.1", Some("hs.example")),
        ("another address is asked for", "hs.test", Some("127.0.0.1")),
    ];
    for (case, host, server_name) in cases {
        let client = believing(&authority, server_name);
        let (connected, _) = connect(&client, host, &upstream(&pair, &[])).await;
        assert!(connected.is_ok(), "case: {case}: {:?}", connected.err());
    }
}

#[tokio::test]
async fn any_other_certificate_is_an_error_that_says_why() {
    let (authority, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let good = authority.issue(&["hs.example", "*.wild.example", "127.0.0.1"]);
    let foreign = stranger.issue(&["hs.example"]);
    let nameless = authority.issue(&[]);
    let old = authority.issue_with(&["hs.example"], tls::expired);
    let new = authority.issue_with(&["hs.example"], tls::not_yet_valid);
    let for_clients = authority.issue_with(&["hs.example"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let cases = [
        (
            "wrong name",
            "other.example",
            &good,
            "other.example is for other names (",
        ),
        (
            "its names",
            "other.example",
            &good,
            "(hs.example, *.wild.example, ",
        ),
        (
            "two labels for a star",
            "a.b.wild.example",
            &good,
            "is for other names (",
        ),
        (
            "wrong address",
            "127.0.0.2",
            &good,
            "127.0.0.2 is for other names (",
        ),
        (
            "no names",
            "hs.example",
            &nameless,
            "is for other names (none)",
        ),
        (
            "unknown authority",
            "hs.example",
            &foreign,
            "hs.example is signed by no trusted authority",
        ),
        (
            "expired",
            "hs.example",
            &old,
            "hs.example has expired on 2020-01-01T00:00:00Z",
        ),
        (
            "not yet valid",
            "hs.example",
            &new,
            "is not valid yet, but from 2101-01-01T00:00:00Z",
        ),
        (
            "not for servers",
            "hs.example",
            &for_clients,
            "hs.example is not accepted: ",
        ),
    ];
    for (case, host, pair, words) in cases {
        let client = believing(&authority, None);
        let (connected, _) = connect(&client, host, &upstream(pair, &[])).await;
        let text = connected.unwrap_err().to_string();
        assert!(text.starts_with("certificate of "), "case: {case}: {text}");
        assert!(text.contains(words), "case: {case}: {text}");
    }
}

#[tokio::test]
async fn the_configured_name_is_the_one_that_is_checked() {
    let authority = Authority::new("root");
    let upstream = upstream(&authority.issue(&["hs.example"]), &[]);
    let client = believing(&authority, Some("other.example"));
    let (connected, _) = connect(&client, "hs.example", &upstream).await;
    let error = connected.unwrap_err();
    assert!(
        matches!(&error, ConnectError::WrongName { host, .. } if host == "other.example"),
        "{error}"
    );
}

#[tokio::test]
async fn a_host_that_is_no_name_is_not_asked_for() {
    let (near, _far) = duplex(1);
    let client = believing(&Authority::new("root"), None);
    let error = client.connect(near, "hs example").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "hs example is no name that TLS could check"
    );
}

#[tokio::test]
async fn a_certificate_with_many_names_does_not_fill_the_log() {
    let authority = Authority::new("root");
    let names: Vec<String> = (0..100).map(|number| format!("{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let upstream = upstream(&authority.issue(&names), &[]);
    let (connected, _) = connect(&believing(&authority, None), "hs.example", &upstream).await;
    let text = connected.unwrap_err().to_string();
    assert!(text.ends_with("and 95 more)"), "{text}");
    assert!(text.contains("0.example"), "{text}");
    assert!(text.len() < 300, "{text}");
}

/// What it proves, what the upstream knows, and what is agreed if anything is.
type Case<'a> = (&'a str, &'a [&'a [u8]], Option<Option<&'a [u8]>>);

#[tokio::test]
async fn only_http_1_is_asked_for() {
    let authority = Authority::new("root");
    let pair = authority.issue(&["hs.example"]);
    let cases: [Case<'_>; 4] = [
        ("both", &[b"h2", b"http/1.1"], Some(Some(b"http/1.1"))),
        ("knows no ALPN", &[], Some(None)),
        ("only http/1.1", &[b"http/1.1"], Some(Some(b"http/1.1"))),
        ("only h2", &[b"h2"], None),
    ];
    for (case, protocols, expected) in cases {
        let client = believing(&authority, None);
        let (connected, _) = connect(&client, "hs.example", &upstream(&pair, protocols)).await;
        if let Some(protocol) = expected {
            let stream = connected.unwrap();
            assert_eq!(stream.session().alpn_protocol(), protocol, "case: {case}");
        } else {
            let error = connected.unwrap_err();
            assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn the_name_is_sent_and_an_address_is_not() {
    let authority = Authority::new("root");
    let upstream = upstream(&authority.issue(&["hs.example", "127.0.0.1"]), &[]);
    for (host, sni) in [("hs.example", Some("hs.example")), ("127.0.0.1", None)] {
        let (_, accepted) = connect(&believing(&authority, None), host, &upstream).await;
        assert_eq!(accepted.unwrap().get_ref().1.server_name(), sni);
    }
}

#[tokio::test]
async fn sessions_are_resumed() {
    let authority = Authority::new("root");
    let upstream = upstream(&authority.issue(&["hs.example"]), &[]);
    let client = believing(&authority, None);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (connected, accepted) = connect(&client, "hs.example", &upstream).await;
        let (mut stream, mut accepted) = (connected.unwrap(), accepted.unwrap());
        assert_eq!(stream.session().handshake_kind(), Some(expected));
        accepted.write_all(b"!").await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_tls_upstream_is_told_apart() {
    let authority = Authority::new("root");
    let client = believing(&authority, None);
    let cases: [(&str, &[u8], &str); 4] = [
        (
            "plain HTTP",
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
            "hs.example does not speak TLS on this port",
        ),
        (
            "leaves",
            b"",
            "hs.example closed the connection during the TLS handshake",
        ),
        (
            "leaves within",
            b"\x16\x03\x03\x00\x7a\x02\x00",
            "hs.example closed the connection",
        ),
        (
            "refuses",
            b"\x15\x03\x03\x00\x02\x02\x28",
            "hs.example refused the TLS handshake: HandshakeFailure",
        ),
    ];
    for (case, answer, words) in cases {
        let (near, mut far) = duplex(4096);
        far.write_all(answer).await.unwrap();
        far.shutdown().await.unwrap();
        let connected = timeout(PATIENCE, client.connect(near, "hs.example")).await;
        let text = connected.unwrap().unwrap_err().to_string();
        assert!(text.contains(words), "case: {case}: {text}");
    }
}

#[tokio::test]
async fn an_upstream_that_wants_a_certificate_is_an_error_that_says_so() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let ca_file = files.write("clients.pem", &authority.pem);
    let pair = files.write_pair("hs", &authority.issue(&["hs.example"]));
    let wanting = Server::new(&[pair], &asking(ClientCertificates::Required, &ca_file)).unwrap();
    let (near, far) = duplex(64 * 1024);
    let client = believing(&authority, None);
    let config = wanting.config(false);
    let (connected, accepted) =
        tokio::join!(client.connect(near, "hs.example"), accept(far, &config));
    accepted.unwrap_err();
    // In TLS 1.3 the client's part is over before it is refused.
    let error = connected.unwrap().read(&mut [0; 8]).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
}

#[tokio::test]
async fn one_makes_of_ours_understands_the_other() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let pair = files.write_pair("hs", &authority.issue(&["hs.example"]));
    let server = Server::new(&[pair], &plain()).unwrap();
    let (near, far) = duplex(64 * 1024);
    let client = believing(&authority, None);
    let config = server.config(true);
    let (connected, accepted) =
        tokio::join!(client.connect(near, "hs.example"), accept(far, &config));
    assert_eq!(
        connected.unwrap().session().alpn_protocol(),
        Some(b"http/1.1".as_slice())
    );
    accepted.unwrap();
}
