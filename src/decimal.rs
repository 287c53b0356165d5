//! Writes numbers and addresses as text.
//!
//! Each request needs a handful of both, for its log line and its heads, and
//! `core::fmt` takes some hundred instructions for each.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
};

/// Appends `number`.
pub fn push(out: &mut Vec<u8>, number: u64) {
    // 2^64 has twenty digits.
    let mut digits = [0; 20];
    let mut rest = number;
    let mut count = 0_usize;
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= 10;
        count = count.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    let start = digits.len().saturating_sub(count);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends `address`.
pub fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => push_v4(out, address),
        // Rarer, and its short form is an art. Writing to a Vec cannot fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

fn push_v4(out: &mut Vec<u8>, address: Ipv4Addr) {
    let [first, rest @ ..] = address.octets();
    push_octet(out, first);
    for octet in rest {
        out.push(b'.');
        push_octet(out, octet);
    }
}

/// Byte by byte: a copy costs more than these three.
fn push_octet(out: &mut Vec<u8>, octet: u8) {
    let number = u64::from(octet);
    if octet >= 100 {
        out.push(digit(number / 100));
    }
    if octet >= 10 {
        out.push(digit(number / 10));
    }
    out.push(digit(number));
}

/// The last digit of `number`.
#[expect(clippy::arithmetic_side_effects, reason = "a number below ten")]
fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn writes_what_display_writes(number: u64, shift in 0..64_u32, v4: u32, v6: u128) {
            let addresses = [IpAddr::from(v4.to_be_bytes()), IpAddr::from(v6.to_be_bytes())];
            let number = number >> shift;
            let mut out = Vec::new();
            push(&mut out, number);
            for address in addresses {
                out.push(b' ');
                push_address(&mut out, address);
            }
            let [v4, v6] = addresses;
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{number} {v4} {v6}"));
        }
    }

    #[test]
    fn writes_the_ends_of_the_range() {
        for number in [0, 9, 10, 99, 100, u64::MAX] {
            let mut out = Vec::new();
            push(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
