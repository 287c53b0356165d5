//! Clients of HTTP/1.1 that behave, fast and slow.

use std::{rc::Rc, time::Instant};

use tokio::io::BufReader;

use super::{
    ask::{Ask, Check, Kind, Site},
    doors::Door,
    random::Random,
    wire::{self, Head, Pace, Wire},
    world::World,
};

/// What a client does again and again.
#[derive(Clone, Copy)]
pub(crate) struct Habit {
    pub(crate) doors: &'static [Door],
    pub(crate) sites: &'static [Site],
    pub(crate) kinds: &'static [Kind],
    /// Requests on a connection, at most.
    pub(crate) per_connection: u64,
    /// Milliseconds between requests.
    pub(crate) pause: (u64, u64),
    pub(crate) pace: Pace,
}

impl Habit {
    pub(crate) async fn live(self, world: Rc<World>, mut random: Random) {
        while !world.is_over.get() {
            let door = random.pick(self.doors);
            let (mut wire, source) = match world.doors.open(door).await {
                Ok(opened) => (BufReader::new(opened.io), opened.source),
                Err(error) => {
                    world
                        .journal
                        .fault(format!("no connection by {door:?}: {error}"));
                    random.pause(500, 1000).await;
                    continue;
                }
            };
            world.journal.count(format!("connections by {door:?}"));
            for _ in 0..=random.below(self.per_connection) {
                let ask = some(&world, &mut random, self.sites, self.kinds);
                world.journal.comes_from(&ask, source);
                let begun = Instant::now();
                let got = exchange(&mut wire, &world, &ask, self.pace).await;
                world.judge(&ask, begun, got.as_ref().map_err(String::as_str));
                let stays = got.is_ok_and(|head| !head.closes && ask.kind != Kind::Tunnel);
                if !stays || world.is_over.get() {
                    break;
                }
                random.pause(self.pause.0, self.pause.1).await;
            }
            drop(wire);
            random.pause(self.pause.0, self.pause.1).await;
        }
    }
}

/// A request of one of these kinds, to one of these sites.
pub(crate) fn some(world: &World, random: &mut Random, sites: &[Site], kinds: &[Kind]) -> Ask {
    let (site, kind) = (random.pick(sites), random.pick(kinds));
    let size = match kind {
        Kind::Hold => 100 + random.below(2400),
        Kind::Tunnel => 1 + random.below(30),
        Kind::Cut => 1000 + random.size(),
        _ => random.size(),
    };
    world.ask(site, kind, size)
}

/// One request and its whole answer.
async fn exchange(wire: &mut Wire, world: &World, ask: &Ask, pace: Pace) -> Result<Head, String> {
    let failed = |step| move |error| format!("{step}: {error}");
    wire::send(wire, ask, pace)
        .await
        .map_err(failed("sending"))?;
    let head = wire::read_head(wire).await.map_err(failed("waiting"))?;
    world.journal.due(ask);
    if head.status == 101 {
        for round in 0..ask.size {
            wire::echo(wire, ask, round).await.map_err(failed("echo"))?;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        return Ok(head);
    }
    let mut check = Check::new(ask.id);
    let is_theirs = head.status == 200;
    wire::read_body(wire, &head, pace, |piece| !is_theirs || check.take(piece))
        .await
        .map_err(failed("reading"))?;
    if is_theirs && check.length() != ask.length() {
        return Err(format!("{} bytes", check.length()));
    }
    Ok(head)
}
