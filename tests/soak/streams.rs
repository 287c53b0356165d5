//! Clients of HTTP/2 that behave.

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, Response};
use tokio::task::{JoinHandle, JoinSet, spawn_local};

use super::{
    ask::{Ask, Check, Kind, bytes, token},
    clients::some,
    doors::{Door, Opened, Source},
    random::Random,
    run::STEADY,
    wire::Head,
    world::World,
};

/// A connection.
pub(crate) struct Open {
    pub(crate) send: SendRequest<Bytes>,
    /// How it will have ended.
    pub(crate) end: JoinHandle<Result<(), h2::Error>>,
    pub(crate) source: Source,
}

pub(crate) async fn open(world: &World, door: Door) -> Result<Open, String> {
    let io = world.doors.open_http2(door).await;
    let Opened { io, source } = io.map_err(|error| error.to_string())?;
    let opened = h2::client::Builder::new()
        .initial_window_size(256 * 1024)
        .handshake(io)
        .await;
    let (send, connection) = opened.map_err(|error| error.to_string())?;
    world
        .journal
        .count(format!("HTTP/2 connections by {door:?}"));
    Ok(Open {
        send,
        end: spawn_local(connection),
        source,
    })
}

/// Opens a connection, and asks on several streams of it at once.
pub(crate) async fn live(world: Rc<World>, mut random: Random, door: Door, streams: u64) {
    while !world.is_over.get() {
        let Open { send, end, source } = match open(&world, door).await {
            Ok(opened) => opened,
            Err(error) => {
                world
                    .journal
                    .fault(format!("no HTTP/2 by {door:?}: {error}"));
                random.pause(500, 1000).await;
                continue;
            }
        };
        let mut tasks = JoinSet::new();
        for _ in 0..streams {
            let times = random.below(60);
            let (world, send) = (Rc::clone(&world), send.clone());
            tasks.spawn_local(ask_often(world, random.child(), send, source, times));
        }
        while tasks.join_next().await.is_some() {}
        drop(send);
        match end.await {
            Ok(Ok(())) => {}
            ended => world.journal.fault(format!("HTTP/2 connection: {ended:?}")),
        }
    }
}

async fn ask_often(
    world: Rc<World>,
    mut random: Random,
    send: SendRequest<Bytes>,
    source: Source,
    times: u64,
) {
    const KINDS: [Kind; 6] = [
        Kind::Get,
        Kind::Get,
        Kind::Get,
        Kind::Put,
        Kind::Drip,
        Kind::Hold,
    ];
    for _ in 0..times {
        if world.is_over.get() {
            return;
        }
        let ask = some(&world, &mut random, STEADY, &KINDS);
        world.journal.comes_from(&ask, source);
        let begun = Instant::now();
        let got = exchange(&world, &send, &ask).await;
        let got = got.map_err(|error| error.to_string());
        world.judge(&ask, begun, got.as_ref().map_err(String::as_str));
        random.pause(50, 400).await;
    }
}

async fn exchange(
    world: &World,
    send: &SendRequest<Bytes>,
    ask: &Ask,
) -> Result<Head, Box<dyn std::error::Error>> {
    let response = begin(send, ask).await?.await?;
    world.journal.due(ask);
    let head = head(&response);
    let (mut body, mut check) = (response.into_body(), Check::new(ask.id));
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if head.status == 200 && !check.take(&piece) {
            return Err("other bytes than the upstream sent".into());
        }
    }
    if head.status == 200 && check.length() != ask.length() {
        return Err(format!("{} bytes", check.length()).into());
    }
    Ok(head)
}

/// Sends a request with its body; h2 keeps what the windows do not take yet.
pub(crate) async fn begin(
    send: &SendRequest<Bytes>,
    ask: &Ask,
) -> Result<ResponseFuture, h2::Error> {
    let uri = format!("https://h.example{}", ask.target());
    let mut request = Request::builder().method(ask.method()).uri(uri);
    if !ask.is_moved() {
        request = request.header("authorization", format!("Bearer {}", token(ask.id)));
    }
    let size = if ask.method() == "PUT" { ask.size } else { 0 };
    let request = request.body(()).unwrap();
    let (response, mut body) = send
        .clone()
        .ready()
        .await?
        .send_request(request, size == 0)?;
    let mut offset = 0;
    while offset < size {
        let piece = bytes(ask.id, offset, size - offset);
        offset += piece.len() as u64;
        body.send_data(Bytes::from_static(piece), offset == size)?;
    }
    Ok(response)
}

fn head<T>(response: &Response<T>) -> Head {
    let field = |name| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    Head {
        status: response.status().as_u16(),
        upstream: field("x-upstream"),
        came: field("x-came"),
        deprecation: field("deprecation"),
        ..Head::default()
    }
}
