//! The diagnostic log: `tracing`, through a writer that masks.
//!
//! Events are written without secrets; the writer masks all the same, because
//! at `trace` other people's crates speak, too. One of them repeats what clients
//! send, in pieces that no mask recognises, so `h2` may only warn.
//! Panics go the same way. Writing happens on a thread of its own, so a blocked
//! terminal blocks no request.

use std::{
    io, panic,
    sync::{Arc, PoisonError, RwLock},
};

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

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
    let speakers = speakers(level(log.level));
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(Masking {
            masks: masks.clone(),
            sink,
        })
        .with_ansi(false)
        .with_target(true);
    match log.format {
        LogFormat::Text => builder
            .event_format(fmt::format())
            .finish()
            .with(speakers)
            .try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .finish()
            .with(speakers)
            .try_init(),
    }
    .map_err(io::Error::other)?;
    panic::set_hook(Box::new(report_panic));
    Ok(masks)
}

/// Who may say how much.
fn speakers(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level)
        .with_target("h2", level.min(LevelFilter::WARN))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_may_only_warn() {
        for (name, wanted, target, asked, expected) in [
            ("ours", Level::TRACE, "tokenshim::door", Level::TRACE, true),
            ("h2 warns", Level::TRACE, "h2::server", Level::WARN, true),
            ("h2 tells", Level::TRACE, "h2::server", Level::INFO, false),
            ("h2 shows", Level::TRACE, "h2", Level::DEBUG, false),
            (
                "less than a warning",
                Level::ERROR,
                "h2",
                Level::WARN,
                false,
            ),
        ] {
            let speakers = speakers(LevelFilter::from_level(wanted));
            assert_eq!(speakers.would_enable(target, &asked), expected, "{name}");
        }
    }
}
