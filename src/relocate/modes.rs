//! How far clients have come on their way from the query to the header, and what that
//! means for one of them.
//!
//! An operator first observes who is still on the way, then moves their tokens, and at
//! the end refuses what still comes in a URL: for everybody, for one client or route,
//! or from some day on.

use std::time::SystemTime;

use jiff::tz::TimeZone;

use crate::config::{ClientMode, Mode, Relocate};

/// What the operator decided about the migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modes {
    otherwise: Mode,
    refuse_after: Option<SystemTime>,
    clients: Vec<ClientMode>,
}

impl From<&Relocate> for Modes {
    fn from(section: &Relocate) -> Self {
        let begin = |date: jiff::civil::Date| date.to_zoned(TimeZone::UTC).ok();
        Self {
            otherwise: section.mode,
            // A day that no clock reaches is never over.
            refuse_after: section.refuse_after.and_then(begin).map(SystemTime::from),
            clients: section.clients.clone(),
        }
    }
}

impl Modes {
    /// What happens to a token of this client. The clock is read only if a day is set.
    #[must_use]
    pub fn of(&self, user_agent: Option<&[u8]>, clock: impl FnOnce() -> SystemTime) -> Mode {
        let own = self
            .clients
            .iter()
            .find(|client| begins_with(user_agent.unwrap_or_default(), &client.user_agent));
        if let Some(client) = own {
            return client.mode;
        }
        match (self.otherwise, self.refuse_after) {
            (Mode::Relocate, Some(day)) if day <= clock() => Mode::Refuse,
            (mode, _) => mode,
        }
    }
}

fn begins_with(user_agent: &[u8], begin: &str) -> bool {
    user_agent
        .get(..begin.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(begin.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_most_particular_rule_counts() {
        let client = |begin: &str, mode| ClientMode {
            user_agent: begin.to_owned(),
            mode,
        };
        let section = |mode, refuse_after: Option<&str>| Relocate {
            mode,
            refuse_after: refuse_after.map(|date| date.parse().unwrap()),
            clients: vec![
                client("curl/7", Mode::Observe),
                client("curl", Mode::Refuse),
                client("old-bridge/", Mode::Relocate),
            ],
            ..Relocate::default()
        };
        // 2027-01-01 begins 1,798,761,600 s after 1970.
        let day = 1_798_761_600;
        let relocating = section(Mode::Relocate, Some("2027-01-01"));
        let always = section(Mode::Relocate, None);
        let refusing = section(Mode::Refuse, None);
        let observing = section(Mode::Observe, Some("2027-01-01"));
        let cases: [(&str, &Relocate, Option<&str>, u64, Mode); 11] = [
            (
                "the day before",
                &relocating,
                Some("x"),
                day - 1,
                Mode::Relocate,
            ),
            ("the day begins", &relocating, Some("x"), day, Mode::Refuse),
            ("no name", &relocating, None, day, Mode::Refuse),
            (
                "spared",
                &relocating,
                Some("old-bridge/1.0"),
                day,
                Mode::Relocate,
            ),
            (
                "spared in any case",
                &relocating,
                Some("Old-Bridge/1"),
                day,
                Mode::Relocate,
            ),
            (
                "only the begin counts",
                &relocating,
                Some("an old-bridge/1"),
                day,
                Mode::Refuse,
            ),
            (
                "earlier than the others",
                &always,
                Some("curl/8.0"),
                0,
                Mode::Refuse,
            ),
            (
                "the first that fits",
                &always,
                Some("curl/7.1"),
                0,
                Mode::Observe,
            ),
            (
                "no day",
                &always,
                Some("x"),
                u64::from(u32::MAX),
                Mode::Relocate,
            ),
            ("everybody", &refusing, Some("x"), 0, Mode::Refuse),
            (
                "who observes goes on",
                &observing,
                Some("x"),
                day,
                Mode::Observe,
            ),
        ];
        for (name, section, user_agent, seconds, mode) in cases {
            let clock = || UNIX_EPOCH + Duration::from_secs(seconds);
            let found = Modes::from(section).of(user_agent.map(str::as_bytes), clock);
            assert_eq!(found, mode, "case: {name}");
        }
    }
}
