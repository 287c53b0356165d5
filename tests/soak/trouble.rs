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
    upstream,
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
pub(crate) async fn start(name: &str, address: &str) -> Child {
    let child = upstream::spawn(name, address);
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
pub(crate) async fn storms(world: Rc<World>, mut random: Random, site: Site, address: String) {
    let mut child = start(site.name(), &address).await;
    while !world.is_over.get() {
        random.pause(1000, 6000).await;
        world.weather.begin(site);
        match random.below(3) {
            0 => {
                kill(&mut child);
                world
                    .journal
                    .count(format!("{} killed and started", site.name()));
                child = start(site.name(), &address).await;
            }
            1 => {
                kill(&mut child);
                world
                    .journal
                    .count(format!("{} killed and away", site.name()));
                random.pause(200, 3000).await;
                child = start(site.name(), &address).await;
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

/// Reloads each second: the two good files in turn, and sometimes a bad one.
pub(crate) async fn reloads(world: Rc<World>, house: Rc<House>, mut random: Random) {
    let (mut good, mut bad, mut which) = (0, 0, 0);
    while !world.is_over.get() {
        sleep(Duration::from_secs(1)).await;
        if random.below(5) == 0 {
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
    }
    world.journal.count(format!(
        "rounds of reloads, {good} good and {bad} bad files"
    ));
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
