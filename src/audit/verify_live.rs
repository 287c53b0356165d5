//! Asks one homeserver, with each token that was found, whether it still works.
//!
//! To ask is to use the token: the homeserver notes our address and the time for its
//! device. So nothing is asked unless `--verify-live` says so, and never anybody but the
//! homeserver on the command line: what a log says was written by strangers. No redirect
//! is followed, and nothing goes in plain text to another machine.
//!
//! Only the homeserver's own `401 M_UNKNOWN_TOKEN` is a "no". Whatever else goes wrong
//! leaves a token unknown, with the reason.

mod asker;
mod held;
mod stop;

use std::{io::Write, path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use tokio::task::LocalSet;

pub(super) use self::asker::{Asker, Said};
pub use self::held::Held;
use super::{
    live_set::{Known, LiveSet, State},
    registration::{Registrations, Which},
    revoke,
};
use crate::{
    clock,
    config::{Upstream, UpstreamTls},
    exit::Failure,
    tls,
    verify::client::Client,
};

/// What `audit` takes to ask and to log out.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct VerifyArgs {
    /// Ask the homeserver about each token: it will note this machine's address for the device.
    #[arg(long, requires = "homeserver")]
    pub verify_live: bool,
    /// The homeserver that issued the tokens: `https://HOST`, `http://` on this machine, `unix:/PATH`.
    #[arg(long, value_name = "URL", requires = "verify_live")]
    pub homeserver: Option<String>,
    /// How many questions are put to the homeserver in a second.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        requires = "verify_live",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub rate: u32,
    /// The authority of the homeserver's certificate (PEM), instead of the system's.
    #[arg(long, value_name = "FILE", requires = "verify_live")]
    pub ca: Option<PathBuf>,
    /// Log living tokens out: shows what would be done, unless `--yes` is given.
    #[arg(long, requires = "verify_live")]
    pub revoke: bool,
    /// Only show what `--revoke` would do; this is the default.
    #[arg(long, requires = "revoke", conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do what `--revoke` shows.
    #[arg(long, requires = "revoke")]
    pub yes: bool,
}

/// What is wrong with them.
#[derive(Debug, thiserror::Error)]
enum ArgsError {
    #[error("--verify-live needs --homeserver URL")]
    NoHomeserver,
    #[error("--homeserver {0}")]
    Homeserver(String),
    #[error("--homeserver must be https:// on another machine: tokens are not sent in plain text")]
    Plain,
    #[error("--ca: {0}")]
    Ca(String),
    #[error("cannot ask the homeserver")]
    Setup(#[source] std::io::Error),
}

/// A check that could begin.
#[derive(Debug)]
pub struct Check {
    server: Upstream,
    tls: Option<Arc<tls::Client>>,
    rate: u32,
    revokes: Option<revoke::Mode>,
}

/// Asks about all of `held`, and logs out if that was asked for. Warnings, the plan and
/// what was done go to `out`, line by line; no token does.
///
/// # Errors
///
/// [`Failure`] if nothing could be asked at all. A homeserver that does not answer is
/// none: its tokens are unknown.
pub fn check(
    held: Held,
    args: &VerifyArgs,
    registrations: &Registrations,
    out: &mut dyn Write,
) -> Result<LiveSet, Failure> {
    let check = args
        .prepare()?
        .ok_or_else(|| Failure::other(ArgsError::NoHomeserver))?;
    check.run(held, registrations, out)
}

impl VerifyArgs {
    /// Sees to it that the check could begin, before hours of logs are read. `None` if
    /// there is to be none.
    ///
    /// # Errors
    ///
    /// [`Failure`] names the argument that is wrong.
    pub fn prepare(&self) -> Result<Option<Check>, Failure> {
        if !self.verify_live {
            return Ok(None);
        }
        self.check().map(Some).map_err(Failure::other)
    }

