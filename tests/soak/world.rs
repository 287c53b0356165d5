//! What all clients share, and the judge of how their requests ended.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use super::{
    ask::{Ask, Kind, Site, token},
    doors::Doors,
    journal::Journal,
    wire::Head,
};

pub(crate) struct World {
    pub(crate) doors: Rc<Doors>,
    pub(crate) journal: Journal,
    pub(crate) weather: Weather,
    /// Clients come to an end.
    pub(crate) is_over: Cell<bool>,
}

/// When an upstream could not be relied on.
#[derive(Default)]
pub(crate) struct Weather(RefCell<Vec<Storm>>);

struct Storm {
    site: Site,
    begin: Instant,
    end: Option<Instant>,
}

impl Weather {
    pub(crate) fn begin(&self, site: Site) {
        self.0.borrow_mut().push(Storm {
            site,
            begin: Instant::now(),
            end: None,
        });
    }

    pub(crate) fn end(&self, site: Site) {
        for storm in self.0.borrow_mut().iter_mut().rev() {
            if storm.site == site {
                storm.end = Some(Instant::now());
                return;
            }
        }
    }

    /// Whether there was a storm at any moment since `begun`.
    fn explains(&self, site: Site, begun: Instant) -> bool {
        let storms = self.0.borrow();
        let of_site = storms.iter().rev().find(|storm| storm.site == site);
        // The last one is enough: of those before, the end is earlier still.
        of_site.is_some_and(|storm| storm.end.is_none_or(|end| end >= begun))
    }

    /// For people.
    fn last(&self, site: Site, begun: Instant) -> String {
        let storms = self.0.borrow();
        let of_site = storms.iter().rev().find(|storm| storm.site == site);
        of_site.map_or_else(String::new, |storm| {
            let ended = storm.end.map(|end| begun.saturating_duration_since(end));
            let begin = begun.saturating_duration_since(storm.begin);
            format!(", begun {begin:?} after the begin and {ended:?} after the end of a storm")
        })
    }
}

impl World {
    pub(crate) fn ask(&self, site: Site, kind: Kind, size: u64) -> Ask {
        self.journal.ask(site, kind, size)
    }

    /// Judges a request that began at `begun`: `Ok` is an answer that came whole, and
    /// with the right bytes if the upstream gave it.
    pub(crate) fn judge(&self, ask: &Ask, begun: Instant, got: Result<&Head, &str>) {
        if let Ok(head) = got {
            self.journal.whole(ask, head.status);
        }
        let ended = match got {
            Ok(head) => Self::check(ask, head),
            Err(error) => Err(error.to_owned()),
        };
        let name = format!("{} {:?}", ask.site.name(), ask.kind);
        let is_expected = match ask.kind {
            Kind::Hang => ended == Err("504".into()),
            Kind::Mute => ended == Err("502".into()),
            // Not even begun, if it broke off before anything was sent.
            Kind::Cut => got.is_err() || ended == Err("502".into()),
            _ => ended.is_ok(),
        };
        if is_expected {
            self.journal.count(format!("{name}, as expected"));
        } else if self.weather.explains(ask.site, begun) {
            self.journal.count(format!("{name}, in a storm"));
        } else {
            let took = begun.elapsed();
            let last = self.weather.last(ask.site, begun);
            self.journal.fault(format!(
                "{name}, number {}, of {} took {took:?}: {ended:?}{last}",
                ask.id, ask.size
            ));
        }
    }

    /// Whether an answer is what the upstream gave to this request under one file.
    fn check(ask: &Ask, head: &Head) -> Result<(), String> {
        let success = if ask.kind == Kind::Tunnel { 101 } else { 200 };
        if head.status != success {
            return Err(head.status.to_string());
        }
        let bearer = format!("Bearer {}", token(ask.id));
        if head.came.as_ref() != Some(&bearer) {
            return Err(format!("the token did not come: {head:?}"));
        }
        let moved = match head.upstream.as_deref() {
            Some("one") => &FILES[..1],
            Some("two") => &FILES[1..],
            _ => &FILES[..],
        };
        let is_right = match &head.deprecation {
            Some(time) => ask.is_moved() && moved.contains(&time.as_str()),
            // Nothing is added to what is not an answer of HTTP.
            None => !ask.is_moved() || ask.kind == Kind::Tunnel,
        };
        if is_right {
            Ok(())
        } else {
            Err(format!("of no file: {head:?}"))
        }
    }
}

/// What the two good files have for `deprecation`; the first has the upstream `one`.
pub(crate) const FILES: [&str; 2] = ["@1000000001", "@1000000002"];
