//! Handshakes with clients of many kinds.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod tls;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    HandshakeKind, ProtocolVersion, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use tls::{Authority, Files, PATIENCE, asking, client, client_of, meet, met, plain, shown};
use tokenshim::{
    config::{ClientCertificates, Tls, TlsVersion},
    tls::{HandshakeError, Protocol, Server, accept},
};
use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
    },
    time::{Duration, timeout},
};

/// A server with one certificate for `hs.example`.
fn server(authority: &Authority, files: &Files, tls: &Tls) -> Server {
    let pair = files.write_pair("hs", &authority.issue(&["hs.example"]));
    Server::new(&[pair], tls).unwrap()
}

#[tokio::test]
async fn the_name_chooses_the_certificate() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let pairs = [
        authority.issue(&["hs.example"]),
        authority.issue(&["Element.example", "*.wild.example"]),
    ];
    let written = [
        files.write_pair("0", &pairs[0]),
        files.write_pair("1", &pairs[1]),
    ];
    let server = Server::new(&written, &plain()).unwrap();
    let config = Arc::new(client(&authority, None));
    let cases = [
        ("the first", "hs.example", 0),
        ("another", "element.example", 1),
        ("client's case", "ELEMENT.example", 1),
        ("wildcard", "x.wild.example", 1),
    ];
    for (case, name, expected) in cases {
        let (_, client) = met(&server, &config, name).await;
        assert_eq!(shown(&client), tls::leaf(&pairs[expected]), "case: {case}");
    }
    // The handshake goes as far as the client likes the certificate.
    for name in ["other.example", "127.0.0.1"] {
        let met = meet(&server, false, &config, name).await;
        let error = met.client.unwrap_err().to_string();
        assert!(error.contains("hs.example"), "{name}: {error}");
        assert!(
            matches!(met.accepted, Err(HandshakeError::Refused(_))),
            "{name}: {:?}",
            met.accepted
        );
    }
}

/// What it proves, whether h2 is switched on, what is offered, what is agreed.
type Case<'a> = (&'a str, bool, &'a [&'a [u8]], Option<Protocol>);

#[tokio::test]
async fn the_handshake_alone_chooses_the_protocol() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let server = server(&authority, &files, &plain());
    let cases: [Case<'_>; 7] = [
        ("both", true, &[b"h2", b"http/1.1"], Some(Protocol::Http2)),
        (
            "client's order",
            true,
            &[b"http/1.1", b"h2"],
            Some(Protocol::Http2),
        ),
        ("only h2", true, &[b"h2"], Some(Protocol::Http2)),
        ("only http/1.1", true, &[b"http/1.1"], Some(Protocol::Http1)),
        ("none named", true, &[], Some(Protocol::Http1)),
        (
            "switched off",
            false,
            &[b"h2", b"http/1.1"],
            Some(Protocol::Http1),
        ),
        ("nothing in common", false, &[b"h2"], None),
    ];
    for (case, http2, offered, expected) in cases {
        let mut config = client(&authority, None);
        config.alpn_protocols = offered.iter().map(|&name| name.to_vec()).collect();
        let met = meet(&server, http2, &Arc::new(config), "hs.example").await;
        if let Some(protocol) = expected {
            assert_eq!(met.accepted.unwrap().protocol, protocol, "case: {case}");
        } else {
            let error = met.accepted.unwrap_err();
            assert!(matches!(error, HandshakeError::Incompatible(_)), "{error}");
            let told = met.client.unwrap_err().to_string();
            assert!(told.contains("NoApplicationProtocol"), "{told}");
        }
    }
}

#[tokio::test]
async fn the_oldest_version_is_configured() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let both: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
    let cases = [
        (
            "newest",
            TlsVersion::V1_2,
            both,
            Some(ProtocolVersion::TLSv1_3),
        ),
        (
            "old client",
            TlsVersion::V1_2,
            &[&TLS12],
            Some(ProtocolVersion::TLSv1_2),
        ),
        (
            "new client",
            TlsVersion::V1_3,
            &[&TLS13],
            Some(ProtocolVersion::TLSv1_3),
        ),
        ("too old", TlsVersion::V1_3, &[&TLS12], None),
    ];
    for (case, minimum, versions, expected) in cases {
        let tls = Tls { minimum, ..plain() };
        let server = server(&authority, &files, &tls);
        let config = Arc::new(client_of(&authority, None, versions));
        let met = meet(&server, false, &config, "hs.example").await;
        match expected {
            Some(version) => {
                let stream = met.accepted.unwrap().stream;
                assert_eq!(stream.session().protocol_version(), Some(version), "{case}");
            }
            None => assert!(
                matches!(met.accepted, Err(HandshakeError::Incompatible(_))),
                "case: {case}"
            ),
        }
    }
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_checked() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let (clients, strangers) = (Authority::new("clients"), Authority::new("strangers"));
    let ca_file = files.write("clients.pem", &clients.pem);
    let good = clients.issue_to_client(|_| {});
    let foreign = strangers.issue_to_client(|_| {});
    let old = clients.issue_to_client(tls::expired);
    let for_servers = clients.issue(&["client.example"]);
    let (off, optional, required) = (
        ClientCertificates::Off,
        ClientCertificates::Optional,
        ClientCertificates::Required,
    );
    let cases = [
        ("off, none", off, None, Ok(false)),
        ("off, not asked", off, Some(&good), Ok(false)),
        ("optional, none", optional, None, Ok(false)),
        ("optional, good", optional, Some(&good), Ok(true)),
        (
            "optional, foreign",
            optional,
            Some(&foreign),
            Err("not accepted"),
        ),
        ("required, none", required, None, Err("no certificate")),
        ("required, good", required, Some(&good), Ok(true)),
        (
            "required, foreign",
            required,
            Some(&foreign),
            Err("UnknownIssuer"),
        ),
        ("required, expired", required, Some(&old), Err("expired")),
        (
            "required, not for clients",
            required,
            Some(&for_servers),
            Err("client auth"),
        ),
    ];
    for (case, wanted, own, expected) in cases {
        let server = server(&authority, &files, &asking(wanted, &ca_file));
        let config = Arc::new(client(&authority, own));
        let met = meet(&server, false, &config, "hs.example").await;
        match (met.accepted, expected) {
            (Ok(accepted), Ok(is_known)) => {
                let known = accepted.stream.session().peer_certificates().is_some();
                assert_eq!(known, is_known, "case: {case}");
            }
            (Err(error), Err(words)) => {
                let text = error.to_string();
                assert!(text.contains(words), "case: {case}: {text}");
            }
            (accepted, _) => panic!("case: {case}: {accepted:?}"),
        }
    }
}

