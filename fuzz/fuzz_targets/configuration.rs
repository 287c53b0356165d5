#![no_main]

#[path = "../configurations.rs"]
mod configurations;

libfuzzer_sys::fuzz_target!(|data: &[u8]| configurations::configuration(data));
