//! Tells of each new secret at once, one JSON object on a line, while a log is followed.

use std::{
    collections::HashSet,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

use super::{
    report::Visible,
    scan::{Told, Watch},
    sighting::{Outcome, Sighting, TokenId},
    tally::{confidence_name, field_name},
};

/// Who tells, and what it told already.
pub(super) struct News<'n> {
    names: &'n [String],
    watch: &'n Watch,
    told: Mutex<HashSet<TokenId>>,
}

#[derive(Serialize)]
struct New<'l> {
    event: &'static str,
    id: String,
    kind: &'static str,
    confidence: &'static str,
    user: Option<&'l str>,
    file: Option<&'l str>,
    line: u64,
    time: Option<String>,
    field: &'static str,
    family: &'static str,
    method: &'static str,
    endpoint: &'static str,
    admin: bool,
    status: Option<u16>,
    outcome: &'static str,
}

impl<'n> News<'n> {
    pub(super) fn new(names: &'n [String], watch: &'n Watch) -> Self {
        Self {
            names,
            watch,
            told: Mutex::default(),
        }
    }

    fn write(&self, seen: &Sighting<'_>) -> io::Result<()> {
        let file = usize::try_from(seen.place.input).ok();
        let new = New {
            event: "new",
            id: seen.id.to_string(),
            kind: seen.kind,
            confidence: confidence_name(seen.confidence),
            user: seen.user,
            file: file
                .and_then(|file| self.names.get(file))
                .map(String::as_str),
            line: seen.place.line,
            time: seen.time.map(|time| time.to_string()),
            field: field_name(seen.field),
            family: seen.family,
            method: seen.method,
            endpoint: seen.endpoint,
            admin: seen.is_admin,
            status: seen.status,
            outcome: match seen.outcome {
                Outcome::Accepted => "accepted",
                Outcome::Refused => "refused",
                Outcome::Unproven => "unproven",
            },
        };
        let mut out = io::stdout().lock();
        // Often a terminal.
        serde_json::to_writer(Visible(&mut out), &new)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

impl Told for News<'_> {
    fn see(&self, sighting: &Sighting<'_>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(sighting.id) && self.write(sighting).is_err() {
            // Nobody reads any more.
            self.watch.stop();
        }
    }
}
