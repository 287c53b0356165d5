#![no_main]

#[path = "../questions.rs"]
mod questions;

libfuzzer_sys::fuzz_target!(|data: &[u8]| questions::original(data));
