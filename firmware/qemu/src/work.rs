//! The model at work, what that costs in instructions, and the hash of all
//! logits: in the way that a request asks for.

use crate::flash::{Failure, RamFlash};
use crate::generate::TextError;
use crate::model::Model;
use embedded_storage::nor_flash::NorFlash;
use kinglet::hash::LogitsHash;
use kinglet::snapshot::Snapshots;
use kinglet::{Answer, Image, Sample, Session, UnknownState};
use kinglet_board::{since, ticks};

/// How tokens are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// Only as much of the scratch is used as logits in blocks need.
    pub in_blocks: bool,
    /// The most weights of a slice; 0 for whole steps.
    pub slice_weights: u32,
    /// Power is lost behind every token: its state is saved, forgotten and
    /// restored.
    pub resumed: bool,
}

/// A step, and how it came about.
pub struct Step {
    /// The hash of the logits.
    pub hash: u64,
    /// Instructions of the step and of what was done with the logits, without
    /// the hash.
    pub instructions: u64,
}

/// A model, and how it works.
pub struct Work<'b> {
    image: Image<'static>,
    state: &'b mut [f32],
    scratch: &'b mut [f32],
    slice_weights: usize,
    /// Where states are saved, and how many were.
    snapshots: Option<(Snapshots<RamFlash<'b>>, u64)>,
    /// The most instructions that a slice took.
    pub most: u64,
}

impl<'b> Work<'b> {
    /// An empty text.
    #[inline(never)]
    pub fn new(model: &'b mut Model, way: Way) -> Result<Self, TextError> {
        let Model {
            image,
            state,
            scratch,
            spare,
        } = model;
        let header = image.header();
        let scratch = match way.in_blocks {
            true => scratch.get_mut(..header.scratch_len_in_blocks()),
            false => scratch.get_mut(..header.scratch_len()),
        };
        let scratch = scratch.unwrap_or_default();
        Session::new(image, state, scratch)?;
        let sectors = spare.len() / RamFlash::ERASE_SIZE;
        let region = 0..(sectors * RamFlash::ERASE_SIZE) as u32;
        let snapshots = match way.resumed {
            true => Some((Snapshots::new(RamFlash(spare), region)?, 0)),
            false => None,
        };
        Ok(Self {
            image: *image,
            state,
            scratch,
            slice_weights: way.slice_weights as usize,
            snapshots,
            most: 0,
        })
    }

    /// The model.
    pub fn image(&self) -> &Image<'static> {
        &self.image
    }

    /// Whether the logits come as one block.
    pub fn has_room(&self) -> bool {
        self.scratch.len() >= self.image.header().scratch_len()
    }

    /// Starts from a state of the image; returns the token to be read next.
    pub fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        // A session fits: one did before.
        let session = Session::resume(&self.image, self.state, self.scratch);
        session.map_or(Err(UnknownState), |mut session| session.start_from(name))
    }

    /// Reads a token; returns instructions.
    pub fn feed(&mut self, token: u32) -> Result<u64, TextError> {
        let mut session = Session::resume(&self.image, self.state, self.scratch)?;
        let start = ticks();
        match self.slice_weights {
            0 => session.feed(&[token])?,
            weights => {
                let mut step = session.begin_feed(token)?;
                while step.is_under_way() {
                    slice(&mut session, &mut step, weights, &mut self.most);
                }
            }
        }
        let instructions = since(start);
        self.lose_power()?;
        Ok(instructions)
    }

    /// Reads a token and shows the logits of the next to `see`.
    pub fn step(
        &mut self,
        token: u32,
        see: &mut dyn FnMut(u32, &mut [f32]),
    ) -> Result<Step, TextError> {
        let mut session = Session::resume(&self.image, self.state, self.scratch)?;
        let (mut hash, mut apart) = (LogitsHash::default(), 0);
        let mut show = |first: u32, logits: &mut [f32]| {
            let start = ticks();
            hash.update(logits);
            apart += since(start);
            see(first, logits);
        };
        let start = ticks();
        match self.slice_weights {
            0 => session.step_in_blocks(token, &mut show)?,
            weights => {
                let mut step = session.begin(token)?;
                while step.is_under_way() {
                    slice(&mut session, &mut step, weights, &mut self.most);
                    if let Some((first, logits)) = session.logits(&step) {
                        show(first, logits);
                    }
                }
            }
        }
        let instructions = since(start) - apart;
        let hash = hash.finish();
        self.lose_power()?;
        Ok(Step { hash, instructions })
    }

    /// Reads a token and chooses the next, which it returns.
    pub fn choose(
        &mut self,
        token: u32,
        sampler: &mut dyn Sample,
    ) -> Result<(u32, Step), TextError> {
        let mut step = self.step(token, &mut |first, logits| sampler.see(first, logits))?;
        let start = ticks();
        let id = sampler.choose();
        step.instructions += since(start);
        Ok((id, step))
    }

    /// Reads a token and answers with a class.
    pub fn answer(&mut self, token: u32) -> Result<(Answer, Step), TextError> {
        let mut answer = Answer::new();
        let step = self.step(token, &mut |first, logits| answer.see(first, logits))?;
        Ok((answer, step))
    }

    /// Where that is asked for: saves the state, forgets all and restores it.
    fn lose_power(&mut self) -> Result<(), Failure> {
        let Some((snapshots, saved)) = &mut self.snapshots else {
            return Ok(());
        };
        *saved += 1;
        snapshots.save(&self.image, self.state, *saved)?;
        self.state.fill(f32::NAN);
        self.scratch.fill(f32::NAN);
        snapshots.restore(&self.image, self.state)?;
        Ok(())
    }
}

/// Takes a slice, and notes the most instructions of one.
fn slice(session: &mut Session<'_, '_>, step: &mut kinglet::Step, weights: usize, most: &mut u64) {
    let start = ticks();
    session.advance(step, weights);
    *most = since(start).max(*most);
}
