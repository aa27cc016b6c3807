//! ELF files of firmware: what they load lies in the flash.
#![no_main]

mod common;

use kinglet_host::export::read_firmware;
use libfuzzer_sys::fuzz_target;

const FLASH: std::ops::Range<u64> = 0x1000..0x20_0000;

fuzz_target!(|bytes: &[u8]| {
    match common::with_file(bytes, |path| read_firmware(path, FLASH)) {
        Ok(part) => assert!(u64::from(part.address) + part.bytes.len() as u64 <= FLASH.end),
        Err(error) => common::is_sentence(error),
    }
});
