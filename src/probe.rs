//! Sends marked, obviously fake tokens through a live chain of proxies, and looks for them
//! in the named logs: which hop leaks which spelling, and what is to be done there.
//!
//! A log is believed to be clean only if it shows the requests: by their path or their
//! user agent, which have a word that is no secret. One that cannot be read, or shows none
//! of them, could not tell. What the homeserver gets cannot be seen from here, and nothing
//! is said of it.
//!
//! Nothing goes to an address outside of this machine and private networks unless that is
//! asked for, and no endpoint is used that would change anything.

mod address;
mod cases;
mod hop;
mod logs;
mod marks;
mod report;
mod send;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    time::Duration,
};

use tokio::time::{self, Instant};

use self::{
    address::Url,
    cases::Common,
    logs::Log,
    marks::Marks,
    report::{Report, Told, Verdict},
    send::Server,
};
use crate::{emit::print, exit::Failure};

/// What `probe` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Where the chain begins: `http://HOST[:PORT][/PATH]`, `https://…` or `unix:/PATH`.
    url: String,
    /// An access log of some hop; it has to show the requests. May be given several times.
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    /// A log that has lines only when something fails. May be given several times.
    #[arg(long, value_name = "FILE")]
    error_log: Vec<PathBuf>,
    /// Connect to this address instead of the URL's host.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// Authorities to believe instead of the system's (PEM).
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long logs may take to be written.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = wait)]
    wait: Duration,
    /// Allow addresses outside of this machine and private networks.
    #[arg(long)]
    yes_remote: bool,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn wait(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

/// How often logs are looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Exit codes besides [`Failure`]'s.
const LEAKS: u8 = 1;
const COULD_NOT_TELL: u8 = 3;

/// Probes; returns 0 if no log leaks, 1 if one does, 3 if one could not tell.
///
/// # Errors
///
/// If the URL is none, or nobody can be reached there.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    let report = runtime.block_on(probe(arguments))?;
    let text = match arguments.format {
        Format::Text => report.to_string(),
        Format::Json => {
            let mut text = serde_json::to_string_pretty(&report).map_err(Failure::other)?;
            text.push('\n');
            text
        }
    };
    print(text.as_bytes())?;
    Ok(match report.verdict {
        Verdict::Clean => 0,
        Verdict::Leaks => LEAKS,
        Verdict::Unknown => COULD_NOT_TELL,
    })
}

async fn probe(arguments: &Arguments) -> Result<Report, Failure> {
    let url = Url::parse(&arguments.url).map_err(Failure::other)?;
    let connect = arguments
        .connect
        .as_deref()
        .map(address::connect)
        .transpose()
        .map_err(Failure::other)?;
    let server = Server::find(&url, connect, arguments.ca.clone(), arguments.yes_remote)
        .await
        .map_err(Failure::other)?;
    let marks = Marks::new().map_err(Failure::other)?;
    let access = arguments.log.iter().map(|path| (path, true));
    let errors = arguments.error_log.iter().map(|path| (path, false));
    // From where they end now: before the first request.
    let mut logs: Vec<_> = access
        .chain(errors)
        .map(|(path, must_show)| (Log::begin(path), Told::new(must_show)))
        .collect();
    let (answers, redirects) = send_all(&server, &url, &marks).await?;
    watch(&mut logs, &marks, arguments.wait).await;
    Ok(Report::new(&arguments.url, answers, &redirects, &logs))
}

/// How many answers there were of each status, and the cases that were sent on to a URL
/// with the token in it.
async fn send_all(
    server: &Server,
    url: &Url,
    marks: &Marks,
) -> Result<(BTreeMap<String, usize>, BTreeSet<usize>), Failure> {
    let common = Common {
        marks,
        prefix: &url.prefix,
        host: url.host(),
    };
    let (mut answers, mut redirects) = (BTreeMap::<_, usize>::new(), BTreeSet::new());
    for (number, case) in (1..).zip(&cases::ALL) {
        let answer = server
            .send(&case.request(number, common))
            .await
            .map_err(Failure::other)?;
        let status = answer
            .status
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        let count = answers.entry(status).or_default();
        *count = count.saturating_add(1);
        if answer
            .places()
            .any(|line| !marks.find(line).leaked.is_empty())
        {
            redirects.insert(number);
        }
    }
    if answers.keys().all(|status| status == "none") {
        let silent = io::Error::new(io::ErrorKind::UnexpectedEof, "it answers no request");
        return Err(Failure::other(silent));
    }
    Ok((answers, redirects))
}

/// Reads the logs until each shows all requests, or time is up: nobody says when a
/// buffer has been written.
async fn watch(logs: &mut [(Log, Told)], marks: &Marks, patience: Duration) {
    let deadline = Instant::now().checked_add(patience);
    loop {
        let is_last = deadline.is_none_or(|deadline| Instant::now() >= deadline);
        for (log, told) in &mut *logs {
            let path = log.path().to_owned();
            log.read(is_last, &mut |line| told.look(line, marks, &path));
        }
        // Errors come with no sign that they were all: whoever names one waits.
        if is_last || logs.iter().all(|(log, told)| told.is_done(log)) {
            return;
        }
        time::sleep(PAUSE).await;
    }
}
