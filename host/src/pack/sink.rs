//! Where an image goes: written from front to back, its header last.

use super::too_large;
use anyhow::Result;
use crc::{Crc, CRC_32_ISO_HDLC};
use kinglet::image::{Header, Span, CRC_OFFSET, HEADER_BYTES};
use kinglet::shape::PART_ALIGN;
use std::io::{self, Read, Seek, SeekFrom, Write};

static CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Bytes read at a time for the checksum.
const CHUNK_BYTES: usize = 1 << 20;

/// A file, or a [`std::io::Cursor`] in memory.
#[derive(Debug)]
pub(super) struct Sink<'w, W> {
    out: &'w mut W,
    /// Bytes so far, the room for the header included.
    pub bytes: u64,
}

impl<'w, W: Read + Write + Seek> Sink<'w, W> {
    /// Begins after the header, whose content is known at the end.
    pub fn new(out: &'w mut W) -> io::Result<Self> {
        out.write_all(&[0; HEADER_BYTES])?;
        Ok(Self {
            out,
            bytes: HEADER_BYTES as u64,
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes a section, and says where it is.
    ///
    /// # Errors
    /// The image would be too large; or that of the file.
    pub fn section(&mut self, section: &[u8]) -> Result<Span> {
        let end = self.bytes + section.len() as u64;
        if end > u64::from(u32::MAX) {
            return Err(too_large(end));
        }
        let span = Span {
            offset: self.bytes as u32,
            bytes: section.len() as u32,
        };
        self.write(section)?;
        Ok(if section.is_empty() {
            Span::EMPTY
        } else {
            span
        })
    }

    /// Writes again what begins at a byte.
    pub fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(at))?;
        self.out.write_all(bytes)?;
        self.out.seek(SeekFrom::Start(self.bytes))?;
        Ok(())
    }

    /// Pads to the alignment.
    pub fn pad(&mut self) -> io::Result<()> {
        let padding = self.bytes.next_multiple_of(PART_ALIGN as u64) - self.bytes;
        self.write(&[0; PART_ALIGN][..padding as usize])
    }

    /// Puts the header in front, with the checksum of what was written.
    pub fn finish(self, mut header: Header) -> io::Result<()> {
        header.crc32 = 0;
        let first = header.to_bytes();
        let mut digest = CRC32.digest();
        digest.update(&first[..CRC_OFFSET]);
        digest.update(&first[CRC_OFFSET + 4..]);
        self.out.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = self.bytes - HEADER_BYTES as u64;
        while left > 0 {
            let len = left.min(CHUNK_BYTES as u64) as usize;
            self.out.read_exact(&mut chunk[..len])?;
            digest.update(&chunk[..len]);
            left -= len as u64;
        }
        header.crc32 = digest.finalize();
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header.to_bytes())
    }
}
