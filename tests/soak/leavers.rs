//! Clients that leave, at each stage of a connection.

use std::{io, rc::Rc};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{
    ask::{Kind, bytes},
    clients::some,
    doors::{self, Door},
    random::Random,
    run::STEADY,
    streams::{self, Open},
    wire::{self, Pace, Wire},
    world::World,
};

/// Leaves and comes again.
pub(crate) async fn live(world: Rc<World>, mut random: Random) {
    while !world.is_over.get() {
        let stage = random.below(STAGES);
        // Whatever it got: it did not stay to see the end.
        let _ = leave(&world, &mut random, stage).await;
        world
            .journal
            .count(format!("clients that left at stage {stage}"));
        random.pause(20, 150).await;
    }
}

const STAGES: u64 = 11;

async fn leave(world: &World, random: &mut Random, stage: u64) -> io::Result<()> {
    if stage >= 9 {
        return leave_streams(world, random, stage == 9).await;
    }
    if stage == 0 {
        return leave_the_door(world, random).await;
    }
    let door = random.pick(Door::ALL);
    let is_reset = random.below(2) == 0;
    let opened = world.doors.open_to_leave(door, is_reset).await?;
    let mut wire: Wire = BufReader::new(opened.io);
    match stage {
        // Before a request.
        1 => {}
        // In the request line, and in the head.
        2 => {
            scrap(world);
            wire.write_all(b"GET /sta").await?;
        }
        3 => {
            scrap(world);
            let head = wire::head(&some(world, random, STEADY, &[Kind::Get]), "");
            wire.write_all(&head.as_bytes()[..head.len() - 2]).await?;
        }
        // In the body.
        4 => {
            let ask = world.ask(random.pick(STEADY), Kind::Put, 5000);
            let head = wire::head(&ask, "Content-Length: 5000\r\n");
            wire.write_all(head.as_bytes()).await?;
            wire.write_all(bytes(ask.id, 0, 1000)).await?;
        }
        // While it waits; at once, or a little later; with a second request sent.
        5 | 6 => {
            for _ in 0..=random.below(2) {
                let ask = some(world, random, STEADY, &[Kind::Get, Kind::Hold]);
                wire::send(&mut wire, &ask, Pace::default()).await?;
            }
            if stage == 6 {
                random.pause(1, 300).await;
            }
        }
        // In the answer.
        7 => {
            let kind = random.pick(&[Kind::Get, Kind::Drip]);
            let ask = world.ask(random.pick(STEADY), kind, 3 << 20);
            wire::send(&mut wire, &ask, Pace::default()).await?;
            wire::read_head(&mut wire).await?;
            world.journal.due(&ask);
            random.pause(1, 100).await;
            let count = wire.fill_buf().await?.len();
            wire.consume(count);
        }
        // In a tunnel.
        _ => {
            let ask = world.ask(random.pick(STEADY), Kind::Tunnel, 1);
            wire::send(&mut wire, &ask, Pace::default()).await?;
            let head = wire::read_head(&mut wire).await?;
            world.journal.due(&ask);
            if head.status == 101 {
                wire::echo(&mut wire, &ask, 0).await?;
                wire.write_all(bytes(ask.id, 0, 500)).await?;
            }
        }
    }
    wire.flush().await
}

/// A line of the log may come of it that names no request.
fn scrap(world: &World) {
    let scraps = &world.journal.scraps;
    scraps.set(scraps.get() + 1);
}

/// Leaves in the middle of a TLS handshake or of a PROXY header, or begins with
/// neither.
async fn leave_the_door(world: &World, random: &mut Random) -> io::Result<()> {
    let door = random.pick(&[Door::Tls, Door::Proxied, Door::ProxiedTls]);
    let mut socket = doors::tcp(world.doors.address(door)).await?;
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], bytes(0, 0, 100)].concat();
    let begin: &[u8] = random.pick(&[
        &hello[..3],
        &hello[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 192.0",
        b"PROXY TCP4 192.0.2.777 192.0.2.1 1 1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21",
        b"",
    ]);
    socket.write_all(begin).await?;
    random.pause(0, 50).await;
    Ok(())
}

/// Drops a connection with streams in flight, or resets one of them.
async fn leave_streams(world: &World, random: &mut Random, is_drop: bool) -> io::Result<()> {
    let door = random.pick(&[Door::Plain, Door::Tls, Door::Proxied, Door::ProxiedTls]);
    let opened = streams::open(world, door).await;
    let Open { send, end, .. } = opened.map_err(io::Error::other)?;
    let mut waiting = Vec::new();
    for kind in [Kind::Get, Kind::Hold, Kind::Put, Kind::Drip] {
        let ask = some(world, random, STEADY, &[kind]);
        waiting.push(
            streams::begin(&send, &ask)
                .await
                .map_err(io::Error::other)?,
        );
    }
    random.pause(0, 200).await;
    if is_drop {
        end.abort();
    }
    // Dropping a future whose answer has not come resets its stream.
    drop(waiting);
    drop(send);
    if !is_drop && !matches!(end.await, Ok(Ok(()))) {
        world
            .journal
            .fault("connection whose streams were reset ended badly");
    }
    Ok(())
}
