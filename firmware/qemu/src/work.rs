//! The model at work, with all logits at once or in blocks, and what that
//! costs in instructions.

use crate::generate::{Chosen, TextError};
use crate::model::Model;
use kinglet::hash::{logits_hash, LogitsHash};
use kinglet::{
    Answer, BlockSampler, BlockSession, BufferError, Image, Sampler, Sampling, Session,
    UnknownState,
};
use kinglet_machine::{since, ticks};

/// A session and who chooses its tokens.
pub trait Work {
    /// The model.
    fn image(&self) -> &Image<'static>;

    /// Starts from a state of the image; returns the token to be read next.
    fn start_from(&mut self, name: &str) -> Result<u32, UnknownState>;

    /// Reads a token; returns instructions.
    fn feed(&mut self, token: u32) -> Result<u64, TextError>;

    /// Reads a token; returns the hash of the logits, and instructions
    /// without those of the hash.
    fn hash(&mut self, token: u32) -> Result<(u64, u64), TextError>;

    /// Reads a token and chooses the next.
    fn choose(&mut self, token: u32) -> Result<Chosen, TextError>;

    /// Reads a token and answers with a class.
    fn answer(&mut self, token: u32) -> Result<Answered, TextError>;
}

/// A class, and how it came about.
pub struct Answered {
    /// The class and its probability.
    pub answer: Answer,
    /// The hash of the logits.
    pub hash: u64,
    /// Instructions of the step and of answering, without the hash.
    pub instructions: u64,
}

/// All logits at once.
pub struct Whole<'b> {
    pub session: Session<'static, 'b>,
    pub sampler: Sampler,
}

impl<'b> Whole<'b> {
    /// An empty text.
    #[inline]
    pub fn new(model: &'b mut Model, settings: Sampling, seed: u64) -> Result<Self, BufferError> {
        Ok(Self {
            session: Session::new(&model.image, model.state, model.scratch)?,
            sampler: Sampler::new(settings, seed),
        })
    }
}

impl Work for Whole<'_> {
    fn image(&self) -> &Image<'static> {
        self.session.image()
    }

    fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        self.session.start_from(name)
    }

    fn feed(&mut self, token: u32) -> Result<u64, TextError> {
        let start = ticks();
        self.session.feed(&[token])?;
        Ok(since(start))
    }

    fn hash(&mut self, token: u32) -> Result<(u64, u64), TextError> {
        let start = ticks();
        let logits = self.session.step(token)?;
        let instructions = since(start);
        Ok((logits_hash(logits), instructions))
    }

    fn choose(&mut self, token: u32) -> Result<Chosen, TextError> {
        let start = ticks();
        let logits = self.session.step(token)?;
        let stepped = since(start);
        let hash = logits_hash(logits);
        let start = ticks();
        let id = self.sampler.sample(logits);
        Ok(Chosen {
            id,
            hash,
            instructions: stepped + since(start),
        })
    }

    fn answer(&mut self, token: u32) -> Result<Answered, TextError> {
        let start = ticks();
        let logits = self.session.step(token)?;
        let answer = Answer::of(logits);
        let instructions = since(start);
        Ok(Answered {
            answer,
            hash: logits_hash(logits),
            instructions,
        })
    }
}

/// In blocks. Of the scratch only as much is used as that needs.
pub struct Blocks<'b> {
    session: BlockSession<'static, 'b>,
    sampler: BlockSampler,
}

impl<'b> Blocks<'b> {
    /// An empty text.
    #[inline]
    pub fn new(model: &'b mut Model, settings: Sampling, seed: u64) -> Result<Self, TextError> {
        Ok(Self {
            session: Session::in_blocks(&model.image, model.state, model.scratch)?,
            sampler: BlockSampler::new(settings, seed)?,
        })
    }
}

impl Work for Blocks<'_> {
    fn image(&self) -> &Image<'static> {
        self.session.image()
    }

    fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        self.session.start_from(name)
    }

    fn feed(&mut self, token: u32) -> Result<u64, TextError> {
        let start = ticks();
        self.session.feed(&[token])?;
        Ok(since(start))
    }

    fn hash(&mut self, token: u32) -> Result<(u64, u64), TextError> {
        let start = ticks();
        let mut hash = Hash::default();
        self.session
            .step_in_blocks(token, |_, logits| hash.update(logits))?;
        let instructions = since(start) - hash.instructions;
        Ok((hash.hash.finish(), instructions))
    }

    fn choose(&mut self, token: u32) -> Result<Chosen, TextError> {
        let start = ticks();
        let mut hash = Hash::default();
        self.session.step_in_blocks(token, |first, logits| {
            hash.update(logits);
            self.sampler.see(first, logits);
        })?;
        let id = self.sampler.choose();
        Ok(Chosen {
            id,
            instructions: since(start) - hash.instructions,
            hash: hash.hash.finish(),
        })
    }

    fn answer(&mut self, token: u32) -> Result<Answered, TextError> {
        let start = ticks();
        let mut hash = Hash::default();
        let mut answer = Answer::new();
        self.session.step_in_blocks(token, |first, logits| {
            hash.update(logits);
            answer.see(first, logits);
        })?;
        Ok(Answered {
            answer,
            instructions: since(start) - hash.instructions,
            hash: hash.hash.finish(),
        })
    }
}

/// A hash of blocks, and what it cost.
#[derive(Default)]
struct Hash {
    hash: LogitsHash,
    instructions: u64,
}

impl Hash {
    fn update(&mut self, logits: &[f32]) {
        let start = ticks();
        self.hash.update(logits);
        self.instructions += since(start);
    }
}
