//! Starting, running and stopping: one story.
//!
//! Sockets are bound before any thread starts, so a wrong address is an error at
//! once. SIGHUP reads the configuration anew: a good one takes effect for new
//! requests, a bad one changes nothing. SIGTERM and SIGINT drain: no new
//! connections, requests finished, idle connections closed, and whoever still waits
//! after `drain_timeout` is told to come again. A second signal does not wait.
//! SIGUSR1 and SIGHUP open the log file anew.

mod administration;
mod reload;
mod signals;

use std::{io, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time,
};

use self::{
    administration::Administration,
    reload::Reloadable,
    signals::{Request, Signals},
};
use crate::{
    access_log::sink::{Destination, Sink},
    admission::Admission,
    config::{Config, LogFile},
    diagnostics,
    door::Door,
    exit::Failure,
    inherited::Inherited,
    listen::{self, Listener},
    metrics::Registry,
    requirement,
    settings::Settings,
    systemd,
    thread::{self, Handle, Message},
    worker::Outfit,
};

/// How long the logs may take to be written at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How long connections in the queues are still taken.
const LAST_GUESTS: Duration = Duration::from_millis(100);

/// How often the certificates' files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Serves until a signal ends it, with the configuration that `load` reads, now
/// and at each reload; `ready` learns the bound addresses.
///
/// # Errors
///
/// Whatever keeps it from starting.
pub fn run(
    load: impl Fn() -> Result<Config, Failure>,
    ready: impl FnOnce(&[String]),
) -> Result<(), Failure> {
    let config = load()?;
    let settings = Arc::new(Settings::new(&config, None).map_err(Failure::config)?);
    let diagnostic = Sink::open(Destination::Stderr).map_err(Failure::other)?;
    let masks = diagnostics::start(
        &config.log,
        Arc::clone(&settings.redactor),
        diagnostic.clone(),
    )
    .map_err(Failure::other)?;
    let lines = open_access_log(&config.access_log.file)?;
    let inherited = Inherited::from_env().map_err(Failure::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    let server = {
        let _within = runtime.enter();
        let registry = Arc::new(Registry::new(config.workers.get()));
        registry.watch_logs(lines.losses(), diagnostic.losses());
        let reloadable = Reloadable::new(config, settings, masks, registry)?;
        Server::start(reloadable, inherited, &lines)?
    };
    let addresses: Vec<String> = server
        .listeners
        .iter()
        .map(|(listener, _)| listener.address())
        .collect();
    let upstreams = server.reloadable.upstreams();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = ?addresses, upstream = %upstreams, workers = server.workers.len(), "serving");
    ready(&addresses);
    let ended = runtime.block_on(server.run(load, &lines));
    lines.flush(LAST_LINES);
    diagnostic.flush(LAST_LINES);
    ended
}

/// Whether `config` can be used: reads the files that it names.
///
/// # Errors
///
/// What [`run`] would say of it before it binds a socket.
pub fn check(config: &Config) -> Result<(), Failure> {
    Settings::new(config, None).map_err(Failure::config)?;
    reload::listeners_tls(config).map(drop)
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
    listeners: Vec<(Listener, Arc<Door>)>,
    workers: Arc<[Handle]>,
    ended: mpsc::UnboundedReceiver<()>,
    signals: Signals,
    reloadable: Reloadable,
    administration: Option<Administration>,
}

impl Server {
    /// Binds and starts everything; needs a runtime around it.
    fn start(
        reloadable: Reloadable,
        mut inherited: Inherited,
        lines: &Sink,
    ) -> Result<Self, Failure> {
        // Before anything can be asked of us, so that no early signal kills.
        let signals = Signals::new().map_err(Failure::other)?;
        let config = reloadable.config();
        let mut listeners = Vec::new();
        for listen in &config.listen {
            let door = Arc::new(reloadable.door(listen));
            let bound = Listener::bind(&listen.address, &mut inherited).map_err(Failure::other)?;
            listeners.extend(
                bound
                    .into_iter()
                    .map(|listener| (listener, Arc::clone(&door))),
            );
        }
        let administration = Administration::bind(&reloadable, &mut inherited)?;
        inherited.finish();
        // The table is made at its first use; no request should pay for that.
        let _ = requirement::of(b"GET", b"/");
        let (end, ended) = mpsc::unbounded_channel();
        let admission = Arc::new(Admission::default());
        let workers = (0..config.workers.get())
            .map(|number| {
                let outfit = Outfit {
                    settings: Arc::clone(reloadable.settings()),
                    log: (config.access_log.format, lines.clone()),
                    metrics: reloadable.registry().worker(),
                    admission: Arc::clone(&admission),
                    workers: config.workers,
                };
                thread::start(number, outfit, end.clone())
            })
            .collect::<io::Result<_>>()
            .map_err(Failure::other)?;
        Ok(Self {
            listeners,
            workers,
            ended,
            signals,
            reloadable,
            administration,
        })
    }

