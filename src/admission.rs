//! How many connections there may be: in all, and from one address.
//!
//! Shared by all workers, and looked at once for a connection's begin and once
//! for its end; a request takes no lock.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{config::Limits, refusal::Refusal};

/// The connections that are open.
#[derive(Debug, Default)]
pub struct Admission {
    total: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    /// Lets one more connection in.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooManyConnections`].
    pub fn admit(self: &Arc<Self>, limits: &Limits) -> Result<Ticket, Refusal> {
        let before = self.total.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket {
            admission: Arc::clone(self),
            address: None,
        };
        // A refused one counted itself for a moment; dropping the ticket takes it back.
        match limits.connections {
            Some(most) if before >= most => Err(Refusal::TooManyConnections),
            _ => Ok(ticket),
        }
    }
}

impl Ticket {
    /// Counts the connection for the client's address, which may be known only
    /// after a PROXY header.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooManyFromAddress`].
    pub fn claim(&mut self, address: IpAddr, limits: &Limits) -> Result<(), Refusal> {
        let Some(most) = limits.connections_per_address else {
            return Ok(());
        };
        let address = whole_host(address);
        let mut by_address = self
            .admission
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= most {
            return Err(Refusal::TooManyFromAddress);
        }
        *count = count.saturating_add(1);
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.admission.total.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address else { return };
        let mut by_address = self
            .admission
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

/// An IPv6 host has a whole /64 to choose addresses from (RFC 4291 section 2.5.4).
fn whole_host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: usize, per_address: usize) -> Limits {
        Limits {
            connections: Some(connections),
            connections_per_address: Some(per_address),
            head_size: 1024,
            head_fields: 1,
            target_length: 1,
            body_size: None,
            body_rate: None,
            in_flight: None,
            h2_streams: 1,
        }
    }

    #[test]
    fn counts_connections() {
        let admission = Arc::new(Admission::default());
        let limits = limits(2, 9);
        let first = admission.admit(&limits).unwrap();
        let _second = admission.admit(&limits).unwrap();
        assert_eq!(
            admission.admit(&limits).unwrap_err(),
            Refusal::TooManyConnections
        );
        drop(first);
        admission.admit(&limits).unwrap();
    }

    #[test]
    fn counts_addresses() {
        let admission = Arc::new(Admission::default());
        let limits = limits(9, 1);
        let claim = |address: &str| {
            let mut ticket = admission.admit(&limits).unwrap();
            ticket
                .claim(address.parse().unwrap(), &limits)
                .map(|()| ticket)
        };
        let first = claim("192.0.2.1").unwrap();
        assert_eq!(claim("192.0.2.1").unwrap_err(), Refusal::TooManyFromAddress);
        let other = claim("192.0.2.2").unwrap();
        drop(first);
        let again = claim("192.0.2.1").unwrap();
        let six = claim("2001:db8::1").unwrap();
        assert_eq!(
            claim("2001:db8::2").unwrap_err(),
            Refusal::TooManyFromAddress,
            "the same /64"
        );
        let next = claim("2001:db8:0:1::2").unwrap();
        assert_eq!(admission.by_address.lock().unwrap().len(), 4);
        drop((other, again, six, next));
        assert!(
            admission.by_address.lock().unwrap().is_empty(),
            "nobody is remembered"
        );
    }
}
