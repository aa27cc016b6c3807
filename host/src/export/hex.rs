//! Intel HEX, which nearly every flash tool takes.

use super::Part;
use ihex::Record;
use std::io::{self, Write};

/// Bytes of a record.
const RECORD_BYTES: usize = 16;

/// Addresses within a record have 16 bits; the upper ones have their
/// own record.
const SEGMENT: u64 = 1 << 16;

/// Writes parts of the flash.
///
/// # Errors
/// Errors of `out`, and that a part reaches beyond the last address.
pub fn write_hex(parts: &[Part<'_>], out: &mut impl Write) -> io::Result<()> {
    let mut segment = 0;
    for part in parts {
        write_part(part, &mut segment, out)?;
    }
    put(&Record::EndOfFile, out)
}

/// The records of a part; `segment` is the one that the last record was in.
fn write_part(part: &Part<'_>, segment: &mut u16, out: &mut impl Write) -> io::Result<()> {
    let mut rest = &*part.bytes;
    let mut at = u64::from(part.address);
    while !rest.is_empty() {
        // No record crosses the end of a segment.
        let left = (SEGMENT - at % SEGMENT) as usize;
        let (value, after) = rest.split_at(RECORD_BYTES.min(left).min(rest.len()));
        let upper = u16::try_from(at / SEGMENT)
            .map_err(|_| io::Error::other("the image reaches beyond address 2^32"))?;
        if upper != *segment {
            put(&Record::ExtendedLinearAddress(upper), out)?;
            *segment = upper;
        }
        let offset = (at % SEGMENT) as u16;
        let value = value.to_vec();
        at += value.len() as u64;
        put(&Record::Data { offset, value }, out)?;
        rest = after;
    }
    Ok(())
}

fn put(record: &Record, out: &mut impl Write) -> io::Result<()> {
    let line = record.to_record_string().map_err(io::Error::other)?;
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ihex::Reader;

    /// The memory that a reader fills: address of the first byte, and the bytes.
    fn read(text: &str) -> (u64, Vec<u8>) {
        let (mut first, mut bytes, mut upper) = (None, Vec::new(), 0);
        for record in Reader::new(text) {
            match record.unwrap() {
                Record::ExtendedLinearAddress(address) => upper = u64::from(address) << 16,
                Record::Data { offset, value } => {
                    let at = upper + u64::from(offset);
                    let start = *first.get_or_insert(at);
                    assert_eq!(at, start + bytes.len() as u64);
                    bytes.extend(value);
                }
                Record::EndOfFile => return (first.unwrap(), bytes),
                other => panic!("{other:?}"),
            }
        }
        panic!("no end");
    }

    #[test]
    fn a_reader_finds_the_bytes() {
        for address in [0u32, 0x0801_0000, 0x0800_fff5] {
            let bytes: Vec<u8> = (0..200_003u32).map(|i| (i ^ (i >> 8)) as u8).collect();
            let mut out = Vec::new();
            // In two parts, of which one follows the other.
            let (one, two) = bytes.split_at(70_001);
            let parts = [part(address, one), part(address + 70_001, two)];
            write_hex(&parts, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert_eq!(read(&text), (u64::from(address), bytes));
        }
    }

    fn part(address: u32, bytes: &[u8]) -> Part<'_> {
        let bytes = bytes.into();
        Part { address, bytes }
    }

    #[test]
    fn nothing_lies_beyond_the_last_address() {
        let write = |bytes| write_hex(&[part(0xffff_fff0, bytes)], &mut Vec::new());
        assert!(write(&[0; 16]).is_ok());
        assert!(write(&[0; 17]).is_err());
    }
}
