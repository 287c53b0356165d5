//! Where clients connect, and what is spoken there.

use std::net::{Ipv4Addr, SocketAddr};

use super::address::{self, Address};
use super::choice::Role;
use super::key;
use super::reader::Reader;
use super::trusted::TrustedProxies;

/// One `[[listen]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where clients connect.
    pub address: Address,
    /// What it is for.
    pub role: Role,
    /// TLS; then there is at least one certificate.
    pub tls: bool,
    /// HTTP/2 beside HTTP/1.1: by ALPN with TLS, else for whoever knows it beforehand.
    pub http2: bool,
    /// Whether every connection begins with a PROXY header.
    pub proxy_protocol: bool,
}

impl Listen {
    /// All of them, at least one.
    pub(super) fn read_all(reader: &mut Reader<'_>, trusted: &TrustedProxies) -> Vec<Self> {
        let has_certificates = !reader.is_missing(key::CERTIFICATE);
        let listeners = reader.tables(
            key::LISTEN,
            "must be written [[listen]], with `address` below it",
            |fields| Self::read(fields, trusted, has_certificates),
            Some(|text| address::parse(text).map(Self::plain)),
            |listen, earlier| {
                let is_taken = earlier
                    .iter()
                    .any(|earlier| earlier.address.is_same(&listen.address));
                is_taken.then_some("has this address twice")
            },
        );
        listeners.unwrap_or_else(|| {
            let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8009));
            vec![Self::plain(Address::Tcp(usual))]
        })
    }

    /// HTTP/1.1 and nothing else.
    fn plain(address: Address) -> Self {
        Self {
            address,
            role: Role::Proxy,
            tls: false,
            http2: false,
            proxy_protocol: false,
        }
    }

    fn read(
        fields: &mut Reader<'_>,
        trusted: &TrustedProxies,
        has_certificates: bool,
    ) -> Option<Self> {
        let address = read_address(fields);
        let tls = fields.boolean(key::LISTEN_TLS).unwrap_or(false);
        if tls && !has_certificates {
            let message = "needs a [[certificate]] with `certificate.chain` and `certificate.key`";
            fields.refuse(key::LISTEN_TLS, message);
        }
        let role = fields.choice(key::LISTEN_ROLE, Role::Proxy);
        let is_grpc = role == Role::ExtAuthz;
        let http2 = fields.boolean(key::LISTEN_HTTP2).unwrap_or(tls || is_grpc);
        if is_grpc && !http2 {
            let message = "must be true, or left out: the role \"ext_authz\" is gRPC";
            fields.refuse(key::LISTEN_HTTP2, message);
        }
        let proxy_protocol = fields.boolean(key::LISTEN_PROXY_PROTOCOL).unwrap_or(false);
        if proxy_protocol && role != Role::Proxy {
            // The header would hide the one that asks, who has to be trusted.
            let message = "is for the role \"proxy\" only";
            fields.refuse(key::LISTEN_PROXY_PROTOCOL, message);
        }
        let address = address?;
        let is_reached = may_be_believed(&address, trusted);
        if proxy_protocol && !is_reached {
            let message =
                "is believed from `trusted_proxies` only, and none of them can connect here";
            fields.refuse(key::LISTEN_PROXY_PROTOCOL, message);
        }
        if role != Role::Proxy && !is_reached {
            let message = "answers `trusted_proxies` only, and none of them can connect here";
            fields.refuse(key::LISTEN_ROLE, message);
        }
        Some(Self {
            address,
            role,
            tls,
            http2,
            proxy_protocol,
        })
    }
}

/// The address, with what only unix sockets have.
fn read_address(fields: &mut Reader<'_>) -> Option<Address> {
    fields.require(key::LISTEN_ADDRESS, "is required");
    let mut address = fields.text(key::LISTEN_ADDRESS, address::parse);
    let wanted_mode = fields.text(key::LISTEN_MODE, address::mode);
    let wanted_owner = fields.optional(key::LISTEN_OWNER, address::owner, None);
    match &mut address {
        Some(Address::Unix { mode, owner, .. }) => {
            *mode = wanted_mode.unwrap_or(*mode);
            *owner = wanted_owner;
        }
        Some(Address::Tcp(_) | Address::Inherited { .. }) => {
            for key in [key::LISTEN_MODE, key::LISTEN_OWNER] {
                fields.refuse(key, "is for unix sockets only");
            }
        }
        None => {}
    }
    address
}

/// Whether a trusted proxy can be at the other end.
fn may_be_believed(address: &Address, trusted: &TrustedProxies) -> bool {
    match address {
        Address::Tcp(_) => trusted.trusts_some_address(),
        Address::Unix { .. } => trusted.trusts_unix(),
        // Of which kind it is, only its maker knows.
        Address::Inherited { .. } => trusted.trusts_some_address() || trusted.trusts_unix(),
    }
}
