#![no_main]

#[path = "../beside_hyper/mod.rs"]
mod beside_hyper;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    beside_hyper::responses(data);
});
