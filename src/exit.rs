//! Exit codes, in one place; they are an interface.

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(Box<dyn std::error::Error + Send + Sync>),
    /// Whoever was asked does not answer as it should.
    #[error("{0}")]
    Unhealthy(String),
    /// Everything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// A configuration that cannot be used.
    pub fn config(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Config(error.into())
    }

    /// Any other failure.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The exit code: `EX_CONFIG` of sysexits.h, 1 for a container engine's
    /// "unhealthy", else 2.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Config(_) => 78,
            Self::Unhealthy(_) => 1,
            Self::Other(_) => 2,
        }
    }
}

/// `EX_USAGE` of sysexits.h: the command line makes no sense.
pub const USAGE: u8 = 64;
