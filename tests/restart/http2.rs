//! Clients of HTTP/2, with TLS and without.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use http::Request;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::{JoinHandle, LocalSet},
};
use tokio_rustls::TlsConnector;

use super::{edge::Authority, load::Shared, manager::HOST};

/// How many requests are under way at once.
const AT_ONCE: usize = 4;

/// Runs a client with everything on one thread.
pub(crate) fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, client)
}

/// A connection, and how it will have ended.
pub(crate) type Open = (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>);

/// Connects, with TLS if there is somebody to believe.
pub(crate) async fn connect(address: &str, authority: Option<&Arc<Authority>>) -> Open {
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let Some(authority) = authority else {
        return open(socket).await;
    };
    let config = authority.client_config(&["h2"]);
    let name = ServerName::try_from(HOST).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
    open(connecting.await.unwrap()).await
}

async fn open(io: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Open {
    let (send, connection) = h2::client::handshake(io).await.unwrap();
    (send, tokio::task::spawn_local(connection))
}

pub(crate) fn get(target: &str) -> Request<()> {
    Request::get(format!("http://h{target}")).body(()).unwrap()
}

/// The whole answer.
pub(crate) async fn read(response: ResponseFuture) -> Result<(u16, Vec<u8>), h2::Error> {
    let response = response.await?;
    let status = response.status().as_u16();
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while let Some(piece) = body.data().await {
        let piece = piece?;
        // The connection has room for as much again.
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok((status, bytes))
}

/// Whether the other side said, politely, that it takes no more.
pub(crate) fn is_farewell(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR)
}

/// Several requests at once on a connection, for as long as it takes new ones.
pub(crate) fn streams(
    address: &str,
    authority: Option<&Arc<Authority>>,
    name: &str,
    shared: &Shared,
) -> Vec<String> {
    run(async {
        let mut targets = Vec::new();
        while !shared.is_over.load(Ordering::SeqCst) {
            let (send, end) = connect(address, authority).await;
            while round(&send, name, &mut targets, shared).await {
                if shared.is_over.load(Ordering::SeqCst) {
                    break;
                }
            }
            drop(send);
            end.await.unwrap().unwrap();
        }
        targets
    })
}

/// Sends some requests together and reads their answers; `false` once the
/// connection takes no more.
async fn round(
    send: &SendRequest<Bytes>,
    name: &str,
    targets: &mut Vec<String>,
    shared: &Shared,
) -> bool {
    let mut waiting = Vec::new();
    let mut is_open = true;
    for _ in 0..AT_ONCE {
        let target = format!("/{name}/{}", targets.len() + waiting.len());
        let begun = match send.clone().ready().await {
            Ok(mut ready) => ready.send_request(get(&target), true),
            Err(error) => Err(error),
        };
        match begun {
            Ok((response, _)) => waiting.push((target, response)),
            Err(error) => {
                assert!(is_farewell(&error), "{target}: {error}");
                is_open = false;
                break;
            }
        }
    }
    for (target, response) in waiting {
        match read(response).await {
            Ok(answer) => {
                assert_eq!(answer, (200, format!("{target} ").into_bytes()));
                shared.answered.fetch_add(1, Ordering::SeqCst);
                targets.push(target);
            }
            // Not looked at, says the other side: the next connection asks again.
            Err(error) => {
                assert!(is_farewell(&error), "{target}: {error}");
                is_open = false;
            }
        }
    }
    is_open
}
