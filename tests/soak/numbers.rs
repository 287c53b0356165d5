//! An administrator who looks at the numbers, and compares them with the log.

use std::{collections::BTreeMap, io, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::sleep,
};

use super::{format, trouble::until, world::World};

/// All series, by name and labels.
type Numbers = BTreeMap<String, f64>;

/// Reads the numbers each second. They are well-formed, counters only grow, and the
/// shim is ready all the time.
pub(crate) async fn watch(world: Rc<World>) {
    let mut before = Numbers::new();
    while !world.is_over.get() {
        sleep(Duration::from_secs(1)).await;
        match ask(&world, "/readyz").await {
            Ok((200, _)) => world.journal.count("times it was ready"),
            other => world.journal.fault(format!("not ready: {other:?}")),
        }
        let Some(now) = read(&world).await else {
            continue;
        };
        for (series, last) in &before {
            let is_less = now.get(series).is_none_or(|number| number < last);
            if is_less && (series.contains("_total") || series.contains("_bucket")) {
                let number = now.get(series);
                world
                    .journal
                    .fault(format!("{series} was {last}, is {number:?}"));
            }
        }
        world.journal.count("times the numbers were read");
        before = now;
    }
}

/// What the numbers say when nobody is there any more: how many lines the log has.
pub(crate) async fn at_rest(world: &World) -> u64 {
    let mut numbers = Numbers::new();
    let is_at_rest = until(async || {
        numbers = read(world).await.unwrap_or_default();
        !numbers.is_empty()
            && ["tokenshim_connections", "tokenshim_inflight_requests"]
                .iter()
                .all(|gauge| sum(&numbers, gauge) == 0.0)
    });
    if !is_at_rest.await {
        let open: Vec<_> = numbers
            .iter()
            .filter(|(series, number)| {
                let is_gauge = series.starts_with("tokenshim_connections{")
                    || series.starts_with("tokenshim_inflight");
                is_gauge && **number != 0.0
            })
            .collect();
        world.journal.fault(format!("still counted: {open:?}"));
    }
    for (series, number) in &numbers {
        if *number != 0.0 && !series.contains("_bucket") {
            eprintln!("{number:>12}  {series}");
        }
    }
    let requests = sum(&numbers, "tokenshim_requests_total");
    let agrees = [
        ("tokenshim_requests_ended_total", requests),
        ("tokenshim_request_duration_seconds_count", requests),
        ("tokenshim_log_lines_lost_total", 0.0),
        (
            "tokenshim_connections_opened_total",
            sum(&numbers, "tokenshim_connections_closed_total"),
        ),
    ];
    for (name, expected) in agrees {
        let number = sum(&numbers, name);
        if number != expected {
            world
                .journal
                .fault(format!("{name} is {number}, not {expected}"));
        }
    }
    requests as u64
}

fn sum(numbers: &Numbers, name: &str) -> f64 {
    let of_name = numbers
        .iter()
        .filter(|(series, _)| series.split('{').next() == Some(name));
    of_name.map(|(_, number)| number).sum()
}

async fn read(world: &World) -> Option<Numbers> {
    match ask(world, "/metrics").await {
        Ok((200, text)) => Some(series(&text)),
        other => {
            world.journal.fault(format!("no numbers: {other:?}"));
            None
        }
    }
}

/// Panics over what is not in the format.
fn series(text: &str) -> Numbers {
    let mut numbers = Numbers::new();
    for family in format::read(text) {
        for sample in family.samples {
            let labels: Vec<String> = sample
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            let series = format!("{}{}{{{}}}", family.name, sample.suffix, labels.join(","));
            numbers.insert(series, sample.value);
        }
    }
    numbers
}

/// The status and the body of an answer.
async fn ask(world: &World, path: &str) -> io::Result<(u16, String)> {
    let mut socket = UnixStream::connect(&world.doors.admin).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let broken = || io::Error::other(answer.clone());
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    Ok((status.ok_or_else(broken)?, body.to_owned()))
}
