//! A firmware from its ELF file, as the flash of a board will hold it.

use super::bin::ERASED;
use super::Part;
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile32, ProgramHeader};
use object::Endianness;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The longest file that is read: firmware is shorter.
const MAX_FILE_BYTES: u64 = 1 << 28;

/// Why a file is no firmware for a board.
#[derive(Debug, thiserror::Error)]
pub enum FirmwareError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// It is no ELF file of a 32-bit core.
    #[error("{path}: not the ELF file of a firmware ({reason}): `cargo xtask board NAME` prints where one is")]
    NotFirmware {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing of it goes into flash.
    #[error("{path}: nothing in it is to be loaded")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is for other memory.
    #[error(
        "{path}: loads {start:#x} to {end:#x}, but the board's flash for a firmware is {} to {}: is it another board's?",
        format_args!("{:#x}", .flash.start), format_args!("{:#x}", .flash.end)
    )]
    Elsewhere {
        /// The file.
        path: PathBuf,
        /// The first address of a segment.
        start: u64,
        /// The address after its last byte.
        end: u64,
        /// Where a firmware may lie.
        flash: Range<u64>,
    },
}

/// Reads what the ELF file puts into `flash`, the addresses that a board keeps
/// for its firmware: from the first of them to the last that is used, with
/// gaps as erased flash.
///
/// # Errors
/// It is no firmware, or one that lies elsewhere.
pub fn read_firmware(path: &Path, flash: Range<u64>) -> Result<Part<'static>, FirmwareError> {
    let file = read(path).map_err(|error| FirmwareError::Io {
        path: path.to_owned(),
        error,
    })?;
    let not_firmware = |reason: String| FirmwareError::NotFirmware {
        path: path.to_owned(),
        reason,
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
        if start < flash.start || end > flash.end {
            let path = path.to_owned();
            return Err(FirmwareError::Elsewhere {
                path,
                start,
                end,
                flash,
            });
        }
        // Both are bounded by the flash.
        let place = (start - flash.start) as usize..(end - flash.start) as usize;
        bytes.resize(bytes.len().max(place.end), ERASED);
        bytes[place].copy_from_slice(data);
    }
    if bytes.is_empty() {
        return Err(FirmwareError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(Part {
        // A board's flash ends below 2^32.
        address: flash.start as u32,
        bytes: bytes.into(),
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_FILE_BYTES {
        true => Err(io::Error::other("the file is too long for a firmware")),
        false => Ok(bytes),
    }
}
