//! Decompresses a file and throws the text away: what a scan of it cannot cost less than.
#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::{
    fs::File,
    io::{BufReader, Read},
};

fn main() {
    let path = std::env::args_os().nth(1).expect("a file");
    let is_gzip = path.to_string_lossy().ends_with(".gz");
    let file = BufReader::with_capacity(128 * 1024, File::open(path).expect("opens"));
    let mut text: Box<dyn Read> = if is_gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(file))
    } else {
        Box::new(zstd::stream::read::Decoder::with_buffer(file).expect("begins"))
    };
    let mut room = vec![0; 256 * 1024];
    while text.read(&mut room).expect("can be read") > 0 {}
}
