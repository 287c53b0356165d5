//! Starting, running and stopping: one story.
//!
//! Sockets are bound before any thread starts, so a wrong address is an error at
//! once. SIGTERM and SIGINT drain: no new connections, idle ones closed, requests
//! finished, and whoever still waits after `drain_timeout` is told to come again.
//! A second signal does not wait. SIGUSR1 and SIGHUP open the log file anew.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinSet,
    time,
};

use crate::{
    access_log::sink::{Destination, Sink},
    config::{Config, LogFile},
    diagnostics,
    exit::Failure,
    listen::{self, Listener},
    requirement,
    settings::Settings,
    thread::{self, Handle, Message},
};

/// How long the logs may take to be written at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How long connections in the queues are still taken.
const LAST_GUESTS: Duration = Duration::from_millis(100);

/// Serves until a signal ends it; `ready` learns the bound addresses.
///
/// # Errors
///
/// Whatever keeps it from starting.
pub fn run(config: &Config, ready: impl FnOnce(&[String])) -> Result<(), Failure> {
    let settings = Arc::new(Settings::new(config).map_err(Failure::config)?);
    let diagnostic = Sink::open(Destination::Stderr).map_err(Failure::other)?;
    diagnostics::start(
        &config.log,
        Arc::clone(&settings.redactor),
        diagnostic.clone(),
    )
    .map_err(Failure::other)?;
    let lines = open_access_log(&config.access_log.file)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    let server = {
        let _within = runtime.enter();
        Server::start(config, &settings, &lines)?
    };
    let addresses: Vec<String> = server.listeners.iter().map(Listener::address).collect();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = ?addresses, upstream = %config.upstream, workers = server.workers.len(), "serving");
    ready(&addresses);
    let ended = runtime.block_on(server.run(config, &lines));
    lines.flush(LAST_LINES);
    diagnostic.flush(LAST_LINES);
    ended
}

fn open_access_log(file: &LogFile) -> Result<Sink, Failure> {
    match file {
        LogFile::Stdout => Sink::open(Destination::Stdout).map_err(Failure::other),
        LogFile::Path(path) => Sink::open(Destination::File(path.clone())).map_err(|error| {
            Failure::config(format!(
                "`access_log.file` ({}) cannot be opened: {error}",
                path.display()
            ))
        }),
    }
}

struct Server {
    listeners: Vec<Listener>,
    workers: Arc<[Handle]>,
    ended: mpsc::UnboundedReceiver<()>,
    signals: Signals,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
}

/// What a signal asks for.
enum Request {
    Stop,
    ReopenLogs,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.hang_up.recv() => Request::ReopenLogs,
            _ = self.user_1.recv() => Request::ReopenLogs,
        }
    }

    /// Waits for the signal to stop and serves the others.
    async fn stop(&mut self, lines: &Sink) {
        while let Request::ReopenLogs = self.next().await {
            lines.reopen();
        }
    }
}

impl Server {
    /// Binds and starts everything; needs a runtime around it.
    fn start(config: &Config, settings: &Arc<Settings>, lines: &Sink) -> Result<Self, Failure> {
        // Before anything can be asked of us, so that no early signal kills.
        let signals = Signals::new().map_err(Failure::other)?;
        let listeners = config
            .listen
            .iter()
            .map(Listener::bind)
            .collect::<Result<_, _>>()
            .map_err(Failure::other)?;
        // The table is made at its first use; no request should pay for that.
        let _ = requirement::of(b"GET", b"/");
        let (end, ended) = mpsc::unbounded_channel();
        let workers = (0..config.workers.get())
            .map(|number| {
                let log = (config.access_log.format, lines.clone());
                thread::start(number, Arc::clone(settings), log, end.clone())
            })
            .collect::<io::Result<_>>()
            .map_err(Failure::other)?;
        Ok(Self {
            listeners,
            workers,
            ended,
            signals,
        })
    }

    async fn run(mut self, config: &Config, lines: &Sink) -> Result<(), Failure> {
        let trusted = Arc::new(config.trusted_proxies.clone());
        let (stop, stopped) = watch::channel(false);
        let mut acceptors = JoinSet::new();
        for listener in self.listeners {
            let workers = Arc::clone(&self.workers);
            acceptors.spawn(listen::accept(
                listener,
                Arc::clone(&trusted),
                workers,
                stopped.clone(),
            ));
        }
        let mut left = self.workers.len();
        let is_broken = tokio::select! {
            () = self.signals.stop(lines) => false,
            _ = self.ended.recv() => true,
        };
        tracing::info!("stopping: no new connections, open requests are finished");
        // Whoever waits in a queue was let in by the kernel already. Then the
        // listeners are closed, so that others are refused and a new process can bind.
        stop.send_replace(true);
        let _ = time::timeout(LAST_GUESTS, async {
            while acceptors.join_next().await.is_some() {}
        })
        .await;
        acceptors.shutdown().await;
        tell(&self.workers, || Message::Drain);
        let mut drain = async |signals: &mut Signals, most: Duration| {
            tokio::select! {
                () = count_down(&mut self.ended, &mut left) => true,
                () = signals.stop(lines) => false,
                () = time::sleep(most) => false,
            }
        };
        if is_broken || !drain(&mut self.signals, config.drain_timeout).await {
            tell(&self.workers, || Message::Cut);
            drain(&mut self.signals, LAST_LINES).await;
        }
        if is_broken {
            Err(Failure::other("a worker thread ended"))
        } else {
            Ok(())
        }
    }
}

fn tell(workers: &[Handle], message: impl Fn() -> Message) {
    for worker in workers {
        worker.tell(message());
    }
}

/// Waits until no worker is `left`.
async fn count_down(ended: &mut mpsc::UnboundedReceiver<()>, left: &mut usize) {
    while *left > 0 && ended.recv().await.is_some() {
        *left = left.saturating_sub(1);
    }
}
