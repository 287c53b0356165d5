//! `tokenshim audit`: reads, adds up, asks if it shall, and reports.

use std::{
    io::{self, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    thread,
};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    baseline::Baseline,
    follow::Following,
    input::{self, Input, Listed, Source},
    key::Key,
    line::{LineReader, LogFormat},
    live_set::{LiveFile, LiveSet},
    merge,
    news::News,
    options::Options,
    progress::Progress,
    registration::Registrations,
    report::{self, Life, Lives, Meta, Report},
    scan::{self, Found, Search, Sizes, Told, Watch, Window},
    sighting::TokenId,
    tally::Tally,
    verify_live::Check,
};
use crate::{exit::Failure, redact::Redactor};

/// Runs the command; the exit code is the report's: 0 clean, 1 leaks, 3 incomplete.
///
/// # Errors
///
/// [`Failure`] if there is no report at all.
pub fn run(options: &Options) -> Result<u8, Failure> {
    // For a while the secrets of years are in this memory.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let before = Before::read(options)?;
    let listed = input::list(&options.inputs);
    let names = names(&listed.inputs, options.name.as_deref());
    let watch = Arc::new(Watch::default());
    heed_signals(Arc::clone(&watch));
    let news = options.follow.then(|| News::new(&names, &watch));
    let search = Search {
        redactor: Redactor::with_parameters(&options.parameters),
        key: before.key.fingerprints(),
        registrations: &before.registrations,
        window: Window {
            since: options.since,
            until: options.until,
        },
        lines: LineReader::new(&before.formats).at(&Zoned::now()),
        tally: Tally::for_inputs(&names).with_full_addresses(options.full_addresses),
        is_kept: before.check.is_some(),
        told: news.as_ref().map(|news| news as &dyn Told),
        sizes: Sizes::default(),
        first_line: options.first_line,
    };
    let mut found = read(options, &search, &listed, &watch);
    for problem in &listed.problems {
        found.tally.incomplete(None, problem.clone());
    }
    if listed.inputs.is_empty() && listed.problems.is_empty() {
        let why = "there is no file to read".to_owned();
        found.tally.incomplete(None, why);
    }
    if options.first_line > 1 {
        for input in 0..listed.inputs.len() {
            let input = u32::try_from(input).unwrap_or(u32::MAX);
            found.tally.begins(input, options.first_line);
        }
    }
    // Following has no other end.
    let is_complete = options.follow || !watch.is_stopped();
    before.report(options, found, &names, is_complete)
}

/// All that is read before the logs: hours later nobody wants to hear of a typing error.
struct Before {
    key: Key,
    registrations: Registrations,
    formats: Vec<LogFormat>,
    baseline: Option<Baseline>,
    live: Option<LiveFile>,
    check: Option<Check>,
}

impl Before {
    fn read(options: &Options) -> Result<Self, Failure> {
        let key = Key::load(options.key.as_deref()).map_err(Failure::other)?;
        let registrations = Registrations::load(&options.registrations, key.fingerprints())
            .map_err(Failure::other)?;
        let formats = options.log_formats.iter();
        let formats: Result<_, _> = formats.map(|format| LogFormat::parse(format)).collect();
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
        let baseline = options.baseline.as_deref();
        let baseline = baseline.map(|path| Baseline::load(path, &key.id(), today));
        let live = options.live_set.as_deref();
        let live = live.map(|path| LiveFile::open(path, &key));
        Ok(Self {
            registrations,
            formats: formats.map_err(Failure::other)?,
            baseline: baseline.transpose().map_err(Failure::other)?,
            live: live.transpose().map_err(Failure::other)?,
            check: options.verify.prepare()?,
            key,
        })
    }

