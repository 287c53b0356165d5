//! Makes a line of the tokens file out of a token.
//!
//! The token comes on stdin, never as an argument, which everybody on the machine could
//! see and a shell would remember. The line goes to stdout, so that it can be appended to
//! the file; a new token goes to stderr, so that it cannot get in there with it.

use std::io::{self, IsTerminal as _, Read, Write as _};

use zeroize::Zeroizing;

use crate::{
    exit::Failure,
    redact,
    secret::AccessToken,
    verify::tokens::{BadLabel, Line},
};

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
enum HashError {
    #[error("cannot read the token from stdin")]
    Read(#[source] io::Error),
    #[error("cannot show the token on stderr")]
    Show(#[source] io::Error),
    #[error("the system gives no random numbers")]
    Randomness(#[source] io::Error),
    #[error("the token on stdin is not one line of visible ASCII")]
    Token,
    #[error("the token on stdin is longer than {LONGEST} characters")]
    TooLong,
    #[error(
        "the token on stdin is shorter than {SHORTEST} characters, so it could be guessed: \
         make one with --generate"
    )]
    TooShort,
    #[error("--label {0}")]
    Label(BadLabel),
}

/// What can be tried in a lifetime is shorter, if it is random.
const SHORTEST: usize = 20;

/// Far more than any server's tokens have.
const LONGEST: usize = 4096;

/// The line of a token from stdin, or of a new one, with its line feed.
///
/// Without a label it gets one that is in no other line.
///
/// # Errors
///
/// [`Failure::Other`] for a token that is none, or too short, and for a label that no
/// rule could name.
pub fn run(label: Option<&str>, generate: bool) -> Result<String, Failure> {
    make(label, generate).map_err(Failure::other)
}

fn make(label: Option<&str>, generate: bool) -> Result<String, HashError> {
    let mut salt = [0; 16];
    fill(&mut salt)?;
    let text = if generate { mint()? } else { from_stdin()? };
    let token = AccessToken::from_text(text.as_bytes()).map_err(|_| HashError::Token)?;
    if token.expose().len() < SHORTEST {
        return Err(HashError::TooShort);
    }
    let [a, b, c, d, ..] = salt;
    let number = u32::from_be_bytes([a, b, c, d]);
    let label = label.map_or_else(|| format!("token-{number:08x}"), str::to_owned);
    let line = Line::new(&label, salt, &token).map_err(HashError::Label)?;
    if generate {
        // Before the line: a line is of no use if nobody has the token.
        let mut stderr = io::stderr().lock();
        writeln!(stderr, "token: {}", token.expose()).map_err(HashError::Show)?;
    }
    Ok(format!("{line}\n"))
}

fn from_stdin() -> Result<Zeroizing<String>, HashError> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "Type the token, then Enter and Ctrl-D:");
    }
    read(stdin)
}

/// All of `input`, without the line feed at its end.
fn read(input: impl Read) -> Result<Zeroizing<String>, HashError> {
    // With room for the longest one nothing is moved, which would leave a copy behind.
    let most = LONGEST.saturating_add("\r\n".len());
    let mut text = Zeroizing::new(String::with_capacity(most.saturating_add(1)));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    input
        .take(limit.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => HashError::Token,
            _ => HashError::Read(error),
        })?;
    let length = text.strip_suffix('\n').map_or(text.len(), |line| {
        line.strip_suffix('\r').unwrap_or(line).len()
    });
    if length > LONGEST {
        return Err(HashError::TooLong);
    }
    text.truncate(length);
    Ok(text)
}

/// A new token: 178 random bits, in a shape that every log of ours masks.
fn mint() -> Result<Zeroizing<String>, HashError> {
    const LENGTH: usize = 30;
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = Zeroizing::new(String::with_capacity(LENGTH));
    let mut random = Zeroizing::new([0; 2 * LENGTH]);
    while digits.len() < LENGTH {
        fill(random.as_mut_slice())?;
        let left = LENGTH.saturating_sub(digits.len());
        // The last values would make some digits more frequent than others.
        let fair = random.iter().filter(|byte| **byte < 248).take(left);
        let found = fair.filter_map(|byte| DIGITS.get(usize::from(byte % 62)));
        digits.extend(found.map(|digit| char::from(*digit)));
    }
    let mut token = Zeroizing::new(String::with_capacity(64));
    redact::push_ours(&mut token, &digits);
    Ok(token)
}

fn fill(bytes: &mut [u8]) -> Result<(), HashError> {
    getrandom::fill(bytes).map_err(|error| HashError::Randomness(io::Error::other(error)))
}
