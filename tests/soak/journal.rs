//! What was asked, what came of it, and what the log says about it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use super::{
    ask::{Ask, Kind, Site},
    doors::Source,
};

/// What is known of one request.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// Its client saw an answer, or at least the begin of one.
    is_due: bool,
    /// The status of an answer that was read whole; else 0.
    status: u16,
    lines: u8,
    /// Where a proxy said that it comes from.
    source: Source,
}

/// Everything that went wrong, and everything that was counted.
#[derive(Default)]
pub(crate) struct Journal {
    entries: RefCell<Vec<Entry>>,
    /// Connections that began with bytes that are no whole request line.
    pub(crate) scraps: Cell<u64>,
    scrap_lines: Cell<u64>,
    /// Lines of the log, of whatever.
    pub(crate) lines: Cell<u64>,
    pub(crate) counts: RefCell<BTreeMap<String, u64>>,
    faults: RefCell<Vec<String>>,
    fault_count: Cell<u64>,
}

/// More are only counted.
const MOST_FAULTS: usize = 40;

impl Journal {
    /// A new request.
    pub(crate) fn ask(&self, site: Site, kind: Kind, size: u64) -> Ask {
        let mut entries = self.entries.borrow_mut();
        entries.push(Entry::default());
        let id = entries.len() as u64 - 1;
        Ask {
            id,
            site,
            kind,
            size,
        }
    }

    /// The client of this request is the one that a PROXY header tells.
    pub(crate) fn comes_from(&self, ask: &Ask, source: Source) {
        self.entries.borrow_mut()[ask.id as usize].source = source;
    }

    /// The client has something of the answer: there will be a line.
    pub(crate) fn due(&self, ask: &Ask) {
        self.entries.borrow_mut()[ask.id as usize].is_due = true;
    }

    /// The client has all of the answer.
    pub(crate) fn whole(&self, ask: &Ask, status: u16) {
        let entry = &mut self.entries.borrow_mut()[ask.id as usize];
        (entry.is_due, entry.status) = (true, status);
    }

    pub(crate) fn count(&self, what: impl Into<String>) {
        *self.counts.borrow_mut().entry(what.into()).or_default() += 1;
    }

    /// Something that must not be.
    pub(crate) fn fault(&self, what: impl Into<String>) {
        self.fault_count.set(self.fault_count.get() + 1);
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MOST_FAULTS {
            let what = what.into();
            eprintln!("FAULT: {what}");
            faults.push(what);
        }
    }

    /// Reads a line of the access log.
    pub(crate) fn line(&self, line: &str) {
        self.lines.set(self.lines.get() + 1);
        let Some((_, rest)) = line.split_once("\"target\":\"") else {
            return self.fault(format!("no line of a log: {line}"));
        };
        let target = rest.split(['"', '?']).next().unwrap_or_default();
        let Some((_, id, _)) = Ask::parse(target) else {
            return self.scrap_lines.set(self.scrap_lines.get() + 1);
        };
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(id as usize) else {
            return self.fault(format!("a line of nobody: {line}"));
        };
        entry.lines = entry.lines.saturating_add(1);
        let told = format!("\"status\":{},", entry.status);
        let is_true = line.contains(&told) && line.contains("\"ending\":\"complete\"");
        if entry.status != 0 && !is_true {
            self.fault(format!("answered whole with {}: {line}", entry.status));
        }
        if let Some(source) = entry.source
            && !line.contains(&format!("\"remote\":\"{source}\""))
        {
            self.fault(format!("of {source}: {line}"));
        }
    }

    /// Compares the log with what was asked; both have ended.
    pub(crate) fn settle(&self) {
        for (id, entry) in self.entries.borrow().iter().enumerate() {
            let is_right = match entry.lines {
                0 => !entry.is_due,
                1 => true,
                _ => false,
            };
            if !is_right {
                self.fault(format!("request {id} has {} lines", entry.lines));
            }
        }
        // A head that breaks off may have reached nobody.
        let (scraps, lines) = (self.scraps.get(), self.scrap_lines.get());
        if lines > scraps {
            self.fault(format!("{scraps} connections with scraps, {lines} lines"));
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.entries.borrow().len()
    }

    pub(crate) fn faults(&self) -> u64 {
        self.fault_count.get()
    }

    /// The figures, for people.
    pub(crate) fn report(&self) -> String {
        let counts = self.counts.borrow();
        let lines = counts
            .iter()
            .map(|(what, count)| format!("{count:>9}  {what}\n"));
        lines.collect()
    }
}
