//! The diagnostic log: `tracing`, through a writer that masks.
//!
//! Events are written without secrets; the writer masks all the same, because
//! at `trace` other people's crates speak, too. Panics go the same way. Writing
//! happens on a thread of its own, so a blocked terminal blocks no request.

use std::{
    io, panic,
    sync::{Arc, PoisonError, RwLock},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::fmt::{self, MakeWriter};

use crate::{
    access_log::sink::Sink,
    config::{Log, LogFormat, LogLevel},
    redact::Redactor,
};

/// What masks the diagnostic log, wherever a reload may have to replace it.
#[derive(Clone, Debug)]
pub struct Masks(Arc<RwLock<Arc<Redactor>>>);

impl Masks {
    /// From now on, this is what masks.
    pub fn replace(&self, redactor: Arc<Redactor>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = redactor;
    }

    fn mask(&self, event: &[u8]) -> Vec<u8> {
        let redactor = self.0.read().unwrap_or_else(PoisonError::into_inner);
        redactor.mask(event).into_owned()
    }
}

/// Starts the diagnostic log of the process, and sends panics to it.
///
/// # Errors
///
/// If the process has one already.
pub fn start(log: &Log, redactor: Arc<Redactor>, sink: Sink) -> io::Result<Masks> {
    let masks = Masks(Arc::new(RwLock::new(redactor)));
    let builder = tracing_subscriber::fmt()
        .with_max_level(level(log.level))
        .with_writer(Masking {
            masks: masks.clone(),
            sink,
        })
        .with_ansi(false)
        .with_target(true);
    match log.format {
        LogFormat::Text => builder.event_format(fmt::format()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(io::Error::other)?;
    panic::set_hook(Box::new(report_panic));
    Ok(masks)
}

const fn level(level: LogLevel) -> LevelFilter {
    LevelFilter::from_level(match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    })
}

/// Only the place: a panic's message may hold what was being worked on.
fn report_panic(info: &panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "panicked; please report this");
}

/// Masks each event as a whole.
#[derive(Clone)]
struct Masking {
    masks: Masks,
    sink: Sink,
}

impl io::Write for Masking {
    /// `tracing-subscriber` formats an event first and writes it in one call.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.sink.send(self.masks.mask(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Masking {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
