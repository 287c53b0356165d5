#![no_main]

#[path = "../relayed.rs"]
mod relayed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| relayed::messages(data));
