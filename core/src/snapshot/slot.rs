//! One slot: the record, the state, and the mark that makes it a snapshot.

use super::record::{Record, RECORD_BYTES};
use super::CHUNK_BYTES;
use crate::image::CRC32;
use crate::shape::Shape;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;

/// The last bytes of the mark, after a CRC-32: where the flash writes four
/// bytes at once, or fewer, they are written last and say that all is there.
const MARK: [u8; 4] = *b"done";

/// Bytes of the mark, before they are rounded up.
const MARK_BYTES: usize = 8;

const fn up(bytes: usize, to: usize) -> usize {
    bytes.div_ceil(to) * to
}

/// Where the slots are, in bytes.
#[derive(Debug)]
pub(super) struct Geometry {
    /// The first byte of the region.
    start: u32,
    /// Bytes of a slot, whole sectors.
    pub slot_bytes: u32,
}

impl Geometry {
    /// Two slots of whole sectors in a region; `None` where it is not one of
    /// whole sectors within `capacity` bytes.
    pub fn of<F: NorFlash>(region: Range<u32>, capacity: usize) -> Option<Self> {
        const {
            let sizes = [F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE];
            assert!(sizes[0] > 0 && sizes[1] > 0 && sizes[2] > 0);
            assert!(CHUNK_BYTES.is_multiple_of(sizes[1]));
            assert!(sizes[1].is_multiple_of(sizes[0]) && sizes[2].is_multiple_of(sizes[1]));
        }
        let sector = F::ERASE_SIZE as u32;
        let fits = region.start <= region.end && region.end as usize <= capacity;
        let whole = region.start.is_multiple_of(sector) && region.end.is_multiple_of(sector);
        (fits && whole).then(|| Self {
            start: region.start,
            slot_bytes: (region.end - region.start) / 2 / sector * sector,
        })
    }

    /// Bytes of two slots for snapshots of this image.
    pub const fn region_bytes<F: NorFlash>(shape: &Shape) -> u32 {
        let state_bytes = up(shape.state_bytes(), F::WRITE_SIZE);
        let bytes = up(RECORD_BYTES, F::WRITE_SIZE) + state_bytes + up(MARK_BYTES, F::WRITE_SIZE);
        2 * up(bytes, F::ERASE_SIZE) as u32
    }
}

/// The content of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Status {
    /// Nothing, or a snapshot that was not completed.
    Incomplete,
    /// A snapshot that is not what was written.
    Damaged,
    Good(Record),
}

/// A slot at work.
pub(super) struct Slot<'f, F> {
    flash: &'f mut F,
    /// The first byte of the slot.
    start: u32,
    bytes: u32,
}

impl<'f, F: NorFlash> Slot<'f, F> {
    const RECORD: u32 = up(RECORD_BYTES, F::WRITE_SIZE) as u32;
    const MARK: usize = up(MARK_BYTES, F::WRITE_SIZE);

    pub fn new(flash: &'f mut F, geometry: &Geometry, index: u32) -> Self {
        Self {
            flash,
            start: geometry.start + index * geometry.slot_bytes,
            bytes: geometry.slot_bytes,
        }
    }

    /// Erases the slot and writes a snapshot, its mark last. It fits.
    pub fn write(&mut self, record: &Record, state: &[u8]) -> Result<(), F::Error> {
        let mark_at = self.start + Self::RECORD + up(state.len(), F::WRITE_SIZE) as u32;
        let end = mark_at + Self::MARK as u32;
        let sectors = up((end - self.start) as usize, F::ERASE_SIZE) as u32;
        self.flash.erase(self.start, self.start + sectors)?;
        let mut chunk = [0; CHUNK_BYTES];
        let mut digest = CRC32.digest();
        let front = chunk.get_mut(..Self::RECORD as usize).unwrap_or_default();
        record.put(front);
        digest.update(front);
        self.flash.write(self.start, front)?;
        let mut at = self.start + Self::RECORD;
        for part in state.chunks(CHUNK_BYTES) {
            let padded = up(part.len(), F::WRITE_SIZE);
            let whole = chunk.get_mut(..padded).unwrap_or_default();
            whole.fill(0);
            whole
                .iter_mut()
                .zip(part)
                .for_each(|(to, from)| *to = *from);
            digest.update(whole);
            self.flash.write(at, whole)?;
            at += padded as u32;
        }
        let mark = chunk.get_mut(..Self::MARK).unwrap_or_default();
        put_mark(mark, digest.finalize());
        self.flash.write(mark_at, mark)
    }

