//! An address as a report shows it: cut to its network, unless whole ones are asked for.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// `::` and the others below `::/32`, which no client on a network has.
const SPECIAL: u64 = u64::MAX;

/// A network as a number: of IPv4 the address, of IPv6 its first 64 bits. What is behind
/// those tells one machine of a household from another, which nobody asked for.
pub(super) fn pack(address: IpAddr, is_full: bool) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let kept = if is_full { u32::MAX } else { 0xffff_ff00 };
            u64::from(address.to_bits() & kept)
        }
        IpAddr::V6(address) => {
            let kept = if is_full { u64::MAX } else { u64::MAX << 16 };
            let [high, _] = halves(address);
            match high & kept {
                high if u32::try_from(high).is_ok() => SPECIAL,
                high => high,
            }
        }
    }
}

/// `203.0.113.0/24`.
pub(super) fn show(network: u64, is_full: bool) -> String {
    if let Ok(bits) = u32::try_from(network) {
        let address = Ipv4Addr::from_bits(bits);
        return if is_full {
            address.to_string()
        } else {
            format!("{address}/24")
        };
    }
    let high = if network == SPECIAL { 0 } else { network };
    let address = Ipv6Addr::from_bits(u128::from(high) << 64);
    format!("{address}/{}", if is_full { 64 } else { 48 })
}

/// What [`show`] wrote.
pub(super) fn read(text: &str, is_full: bool) -> Option<u64> {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    let network = pack(IpAddr::from_str(address).ok()?, is_full);
    (show(network, is_full) == text).then_some(network)
}

fn halves(address: Ipv6Addr) -> [u64; 2] {
    let bits = address.to_bits();
    [bits >> 64, bits & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_cut() {
        let cases = [
            ("203.0.113.77", "203.0.113.0/24", "203.0.113.77"),
            ("::ffff:203.0.113.77", "203.0.113.0/24", "203.0.113.77"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48", "2001:db8:1:2::/64"),
            ("::1", "::/48", "::/64"),
            ("0.0.0.0", "0.0.0.0/24", "0.0.0.0"),
        ];
        for (address, cut, full) in cases {
            for (is_full, expected) in [(false, cut), (true, full)] {
                let network = pack(address.parse().unwrap(), is_full);
                assert_eq!(show(network, is_full), expected);
                assert_eq!(read(expected, is_full), Some(network), "{expected}");
            }
        }
        assert_eq!(
            read("203.0.113.77/24", false),
            None,
            "it would not come back"
        );
    }
}
