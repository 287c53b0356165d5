//! What must hold for whatever is sent to a relay, as in `laws.rs`.

#![allow(dead_code, reason = "each fuzz target uses one of them")]

use tokenshim::relay::{
    framing::{CUT, Framing, LONGEST},
    syslog,
};

/// A stream of syslog messages: how it comes in pieces does not matter, nothing is made up,
/// and a header that is taken off leaves the end of its message.
pub(crate) fn messages(bytes: &[u8]) {
    let Some((&piece, text)) = bytes.split_first() else {
        return;
    };
    for framing in [Framing::lines, Framing::syslog] {
        let whole = read(framing(), text, text.len().max(1));
        assert_eq!(
            read(framing(), text, usize::from(piece).max(1)),
            whole,
            "pieces"
        );
        let total: usize = whole.iter().map(Vec::len).sum();
        assert!(total <= text.len() + whole.len() * CUT.len(), "made up");
        for message in &whole {
            assert!(message.len() <= LONGEST + CUT.len(), "too long");
            assert!(message.ends_with(syslog::message(message)), "the end of it");
        }
    }
}

fn read(mut framing: Framing, text: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut read = Vec::new();
    for part in text.chunks(piece) {
        framing.read(part, |message| read.push(message.to_vec()));
    }
    framing.finish(|message| read.push(message.to_vec()));
    read
}
