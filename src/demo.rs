//! The show: an old client, the proxy, and a small homeserver that takes no
//! query tokens, all in this process.
//!
//! The proxy is the real one, [`serve::run`] on a thread of its own, with its
//! access log in a pipe. What the show promises is checked before it is printed:
//! a promise that is not kept is named, and the exit code is 2. No token is
//! printed but the one in the lines to paste, which opens nothing else.

mod call;
mod client;
mod homeserver;
mod matrix;
mod page;
mod session;
mod show;

use std::{
    io::{self, BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::AsRawFd as _,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    config::{self, Config, Flags, Sources},
    exit::Failure,
    serve,
};
use homeserver::Seen;
use page::Page;

/// Where the documentation says that the proxy listens.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8009);

/// How long anything on the way may take: everything is in this process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives the show, the proxy at `listen` or where it is free; unless `once`,
/// serves on until a signal ends it.
///
/// # Errors
///
/// If the parts cannot be started, or something did not come out as promised.
pub fn run(once: bool, listen: Option<String>) -> Result<(), Failure> {
    let (events, inbox) = channel();
    let homeserver = homeserver::start(events.clone()).map_err(Failure::other)?;
    start_proxy(homeserver, listen.unwrap_or_else(free_address), events)?;
    let mut stage = Stage::new(homeserver, inbox);
    stage.wait(PATIENCE, |stage| stage.proxy.is_some());
    let mut page = Page::default();
    let shown = show::run(&mut stage, &mut page);
    if shown.is_err() {
        // A signal in the middle of the show is no failure of it.
        stage.wait(Duration::from_secs(2), |_| false);
    }
    if let Some(ended) = stage.ended.take() {
        return ended;
    }
    let token = shown?;
    if once {
        return Ok(());
    }
    show::invite(&stage, &token, &mut page)?;
    stage.follow(&mut page)
}

/// What happens behind the show.
enum Event {
    /// The proxy serves at this address.
    Ready(String),
    /// The proxy wrote a line to its access log.
    Logged(String),
    /// The proxy has ended.
    Ended(Result<(), Failure>),
    /// A request came to the homeserver.
    Saw(Seen),
}

/// Everything that was heard from behind and not yet shown.
struct Stage {
    homeserver: SocketAddr,
    inbox: Receiver<Event>,
    proxy: Option<String>,
    seen: Vec<Seen>,
    logged: Vec<String>,
    ended: Option<Result<(), Failure>>,
}

impl Stage {
    fn new(homeserver: SocketAddr, inbox: Receiver<Event>) -> Self {
        Self {
            homeserver,
            inbox,
            proxy: None,
            seen: Vec::new(),
            logged: Vec::new(),
            ended: None,
        }
    }

    /// Listens until there is `enough`, the proxy has ended, or time is up.
    fn wait(&mut self, most: Duration, enough: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !enough(self) && self.ended.is_none() {
            let left = most.saturating_sub(start.elapsed());
            match self.inbox.recv_timeout(left) {
                Ok(Event::Ready(address)) => self.proxy = Some(address),
                Ok(Event::Logged(line)) => self.logged.push(line),
                Ok(Event::Ended(result)) => self.ended = Some(result),
                Ok(Event::Saw(seen)) => self.seen.push(seen),
                Err(_) => return,
            }
        }
    }

    /// Shows what other clients do, until the proxy has ended.
    fn follow(mut self, page: &mut Page) -> Result<(), Failure> {
        while !page.is_closed() {
            self.wait(Duration::from_secs(60), |stage| {
                !stage.seen.is_empty() || !stage.logged.is_empty()
            });
            for seen in self.seen.drain(..) {
                page.masked("homeserver saw", &seen.to_string())?;
            }
            for line in self.logged.drain(..) {
                page.masked("access log", &line)?;
                page.line("")?;
            }
            if let Some(ended) = self.ended {
                return ended;
            }
        }
        Ok(())
    }
}

/// Runs the proxy on a thread; it ends at a signal, as `tokenshim serve` does.
fn start_proxy(
    homeserver: SocketAddr,
    listen: String,
    events: Sender<Event>,
) -> Result<(), Failure> {
    let (log, end_of_log) = io::pipe().map_err(Failure::other)?;
    let config = configure(homeserver, listen, end_of_log.as_raw_fd())?;
    let lines = events.clone();
    spawn("demo-log", move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if lines.send(Event::Logged(line)).is_err() {
                return;
            }
        }
    })?;
    spawn("demo-proxy", move || {
        let ready = |addresses: &[String]| {
            // Nobody listens any more only when the process ends.
            let _ = events.send(Event::Ready(addresses.concat()));
        };
        let ended = serve::run(|| Ok(config.clone()), ready);
        // Open until here, since the access log is opened by this end's number.
        drop(end_of_log);
        let _ = events.send(Event::Ended(ended));
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
        .map_err(Failure::other)
}

/// The address of the documentation, or another port if that is taken.
fn free_address() -> String {
    let is_free = TcpListener::bind(USUAL).is_ok();
    let port = if is_free { USUAL.port() } else { 0 };
    SocketAddr::new(USUAL.ip(), port).to_string()
}

/// The configuration an operator would write, but for the log in a pipe.
fn configure(homeserver: SocketAddr, listen: String, log: i32) -> Result<Config, Failure> {
    // One worker keeps the log's lines in the order of the requests. A request
    // of the user's that waits must not keep Ctrl-C waiting.
    let text = format!(
        r#"
upstream = "http://{homeserver}"
workers = 1
drain_timeout = "1s"
[access_log]
file = "/dev/fd/{log}"
[log]
level = "warn"
"#
    );
    config::load(&Sources {
        file: Some((Path::new("demo.toml"), &text)),
        environment: Vec::new(),
        flags: Flags {
            listen: vec![listen],
            upstream: None,
        },
    })
    .map_err(Failure::config)
}
