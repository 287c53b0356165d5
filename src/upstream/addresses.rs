//! The addresses of one upstream: which there are, and which to try first.
//!
//! A name is resolved anew every few seconds while it is in use, and an address
//! that failed is tried last for a while. None is ever given up: where all have
//! failed, the next request may be the one that finds the upstream back.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use crate::clock;

/// How long an answer of the resolver is believed.
const FRESH: Duration = Duration::from_secs(10);

/// How long an address that failed comes last; nginx's `fail_timeout`.
const SICK: Duration = Duration::from_secs(10);

/// The addresses behind one host and port.
#[derive(Debug)]
pub(crate) struct Addresses {
    host: String,
    port: u16,
    /// Whether there is nothing to resolve.
    is_literal: bool,
    known: RefCell<Vec<Candidate>>,
    resolved: Cell<Option<Instant>>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    address: SocketAddr,
    failed: Option<Instant>,
}

impl Addresses {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let literal = host.parse::<IpAddr>().ok();
        let known = literal.map(|address| Candidate {
            address: SocketAddr::new(address, port),
            failed: None,
        });
        Self {
            host: host.to_owned(),
            port,
            is_literal: literal.is_some(),
            known: RefCell::new(known.into_iter().collect()),
            resolved: Cell::default(),
        }
    }

    /// Whether the resolver should be asked. As long as nothing is known, by everybody:
    /// who did not would have nothing to try.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        if self.known.borrow().is_empty() {
            return true;
        }
        !self.is_literal
            && self
                .resolved
                .get()
                .is_none_or(|at| now.duration_since(at) >= FRESH)
    }

    /// Whether a connection to `address` may still be used.
    pub(crate) fn contain(&self, address: SocketAddr) -> bool {
        self.known
            .borrow()
            .iter()
            .any(|candidate| candidate.address == address)
    }

    /// Asks the resolver. Its failure matters only while nothing is known.
    ///
    /// # Errors
    ///
    /// The resolver's, or `NotFound` if it knows the name but no address.
    pub(crate) async fn resolve(&self) -> io::Result<()> {
        // Set first: of many requests at once, one asks.
        self.resolved.set(Some(clock::now()));
        let found = match tokio::net::lookup_host((self.host.as_str(), self.port)).await {
            Ok(found) => found.collect::<Vec<_>>(),
            Err(error) if self.known.borrow().is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, host = self.host, "name cannot be resolved, using the addresses from before");
                return Ok(());
            }
        };
        self.learn(found)
    }

    fn learn(&self, found: Vec<SocketAddr>) -> io::Result<()> {
        let mut known = self.known.borrow_mut();
        if found.is_empty() {
            return if known.is_empty() {
                Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    "the name has no address",
                ))
            } else {
                Ok(())
            };
        }
        let failed = |address| {
            known
                .iter()
                .find(|candidate| candidate.address == address)
                .and_then(|candidate| candidate.failed)
        };
        let fresh = found
            .into_iter()
            .map(|address| Candidate {
                address,
                failed: failed(address),
            })
            .collect();
        *known = fresh;
        Ok(())
    }

    /// All addresses in the order to try: those that work in the resolver's
    /// order, then those that failed, the longest ago first.
    pub(crate) fn in_order(&self, now: Instant) -> Vec<SocketAddr> {
        let mut candidates = self.known.borrow().clone();
        candidates
            .sort_by_key(|candidate| candidate.failed.filter(|at| now.duration_since(*at) < SICK));
        candidates
            .iter()
            .map(|candidate| candidate.address)
            .collect()
    }

    /// Notes how an attempt to connect went.
    pub(crate) fn note(&self, address: SocketAddr, works: bool, now: Instant) {
        let mut known = self.known.borrow_mut();
        if let Some(candidate) = known
            .iter_mut()
            .find(|candidate| candidate.address == address)
        {
            candidate.failed = (!works).then_some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 80))
    }

    #[test]
    fn tries_what_works_first() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let addresses = Addresses::new("hs.example", 80);
        assert!(addresses.is_stale(start), "never asked");
        addresses.resolved.set(Some(start));
        assert!(addresses.is_stale(start), "asked, but nothing is known yet");
        let all = [address(1), address(2), address(3)];
        addresses.learn(all.to_vec()).unwrap();
        assert!(!addresses.is_stale(start), "just asked");
        assert!(addresses.is_stale(start + FRESH), "long ago");
        let order = |now| addresses.in_order(now);
        assert_eq!(order(start), all, "the resolver's order");
        addresses.note(address(1), false, start);
        assert_eq!(
            order(start),
            [address(2), address(3), address(1)],
            "failed comes last"
        );
        addresses.note(address(2), false, later);
        addresses.note(address(3), false, later);
        assert_eq!(order(later).len(), 3, "none is given up");
        assert_eq!(order(later), all, "the longest ago first");
        addresses.note(address(3), true, later);
        assert_eq!(order(later).first(), Some(&address(3)), "works again");
        assert_eq!(order(later + SICK), all, "forgiven");
    }

    #[test]
    fn follows_the_name() {
        let now = Instant::now();
        let addresses = Addresses::new("hs.example", 80);
        addresses.learn(vec![address(1), address(2)]).unwrap();
        addresses.note(address(2), false, now);
        addresses.learn(vec![address(2), address(3)]).unwrap();
        assert!(!addresses.contain(address(1)), "it has moved away");
        assert_eq!(
            addresses.in_order(now),
            [address(3), address(2)],
            "its failure is not forgotten"
        );
        addresses.learn(Vec::new()).unwrap();
        assert!(addresses.contain(address(3)), "no answer is no news");
    }

    #[test]
    fn literals_are_not_resolved() {
        let addresses = Addresses::new("::1", 8008);
        assert!(!addresses.is_stale(Instant::now()));
        assert_eq!(
            addresses.in_order(Instant::now()),
            [SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 8008))]
        );
    }
}
