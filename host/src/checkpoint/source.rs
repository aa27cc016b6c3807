//! Reads at an offset, bounded by the file's length.

use std::io::{self, Read, Seek, SeekFrom};

/// A file, or bytes in memory.
pub(super) trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// A readable thing of known length.
pub(super) struct Source {
    reader: Box<dyn ReadSeek>,
    len: u64,
}

impl Source {
    /// Reads the length once: all later checks use it.
    pub fn new(mut reader: Box<dyn ReadSeek>) -> io::Result<Self> {
        let len = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader, len })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether `len` bytes from `start` on lie within the file.
    pub fn holds(&self, start: u64, len: u64) -> bool {
        start.checked_add(len).is_some_and(|end| end <= self.len)
    }

    /// Fills `buffer` with the bytes from `start` on.
    pub fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(start))?;
        self.reader.read_exact(buffer)
    }

    /// The `len` bytes from `start` on. Nothing is allocated when the file has
    /// fewer.
    pub fn read_vec(&mut self, start: u64, len: u64) -> io::Result<Vec<u8>> {
        if !self.holds(start, len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buffer = Vec::new();
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer
            .try_reserve_exact(len)
            .map_err(|_| io::ErrorKind::OutOfMemory)?;
        buffer.resize(len, 0);
        self.read_at(start, &mut buffer)?;
        Ok(buffer)
    }

    /// The reader itself, for a library that seeks on its own.
    pub fn reader(&mut self) -> &mut dyn ReadSeek {
        self.reader.as_mut()
    }
}
