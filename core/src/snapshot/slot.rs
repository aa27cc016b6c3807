//! One slot: the record, the state, the mark that makes it a snapshot, and two
//! notes.

use super::record::{Record, RECORD_BYTES};
use super::CHUNK_BYTES;
use crate::image::CRC32;
use crate::shape::Shape;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;

/// The last bytes of the mark, after a CRC-32: where the flash writes four
/// bytes at once, or fewer, they are written last and say that all is there.
const MARK: [u8; 4] = *b"done";

/// Bytes of the mark and of each note, before they are rounded up.
const MARK_BYTES: usize = 8;

/// What a slot says after its mark. A note is a write of its own.
#[derive(Clone, Copy)]
pub(super) enum Note {
    /// The mark was written to its end: none of its bits can change any more.
    Sealed,
    /// The slot is about to be erased: what is still there does not count.
    Retired,
}

impl Note {
    const ALL: [Self; 2] = [Self::Sealed, Self::Retired];

    const fn text(self) -> [u8; MARK_BYTES] {
        match self {
            Self::Sealed => *b"sealed\0\0",
            Self::Retired => *b"retired\0",
        }
    }
}

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
        let marks = (1 + Note::ALL.len()) * up(MARK_BYTES, F::WRITE_SIZE);
        let bytes = up(RECORD_BYTES, F::WRITE_SIZE) + state_bytes + marks;
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
    Good(Good),
}

/// A snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Good {
    pub record: Record,
    /// Without a seal, the bits of its mark may read otherwise later.
    pub is_sealed: bool,
    /// So may all of its bits.
    pub is_retired: bool,
}

impl Good {
    /// Whether this one or the other is certain to stay as it is read, where
    /// one of them may not: what is to be erased, or the newer without a seal.
    pub fn outlasts(&self, other: &Self) -> Option<bool> {
        let is_newer = self.record.is_newer_than(&other.record);
        let newer = if is_newer { self } else { other };
        match (self.is_retired, other.is_retired) {
            (false, true) => Some(true),
            (true, false) => Some(false),
            _ => (!newer.is_sealed).then_some(!is_newer),
        }
    }
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
    /// The mark and the notes.
    const MARKS: u32 = (Self::MARK * (1 + Note::ALL.len())) as u32;

    pub fn new(flash: &'f mut F, geometry: &Geometry, index: u32) -> Self {
        Self {
            flash,
            start: geometry.start + index * geometry.slot_bytes,
            bytes: geometry.slot_bytes,
        }
    }

    /// Erases the slot and writes a snapshot, its mark last. It fits.
    pub fn write(&mut self, record: &Record, state: &[u8]) -> Result<(), F::Error> {
        match self.check() {
            // A note that cannot be written is nothing that a save needs.
            Ok(Status::Good(old)) if !old.is_retired => drop(self.note(&old.record, Note::Retired)),
            _ => {}
        }
        let mark_at = self.mark_at(record);
        let end = mark_at + Self::MARKS;
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
        let mut at = self.start + Self::RECORD;
        let mark_at = self.mark_at(&record);
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
            Some(true) => Status::Good(Good {
                record,
                is_sealed: self.has(&record, Note::Sealed),
                is_retired: self.has(&record, Note::Retired),
            }),
            Some(false) => Status::Damaged,
            None => Status::Incomplete,
        })
    }

    /// Writes a note of the snapshot with this record.
    pub fn note(&mut self, record: &Record, note: Note) -> Result<(), F::Error> {
        let mut chunk = [0; CHUNK_BYTES];
        let unit = chunk.get_mut(..Self::MARK).unwrap_or_default();
        unit.iter_mut()
            .zip(note.text())
            .for_each(|(to, from)| *to = from);
        self.flash.write(self.note_at(record, note), unit)
    }

    /// Whether the note is there. A seal is whole; one bit retires a slot, where
    /// erased flash has all bits set, or none.
    fn has(&mut self, record: &Record, note: Note) -> bool {
        let mut chunk = [0; CHUNK_BYTES];
        let unit = chunk.get_mut(..Self::MARK).unwrap_or_default();
        let is_read = self.flash.read(self.note_at(record, note), unit).is_ok();
        let is_all = |bits| unit.iter().all(|&byte| byte == bits);
        match note {
            Note::Sealed => is_read && unit.starts_with(&note.text()),
            Note::Retired => !is_read || !(is_all(0xff) || is_all(0)),
        }
    }

    fn mark_at(&self, record: &Record) -> u32 {
        let state_bytes = up(record.state_bytes as usize, F::WRITE_SIZE);
        self.start + Self::RECORD + state_bytes as u32
    }

    fn note_at(&self, record: &Record, note: Note) -> u32 {
        self.mark_at(record) + (1 + note as u32) * Self::MARK as u32
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
        let room = self.bytes.checked_sub(Self::RECORD + Self::MARKS);
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
