//! States in flash: a text continues after a loss of power.
//!
//! A region of NOR flash holds two slots. A save goes into the one that does
//! not hold the last good snapshot, and is complete with its last write: after
//! a loss of power at any point a slot holds the last save, or the one before
//! it. RAM is one buffer of [`CHUNK_BYTES`] on the stack.
//!
//! Every byte of a snapshot is covered by a CRC-32 or has a fixed value. A slot
//! with any other byte does not count: a snapshot with changed bits is never
//! restored, but the other slot may be. Nor does a slot count that cannot be
//! read, such as after an interrupted write in flash with error correction: the
//! next save erases it. `docs/format.md` defines the bytes.
//!
//! Bits of an interrupted write or erase may read right now and wrong later.
//! Where there is an older snapshot, a save that was read back is therefore
//! *sealed* by one more write, and does not count without. A snapshot that is to
//! be erased is *retired* by a write: what an interrupted erase leaves of it does
//! not count.
//!
//! | call | erases | writes | reads |
//! |---|---|---|---|
//! | [`Snapshots::new`] | | | |
//! | [`Snapshots::save`] | one slot | two notes, one snapshot | both slots, the one it erases, then what was written |
//! | [`Snapshots::restore`] | | | both slots, then the one restored |
//!
//! Saves alternate between the slots: flash that endures 10,000 erasures of a
//! sector endures 20,000 saves.
//!
//! ```
//! use embedded_storage::nor_flash::NorFlash;
//! use kinglet::snapshot::{SnapshotError, Snapshots};
//! use kinglet::{Image, Session};
//!
//! /// Continues where the last call ended, even across power cycles.
//! fn go_on<F: NorFlash>(
//!     flash: F,
//!     image: &Image<'_>,
//!     state: &mut [i32],
//!     scratch: &mut [i32],
//! ) -> Result<(), SnapshotError<F::Error>> {
//!     let mut snapshots = Snapshots::new(flash, 0x8_0000..0xa_0000)?;
//!     let (mut session, mut tokens) = match snapshots.restore(image, state) {
//!         Ok(saved) => (Session::resume(image, state, scratch)?, saved.tokens),
//!         // Nothing was saved yet, or by another model.
//!         Err(SnapshotError::Missing | SnapshotError::OtherModel) => {
//!             (Session::new(image, state, scratch)?, 0)
//!         }
//!         Err(error) => return Err(error),
//!     };
//!     for token in [79, 110, 99, 101] {
//!         if session.feed(&[token]).is_ok() {
//!             tokens += 1;
//!         }
//!     }
//!     snapshots.save(image, session.state(), tokens)
//! }
//! ```

mod record;
mod slot;

use crate::image::Image;
use crate::layers::reset;
use crate::shape::Shape;
use crate::BufferError;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;
use record::Record;
use slot::{Geometry, Note, Slot, Status};

/// Bytes that are read or written at a time. The flash's `READ_SIZE` and
/// `WRITE_SIZE` must divide it; others do not compile.
pub const CHUNK_BYTES: usize = 256;

/// Why a state cannot be saved or restored.
///
/// | call | may return |
/// |---|---|
/// | [`Snapshots::new`] | `Region` |
/// | [`Snapshots::save`] | `Buffer`, `TooSmall`, `Flash`, `NotWritten` |
/// | [`Snapshots::restore`] | `Buffer`, `Missing`, `OtherModel`, `Damaged`, `Flash` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SnapshotError<E> {
    /// The flash has failed: to erase, to write, or to read both slots.
    Flash(E),
    /// The region does not begin and end at what the flash erases at once, or
    /// is not in the flash.
    Region,
    /// The region must have this many bytes.
    /// It is [`Snapshots::region_bytes`] of the model.
    TooSmall(u32),
    /// The state's buffer is too short.
    Buffer(BufferError),
    /// No snapshot is complete.
    Missing,
    /// A complete snapshot is damaged, and there is no other.
    /// Its mark was written, but its checksum does not match.
    Damaged,
    /// The only snapshot is that of another image; one that was packed or
    /// primed again is another.
    OtherModel,
    /// The bytes read back are not those written: the flash is worn or
    /// protected. The snapshot before is still there.
    NotWritten,
}

impl<E> From<BufferError> for SnapshotError<E> {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}

impl<E: core::fmt::Debug> core::fmt::Display for SnapshotError<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash has failed: {error:?}"),
            Self::Region => f.write_str("the region is not one of whole sectors in the flash"),
            Self::TooSmall(bytes) => write!(f, "the region must hold {bytes} bytes"),
            Self::Buffer(error) => error.fmt(f),
            Self::Missing => f.write_str("there is no complete snapshot"),
            Self::Damaged => f.write_str("the snapshot is damaged"),
            Self::OtherModel => f.write_str("the snapshot is that of another image"),
            Self::NotWritten => f.write_str("the flash does not hold what was written"),
        }
    }
}

impl<E: core::fmt::Debug> core::error::Error for SnapshotError<E> {}

/// What a restored snapshot holds beside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Restored {
    /// The count that was saved with the state: tokens read, say.
    pub tokens: u64,
    /// The number of the snapshot: each save has the next one.
    /// After 2^32 - 1 follows 0.
    pub sequence: u32,
}

/// Two slots in flash for the states of one model.
///
/// `F` is a driver of NOR flash: its `WRITE_SIZE` must divide [`CHUNK_BYTES`] and
/// `ERASE_SIZE`, and its `READ_SIZE` the `WRITE_SIZE`; others do not compile.
#[derive(Debug)]
pub struct Snapshots<F> {
    flash: F,
    geometry: Geometry,
}