#[tokio::test]
async fn sessions_are_resumed_by_ticket_and_without_early_data() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let server = server(&authority, &files, &plain());
    for versions in [[&TLS13], [&TLS12]] {
        let mut config = client_of(&authority, None, &versions);
        config.enable_early_data = true;
        let config = Arc::new(config);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (mut accepted, mut client) = met(&server, &config, "hs.example").await;
            let kind = accepted.stream.session().handshake_kind();
            assert_eq!(kind, Some(expected), "{versions:?}");
            assert!(!client.get_ref().1.is_early_data_accepted());
            // The tickets come behind the handshake.
            accepted.stream.write_all(b"hello").await.unwrap();
            client.read_exact(&mut [0; 5]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_no_handshake_is_told_apart() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let server = server(&authority, &files, &plain());
    let cases: [(&str, &[u8], &str); 5] = [
        (
            "plain HTTP",
            b"GET / HTTP/1.1\r\nHost: hs.example\r\n\r\n",
            "does not speak TLS",
        ),
        (
            "HTTP/2 preface",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "does not speak TLS",
        ),
        ("leaves at once", b"", "closed the connection"),
        (
            "leaves within",
            b"\x16\x03\x01\x02\x00\x01\x00",
            "closed the connection",
        ),
        (
            "not what comes first",
            b"\x17\x03\x03\x00\x05hello",
            "failed",
        ),
    ];
    for (case, bytes, words) in cases {
        let (near, mut far) = duplex(4096);
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
        let accepting = accept(near, &server.config(false)).await;
        let text = accepting.unwrap_err().to_string();
        assert!(text.contains(words), "case: {case}: {text}");
    }
}

#[tokio::test]
async fn the_deadline_is_the_callers() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let server = server(&authority, &files, &plain());
    for bytes in [b"".as_slice(), b"\x16\x03\x01\x02\x00\x01\x00"] {
        let (near, mut far) = duplex(4096);
        far.write_all(bytes).await.unwrap();
        let config = server.config(false);
        let outcome = timeout(Duration::from_millis(50), accept(near, &config)).await;
        assert!(outcome.is_err(), "{outcome:?}");
        // Nothing holds the socket any more.
        let end = timeout(PATIENCE, far.read(&mut [0; 8])).await.unwrap();
        assert_eq!(end.unwrap(), 0);
    }
}

/// A stream that gives one byte to each read.
struct Drip(DuplexStream);

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut one = buf.take(1);
        let outcome = Pin::new(&mut self.0).poll_read(cx, &mut one);
        let count = one.filled().len();
        // What `take` filled is already in the memory behind it.
        buf.advance(count);
        outcome
    }
}

impl AsyncWrite for Drip {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_hello_in_single_bytes_is_a_hello() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let server = server(&authority, &files, &plain());
    let config = Arc::new(client(&authority, None));
    let (near, far) = duplex(64 * 1024);
    let connector = tokio_rustls::TlsConnector::from(config);
    let accepting = server.config(true);
    let (accepted, client) = timeout(PATIENCE, async {
        tokio::join!(
            accept(Drip(near), &accepting),
            connector.connect("hs.example".try_into().unwrap(), far)
        )
    })
    .await
    .unwrap();
    let (mut accepted, mut client) = (accepted.unwrap().stream, client.unwrap());
    client.write_all(b"hello").await.unwrap();
    let mut bytes = [0; 5];
    accepted.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
}

#[test]
fn certificates_out_of_their_time_are_used_and_objected_to() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let pairs = [
        authority.issue(&["good.example"]),
        authority.issue_with(&["old.example"], tls::expired),
        authority.issue_with(&["new.example"], tls::not_yet_valid),
        authority.issue_to_client(|_| {}),
    ];
    let written: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(number, pair)| files.write_pair(&number.to_string(), pair))
        .collect();
    let server = Server::new(&written, &plain()).unwrap();
    let objections = server.objections();
    let expected = [
        ("1.pem", "has expired, 2020-01-01T00:00:00Z"),
        ("2.pem", "is not valid before 2101-01-01T00:00:00Z"),
        ("3.pem", "is not meant for servers"),
    ];
    assert_eq!(objections.len(), expected.len(), "{objections:?}");
    for (line, (file, words)) in objections.iter().zip(expected) {
        assert!(line.starts_with("`certificate.chain` ("), "{line}");
        assert!(line.contains(file) && line.contains(words), "{line}");
    }
    assert_eq!(server.expiry().unwrap().to_string(), "2020-01-01T00:00:00Z");
}
