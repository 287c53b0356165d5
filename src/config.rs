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
mod choice;
mod document;
mod key;
mod parse;
mod print;
mod problem;
mod reader;
mod suggest;
mod typed;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;

pub use self::address::{Listen, TrustedProxies, Upstream};
pub use self::choice::{
    AccessLogFormat, Conflict, FormBody, LogFormat, LogLevel, OpenEndpoints, Profile, Repeated,
};
use self::document::Document;
pub use self::parse::Deprecation;
pub use self::problem::{Problem, Problems};
use self::reader::Reader;

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
    /// The server behind.
    pub upstream: Upstream,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Whose forwarding fields are believed.
    pub trusted_proxies: TrustedProxies,
    /// How long open requests may take after a stop was asked for.
    pub drain_timeout: Duration,
    /// Where clients connect; never empty, no address twice.
    pub listen: Vec<Listen>,
    /// What happens to tokens outside of the header.
    pub relocate: Relocate,
    /// One limit for each phase of a request.
    pub timeouts: Timeouts,
    /// The line written for each request.
    pub access_log: AccessLog,
    /// The diagnostic log on stderr.
    pub log: Log,
}

/// The `[relocate]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocate {
    /// Which API is behind.
    pub profile: Profile,
    /// Names of parameters that hold a token, 1 to 16, each visible ASCII without `&;=%`.
    pub parameters: Vec<Vec<u8>>,
    /// One request, several different tokens in its query.
    pub repeated: Repeated,
    /// One request, different tokens in header and query.
    pub conflict: Conflict,
    /// A token in a form body.
    pub form_body: FormBody,
    /// A token sent to an endpoint that needs none.
    pub open: OpenEndpoints,
    /// `Deprecation` field for responses to moved requests.
    pub deprecation: Option<Deprecation>,
    /// `Sunset` field for responses to moved requests; not before `deprecation`.
    pub sunset: Option<HttpDate>,
}

/// The `[timeouts]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// A kept-alive client connection without a request.
    pub idle: Duration,
    /// Between two reads of a request body.
    pub body: Duration,
    /// Between two writes to a client that does not read.
    pub send: Duration,
    /// Connecting to the upstream.
    pub connect: Duration,
    /// The upstream's silence, on top of what the request itself allows.
    pub response: Duration,
    /// A pooled upstream connection without a request.
    pub upstream_idle: Duration,
    /// An upgraded connection without traffic.
    pub tunnel: Duration,
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

/// `None` only where `reader` has been told of a problem.
fn read(reader: &mut Reader<'_>) -> Option<Config> {
    let upstream = reader.required(key::UPSTREAM, parse::upstream);
    let trusted = reader.list(key::TRUSTED_PROXIES, 0..=usize::MAX, address::trusted);
    let default_listen = Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8009)));
    let config = Config {
        workers: reader
            .integer(key::WORKERS, parse::workers)
            .unwrap_or_else(cores),
        trusted_proxies: trusted.map_or_else(TrustedProxies::local, TrustedProxies::from_iter),
        drain_timeout: duration(reader, key::DRAIN_TIMEOUT, 30),
        listen: reader.listen(default_listen),
        relocate: read_relocate(reader),
        timeouts: Timeouts {
            head: duration(reader, key::HEAD, 10),
            idle: duration(reader, key::IDLE, 75),
            body: duration(reader, key::BODY, 60),
            send: duration(reader, key::SEND, 60),
            connect: duration(reader, key::CONNECT, 5),
            response: duration(reader, key::RESPONSE, 200),
            upstream_idle: duration(reader, key::UPSTREAM_IDLE, 3),
            tunnel: duration(reader, key::TUNNEL, 3600),
        },
        access_log: AccessLog {
            format: reader.choice(key::ACCESS_LOG_FORMAT, AccessLogFormat::Combined),
            file: reader
                .text(key::ACCESS_LOG_FILE, parse::log_file)
                .unwrap_or(LogFile::Stdout),
            fingerprint_key_file: reader.optional(key::FINGERPRINT_KEY_FILE, parse::path),
        },
        log: Log {
            level: reader.choice(key::LOG_LEVEL, LogLevel::Info),
            format: reader.choice(key::LOG_FORMAT, LogFormat::Text),
        },
        upstream: upstream?,
    };
    Some(config)
}

fn read_relocate(reader: &mut Reader<'_>) -> Relocate {
    let relocate = Relocate {
        profile: reader.choice(key::PROFILE, Profile::Matrix),
        parameters: reader
            .list(key::PARAMETERS, 1..=16, parse::parameter)
            .unwrap_or_else(|| vec![b"access_token".to_vec()]),
        repeated: reader.choice(key::REPEATED, Repeated::Refuse),
        conflict: reader.choice(key::CONFLICT, Conflict::Refuse),
        form_body: reader.choice(key::FORM_BODY, FormBody::Relocate),
        open: reader.choice(key::OPEN, OpenEndpoints::Move),
        deprecation: reader.optional(key::DEPRECATION, parse::deprecation),
        sunset: reader.optional(key::SUNSET, parse::sunset),
    };
    // RFC 9745 section 4: what is not yet deprecated cannot be gone.
    if let (Some(deprecation), Some(sunset)) = (relocate.deprecation, relocate.sunset)
        && !deprecation.is_at_or_before(SystemTime::from(sunset))
    {
        reader.refuse(
            key::SUNSET,
            "must not be earlier than `relocate.deprecation`",
        );
    }
    relocate
}

fn duration(reader: &mut Reader<'_>, key: key::Key, default_seconds: u64) -> Duration {
    reader
        .text(key, parse::duration)
        .unwrap_or(Duration::from_secs(default_seconds))
}

/// One worker for each core the process may use.
fn cores() -> NonZeroUsize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(cores.min(parse::MOST_WORKERS)).unwrap_or(NonZeroUsize::MIN)
}
