//! CRC-32 over an image without the four bytes that store it.

use super::header::CRC_OFFSET;
use crc::{Crc, CRC_32_ISO_HDLC};

/// Bit by bit on a board: a table would be a sixteenth of the library's flash, for
/// a check that runs once.
#[cfg(target_os = "none")]
type Method = crc::NoTable;
#[cfg(not(target_os = "none"))]
type Method = crc::Table<1>;

pub(crate) static CRC32: Crc<u32, Method> = Crc::<u32, Method>::new(&CRC_32_ISO_HDLC);

/// The CRC-32 (ISO-HDLC) of an image: of every byte but those of the
/// checksum itself. Works on any bytes; never panics.
pub fn image_crc32(bytes: &[u8]) -> u32 {
    let mut digest = CRC32.digest();
    let (before, rest) = bytes.split_at_checked(CRC_OFFSET).unwrap_or((bytes, &[]));
    digest.update(before);
    digest.update(rest.get(4..).unwrap_or(&[]));
    digest.finalize()
}
