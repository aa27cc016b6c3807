//! safetensors files: any bytes, and any JSON in a file of sound lengths.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;

/// Bytes of values after a header that is fuzzed on its own.
const VALUES: usize = 64;

fuzz_target!(|data: &[u8]| {
    common::checkpoint::exercise(data.to_vec());
    let mut file = (data.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(data);
    file.resize(file.len() + VALUES, 0x3f);
    common::checkpoint::exercise(file);
});
