//! A firmware from its ELF file, as the flash of a board will hold it.

use super::bin::ERASED;
use super::Part;
use crate::input;
use anyhow::{anyhow, ensure, Result};
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile32, ProgramHeader};
use object::Endianness;
use std::ops::Range;
use std::path::Path;

/// The longest file that is read: firmware is shorter.
const MAX_FILE_BYTES: u64 = 1 << 28;

/// Reads what the ELF file puts into `flash`, the addresses that a board keeps
/// for its firmware: from the first of them to the last that is used, with
/// gaps as erased flash.
///
/// # Errors
/// It is no firmware, or one that lies elsewhere.
pub fn read_firmware(path: &Path, flash: Range<u64>) -> Result<Part<'static>> {
    let name = path.display();
    let file = input::read(path, MAX_FILE_BYTES)?;
    let not_firmware = |reason: String| {
        anyhow!("{name}: not the ELF file of a firmware ({reason}): `cargo xtask board NAME` prints where one is")
    };
    let elf = ElfFile32::<Endianness>::parse(file.as_slice());
    let elf = elf.map_err(|error| not_firmware(error.to_string()))?;
    let endian = elf.endian();
    let mut bytes = Vec::new();
    for segment in elf.elf_program_headers() {
        let data = segment.data(endian, file.as_slice());
        let data = data.map_err(|()| not_firmware("a segment reaches beyond the file".into()))?;
        if segment.p_type(endian) != PT_LOAD || data.is_empty() {
            continue;
        }
        let start = u64::from(segment.p_paddr(endian));
        let end = start + data.len() as u64;
        ensure!(
            start >= flash.start && end <= flash.end,
            "{name}: loads {start:#x} to {end:#x}, but the board's flash for a firmware is {:#x} to {:#x}: \
             is it another board's?",
            flash.start,
            flash.end
        );
        // Both are bounded by the flash.
        let place = (start - flash.start) as usize..(end - flash.start) as usize;
        bytes.resize(bytes.len().max(place.end), ERASED);
        bytes[place].copy_from_slice(data);
    }
    ensure!(!bytes.is_empty(), "{name}: nothing in it is to be loaded");
    Ok(Part {
        // A board's flash ends below 2^32.
        address: flash.start as u32,
        bytes: bytes.into(),
    })
}
