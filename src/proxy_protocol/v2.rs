//! Version 2: sixteen bytes, then addresses, then whatever the sender adds.

use std::net::{IpAddr, SocketAddr};

use super::{Bad, Endpoints, Parsed};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length of the rest.
const FIXED: usize = 16;

/// See [`super::LONGEST`].
pub(super) const LONGEST: usize = 4096;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP_4: u8 = 0x11;
const TCP_6: u8 = 0x21;

/// Two addresses and two ports.
const ADDRESSES_4: usize = 12;
const ADDRESSES_6: usize = 36;

/// Whether `bytes` are the signature, or may become it.
pub(super) fn begins(bytes: &[u8]) -> bool {
    !bytes.is_empty() && (SIGNATURE.starts_with(bytes) || bytes.starts_with(&SIGNATURE))
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Bad> {
    let after = bytes.strip_prefix(&SIGNATURE).unwrap_or_default();
    if let Some(&command) = after.first() {
        check_command(command)?;
    }
    let &[command, family, high, low, ref rest @ ..] = after else {
        return Ok(Parsed::Partial);
    };
    let names_tcp = command == PROXY && is_tcp(family)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let whole = length.saturating_add(FIXED);
    if whole > LONGEST {
        return Err(Bad::TooLong);
    }
    if names_tcp && length < addresses(family) {
        return Err(Bad::Length);
    }
    let Some(block) = rest.get(..length) else {
        return Ok(Parsed::Partial);
    };
    let endpoints = if names_tcp {
        let (endpoints, behind) = split(family, block).ok_or(Bad::Length)?;
        check_tlvs(behind)?;
        Some(endpoints)
    } else {
        None
    };
    Ok(Parsed::Done {
        length: whole,
        endpoints,
    })
}

fn check_command(command: u8) -> Result<(), Bad> {
    match command {
        LOCAL | PROXY => Ok(()),
        0x20..=0x2f => Err(Bad::Command),
        _ => Err(Bad::Version),
    }
}

/// Whether a family and transport that exist are TCP. A receiver takes the others as
/// "unspecified": unix sockets and datagrams tell nothing about a connection of ours.
fn is_tcp(family: u8) -> Result<bool, Bad> {
    match family {
        TCP_4 | TCP_6 => Ok(true),
        0x00..=0x02 | 0x10 | 0x12 | 0x20 | 0x22 | 0x30..=0x32 => Ok(false),
        _ => Err(Bad::Family),
    }
}

/// The length of what [`split`] needs.
fn addresses(family: u8) -> usize {
    match family {
        TCP_4 => ADDRESSES_4,
        TCP_6 => ADDRESSES_6,
        _ => 0,
    }
}

/// The addresses, and what comes behind them.
fn split(family: u8, block: &[u8]) -> Option<(Endpoints, &[u8])> {
    if family == TCP_4 {
        let (source, rest) = block.split_first_chunk::<4>()?;
        let (destination, rest) = rest.split_first_chunk::<4>()?;
        with_ports((*source).into(), (*destination).into(), rest)
    } else {
        let (source, rest) = block.split_first_chunk::<16>()?;
        let (destination, rest) = rest.split_first_chunk::<16>()?;
        with_ports((*source).into(), (*destination).into(), rest)
    }
}

fn with_ports(source: IpAddr, destination: IpAddr, rest: &[u8]) -> Option<(Endpoints, &[u8])> {
    let (source_port, rest) = rest.split_first_chunk()?;
    let (destination_port, rest) = rest.split_first_chunk()?;
    let endpoints = Endpoints::new(
        (source, u16::from_be_bytes(*source_port)),
        (destination, u16::from_be_bytes(*destination_port)),
    );
    Some((endpoints, rest))
}

/// Type, length, value, and again, to the last byte.
fn check_tlvs(mut tlvs: &[u8]) -> Result<(), Bad> {
    while let &[_type, high, low, ref rest @ ..] = tlvs {
        let length = usize::from(u16::from_be_bytes([high, low]));
        tlvs = rest.get(length..).ok_or(Bad::Length)?;
    }
    if tlvs.is_empty() {
        Ok(())
    } else {
        Err(Bad::Length)
    }
}

/// How many bytes at least are missing from a header that is not whole and has
/// [`super::v1::SHORTEST`] bytes or more.
pub(super) fn missing(header: &[u8]) -> usize {
    let after = header.strip_prefix(&SIGNATURE).unwrap_or_default();
    match *after {
        [_, _, high, low, ref rest @ ..] => {
            usize::from(u16::from_be_bytes([high, low])).saturating_sub(rest.len())
        }
        // One byte short of knowing: the addresses may come with it.
        [PROXY, family, _] => addresses(family).saturating_add(1),
        _ => 1,
    }
}

pub(super) fn push(out: &mut Vec<u8>, endpoints: Option<Endpoints>) {
    out.extend_from_slice(&SIGNATURE);
    let Some(Endpoints {
        source,
        destination,
    }) = endpoints
    else {
        out.extend_from_slice(&[LOCAL, 0, 0, 0]);
        return;
    };
    let (family, length) = if source.is_ipv4() {
        (TCP_4, 12)
    } else {
        (TCP_6, 36)
    };
    out.extend_from_slice(&[PROXY, family, 0, length]);
    push_address(out, source);
    push_address(out, destination);
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
}

fn push_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}