    /// Reads all of the slot.
    pub fn check(&mut self) -> Result<Status, F::Error> {
        let mut chunk = [0; CHUNK_BYTES];
        let front = chunk.get_mut(..Self::RECORD as usize).unwrap_or_default();
        if self.bytes < Self::RECORD {
            return Ok(Status::Incomplete);
        }
        self.flash.read(self.start, front)?;
        let record = Record::get(front);
        let Some(record) = record.filter(|record| self.holds(record.state_bytes)) else {
            return Ok(Status::Incomplete);
        };
        let mut digest = CRC32.digest();
        digest.update(front);
        let state_bytes = up(record.state_bytes as usize, F::WRITE_SIZE);
        let mut at = self.start + Self::RECORD;
        let mark_at = at + state_bytes as u32;
        while at < mark_at {
            let bytes = ((mark_at - at) as usize).min(CHUNK_BYTES);
            let part = chunk.get_mut(..bytes).unwrap_or_default();
            self.flash.read(at, part)?;
            digest.update(part);
            at += bytes as u32;
        }
        let mark = chunk.get_mut(..Self::MARK).unwrap_or_default();
        self.flash.read(mark_at, mark)?;
        Ok(match is_mark(mark, digest.finalize()) {
            Some(true) => Status::Good(record),
            Some(false) => Status::Damaged,
            None => Status::Incomplete,
        })
    }

    /// Reads the state of a snapshot that was found good, and whether it still
    /// is.
    pub fn read(&mut self, state: &mut [u8]) -> Result<bool, F::Error> {
        let mut chunk = [0; CHUNK_BYTES];
        let mut digest = CRC32.digest();
        let front = chunk.get_mut(..Self::RECORD as usize).unwrap_or_default();
        self.flash.read(self.start, front)?;
        digest.update(front);
        let mut at = self.start + Self::RECORD;
        for to in state.chunks_mut(CHUNK_BYTES) {
            let padded = up(to.len(), F::WRITE_SIZE);
            let part = chunk.get_mut(..padded).unwrap_or_default();
            self.flash.read(at, part)?;
            digest.update(part);
            to.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            at += padded as u32;
        }
        let mark = chunk.get_mut(..Self::MARK).unwrap_or_default();
        self.flash.read(at, mark)?;
        Ok(is_mark(mark, digest.finalize()) == Some(true))
    }

    /// Whether a state of this many bytes fits.
    fn holds(&self, state_bytes: u32) -> bool {
        let room = self.bytes.checked_sub(Self::RECORD + Self::MARK as u32);
        room.is_some_and(|room| {
            let state_bytes = u64::from(state_bytes).div_ceil(F::WRITE_SIZE as u64);
            state_bytes * F::WRITE_SIZE as u64 <= u64::from(room)
        })
    }
}

/// The mark of a snapshot of this checksum; zeros fill what is left.
fn put_mark(bytes: &mut [u8], crc32: u32) {
    let mark = crc32.to_le_bytes().into_iter().chain(MARK);
    let mark = mark.chain(core::iter::repeat(0));
    bytes.iter_mut().zip(mark).for_each(|(to, from)| *to = from);
}

/// Whether the mark is that of this checksum; `None` where it is no mark.
fn is_mark(bytes: &[u8], crc32: u32) -> Option<bool> {
    let expected = crc32.to_le_bytes().into_iter().chain(MARK);
    let mut expected = expected.chain(core::iter::repeat(0));
    let is_right = bytes.iter().all(|&byte| expected.next() == Some(byte));
    let mark = bytes.get(MARK_BYTES - MARK.len()..MARK_BYTES);
    (mark == Some(&MARK)).then_some(is_right)
}
