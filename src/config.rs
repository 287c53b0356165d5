//! The configuration: file, environment and flags in, one checked [`Config`] out.
//!
//! What the operator typed stays text until every value of every source has been
//! read, so that one start names every mistake, each with its key and its line.
//! A value that a stronger source hides is checked all the same: it would bite on
//! the day the variable is removed.
//!
//! Nothing is read from the process here: file text, environment and flags are
//! arguments. No secret belongs in a configuration, but people put them there:
//! messages show no value that could hold one.

mod address;
mod check;
mod choice;
mod document;
mod key;
mod limits;
mod listen;
mod parse;
mod print;
mod problem;
mod reader;
mod relocate;
mod route;
mod size;
mod suggest;
mod tls;
mod trusted;
mod typed;
mod upstream;
mod verify;
mod who;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

pub use self::address::{Address, Owner};
pub(crate) use self::address::{mode, owner};
pub use self::check::Check;
pub use self::choice::{
    AccessLogFormat, ClientCertificates, Conflict, FormBody, LogFormat, LogLevel, Mode, OnFailure,
    OpenEndpoints, Profile, ProxyHeader, Repeated, Role, TlsVersion, TokenPlacement, VerifyMode,
};
use self::document::Document;
pub use self::limits::{Limits, Timeouts};
pub use self::listen::Listen;
pub(crate) use self::parse::parameter;
pub use self::parse::{ClientMode, Deprecation};
pub use self::problem::{Problem, Problems};
use self::reader::Reader;
pub use self::relocate::Relocate;
pub use self::route::{HostPattern, Route};
pub use self::tls::{CertificateFiles, Tls, UpstreamTls};
pub use self::trusted::TrustedProxies;
pub use self::upstream::Upstream;
pub(crate) use self::upstream::parse as parse_upstream;
pub use self::verify::{Introspection, Verify};
pub use self::who::Who;

/// Everything the operator typed, weakest source first.
///
/// `Debug` shows none of it: an environment holds other programs' secrets too.
#[derive(Clone, Default)]
pub struct Sources<'a> {
    /// The configuration file: its path, for messages, and its text.
    pub file: Option<(&'a Path, &'a str)>,
    /// The environment; names that do not begin with `TOKENSHIM_` are skipped.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub flags: Flags,
}

/// The flags that are configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Every `--listen`; together they replace the listeners of the other sources.
    pub listen: Vec<String>,
    /// `--upstream`.
    pub upstream: Option<String>,
}

/// A checked configuration: whoever holds one can use it.
///
/// No [`Duration`] in it is zero, none is longer than a year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where requests go, the most specific first; never empty, no host and path twice.
    pub routes: Vec<Route>,
    /// What upstream connections begin with.
    pub upstream_proxy_protocol: ProxyHeader,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Whose forwarding fields are believed.
    pub trusted_proxies: TrustedProxies,
    /// How long open requests may take after a stop was asked for.
    pub drain_timeout: Duration,
    /// Where clients connect; never empty, no address twice.
    pub listen: Vec<Listen>,
    /// What we show to clients; the first is for those that name none we have.
    pub certificates: Vec<CertificateFiles>,
    /// What is asked about tokens, and whom.
    pub verify: Verify,
    /// TLS with clients.
    pub tls: Tls,
    /// TLS with upstreams.
    pub upstream_tls: UpstreamTls,
    /// What is too much.
    pub limits: Limits,
    /// One limit for each phase of a request.
    pub timeouts: Timeouts,
    /// The line written for each request.
    pub access_log: AccessLog,
    /// The diagnostic log on stderr.
    pub log: Log,
    /// Where the operator looks in; a TCP or unix socket, none of `listen`.
    pub admin: Option<Address>,
}

/// The `[access_log]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// How a line looks.
    pub format: AccessLogFormat,
    /// Where lines go.
    pub file: LogFile,
    /// Path of the key for token fingerprints; without it each start makes its own.
    pub fingerprint_key_file: Option<PathBuf>,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFile {
    /// Written as `-`.
    Stdout,
    /// A file; never empty, no NUL in it.
    Path(PathBuf),
}

/// The `[log]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important message that is written.
    pub level: LogLevel,
    /// How a message looks.
    pub format: LogFormat,
}

/// Reads and checks all sources: flags before environment before file before defaults.
///
/// # Errors
///
/// Every problem of every source at once.
pub fn load(sources: &Sources<'_>) -> Result<Config, Problems> {
    let document = sources.file.map(|(path, text)| Document::parse(path, text));
    let mut reader = Reader::new(document.as_ref(), sources);
    let config = read(&mut reader);
    reader.finish(config)
}

/// Every key a file may have, sections written with a dot: `timeouts.head`.
pub fn keys() -> impl Iterator<Item = &'static str> {
    key::ALL.iter().map(|key| key.path())
}

impl fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Config {
    /// The effective values, every key, as a file that loads back to the same.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::to_toml(self)
    }
}

/// Without routes only where `reader` has been told of a problem.
fn read(reader: &mut Reader<'_>) -> Config {
    let trusted = reader.list(key::TRUSTED_PROXIES, 0..=usize::MAX, trusted::parse);
    let trusted_proxies = trusted.map_or_else(TrustedProxies::local, TrustedProxies::from_iter);
    let listen = Listen::read_all(reader, &trusted_proxies);
    let routes = Route::read_all(reader);
    let upstream_proxy_protocol = reader.choice(key::UPSTREAM_PROXY_PROTOCOL, ProxyHeader::Off);
    let verify = Verify::read(reader, &routes);
    Config {
        routes,
        upstream_proxy_protocol,
        workers: reader
            .integer(key::WORKERS, parse::workers)
            .unwrap_or_else(cores),
        trusted_proxies,
        drain_timeout: limits::duration(reader, key::DRAIN_TIMEOUT, 30),
        certificates: CertificateFiles::read_all(reader),
        verify,
        tls: Tls::read(reader),
        upstream_tls: UpstreamTls::read(reader, upstream_proxy_protocol),
        limits: Limits::read(reader),
        timeouts: Timeouts::read(reader),
        access_log: AccessLog {
            format: reader.choice(key::ACCESS_LOG_FORMAT, AccessLogFormat::Combined),
            file: reader
                .text(key::ACCESS_LOG_FILE, parse::log_file)
                .unwrap_or(LogFile::Stdout),
            fingerprint_key_file: reader.optional(key::FINGERPRINT_KEY_FILE, parse::path, None),
        },
        log: Log {
            level: reader.choice(key::LOG_LEVEL, LogLevel::Info),
            format: reader.choice(key::LOG_FORMAT, LogFormat::Text),
        },
        admin: read_admin(reader, &listen),
        listen,
    }
}

fn read_admin(reader: &mut Reader<'_>, listen: &[Listen]) -> Option<Address> {
    let admin = reader.optional(key::ADMIN_LISTEN, address::parse_bound, None)?;
    if listen.iter().any(|listen| listen.address.is_same(&admin)) {
        reader.refuse(key::ADMIN_LISTEN, "must not be the address of a [[listen]]");
    }
    Some(admin)
}

/// One worker for each core the process may use.
fn cores() -> NonZeroUsize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(cores.min(parse::MOST_WORKERS)).unwrap_or(NonZeroUsize::MIN)
}