    fn report(
        self,
        options: &Options,
        found: Found,
        names: &[String],
        is_complete: bool,
    ) -> Result<u8, Failure> {
        let meta = Meta {
            key_id: self.key.id(),
            is_ephemeral: self.key.is_ephemeral(),
            is_complete,
            since: options.since,
            until: options.until,
            stdin: options.name.clone(),
        };
        let Found { mut tally, held } = found;
        let live = match (self.check, self.live) {
            // Who wanted an end does not want questions, or logouts.
            (Some(_), _) if !is_complete => {
                let why = "interrupted before the homeserver was asked about any token";
                tally.incomplete(None, why.to_owned());
                None
            }
            (Some(check), _) => {
                let mut stderr = io::stderr().lock();
                Some(check.run(held, &self.registrations, &mut stderr)?)
            }
            (None, Some(file)) => {
                let ids: std::collections::HashSet<TokenId> = tally.ids().collect();
                let set = file.join(|id| ids.contains(&id)).map_err(Failure::other)?;
                Some(set.with_registrations(&self.registrations))
            }
            (None, None) => None,
        };
        if let Some(why) = live.as_ref().and_then(LiveSet::is_broken) {
            tally.incomplete(None, why.to_owned());
        }
        let lives = live.as_ref().map(|set| set as &dyn Lives);
        let report = Report::of(&tally, names, &meta, lives, self.baseline.as_ref());
        report::deliver(options.output.as_deref(), |out, is_terminal| {
            if options.partial {
                merge::write_part(&tally, names, &meta, out)
            } else {
                report::write(&report, options.format, out, is_terminal)
            }
        })
        .map_err(|(path, error): (PathBuf, io::Error)| {
            Failure::other(format!("{}: {error}", path.display()))
        })?;
        if !options.partial {
            // Who reads no stderr has the exit code.
            let _ = report::warn(&report, options.format, &mut io::stderr());
        }
        Ok(report.exit_code())
    }
}

fn read(options: &Options, search: &Search<'_>, listed: &Listed, watch: &Arc<Watch>) -> Found {
    let jobs = options.jobs.map_or_else(
        || thread::available_parallelism().map_or(1, NonZeroUsize::get),
        NonZeroUsize::get,
    );
    let sizes = listed.inputs.iter().map(|input| input.size);
    let total = sizes.fold(0, u64::saturating_add);
    if !options.follow {
        let _progress = Progress::start(total, watch);
        return scan::scan(search, &all(&listed.inputs), jobs, watch);
    }
    let (following, others) = Following::open(search, watch, &listed.inputs);
    let mut found = scan::scan(search, &others, jobs, watch);
    found.add(following.run());
    found
}

fn all(inputs: &[Input]) -> Vec<Option<Input>> {
    inputs.iter().cloned().map(Some).collect()
}

/// What reports call each input.
fn names(inputs: &[Input], stdin: Option<&str>) -> Vec<String> {
    let name = |input: &Input| match (&input.source, stdin) {
        (Source::Stdin, Some(name)) => name.to_owned(),
        _ => input.name.clone(),
    };
    inputs.iter().map(name).collect()
}

/// Ends the scan at the first signal, with the report so far.
fn heed_signals(watch: Arc<Watch>) {
    let heed = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            watch.stop();
            io::Result::Ok(())
        })
    };
    let thread = thread::Builder::new().name("signals".to_owned());
    // Without it a signal ends the process, as it does any other.
    if let Err(error) = thread.spawn(heed) {
        let _ = writeln!(io::stderr(), "tokenshim: signals are not heeded: {error}");
    }
}

impl Lives for LiveSet {
    fn life(&self, id: TokenId, kind: &str) -> Option<Life> {
        let live = self.of(id, kind);
        Some(Life {
            state: live.state.name(),
            user: live.user.map(str::to_owned),
            device: live.device.map(str::to_owned),
            reason: live.reason.map(str::to_owned),
            revocation: live.revocation.map(super::live_set::Revocation::name),
            checked: Some((live.checked_at, live.checked_by.to_owned())),
        })
    }
}
