//! Prints what makes another program's log clean: its own configuration, as text.
//!
//! In doubt less is logged: a mask that knows names can be passed by with another
//! spelling, so the whole query goes, and of a path that may have a token glued to it
//! nothing behind the glue. What no setting can clean is said in the text itself.

use std::{fmt, io::Write as _};

use crate::exit::Failure;

/// What `emit` is asked for.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Arguments {
    /// Whose configuration.
    #[arg(value_enum)]
    program: Program,
}

/// A program that writes access logs, or passes them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Program {
    /// nginx.
    Nginx,
    /// Apache httpd.
    Apache,
    /// Caddy 2.
    Caddy,
    /// Traefik 3.
    Traefik,
    /// `HAProxy`.
    Haproxy,
    /// Envoy.
    Envoy,
    /// Vector, which passes logs on.
    Vector,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Nginx,
        Self::Apache,
        Self::Caddy,
        Self::Traefik,
        Self::Haproxy,
        Self::Envoy,
        Self::Vector,
    ];

    /// The configuration, with a line feed at its end.
    #[must_use]
    pub const fn snippet(self) -> &'static str {
        match self {
            Self::Nginx => include_str!("emit/nginx.conf"),
            Self::Apache => include_str!("emit/apache.conf"),
            Self::Caddy => include_str!("emit/caddy.caddyfile"),
            Self::Traefik => include_str!("emit/traefik.yaml"),
            Self::Haproxy => include_str!("emit/haproxy.cfg"),
            Self::Envoy => include_str!("emit/envoy.yaml"),
            Self::Vector => include_str!("emit/vector.yaml"),
        }
    }
}

impl fmt::Display for Program {
    /// The word of the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nginx => "nginx",
            Self::Apache => "apache",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
            Self::Vector => "vector",
        })
    }
}

/// Prints it; returns the exit code.
///
/// # Errors
///
/// If stdout does not take it.
pub fn run(arguments: Arguments) -> Result<u8, Failure> {
    print(arguments.program.snippet().as_bytes())?;
    Ok(0)
}

/// Writes a result; a reader that has enough of it is no failure.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::other(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_program_has_its_text_and_says_what_stays() {
        assert_eq!(Program::value_variants(), Program::ALL);
        for program in Program::ALL {
            let text = program.snippet();
            assert!(text.ends_with('\n'), "{program}: no line feed");
            assert!(text.starts_with("# "), "{program}: does not say what it is");
            let stays = ["does not clean", "no setting can clean"];
            assert!(
                stays.iter().any(|words| text.contains(words)),
                "{program}: does not say what it cannot clean"
            );
            assert_eq!(
                program.to_string(),
                program.to_possible_value().unwrap().get_name()
            );
        }
    }
}
