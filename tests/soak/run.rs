//! The course of a run, and its verdict.

use std::{
    process::{self, Child},
    rc::Rc,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    ask::{Kind, Site},
    clients::Habit,
    doors::{Door, Doors},
    house::{House, Sample, Upstreams, processor_time, sample},
    journal::Journal,
    leavers, numbers,
    random::Random,
    seals::Seals,
    streams,
    trouble::{self, PATIENCE, until},
    wire::Pace,
    world::{Weather, World},
};

/// Those that always answer; most requests go to the first.
pub(crate) const STEADY: &[Site] = &[Site::Stable, Site::Stable, Site::Tls, Site::Http2];
const NO_PACE: Pace = Pace {
    pause: 0,
    is_chunked: false,
};

/// Keeps its connection, mostly.
const KEPT: Habit = Habit {
    doors: Door::ALL,
    sites: STEADY,
    kinds: &[Kind::Get, Kind::Get, Kind::Get, Kind::Put, Kind::Drip],
    per_connection: 200,
    pause: (5, 60),
    pace: NO_PACE,
};

/// How many clients have which habit.
const HABITS: [(usize, Habit); 7] = [
    (9, KEPT),
    // A connection for each request.
    (
        4,
        Habit {
            per_connection: 1,
            pause: (20, 100),
            ..KEPT
        },
    ),
    // Long polls.
    (
        12,
        Habit {
            kinds: &[Kind::Hold],
            per_connection: 10,
            ..KEPT
        },
    ),
    (
        3,
        Habit {
            kinds: &[Kind::Put],
            pace: Pace {
                pause: 10,
                is_chunked: true,
            },
            ..KEPT
        },
    ),
    // Slow to send and slow to read.
    (
        4,
        Habit {
            kinds: &[Kind::Get, Kind::Put],
            pace: Pace {
                pause: 40,
                is_chunked: false,
            },
            ..KEPT
        },
    ),
    (
        2,
        Habit {
            kinds: &[Kind::Tunnel],
            ..KEPT
        },
    ),
    // Those whose upstream dies.
    (
        12,
        Habit {
            sites: &[Site::Flaky, Site::Fickle, Site::Torn],
            kinds: &[
                Kind::Get,
                Kind::Get,
                Kind::Get,
                Kind::Get,
                Kind::Put,
                Kind::Put,
                Kind::Hold,
                Kind::Drip,
                Kind::Cut,
                Kind::Mute,
                Kind::Hang,
            ],
            pause: (20, 200),
            ..KEPT
        },
    ),
];

/// Runs for so long; panics unless all is well.
pub(crate) async fn run(seconds: u64, seed: u64) {
    eprintln!("soak: {seconds} s, seed {seed}");
    let mut random = Random::new(seed);
    let directory = tempfile::tempdir().unwrap();
    let upstreams = Upstreams::new(directory.path());
    let seals = Rc::new(Seals::new(directory.path()));
    let mut steady = start_steady(&upstreams).await;
    let unsteady = [
        (Site::Flaky, upstreams.flaky.clone()),
        (Site::Fickle, upstreams.fickle.clone()),
        (Site::Torn, upstreams.torn.clone()),
    ];
    let house = Rc::new(House::start(directory, upstreams));
    let addresses = house.addresses().await;
    let admin = house.path("admin.sock").display().to_string();
    let world = Rc::new(World {
        doors: Doors::new(addresses, admin, Rc::clone(&seals)),
        journal: Journal::default(),
        weather: Weather::default(),
        is_over: false.into(),
    });
    let idle = sample(house.id());
    let mut troubles = JoinSet::new();
    for (site, server) in unsteady {
        let storms = trouble::storms(Rc::clone(&world), random.child(), site, server);
        troubles.spawn_local(storms);
    }
    let (shared, own) = (Rc::clone(&world), random.child());
    troubles.spawn_local(trouble::reloads(shared, Rc::clone(&house), seals, own));
    troubles.spawn_local(numbers::watch(Rc::clone(&world)));
    troubles.spawn_local(trouble::rotations(Rc::clone(&world), Rc::clone(&house)));
    let mut clients = start_clients(&world, &mut random);
    let samples = watch(&world, &house, seconds).await;
    world.is_over.set(true);
    for tasks in [&mut clients, &mut troubles] {
        finish(&world.journal, tasks).await;
    }
    judge_memory(&world.journal, &samples);
    judge_descriptors(&world.journal, &house, idle).await;
    let steady_ids: Vec<u32> = steady.iter().map(Child::id).collect();
    report_processor(&house, &steady_ids);
    let counted = numbers::at_rest(&world).await;
    stop(&world, house).await;
    for child in &mut steady {
        trouble::kill(child);
    }
    world.journal.settle();
    let lines = world.journal.lines.get();
    if counted != lines {
        world
            .journal
            .fault(format!("{counted} requests were counted, {lines} logged"));
    }
    eprint!("{}", world.journal.report());
    let (requests, faults) = (world.journal.requests(), world.journal.faults());
    assert_eq!(faults, 0, "of {requests} requests; seed {seed}");
    eprintln!("soak: {requests} requests, nothing to object; seed {seed}");
}

