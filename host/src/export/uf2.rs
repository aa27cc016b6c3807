//! UF2, which boot loaders take as a file on a USB drive
//! (<https://github.com/microsoft/uf2>): blocks of 512 bytes, each with
//! its own address.

use super::bin::ERASED;
use super::Part;
use std::io::{self, Write};

/// Bytes of data in a block: the flash page that boot loaders write.
pub const PAGE_BYTES: usize = 256;

/// Room for data in a block; what is not used is zero.
const DATA_BYTES: usize = 476;

const MAGIC_START: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const MAGIC_END: u32 = 0x0ab1_6f30;

/// The block names the family of chips that it is for.
const HAS_FAMILY: u32 = 0x0000_2000;

/// Writes parts of the flash as blocks; `family` is the number of the family of
/// chips. The last block of a part is filled up with `0xff`, the value of erased
/// flash: boot loaders take whole pages only, and so each part has to begin at
/// a multiple of [`PAGE_BYTES`].
///
/// # Errors
/// Errors of `out`, and that a part reaches beyond the last address.
pub fn write_uf2(parts: &[Part<'_>], family: u32, out: &mut impl Write) -> io::Result<()> {
    let too_long = || io::Error::other("the image reaches beyond address 2^32");
    let pages = |part: &Part<'_>| part.bytes.len().div_ceil(PAGE_BYTES);
    let blocks = u32::try_from(parts.iter().map(pages).sum::<usize>()).map_err(|_| too_long())?;
    let pages = parts.iter().flat_map(|part| {
        let addresses = (u64::from(part.address)..).step_by(PAGE_BYTES);
        addresses.zip(part.bytes.chunks(PAGE_BYTES))
    });
    for (number, (address, page)) in (0..blocks).zip(pages) {
        let head = [
            HAS_FAMILY,
            u32::try_from(address).map_err(|_| too_long())?,
            PAGE_BYTES as u32,
            number,
            blocks,
            family,
        ];
        for word in MAGIC_START.into_iter().chain(head) {
            out.write_all(&word.to_le_bytes())?;
        }
        let mut data = [0; DATA_BYTES];
        data[..PAGE_BYTES].fill(ERASED);
        data[..page.len()].copy_from_slice(page);
        out.write_all(&data)?;
        out.write_all(&MAGIC_END.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: u32 = 0xe48b_ff56;

    fn part(address: u32, bytes: &[u8]) -> Part<'_> {
        let bytes = bytes.into();
        Part { address, bytes }
    }

    /// The fields of a block, read from their offsets.
    fn field(block: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(block[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn blocks_hold_the_bytes() {
        let bytes: Vec<u8> = (0..600u32).map(|i| (i * 7) as u8).collect();
        let mut out = Vec::new();
        write_uf2(&[part(0x1002_0000, &bytes)], FAMILY, &mut out).unwrap();
        assert_eq!(out.len(), 3 * 512);
        let mut read = Vec::new();
        for (number, block) in out.chunks(512).enumerate() {
            assert_eq!(&block[..8], b"UF2\nWQ\x5d\x9e");
            assert_eq!(field(block, 8), 0x2000);
            assert_eq!(field(block, 12) as usize, 0x1002_0000 + 256 * number);
            assert_eq!(field(block, 16), 256);
            assert_eq!(field(block, 20) as usize, number);
            assert_eq!(field(block, 24), 3);
            assert_eq!(field(block, 28), 0xe48b_ff56);
            assert_eq!(field(block, 508), 0x0ab1_6f30);
            assert!(block[288..508].iter().all(|&byte| byte == 0));
            read.extend_from_slice(&block[32..288]);
        }
        assert_eq!(read[..600], bytes);
        assert!(read[600..].iter().all(|&byte| byte == 0xff));
    }

    #[test]
    fn blocks_of_parts_are_numbered_through() {
        let parts = [
            part(0x1000_0000, &[1; 300]),
            part(0x1002_0000, &[2; 256]),
            part(0x1004_0000, &[]),
        ];
        let mut out = Vec::new();
        write_uf2(&parts, FAMILY, &mut out).unwrap();
        let blocks = out.chunks(512);
        let blocks = blocks.map(|block| [field(block, 12), field(block, 20), field(block, 24)]);
        let expected = [
            [0x1000_0000, 0, 3],
            [0x1000_0100, 1, 3],
            [0x1002_0000, 2, 3],
        ];
        assert_eq!(blocks.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn no_block_lies_beyond_the_last_address() {
        let write = |bytes| write_uf2(&[part(0xffff_ff00, bytes)], FAMILY, &mut Vec::new());
        assert!(write(&[0; 256]).is_ok());
        assert!(write(&[0; 257]).is_err());
    }
}
