//! What is done to the shim and its upstreams while it serves.

use std::{fs, process::Child, rc::Rc, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::{TcpStream, UnixStream},
    time::{Instant, sleep, timeout_at},
};

use super::{
    ask::{CANARY, Site},
    house::House,
    random::Random,
    seals::Seals,
    upstream::{self, Server},
    world::World,
};

/// The longest wait for anything that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again, up to [`PATIENCE`]; `false` in vain.
pub(crate) async fn until(mut test: impl AsyncFnMut() -> bool) -> bool {
    let poll = async {
        while !test().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout_at(Instant::now() + PATIENCE, poll).await.is_ok()
}

/// Starts an upstream; it takes connections.
pub(crate) async fn start(server: &Server) -> Child {
    let (name, address) = (server.name, &server.address);
    let child = upstream::spawn(server);
    let is_there = until(async || {
        if address.starts_with('/') {
            UnixStream::connect(address).await.is_ok()
        } else {
            TcpStream::connect(address).await.is_ok()
        }
    });
    assert!(is_there.await, "{name} does not start");
    child
}

pub(crate) fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Lets an upstream die and come back, or stand still for a while.
pub(crate) async fn storms(world: Rc<World>, mut random: Random, site: Site, server: Server) {
    // Until it has started it is away like one that died.
    world.weather.begin(site);
    let mut child = start(&server).await;
    world.weather.end(site);
    while !world.is_over.get() {
        random.pause(1000, 6000).await;
        world.weather.begin(site);
        match random.below(3) {
            0 => {
                kill(&mut child);
                world
                    .journal
                    .count(format!("{} killed and started", site.name()));
                child = start(&server).await;
            }
            1 => {
                kill(&mut child);
                world
                    .journal
                    .count(format!("{} killed and away", site.name()));
                random.pause(200, 3000).await;
                child = start(&server).await;
            }
            _ => {
                let process = Pid::from_child(&child);
                kill_process(process, Signal::STOP).unwrap();
                world
                    .journal
                    .count(format!("{} stopped and continued", site.name()));
                random.pause(500, 7000).await;
                kill_process(process, Signal::CONT).unwrap();
            }
        }
        world.weather.end(site);
    }
    world.weather.begin(site);
    kill(&mut child);
}

/// Reloads each second: the two good files in turn, and sometimes a bad one. Renews
/// the certificate now and then, and lets a reload or the shim itself find it.
pub(crate) async fn reloads(
    world: Rc<World>,
    house: Rc<House>,
    seals: Rc<Seals>,
    mut random: Random,
) {
    let (mut good, mut bad, mut which) = (0, 0, 0);
    for round in 0_u64.. {
        sleep(Duration::from_secs(1)).await;
        if world.is_over.get() {
            break;
        }
        let is_renewal = round % 8 == 2;
        match round % 8 {
            6 if !renew_silently(&house, &seals, random.below(2) == 0).await => {
                return world.journal.fault("a certificate was not taken up");
            }
            6 => {
                world.journal.count("certificates that were found");
                continue;
            }
            2 => seals.renew(true),
            _ => {}
        }
        if !is_renewal && random.below(5) == 0 {
            house.write(None);
            bad += 1;
        } else {
            which = 1 - which;
            house.write(Some(which));
            good += 1;
        }
        house.signal(Signal::HUP);
        let told = until(async || {
            let said = house.said.lock().unwrap();
            (said.reloaded, said.not_reloaded) == (good, bad)
        });
        if !told.await {
            let said = house.said.lock().unwrap();
            let told = (said.reloaded, said.not_reloaded);
            return world
                .journal
                .fault(format!("reloads: {:?} became {told:?}", (good, bad)));
        }
        if is_renewal {
            seals.is_taken_up();
            world.journal.count("certificates that were reloaded");
            if !until(async || seals.is_seen() || world.is_over.get()).await {
                return world.journal.fault("nobody has seen the new certificate");
            }
        }
    }
    world.journal.count(format!(
        "rounds of reloads, {good} good and {bad} bad files"
    ));
}

/// Puts a certificate in place and tells nobody; the shim looks for itself.
async fn renew_silently(house: &House, seals: &Seals, by_link: bool) -> bool {
    let before = house.said.lock().unwrap().renewed;
    seals.renew(by_link);
    let is_found = until(async || house.said.lock().unwrap().renewed > before).await;
    seals.is_taken_up();
    is_found
}

/// Moves the log away and has it opened anew; reads what was moved.
pub(crate) async fn rotations(world: Rc<World>, house: Rc<House>) {
    let mut last = None;
    for number in 0_u64.. {
        for _ in 0..20 {
            if world.is_over.get() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        if world.is_over.get() {
            break;
        }
        let (log, moved) = (
            house.path("access.log"),
            house.path(&format!("access.log.{number}")),
        );
        fs::rename(&log, &moved).unwrap();
        house.signal(Signal::USR1);
        if !until(async || log.exists()).await {
            return world.journal.fault("the log was not opened anew");
        }
        world.journal.count("rotations");
        // The one before has got its last line for sure.
        if let Some(last) = last.replace(moved) {
            read_log(&world, &last).await;
            fs::remove_file(last).unwrap();
        }
    }
}

/// Compares a part of the log with what was asked.
pub(crate) async fn read_log(world: &World, path: &std::path::Path) {
    let text = fs::read_to_string(path).unwrap();
    if text.contains(CANARY) {
        let line = text.lines().find(|line| line.contains(CANARY));
        world
            .journal
            .fault(format!("a canary in the log: {line:?}"));
    }
    for (number, line) in text.lines().enumerate() {
        world.journal.line(line);
        if number % 256 == 0 {
            // Clients are in the same thread.
            tokio::task::yield_now().await;
        }
    }
}