async fn start_steady(upstreams: &Upstreams) -> Vec<Child> {
    let mut steady = Vec::new();
    for server in [
        &upstreams.one,
        &upstreams.two,
        &upstreams.tls,
        &upstreams.http2,
    ] {
        steady.push(trouble::start(server).await);
    }
    steady
}

/// Waits for all of them.
async fn finish(journal: &Journal, tasks: &mut JoinSet<()>) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    };
    if timeout(PATIENCE, all).await.is_err() {
        journal.fault(format!("{} did not come to an end", tasks.len()));
    }
}

fn start_clients(world: &Rc<World>, random: &mut Random) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for (count, habit) in HABITS {
        for _ in 0..count {
            clients.spawn_local(habit.live(Rc::clone(world), random.child()));
        }
    }
    for (door, streams) in [
        (Door::Tls, 8),
        (Door::Tls, 30),
        (Door::Plain, 8),
        (Door::Proxied, 4),
        (Door::ProxiedTls, 4),
    ] {
        let live = streams::live(Rc::clone(world), random.child(), door, streams);
        clients.spawn_local(live);
    }
    for _ in 0..8 {
        clients.spawn_local(leavers::live(Rc::clone(world), random.child()));
    }
    clients
}

/// Lets time pass; returns what the shim took of the system in each second.
async fn watch(world: &Rc<World>, house: &Rc<House>, seconds: u64) -> Vec<Sample> {
    let begun = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < Duration::from_secs(seconds) {
        sleep(Duration::from_secs(1)).await;
        let now = sample(house.id());
        samples.push(now);
        if samples.len().is_multiple_of(15) {
            let (requests, faults) = (world.journal.requests(), world.journal.faults());
            eprintln!(
                "{:>5} s: {requests} requests, {faults} faults, {now:?}",
                samples.len()
            );
        }
    }
    samples
}

/// The shorter runs are over before all pools are full.
const LONG_ENOUGH: usize = 120;

/// What a worker keeps for later (buffers, heads, log lines) is bounded and full
/// after the first third; the rest of the time, medians differ by half a MiB with what
/// is under way. Four times that is a leak of 24 bytes for each request of five minutes.
const GROWTH_KIB: u64 = 2 * 1024;

fn judge_memory(journal: &Journal, samples: &[Sample]) {
    let median = |part: &[Sample]| {
        let mut sizes: Vec<u64> = part.iter().map(|sample| sample.memory_kib).collect();
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).copied().unwrap_or_default()
    };
    let count = samples.len();
    let tenths: Vec<u64> = (0..10)
        .map(|tenth| median(&samples[count * tenth / 10..count * (tenth + 1) / 10]))
        .collect();
    eprintln!("memory in KiB, medians of each tenth of the time: {tenths:?}");
    if count >= LONG_ENOUGH && tenths[9] > tenths[3] + GROWTH_KIB {
        journal.fault(format!(
            "memory grew from {} to {} KiB",
            tenths[3], tenths[9]
        ));
    }
}

async fn judge_descriptors(journal: &Journal, house: &House, before: Sample) {
    let is_at_rest = until(async || sample(house.id()).descriptors <= before.descriptors).await;
    let after = sample(house.id());
    if !is_at_rest {
        journal.fault(format!(
            "descriptors: {} before, {} after",
            before.descriptors, after.descriptors
        ));
    }
    eprintln!("at rest before: {before:?}, after: {after:?}");
}

fn report_processor(house: &House, upstreams: &[u32]) {
    let upstreams: Duration = upstreams.iter().copied().map(processor_time).sum();
    eprintln!(
        "processor time: shim {:?}, clients {:?}, stable upstreams {upstreams:?}",
        processor_time(house.id()),
        processor_time(process::id()),
    );
}

/// Ends the shim, and reads the rest of what it wrote.
async fn stop(world: &Rc<World>, house: Rc<House>) {
    house.signal(Signal::TERM);
    let mut house = Rc::try_unwrap(house).unwrap_or_else(|_| panic!("somebody is still there"));
    let mut status = None;
    until(async || {
        status = house.ended();
        status.is_some()
    })
    .await;
    if !status.is_some_and(|status| status.success()) {
        world
            .journal
            .fault(format!("the shim ended with {status:?}"));
    }
    let logs = std::fs::read_dir(house.directory.path()).unwrap();
    for entry in logs.map(Result::unwrap) {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with("access.log")
        {
            trouble::read_log(world, &entry.path()).await;
        }
    }
    for line in &house.said.lock().unwrap().faults {
        world.journal.fault(format!("on standard error: {line}"));
    }
}
