//! Who sends, but hardly: the least rate of a body.

use std::time::Duration;

/// How a sender keeps up.
#[derive(Debug, Default)]
pub struct Pace {
    waited: Duration,
    received: u64,
}

impl Pace {
    /// Whether fewer than `least` bytes a second came in the time that we
    /// waited, once that was `span`.
    pub fn is_too_slow(
        &mut self,
        waited: Duration,
        count: usize,
        least: u64,
        span: Duration,
    ) -> bool {
        self.waited = self.waited.saturating_add(waited);
        self.received = self.received.saturating_add(count as u64);
        if self.waited < span {
            return false;
        }
        let Self { waited, received } = std::mem::take(self);
        u128::from(received).saturating_mul(1000)
            < u128::from(least).saturating_mul(waited.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_who_is_too_slow() {
        let mut pace = Pace::default();
        let span = Duration::from_secs(10);
        let mut is_too_slow =
            |seconds, count| pace.is_too_slow(Duration::from_secs(seconds), count, 100, span);
        assert!(!is_too_slow(9, 1), "the span is not over");
        assert!(is_too_slow(1, 1), "2 bytes in 10 seconds");
        assert!(!is_too_slow(10, 1000), "just enough, counted anew");
        assert!(is_too_slow(20, 1000), "half of it");
    }
}
