//! Certificates that change while connections are open.

mod tls;

use std::{fs, os::unix::fs::symlink, sync::Arc};

use rustls::HandshakeKind;
use tls::{Authority, Files, asking, client, leaf, meet, met, plain, shown};
use tokenshim::{
    config::{CertificateFiles, ClientCertificates, Tls, TlsVersion},
    tls::{Changed, Server, TlsError, Wrong},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What SIGHUP does when the configuration is the same.
fn read_again(server: &Server, pair: &CertificateFiles) -> Result<Changed, TlsError> {
    server.replace(std::slice::from_ref(pair), &plain())
}

#[tokio::test]
async fn new_handshakes_get_the_new_certificate_and_open_connections_go_on() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let (old, new) = (
        authority.issue(&["hs.example"]),
        authority.issue(&["hs.example"]),
    );
    let pair = files.write_pair("hs", &old);
    let server = Server::new(std::slice::from_ref(&pair), &plain()).unwrap();
    let config = Arc::new(client(&authority, None));
    let (mut open, mut open_client) = met(&server, &config, "hs.example").await;
    assert_eq!(shown(&open_client), leaf(&old));
    assert_eq!(read_again(&server, &pair).unwrap(), Changed::Nothing);

    files.write_pair("hs", &new);
    assert_eq!(read_again(&server, &pair).unwrap(), Changed::Certificates);

    // A client that remembers nothing.
    let fresh = Arc::new(client(&authority, None));
    let (_, client) = met(&server, &fresh, "hs.example").await;
    assert_eq!(shown(&client), leaf(&new));

    let mut bytes = [0; 4];
    open_client.write_all(b"ping").await.unwrap();
    open.stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"ping");
    open.stream.write_all(b"pong").await.unwrap();
    open.stream.flush().await.unwrap();
    open_client.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"pong");

    // The ticket of the old time is still good.
    let (resumed, _) = met(&server, &config, "hs.example").await;
    let kind = resumed.stream.session().handshake_kind();
    assert_eq!(kind, Some(HandshakeKind::Resumed));
}

#[tokio::test]
async fn a_handshake_that_has_begun_keeps_what_it_began_with() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let (old, new) = (
        authority.issue(&["hs.example"]),
        authority.issue(&["hs.example"]),
    );
    let pair = files.write_pair("hs", &old);
    let server = Server::new(std::slice::from_ref(&pair), &plain()).unwrap();
    let begun = server.config(false);
    files.write_pair("hs", &new);
    read_again(&server, &pair).unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client(&authority, None)));
    let (accepted, client) = tokio::join!(
        tokenshim::tls::accept(near, &begun),
        connector.connect("hs.example".try_into().unwrap(), far)
    );
    accepted.unwrap();
    assert_eq!(shown(&client.unwrap()), leaf(&old));
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_told_once() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let (old, new) = (
        authority.issue(&["hs.example"]),
        authority.issue(&["hs.example"]),
    );
    let pair = files.write_pair("hs", &old);
    let server = Server::new(std::slice::from_ref(&pair), &plain()).unwrap();
    let config = Arc::new(client(&authority, None));
    assert!(server.look().is_none(), "nothing has changed");

    // The chain comes first, its key a moment later.
    files.write("hs.pem", &new.chain);
    let error = server.look().unwrap().unwrap_err();
    assert!(matches!(error.wrong(), Wrong::Mismatch { .. }), "{error}");
    assert_eq!(error.key(), "certificate.key");
    assert!(server.look().is_none(), "told once");
    assert!(
        read_again(&server, &pair).is_err(),
        "whoever asks is told again"
    );
    let (_, client) = met(&server, &config, "hs.example").await;
    assert_eq!(shown(&client), leaf(&old));

    // Another failure is news.
    files.write("hs.key", "");
    let error = server.look().unwrap().unwrap_err();
    assert!(matches!(error.wrong(), Wrong::NoKey), "{error}");
    assert!(server.look().is_none(), "told once");

    files.write("hs.key", &new.key);
    assert_eq!(server.look().unwrap().unwrap(), Changed::Certificates);
    assert!(server.look().is_none(), "nothing has changed");
    let fresh = Arc::new(tls::client(&authority, None));
    let (_, client) = met(&server, &fresh, "hs.example").await;
    assert_eq!(shown(&client), leaf(&new));

    // And a file that goes away.
    fs::remove_file(files.path("hs.pem")).unwrap();
    let error = server.look().unwrap().unwrap_err();
    assert!(matches!(error.wrong(), Wrong::Unreadable(_)), "{error}");
    met(&server, &fresh, "hs.example").await;
}

