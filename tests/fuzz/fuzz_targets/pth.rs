//! PyTorch files: any bytes, and any pickle in a sound archive.
#![no_main]

mod common;

use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Write};
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(|data: &[u8]| {
    common::checkpoint::exercise(data.to_vec());
    common::checkpoint::exercise(archive(data).expect("writing to memory"));
});

/// An archive of the pickle, and of a storage of 64 bytes under the key `0`.
fn archive(pickle: &[u8]) -> ZipResult<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("m/data.pkl", pickle), ("m/data/0", &[0x3f; 64])] {
        writer.start_file(name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}
