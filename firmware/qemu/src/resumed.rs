//! The model at work with a loss of power behind every token: its state is
//! saved, forgotten and restored. The flash is RAM that behaves like it.

use crate::generate::{Chosen, TextError};
use crate::model::Model;
use crate::work::{Answered, Whole, Work};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use kinglet::snapshot::{SnapshotError, Snapshots};
use kinglet::{Image, Sampler, Sampling, Session, UnknownState};

/// All logits at once, every token from a snapshot.
pub struct Resumed<'b> {
    image: Image<'static>,
    state: &'b mut [f32],
    scratch: &'b mut [f32],
    sampler: Sampler,
    snapshots: Snapshots<RamFlash<'b>>,
    tokens: u64,
}

impl<'b> Resumed<'b> {
    /// An empty text.
    #[inline]
    pub fn new(model: &'b mut Model, settings: Sampling, seed: u64) -> Result<Self, TextError> {
        let Model {
            image,
            state,
            scratch,
            spare,
        } = model;
        Session::new(image, state, scratch)?;
        let sectors = spare.len() / RamFlash::ERASE_SIZE;
        let region = 0..(sectors * RamFlash::ERASE_SIZE) as u32;
        Ok(Self {
            image: *image,
            state,
            scratch,
            sampler: Sampler::new(settings, seed),
            snapshots: Snapshots::new(RamFlash(spare), region)?,
            tokens: 0,
        })
    }

    /// Does a token's work from where the last one left the state, and loses
    /// power.
    fn token<T>(
        &mut self,
        work: impl FnOnce(&mut Whole<'_>) -> Result<T, TextError>,
    ) -> Result<T, TextError> {
        let session = Session::resume(&self.image, self.state, self.scratch)?;
        let mut whole = Whole {
            session,
            sampler: self.sampler.clone(),
        };
        let result = work(&mut whole)?;
        self.sampler = whole.sampler;
        self.tokens += 1;
        self.snapshots.save(&self.image, self.state, self.tokens)?;
        self.state.fill(f32::NAN);
        self.scratch.fill(f32::NAN);
        self.snapshots.restore(&self.image, self.state)?;
        Ok(result)
    }
}

impl Work for Resumed<'_> {
    fn image(&self) -> &Image<'static> {
        &self.image
    }

    fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        // A session fits: one did before.
        let session = Session::resume(&self.image, self.state, self.scratch);
        session.map_or(Err(UnknownState), |mut session| session.start_from(name))
    }

    fn feed(&mut self, token: u32) -> Result<u64, TextError> {
        self.token(|whole| whole.feed(token))
    }

    fn hash(&mut self, token: u32) -> Result<(u64, u64), TextError> {
        self.token(|whole| whole.hash(token))
    }

    fn choose(&mut self, token: u32) -> Result<Chosen, TextError> {
        self.token(|whole| whole.choose(token))
    }

    fn answer(&mut self, token: u32) -> Result<Answered, TextError> {
        self.token(|whole| whole.answer(token))
    }
}

/// Erasing sets all bits of a sector, writing clears bits.
#[derive(Debug)]
pub struct RamFlash<'b>(&'b mut [u8]);

/// Why a snapshot failed.
pub type Failure = SnapshotError<NorFlashErrorKind>;

impl RamFlash<'_> {
    fn range(&mut self, offset: u32, bytes: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let range = self.0.get_mut(offset as usize..);
        let range = range.and_then(|rest| rest.get_mut(..bytes));
        range.ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl ErrorType for RamFlash<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RamFlash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        bytes.copy_from_slice(self.range(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for RamFlash<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.range(from, to.saturating_sub(from) as usize)?
            .fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let cells = self.range(offset, bytes.len())?;
        cells
            .iter_mut()
            .zip(bytes)
            .for_each(|(cell, byte)| *cell &= byte);
        Ok(())
    }
}