    fn check(&self) -> Result<Check, ArgsError> {
        let url = self.homeserver.as_deref().ok_or(ArgsError::NoHomeserver)?;
        // As people copy `public_baseurl`.
        let url = if url.starts_with("unix:") {
            url
        } else {
            url.strip_suffix('/').unwrap_or(url)
        };
        let server: Upstream = url.parse().map_err(ArgsError::Homeserver)?;
        if !server.is_tls() && !server.is_on_this_machine() {
            return Err(ArgsError::Plain);
        }
        let tls = if server.is_tls() {
            let client = tls::Client::new(&UpstreamTls {
                ca_file: self.ca.clone(),
                server_name: None,
                http2: false,
            });
            let client = client.map_err(|error| ArgsError::Ca(in_our_words(&error.to_string())))?;
            Some(Arc::new(client))
        } else {
            None
        };
        let mode = if self.yes {
            revoke::Mode::Act
        } else {
            revoke::Mode::Plan
        };
        Ok(Check {
            server,
            tls,
            rate: self.rate.clamp(1, 1000),
            revokes: self.revoke.then_some(mode),
        })
    }
}

/// The same part reads the proxy's configuration, and calls the file by its key there.
fn in_our_words(text: &str) -> String {
    text.replace("`upstream_tls.ca_file`", "--ca")
}

impl Check {
    /// As [`check`].
    ///
    /// # Errors
    ///
    /// As [`check`].
    pub fn run(
        self,
        held: Held,
        registrations: &Registrations,
        out: &mut dyn Write,
    ) -> Result<LiveSet, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_unpark(clock::tick)
            .build()
            .map_err(|error| Failure::other(ArgsError::Setup(error)))?;
        let set = LocalSet::new().block_on(&runtime, self.ask(&held, registrations, out));
        // A resolver that hangs keeps nobody.
        runtime.shutdown_background();
        // Wiped here, before anything of it is reported.
        drop(held);
        set.map_err(|error| Failure::other(ArgsError::Setup(error)))
    }

    async fn ask(
        self,
        held: &Held,
        registrations: &Registrations,
        out: &mut dyn Write,
    ) -> std::io::Result<LiveSet> {
        let server = self.server.to_string();
        warn(&server, held, self.rate, out);
        clock::tick();
        let client = Rc::new(Client::new(self.server, self.tls, asker::PATIENCE));
        let pause = Duration::from_secs(1).div_f64(f64::from(self.rate));
        let mut asker = Asker::new(client, pause, out)?;
        let mut set = LiveSet::asked(server, held.has_left_out());
        for id in held.ids() {
            let registered = registrations.find(id);
            let known = match (registered.map(|registered| registered.which), held.get(id)) {
                (_, None) => continue,
                (Some(Which::Hs), _) => Known::unknown(
                    "not asked: an hs_token, with which the homeserver comes to the service",
                ),
                (Some(Which::As) | None, Some(token)) => match asker.next().await {
                    Err(why) => Known::unknown(why),
                    Ok(()) => asker.whoami(&token).await.into(),
                },
            };
            set.insert(id, known);
        }
        asker.say(&format!(
            "{} alive, {} dead, {} unknown",
            set.count(State::Alive),
            set.count(State::Dead),
            set.count(State::Unknown)
        ));
        if let Some(mode) = self.revokes {
            revoke::run(mode, &mut asker, held, registrations, &mut set).await;
        }
        if asker.was_interrupted() {
            set.interrupt();
        }
        Ok(set)
    }
}

impl From<Said> for Known {
    fn from(said: Said) -> Self {
        match said {
            Said::Alive { user, device, note } => Self {
                user: user.map(Into::into),
                device: device.map(Into::into),
                reason: note,
                ..Self::now(State::Alive)
            },
            Said::Dead { soft_logout } => Self {
                reason: soft_logout.then_some(SOFT.into()),
                ..Self::now(State::Dead)
            },
            Said::Unknown(why) => Self {
                reason: Some(why.into()),
                ..Self::now(State::Unknown)
            },
        }
    }
}

const SOFT: &str = "expired; the session behind it lives on, and so does its refresh token";

fn warn(server: &str, held: &Held, rate: u32, out: &mut dyn Write) {
    let count = held.len();
    let seconds = u64::try_from(count)
        .unwrap_or(u64::MAX)
        .div_ceil(u64::from(rate.max(1)));
    let lines = [
        format!("asks {server} about {count} tokens, {rate} a second: at least {seconds} s"),
        "this uses the tokens: the homeserver now records this machine's address and the time for \
         each living device; save its database and logs first, if they are evidence"
            .to_owned(),
    ];
    for line in lines {
        // Nobody listens: no reason to stop.
        let _ = writeln!(out, "tokenshim: {line}");
    }
}
