//! Messages that journald's JSON has as arrays of numbers.
//!
//! It writes so what has a byte that is not for printing, as the colours of many programs:
//! `"MESSAGE":[27,91,51,…]`. No secret stands there in letters.

const CURSOR: &[u8] = b"\"__CURSOR\"";
const MESSAGE: &[u8] = b"\"MESSAGE\":[";

/// The messages of a block, each with the place in it. A block whose first line is no entry
/// of a journal is not searched.
pub(super) fn arrays(block: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let is_journal = block.starts_with(b"{") && {
        let first = memchr::memchr(b'\n', block).and_then(|end| block.get(..end));
        memchr::memmem::find(first.unwrap_or(block), CURSOR).is_some()
    };
    let block = if is_journal { block } else { b"" };
    memchr::memmem::find_iter(block, MESSAGE).map(|at| {
        let array = block.get(at.saturating_add(MESSAGE.len())..);
        (at, bytes(array.unwrap_or_default()))
    })
}

fn bytes(array: &[u8]) -> Vec<u8> {
    let end = memchr::memchr2(b']', b'\n', array).unwrap_or(array.len());
    let numbers = array.get(..end).unwrap_or_default();
    let numbers = numbers.split(|byte| *byte == b',');
    let byte = |number: &[u8]| str::from_utf8(number.trim_ascii()).ok()?.parse().ok();
    numbers.map_while(byte).collect()
}