    async fn run(
        mut self,
        load: impl Fn() -> Result<Config, Failure>,
        lines: &Sink,
    ) -> Result<(), Failure> {
        let (stop, acceptors) = self.open();
        let admin = self.administration.take().map(Administration::start);
        systemd::ready();
        let is_broken = self.serve(load, lines).await;
        tracing::info!("stopping: no new connections, open requests are finished");
        systemd::stopping();
        if let Some(admin) = &admin {
            admin.draining();
        }
        close(&stop, acceptors).await;
        self.drain(is_broken, lines).await;
        if is_broken {
            Err(Failure::other("a worker thread ended"))
        } else {
            Ok(())
        }
    }

    /// Lets clients in.
    fn open(&mut self) -> (watch::Sender<bool>, JoinSet<()>) {
        let (stop, stopped) = watch::channel(false);
        let mut acceptors = JoinSet::new();
        for (listener, door) in self.listeners.drain(..) {
            let workers = Arc::clone(&self.workers);
            acceptors.spawn(listen::accept(listener, door, workers, stopped.clone()));
        }
        (stop, acceptors)
    }

    /// Heeds signals until one says stop; `true` if a worker ended before.
    async fn serve(&mut self, load: impl Fn() -> Result<Config, Failure>, lines: &Sink) -> bool {
        let workers = &self.workers;
        let mut watchdog = pin!(systemd::watchdog(async || {
            for worker in workers.iter() {
                worker.answers().await;
            }
            true
        }));
        let mut looks = time::interval(LOOK);
        looks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = self.signals.next() => match request {
                    Request::Stop => return false,
                    Request::ReopenLogs => lines.reopen(),
                    Request::Reload => {
                        lines.reopen();
                        reload(&mut self.reloadable, &load, workers);
                    }
                },
                _ = self.ended.recv() => return true,
                () = &mut watchdog => {}
                _ = looks.tick() => self.reloadable.look_at_certificates(),
            }
        }
    }

    /// Waits for requests to end; those that do not are cut.
    async fn drain(&mut self, is_broken: bool, lines: &Sink) {
        let mut left = self.workers.len();
        let mut wait = async |signals: &mut Signals, most: Duration| {
            tokio::select! {
                () = count_down(&mut self.ended, &mut left) => true,
                () = signals.stop(lines) => false,
                () = time::sleep(most) => false,
            }
        };
        tell(&self.workers, || Message::Drain);
        let patience = self.reloadable.config().drain_timeout;
        if is_broken || !wait(&mut self.signals, patience).await {
            tell(&self.workers, || Message::Cut);
            wait(&mut self.signals, LAST_LINES).await;
        }
    }
}

/// Reads the configuration anew, and tells everybody what came of it.
fn reload(
    reloadable: &mut Reloadable,
    load: impl Fn() -> Result<Config, Failure>,
    workers: &[Handle],
) {
    systemd::reloading();
    if let Some(settings) = reloadable.reload(load) {
        tell(workers, || Message::Reload(Arc::clone(&settings)));
        systemd::status("configuration reloaded");
    } else {
        systemd::status("reload failed: the configuration from before is in effect");
    }
    systemd::ready();
}

/// Lets nobody in any more, but those who wait: the kernel let them in already.
/// Then the listeners are closed, so that others are refused and a new process can
/// bind.
async fn close(stop: &watch::Sender<bool>, mut acceptors: JoinSet<()>) {
    // Who has arrived is seen only after a turn of the reactor.
    tokio::task::yield_now().await;
    stop.send_replace(true);
    let _ = time::timeout(LAST_GUESTS, async {
        while acceptors.join_next().await.is_some() {}
    })
    .await;
    acceptors.shutdown().await;
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
