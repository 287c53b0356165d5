//! The `relay` command: takes other programs' log lines, and writes them masked.
//!
//! A program that cannot keep tokens out of its own log, such as nginx with its error
//! log, is told to log to a socket or a named pipe of ours. Each line is masked by the
//! engine of [`redact`](crate::redact) before it comes near a disk.
//!
//! Whoever logs must never wait for us: lines go through a bounded `queue` to a thread
//! that masks and writes, and where it does not keep up they are lost, counted and reported.
//! What the kernel drops before we have read it, nobody can count.

pub mod framing;
mod inlet;
mod place;
mod queue;
pub mod syslog;
mod writer;

use std::{io, path::PathBuf, sync::Arc, thread, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

use self::{
    inlet::Inlet,
    place::{Entry, Place},
    queue::Queue,
    writer::Writer,
};
use crate::{
    access_log::sink::{Destination, Sink},
    config::{Log, LogFormat, LogLevel},
    diagnostics,
    exit::Failure,
    redact::Redactor,
    redact_logs, systemd,
};

/// How long the last lines may take to be written.
const LAST_LINES: Duration = Duration::from_secs(10);

/// How often losses are reported.
const LOOK: Duration = Duration::from_secs(1);

/// Where lines come from, and where they go.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where lines come from: `unixgram:PATH` (what nginx's `syslog:` speaks), `unix:PATH`
    /// (a stream) or `fifo:PATH` (a named pipe). May be given several times.
    #[arg(long, value_name = "KIND:PATH", required = true, value_parser = Place::parse)]
    listen: Vec<Place>,
    /// Where they go: a file that is appended to, or `-` for standard output.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Mask the values of this parameter as well. May be given several times.
    #[arg(long, value_name = "NAME", value_parser = redact_logs::parameter)]
    parameter: Vec<String>,
    /// What is written of a syslog message: all of it, or what the program said.
    #[arg(long, value_enum, default_value = "raw")]
    format: Format,
    /// The mode of sockets and pipes that are made.
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = crate::config::mode)]
    mode: u32,
    /// Their owner: `USER`, `USER:GROUP` or `:GROUP`.
    #[arg(long, value_name = "OWNER", value_parser = crate::config::owner)]
    owner: Option<crate::config::Owner>,
    /// How many bytes may wait to be written.
    #[arg(long, value_name = "BYTES", default_value = "16777216")]
    queue: usize,
}

/// What is written of a syslog message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// All of it, with priority, time and tag.
    Raw,
    /// Only what the program said.
    Message,
}

/// Relays until a signal ends it.
///
/// # Errors
///
/// Whatever keeps it from starting, or from writing to standard output.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let redactor = Arc::new(Redactor::with_parameters(&arguments.parameter));
    let diagnostic = Sink::open(Destination::Stderr).map_err(Failure::other)?;
    let log = Log {
        level: LogLevel::Info,
        format: LogFormat::Text,
    };
    diagnostics::start(&log, Arc::clone(&redactor), diagnostic.clone()).map_err(Failure::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    let ended = runtime.block_on(relay(arguments, &redactor));
    diagnostic.flush(LAST_LINES);
    ended
}

async fn relay(arguments: &Arguments, redactor: &Arc<Redactor>) -> Result<(), Failure> {
    // Before anything can be asked of us, so that no early signal kills.
    let mut signals = Signals::new().map_err(Failure::other)?;
    let writer = Writer::open(&arguments.output, Arc::clone(redactor))
        .map_err(|error| Failure::other(format!("{}: {error}", arguments.output.display())))?;
    let entries = open(arguments)?;
    let queue = Arc::new(Queue::new(arguments.queue));
    let written = start(writer, Arc::clone(&queue)).map_err(Failure::other)?;
    let (stop, stopped) = watch::channel(false);
    let mut readers = JoinSet::new();
    for (entry, place) in entries.into_iter().zip(&arguments.listen) {
        let inlet = Inlet::new(Arc::clone(&queue), arguments.format);
        tracing::info!(%place, output = %arguments.output.display(), "relaying");
        readers.spawn(entry.read(inlet, stopped.clone()));
    }
    systemd::ready();
    let mut losses = Losses::default();
    signals.heed(&queue, &mut losses).await;
    systemd::stopping();
    // What has arrived is still taken.
    let _ = stop.send(true);
    let drained = async { while readers.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = signals.heed(&queue, &mut losses) => {}
    }
    queue.end();
    let ended = finish(written, &mut signals).await;
    losses.report(&queue);
    tracing::info!(lines = queue.lines(), lost = queue.lost(), "ended");
    ended
}

fn open(arguments: &Arguments) -> Result<Vec<Entry>, Failure> {
    // Nobody gets in before mode and owner are right.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let places = arguments.listen.iter();
    let entries = places
        .map(|place| {
            let opened = place.open(arguments.mode, arguments.owner.as_ref());
            opened.map_err(|error| Failure::other(format!("{place}: {error}")))
        })
        .collect();
    rustix::process::umask(before);
    entries
}

type Written = tokio::sync::oneshot::Receiver<io::Result<()>>;

fn start(writer: Writer, queue: Arc<Queue>) -> io::Result<Written> {
    let (done, written) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("log".into()).spawn(move || {
        // Nobody waits any more if we are out of time.
        let _ = done.send(writer.run(&queue));
    })?;
    Ok(written)
}

/// Waits until all is written, but no longer than [`LAST_LINES`], or than a second
/// signal allows: a pipe that nobody reads must not keep us.
async fn finish(written: Written, signals: &mut Signals) -> Result<(), Failure> {
    tokio::select! {
        result = written => match result {
            Ok(Err(error)) => Err(Failure::other(format!("standard output: {error}"))),
            Ok(Ok(())) => Ok(()),
            Err(_) => Err(Failure::other("the thread that writes ended early, lines are lost")),
        },
        () = time::sleep(LAST_LINES) => {
            tracing::error!("the last lines could not be written in time");
            Ok(())
        }
        () = signals.stop() => Ok(()),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
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

    /// Lets the file be opened anew and reports losses, until a signal ends it, or the
    /// writer cannot go on.
    async fn heed(&mut self, queue: &Queue, losses: &mut Losses) {
        let mut looks = time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => queue.reopen(),
                _ = self.user_1.recv() => queue.reopen(),
                _ = looks.tick() => {
                    losses.report(queue);
                    if queue.is_ended() {
                        return;
                    }
                }
            }
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What has been said of lines that were lost.
#[derive(Debug, Default)]
struct Losses {
    told: u64,
}

impl Losses {
    fn report(&mut self, queue: &Queue) {
        let lost = queue.lost();
        let new = lost.saturating_sub(self.told);
        if new > 0 {
            self.told = lost;
            tracing::warn!(
                lines = new,
                "log lines were lost: the output does not keep up"
            );
        }
    }
}
