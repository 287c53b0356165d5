//! The command line: results on stdout, everything else on stderr.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{CommandFactory as _, Parser, Subcommand};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    audit::{self, merge},
    config::{self, Config, Flags, Sources},
    demo, doctor, emit,
    exit::{self, Failure},
    fingerprint, hash_token, healthcheck, manual, probe, redact, redact_logs, relay, serve,
};

/// Moves Matrix access tokens out of URLs and keeps them out of logs.
#[derive(Debug, Parser)]
#[command(name = "tokenshim", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy.
    Serve(Source),
    /// Show what the proxy does, with a small homeserver of its own.
    Demo {
        /// End after the show instead of waiting for requests of yours.
        #[arg(long)]
        once: bool,
        /// Address for the proxy instead of port 8009 or a free one.
        #[arg(long, value_name = "ADDR")]
        listen: Option<String>,
    },
    /// Check a configuration file; exit code 78 and every problem if it is wrong.
    CheckConfig {
        /// The file.
        file: PathBuf,
    },
    /// Print the effective configuration of file, environment and flags.
    PrintConfig(Source),
    /// Make a line of the tokens file, for a token on stdin.
    HashToken {
        /// What logs, rules and the upstream call the token.
        #[arg(long)]
        label: Option<String>,
        /// Make a new token, and show it once on stderr.
        #[arg(long)]
        generate: bool,
    },
    /// Ask a running proxy whether it answers; for containers.
    Healthcheck(Source),
    /// Find the secrets that logs hold already.
    ///
    /// Exit code 0 if there are none, 1 if there are, 3 if something could not be read.
    Audit(Box<audit::options::Options>),
    /// Add partial reports of an audit up to the report of all.
    AuditMerge(merge::Arguments),
    /// Name the tokens of a database under a key, for `audit --live-set`.
    Fingerprint(fingerprint::Arguments),
    /// Mask the secrets of logs: a stream, rotated files, or a file that is still written.
    Redact(redact_logs::Arguments),
    /// Receive log lines on a socket or a named pipe, and write them masked.
    Relay(relay::Arguments),
    /// Send fake tokens through a chain of proxies, and look for them in its logs.
    Probe(probe::Arguments),
    /// Name the lines of a configuration that log query strings or break URLs.
    Doctor(doctor::Arguments),
    /// Print what makes the logs of another program clean.
    Emit(emit::Arguments),
    /// Print completions for a shell.
    Completions(manual::Completions),
    /// Print or write manual pages.
    Man(manual::Manual),
}

/// Where the configuration comes from: flags before environment
/// (`TOKENSHIM_SECTION__KEY`) before file before defaults.
#[derive(Debug, clap::Args)]
struct Source {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on: `IP:PORT` or `unix:/PATH`. May be given several times.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Where requests go: `http://HOST:PORT` or `unix:/PATH`.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

/// Runs the command line; returns the exit code.
#[must_use]
pub fn run() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to complain.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { 0 };
        }
    };
    match cli.command.run() {
        Ok(code) => code,
        Err(failure) => {
            report(&failure);
            failure.code()
        }
    }
}

/// One line for each cause.
fn report(failure: &Failure) {
    let mut stderr = io::stderr().lock();
    // A path that is named may be that of a page, saved with the token of its URL.
    let masked =
        |text: String| String::from_utf8_lossy(&redact::mask(text.as_bytes())).into_owned();
    let _ = writeln!(stderr, "tokenshim: {}", masked(failure.to_string()));
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        let _ = writeln!(stderr, "  because: {}", masked(error.to_string()));
        cause = error.source();
    }
}

impl Command {
    /// The exit code of what was done.
    fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Serve(source) => serve::run(|| source.load(), |_| {}).map(done),
            Self::Demo { once, listen } => demo::run(once, listen).map(done),
            Self::CheckConfig { file } => {
                let text = read(&file)?;
                let config = load(Some((&file, &text)), Flags::default())?;
                serve::check(&config)?;
                print(&format!("{}: ok\n", file.display())).map(done)
            }
            Self::PrintConfig(source) => print(&source.load()?.to_toml()).map(done),
            Self::HashToken { label, generate } => {
                print(&hash_token::run(label.as_deref(), generate)?).map(done)
            }
            Self::Healthcheck(source) => healthcheck::run(&source.load()?).map(done),
            Self::Audit(options) => audit::run(&options),
            Self::AuditMerge(arguments) => {
                let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
                merge::run(&arguments, today).map_err(Failure::other)
            }
            Self::Fingerprint(arguments) => fingerprint::run(&arguments).map(done),
            Self::Redact(arguments) => redact_logs::run(&arguments).map(done),
            Self::Relay(arguments) => relay::run(&arguments).map(done),
            Self::Probe(arguments) => probe::run(&arguments),
            Self::Doctor(arguments) => doctor::run(&arguments),
            Self::Emit(arguments) => emit::run(arguments),
            Self::Completions(arguments) => manual::completions(arguments, Cli::command()),
            Self::Man(arguments) => manual::man(&arguments, Cli::command()),
        }
    }
}

const fn done((): ()) -> u8 {
    0
}

impl Source {
    fn load(&self) -> Result<Config, Failure> {
        let flags = Flags {
            listen: self.listen.clone(),
            upstream: self.upstream.clone(),
        };
        match &self.config {
            None => load(None, flags),
            Some(file) => {
                let text = read(file)?;
                load(Some((file, &text)), flags)
            }
        }
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::config(format!("{}: {error}", file.display())))
}

fn load(file: Option<(&Path, &str)>, flags: Flags) -> Result<Config, Failure> {
    // What is not text cannot be a setting of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    config::load(&Sources {
        file,
        environment,
        flags,
    })
    .map_err(Failure::config)
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::other(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
