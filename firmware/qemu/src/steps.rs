//! Steps of a model as a request wants them, and what they cost.

use crate::flash::RamFlash;
use core::fmt;
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind};
use kinglet::hash::LogitsHash;
use kinglet::snapshot::{SnapshotError, Snapshots};
use kinglet::{BufferError, Error, Image, Sample, Session, StepError};
use kinglet_app::Model;
use kinglet_machine::{since, ticks};
use kinglet_protocol::Request;

/// Why a request cannot be carried out.
pub enum Failure {
    /// There is no text.
    Text(Error),
    /// A snapshot could not be saved or restored.
    Snapshot(SnapshotError<NorFlashErrorKind>),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::Snapshot(error) => error.fmt(f),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Text(error)
    }
}

impl From<BufferError> for Failure {
    fn from(error: BufferError) -> Self {
        Self::Text(error.into())
    }
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        Self::Text(error.into())
    }
}

/// The sampler, with a hash of the logits that it sees.
pub struct Hashed<'s> {
    sampler: &'s mut dyn Sample,
    hash: LogitsHash,
    /// Ticks of the hash. As instructions they would cost a division, more of it or
    /// less by their number.
    ticks: u32,
}

impl<'s> Hashed<'s> {
    /// Nothing has been seen.
    pub fn new(sampler: &'s mut dyn Sample) -> Self {
        Self {
            sampler,
            hash: LogitsHash::default(),
            ticks: 0,
        }
    }
}

impl Sample for Hashed<'_> {
    fn wants_all(&self) -> bool {
        self.sampler.wants_all()
    }

    fn see(&mut self, first: u32, logits: &mut [i32]) {
        let start = ticks();
        self.hash.update(logits);
        self.ticks += ticks().wrapping_sub(start);
        self.sampler.see(first, logits);
    }

    fn choose(&mut self) -> u32 {
        self.sampler.choose()
    }
}

/// A token, and how it came about.
pub struct Chosen {
    /// Its id.
    pub id: u32,
    /// The hash of the logits that it was chosen from.
    pub hash: u64,
    /// Instructions of the step and of choosing, without the hash.
    pub instructions: u64,
}

/// A model at work.
pub struct Steps<'m, 'b> {
    model: &'b mut Model<'m>,
    /// Floats of the scratch that are used.
    scratch_len: usize,
    /// Weights of a slice, at most; 0 where steps are not in slices.
    slice_weights: usize,
    /// The most instructions that a slice took.
    pub slice_instructions: u64,
    /// Where the state is saved after each token, forgotten and found again.
    snapshots: Option<Snapshots<RamFlash<'b>>>,
    tokens: u64,
}

impl<'m, 'b> Steps<'m, 'b> {
    /// From an empty text on.
    pub fn new(
        model: &'b mut Model<'m>,
        spare: &'b mut [u8],
        request: &Request,
    ) -> Result<Self, Failure> {
        let scratch_len = match request.in_blocks {
            true => model.image.shape().scratch_len_in_blocks(),
            false => model.scratch.len(),
        };
        let sectors = spare.len() / RamFlash::ERASE_SIZE;
        let region = 0..(sectors * RamFlash::ERASE_SIZE) as u32;
        let flash = RamFlash(spare);
        let snapshots = request.resumed.then(|| Snapshots::new(flash, region));
        let mut steps = Self {
            model,
            scratch_len,
            slice_weights: request.slice_weights as usize,
            slice_instructions: 0,
            snapshots: snapshots.transpose().map_err(Failure::Snapshot)?,
            tokens: 0,
        };
        steps.session()?.reset();
        Ok(steps)
    }

    /// The model.
    pub fn image(&self) -> &Image<'m> {
        &self.model.image
    }

    /// Where the last step left the text.
    pub fn session(&mut self) -> Result<Session<'m, '_>, BufferError> {
        let Model {
            image,
            state,
            scratch,
        } = &mut *self.model;
        let scratch = scratch.get_mut(..self.scratch_len).unwrap_or_default();
        Session::resume(image, state, scratch)
    }

    /// Reads a token; returns instructions.
    pub fn feed(&mut self, token: u32) -> Result<u64, Failure> {
        let start = ticks();
        match self.slice_weights {
            0 => self.session()?.feed(&[token])?,
            _ => self.slices(token, None)?,
        }
        let instructions = since(start);
        self.lose_power()?;
        Ok(instructions)
    }

    /// Reads a token and chooses the next.
    pub fn choose(&mut self, token: u32, sampler: &mut dyn Sample) -> Result<Chosen, Failure> {
        let mut hashed = Hashed::new(sampler);
        let start = ticks();
        let id = match self.slice_weights {
            0 => self.session()?.choose(token, &mut hashed)?,
            _ => {
                self.slices(token, Some(&mut hashed))?;
                hashed.choose()
            }
        };
        let instructions = since(start.wrapping_add(hashed.ticks));
        self.lose_power()?;
        Ok(Chosen {
            id,
            hash: hashed.hash.finish(),
            instructions,
        })
    }

    /// A step in slices, whose logits `sampler` sees, if they are asked for.
    fn slices(&mut self, token: u32, mut sampler: Option<&mut Hashed<'_>>) -> Result<(), Failure> {
        let (max_weights, mut most) = (self.slice_weights, self.slice_instructions);
        let mut session = self.session()?;
        let mut step = match sampler {
            Some(_) => session.begin(token)?,
            None => session.begin_feed(token)?,
        };
        while step.is_under_way() {
            let start = ticks();
            session.advance(&mut step, max_weights);
            most = most.max(since(start));
            let logits = session.logits(&step);
            if let Some((sampler, (first, logits))) = sampler.as_mut().zip(logits) {
                sampler.see(first, logits);
            }
        }
        self.slice_instructions = most;
        Ok(())
    }

    /// Saves the state, clears it and restores the snapshot, if that is
    /// asked for.
    // Not inlined: what it needs of the stack is free again while the model
    // works.
    #[inline(never)]
    fn lose_power(&mut self) -> Result<(), Failure> {
        let Some(snapshots) = &mut self.snapshots else {
            return Ok(());
        };
        let Model {
            image,
            state,
            scratch,
        } = &mut *self.model;
        self.tokens += 1;
        let saved = snapshots.save(image, state, self.tokens);
        saved.map_err(Failure::Snapshot)?;
        state.fill(i32::MIN);
        scratch.fill(i32::MIN);
        let restored = snapshots.restore(image, state);
        restored.map_err(Failure::Snapshot)?;
        Ok(())
    }
}