#[tokio::test]
async fn changes_are_seen_behind_links_and_in_place() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let pairs: Vec<_> = (0..3).map(|_| authority.issue(&["hs.example"])).collect();
    let first = files.write_pair("hs1", &pairs[0]);
    let second = files.write_pair("hs2", &pairs[1]);
    // As certbot has it: `live` leads into `archive`.
    let live = CertificateFiles {
        chain: files.path("live.pem"),
        key: files.path("live.key"),
    };
    symlink(&first.chain, &live.chain).unwrap();
    symlink(&first.key, &live.key).unwrap();
    let server = Server::new(std::slice::from_ref(&live), &plain()).unwrap();
    assert!(server.look().is_none());

    for (target, link) in [(&second.chain, &live.chain), (&second.key, &live.key)] {
        let new = files.path("new-link");
        symlink(target, &new).unwrap();
        fs::rename(&new, link).unwrap();
    }
    assert_eq!(server.look().unwrap().unwrap(), Changed::Certificates);

    // Written over, as `cp` does.
    fs::write(&second.chain, &pairs[2].chain).unwrap();
    fs::write(&second.key, &pairs[2].key).unwrap();
    assert_eq!(server.look().unwrap().unwrap(), Changed::Certificates);
    let config = Arc::new(client(&authority, None));
    let (_, client) = met(&server, &config, "hs.example").await;
    assert_eq!(shown(&client), leaf(&pairs[2]));

    // Touched: read again, and nothing to tell but that.
    fs::write(&second.chain, &pairs[2].chain).unwrap();
    assert_eq!(server.look().unwrap().unwrap(), Changed::Nothing);
}

#[tokio::test]
async fn a_ticket_does_not_outlive_the_authority_it_was_earned_from() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let ca_file = files.write("clients.pem", &clients.pem);
    let pair = files.write_pair("hs", &authority.issue(&["hs.example"]));
    let required = asking(ClientCertificates::Required, &ca_file);
    let server = Server::new(&[pair], &required).unwrap();
    let own = clients.issue_to_client(|_| {});
    let config = Arc::new(client(&authority, Some(&own)));
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (mut accepted, mut client) = met(&server, &config, "hs.example").await;
        assert_eq!(accepted.stream.session().handshake_kind(), Some(expected));
        accepted.stream.write_all(b"!").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
    }
    files.write("clients.pem", &others.pem);
    assert_eq!(server.look().unwrap().unwrap(), Changed::Certificates);
    let met = meet(&server, false, &config, "hs.example").await;
    let error = met.accepted.unwrap_err().to_string();
    assert!(error.contains("not accepted"), "{error}");
}

#[tokio::test]
async fn another_configuration_keeps_the_tickets_of_the_clients_it_still_admits() {
    let (authority, files) = (Authority::new("root"), Files::new());
    let clients = Authority::new("clients");
    let ca_file = files.write("clients.pem", &clients.pem);
    let pair = files.write_pair("hs", &authority.issue(&["hs.example"]));
    let another = files.write_pair("2", &authority.issue(&["new.example"]));
    let newer = Tls {
        minimum: TlsVersion::V1_3,
        ..plain()
    };
    let optional = asking(ClientCertificates::Optional, &ca_file);
    let cases = [
        (
            "others in front, newer versions",
            newer,
            HandshakeKind::Resumed,
        ),
        ("clients are asked now", optional, HandshakeKind::Full),
    ];
    for (case, tls, expected) in cases {
        let server = Server::new(std::slice::from_ref(&pair), &plain()).unwrap();
        let config = Arc::new(client(&authority, None));
        let (mut accepted, mut client) = met(&server, &config, "hs.example").await;
        accepted.stream.write_all(b"!").await.unwrap();
        client.read_exact(&mut [0]).await.unwrap();
        let files = [another.clone(), pair.clone()];
        server.replace(&files, &tls).unwrap();
        let (accepted, _) = met(&server, &config, "hs.example").await;
        let kind = accepted.stream.session().handshake_kind();
        assert_eq!(kind, Some(expected), "case: {case}");
    }
}
