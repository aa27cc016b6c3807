//! The bytes alone, for tools that take the address separately.

use super::Part;
use std::io::{self, Write};

/// What erased flash reads as.
pub(super) const ERASED: u8 = 0xff;

/// Writes parts of the flash from the first address of the first to the last
/// of the last, with erased flash between them. They are in the order of
/// their addresses.
///
/// # Errors
/// Errors of `out`.
pub fn write_bin(parts: &[Part<'_>], out: &mut impl Write) -> io::Result<()> {
    let mut end = parts.first().map_or(0, |part| u64::from(part.address));
    for part in parts {
        for _ in end..u64::from(part.address) {
            out.write_all(&[ERASED])?;
        }
        out.write_all(&part.bytes)?;
        end = u64::from(part.address) + part.bytes.len() as u64;
    }
    Ok(())
}
