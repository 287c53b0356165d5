//! OpenSSL's own client and server, by its command line.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod tls;

use std::{
    net::{SocketAddr, TcpListener as Probe},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Instant,
};

use tls::{Authority, Files, PATIENCE, Pair, asking, plain};
use tokenshim::{
    config::{ClientCertificates, Tls, TlsVersion, UpstreamTls},
    tls::{Client, Ending, Server, accept},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// Greets every connection and says farewell, until the test ends.
async fn serve(server: Server, http2: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let config = server.config(http2);
            tokio::spawn(async move {
                let Ok(mut accepted) = accept(socket, &config).await else {
                    return;
                };
                accepted.stream.write_all(b"hello from us\n").await.unwrap();
                accepted.stream.shutdown().await.unwrap();
                // Until the client leaves as well.
                let _ = accepted.stream.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    address
}

/// `openssl s_client`, until the server has said farewell.
async fn s_client(address: SocketAddr, arguments: Vec<String>) -> Output {
    let run = tokio::task::spawn_blocking(move || {
        Command::new("timeout")
            .args(["15", "openssl", "s_client", "-ign_eof", "-connect"])
            .arg(address.to_string())
            .args(&arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    timeout(PATIENCE, run).await.unwrap().unwrap()
}

struct Site {
    authority: Authority,
    files: Files,
    ca_file: PathBuf,
}

impl Site {
    fn new() -> Self {
        let (authority, files) = (Authority::new("root"), Files::new());
        let ca_file = files.write("root.pem", &authority.pem);
        Self {
            authority,
            files,
            ca_file,
        }
    }

    fn server(&self, tls: &Tls) -> Server {
        let pairs = [
            &["hs.example"] as &[&str],
            &["other.example", "*.wild.example"],
        ]
        .map(|names| self.authority.issue(names));
        let written: Vec<_> = pairs
            .iter()
            .enumerate()
            .map(|(number, pair)| self.files.write_pair(&number.to_string(), pair))
            .collect();
        Server::new(&written, tls).unwrap()
    }

    /// What `s_client` is to check: with `-verify_return_error` it fails otherwise.
    fn arguments(&self, name: &str, more: &str) -> Vec<String> {
        let ca_file = self.ca_file.to_str().unwrap();
        format!("-CAfile {ca_file} -verify_return_error -servername {name} -verify_hostname {name} {more}")
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect()
    }
}

/// What it proves, whom it asks, for which name, how, and what it says then.
type Case<'a> = (&'a str, SocketAddr, &'a str, &'a str, &'a [&'a str]);

#[tokio::test]
async fn its_client_gets_what_it_asks_for() {
    let site = Site::new();
    let newest = Tls {
        minimum: TlsVersion::V1_3,
        ..plain()
    };
    let old = serve(site.server(&plain()), true).await;
    let new = serve(site.server(&newest), false).await;
    let cases: [Case<'_>; 10] = [
        (
            "by name",
            old,
            "hs.example",
            "",
            &["Verification: OK", "hello from us"],
        ),
        (
            "another name",
            old,
            "other.example",
            "",
            &["Verification: OK"],
        ),
        ("wildcard", old, "x.wild.example", "", &["Verification: OK"]),
        (
            "unknown name",
            old,
            "none.example",
            "",
            &["hostname mismatch"],
        ),
        (
            "TLS 1.2",
            old,
            "hs.example",
            "-tls1_2",
            &["New, TLSv1.2, Cipher is ECDHE", "hello from us"],
        ),
        (
            "TLS 1.1",
            old,
            "hs.example",
            "-tls1_1 -cipher DEFAULT@SECLEVEL=0",
            &["alert handshake failure"],
        ),
        (
            "TLS 1.2 where 1.3 is the least",
            new,
            "hs.example",
            "-tls1_2",
            &["alert protocol version"],
        ),
        (
            "h2",
            old,
            "hs.example",
            "-alpn h2,http/1.1",
            &["ALPN protocol: h2"],
        ),
        (
            "h2 switched off",
            new,
            "hs.example",
            "-alpn h2,http/1.1",
            &["ALPN protocol: http/1.1"],
        ),
        (
            "nothing in common",
            old,
            "hs.example",
            "-alpn spdy/3",
            &["alert no application protocol"],
        ),
    ];
    for (case, address, name, more, expected) in cases {
        let output = s_client(address, site.arguments(name, more)).await;
        let text = said(&output);
        for words in expected {
            assert!(text.contains(words), "case: {case}: {words}: {text}");
        }
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn its_client_resumes_a_session() {
    let site = Site::new();
    let address = serve(site.server(&plain()), false).await;
    for version in ["-tls1_2", "-tls1_3"] {
        let session = site.files.path("session.pem");
        let path = session.to_str().unwrap();
        for (option, words) in [("-sess_out", "New, TLSv1."), ("-sess_in", "Reused, TLSv1.")] {
            let more = format!("{version} {option} {path}");
            let text = said(&s_client(address, site.arguments("hs.example", &more)).await);
            assert!(text.contains(words), "{version} {option}: {text}");
        }
    }
}

#[tokio::test]
async fn its_client_shows_a_certificate() {
    let site = Site::new();
    let required = asking(ClientCertificates::Required, &site.ca_file);
    let address = serve(site.server(&required), false).await;
    let own = site
        .files
        .write_pair("client", &site.authority.issue_to_client(|_| {}));
    let with = format!("-cert {} -key {}", own.chain.display(), own.key.display());
    let cases = [
        ("with", with.as_str(), "hello from us"),
        ("without", "", "certificate required"),
    ];
    for (case, more, words) in cases {
        let arguments = site.arguments("hs.example", more);
        let text = said(&s_client(address, arguments).await);
        assert!(text.contains(words), "case: {case}: {text}");
    }
}

/// `openssl s_server`, which answers every line with what came reversed.
struct Upstream {
    child: Child,
    address: SocketAddr,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Upstream {
    async fn start(files: &Files, pair: &Pair, more: &[&str]) -> Self {
        let written = files.write_pair("upstream", pair);
        let free = Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-rev", "-accept", &free.to_string()])
            .arg("-cert")
            .arg(&written.chain)
            .arg("-key")
            .arg(&written.key)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(free).await.is_err() {
            assert!(started.elapsed() < PATIENCE, "s_server does not listen");
            tokio::task::yield_now().await;
        }
        Self {
            child,
            address: free,
        }
    }
}

#[tokio::test]
async fn its_server_is_an_upstream() {
    let site = Site::new();
    let pair = site.authority.issue(&["hs.example"]);
    let client = Client::new(&UpstreamTls {
        ca_file: Some(site.ca_file.clone()),
        server_name: None,
        http2: false,
    })
    .unwrap();
    for more in [["-tls1_2"], ["-tls1_3"]] {
        let upstream = Upstream::start(&site.files, &pair, &more).await;
        for (host, is_good) in [("hs.example", true), ("other.example", false)] {
            let socket = TcpStream::connect(upstream.address).await.unwrap();
            let connected = timeout(PATIENCE, client.connect(socket, host))
                .await
                .unwrap();
            assert_eq!(connected.is_ok(), is_good, "{host}: {connected:?}");
            let Ok(mut stream) = connected else { continue };
            stream.write_all(b"hello\n").await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = [0; 6];
            timeout(PATIENCE, stream.read_exact(&mut answer))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(&answer, b"olleh\n");
            // It ends the connection at this word, and says farewell.
            stream.write_all(b"CLOSE\n").await.unwrap();
            stream.flush().await.unwrap();
            let mut rest = Vec::new();
            timeout(PATIENCE, stream.read_to_end(&mut rest))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(stream.ending(), Some(Ending::Declared));
        }
    }
}