impl<F: NorFlash> Snapshots<F> {
    /// Takes a region of the flash: whole sectors, bytes from its start.
    /// Nothing is read or written.
    ///
    /// Whether a model fits shows when it is saved.
    ///
    /// # Errors
    /// [`SnapshotError::Region`]: a boundary is not a multiple of `ERASE_SIZE`, or
    /// the region ends after the flash.
    pub fn new(flash: F, region: Range<u32>) -> Result<Self, SnapshotError<F::Error>> {
        let geometry = Geometry::of::<F>(region, flash.capacity());
        let geometry = geometry.ok_or(SnapshotError::Region)?;
        Ok(Self { flash, geometry })
    }

    /// Bytes of a region that holds the snapshots of an image: two slots of
    /// whole sectors.
    /// A slot has 64 bytes, the state and three times 8 bytes, each rounded up to
    /// `WRITE_SIZE`; their sum is rounded up to `ERASE_SIZE`.
    pub const fn region_bytes(shape: &Shape) -> u32 {
        Geometry::region_bytes::<F>(shape)
    }

    /// Gives the flash back.
    pub fn release(self) -> F {
        self.flash
    }

    /// Saves the state of a session, [`Session::state`](crate::Session::state),
    /// and a count of the caller's. What was written is read back and compared.
    ///
    /// # Errors
    /// [`SnapshotError`]; what was saved before is still there.
    pub fn save(
        &mut self,
        image: &Image<'_>,
        state: &[i32],
        tokens: u64,
    ) -> Result<(), SnapshotError<F::Error>> {
        let shape = image.shape();
        let len = shape.state_len();
        let state = state.get(..len).ok_or(BufferError::State(len))?;
        let needed = Self::region_bytes(shape);
        if self.geometry.slot_bytes < needed / 2 {
            return Err(SnapshotError::TooSmall(needed));
        }
        let found = self.look();
        // Never into the slot of the last good one, and where none is of this
        // image, not into that of the newer.
        let last = newest(&found, None);
        let keep = newest(&found, Some(image)).or(last);
        let index = keep.map_or(0, |(index, _)| 1 - index);
        let sequence = last.map_or(0, |(_, record)| record.sequence.wrapping_add(1));
        let record = Record::new(image.header(), sequence, tokens);
        let mut slot = self.slot(index);
        slot.write(&record, bytemuck::cast_slice(state))
            .map_err(SnapshotError::Flash)?;
        match slot.check().map_err(SnapshotError::Flash)? {
            Status::Good(written) if written.record == record => {}
            _ => return Err(SnapshotError::NotWritten),
        }
        match keep {
            Some(_) => slot
                .note(&record, Note::Sealed)
                .map_err(SnapshotError::Flash),
            None => Ok(()),
        }
    }

    /// Reads the state that was saved last into `state`, for
    /// [`Session::resume`](crate::Session::resume).
    ///
    /// # Errors
    /// [`SnapshotError`]; the state is then unchanged, or that of an empty
    /// text where the flash failed half-way.
    pub fn restore(
        &mut self,
        image: &Image<'_>,
        state: &mut [i32],
    ) -> Result<Restored, SnapshotError<F::Error>> {
        let shape = image.shape();
        let len = shape.state_len();
        let state = state.get_mut(..len).ok_or(BufferError::State(len))?;
        let mut found = self.look();
        let mut is_changed = false;
        while let Some((index, record)) = newest(&found, Some(image)) {
            let read = self.slot(index).read(bytemuck::cast_slice_mut(state));
            if let Ok(true) = read {
                return Ok(Restored {
                    tokens: record.tokens,
                    sequence: record.sequence,
                });
            }
            // It was good a moment ago: the other one may be.
            is_changed = true;
            if let Some(slot) = found.get_mut(index as usize) {
                *slot = read.map(|_| Status::Damaged);
            }
        }
        if is_changed {
            reset(shape, state);
        }
        Err(why_not(found))
    }

    /// The content of each slot, or why it cannot be read; of two snapshots, of
    /// which one may be what an interruption has left, only the other.
    fn look(&mut self) -> Found<F::Error> {
        let mut found = [0, 1].map(|index| self.slot(index).check());
        if let [Ok(a), Ok(b)] = &mut found {
            if let (Status::Good(first), Status::Good(second)) = (*a, *b) {
                match first.outlasts(&second) {
                    Some(true) => *b = Status::Incomplete,
                    Some(false) => *a = Status::Incomplete,
                    None => {}
                }
            }
        }
        found
    }

    fn slot(&mut self, index: u32) -> Slot<'_, F> {
        Slot::new(&mut self.flash, &self.geometry, index)
    }
}

/// The contents of the slots.
type Found<E> = [Result<Status, E>; 2];

/// The good snapshot that was saved last, of one image or of any.
fn newest<E>(found: &Found<E>, image: Option<&Image<'_>>) -> Option<(u32, Record)> {
    let good = (0..).zip(found).filter_map(|(index, status)| match status {
        Ok(Status::Good(good)) => Some((index, good.record)),
        _ => None,
    });
    let good = good.filter(|(_, record)| image.is_none_or(|image| record.is_of(image.header())));
    good.reduce(|a, b| if b.1.is_newer_than(&a.1) { b } else { a })
}

/// Why there is nothing to restore.
fn why_not<E>(found: Found<E>) -> SnapshotError<E> {
    match found {
        [Err(error), Err(_)] => SnapshotError::Flash(error),
        [Ok(Status::Good(_)), _] | [_, Ok(Status::Good(_))] => SnapshotError::OtherModel,
        [Ok(Status::Damaged), _] | [_, Ok(Status::Damaged)] => SnapshotError::Damaged,
        _ => SnapshotError::Missing,
    }
}
