//! The model at work in slices, and what a slice costs at most.

use crate::generate::{Chosen, TextError};
use crate::model::Model;
use crate::work::{Answered, Work};
use kinglet::hash::logits_hash;
use kinglet::{
    Answer, BeginError, BufferError, Image, Sampler, Sampling, Session, SlicedSession, UnknownState,
};
use kinglet_machine::{since, ticks};
use kinglet_protocol::Request;

/// All logits at once, every step in slices.
pub struct Sliced<'b> {
    session: SlicedSession<'static, 'b>,
    sampler: Sampler,
    max_weights: usize,
    /// The most instructions that a slice took.
    pub most: u64,
}

impl<'b> Sliced<'b> {
    /// An empty text.
    #[inline]
    pub fn new(
        model: &'b mut Model,
        settings: Sampling,
        request: &Request,
    ) -> Result<Self, BufferError> {
        Ok(Self {
            session: Session::new(&model.image, model.state, model.scratch)?.sliced(),
            sampler: Sampler::new(settings, request.seed),
            max_weights: request.slice_weights as usize,
            most: 0,
        })
    }

    /// A step to its end; returns instructions.
    fn run(&mut self, begin: Result<(), BeginError>) -> Result<u64, TextError> {
        match begin {
            Ok(()) => {}
            Err(BeginError::Token(error)) => return Err(error.into()),
            // Every step is run to its end.
            Err(_) => return Ok(0),
        }
        let mut instructions = 0;
        let mut more = true;
        while more {
            let start = ticks();
            more = self.session.advance(self.max_weights);
            let slice = since(start);
            instructions += slice;
            self.most = self.most.max(slice);
        }
        Ok(instructions)
    }

    fn logits(&mut self) -> &mut [f32] {
        self.session.logits().unwrap_or_default()
    }
}

impl Work for Sliced<'_> {
    fn image(&self) -> &Image<'static> {
        self.session.image()
    }

    fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        self.session.start_from(name)
    }

    fn feed(&mut self, token: u32) -> Result<u64, TextError> {
        let begin = self.session.begin_feed(token);
        self.run(begin)
    }

    fn hash(&mut self, token: u32) -> Result<(u64, u64), TextError> {
        let begin = self.session.begin(token);
        let instructions = self.run(begin)?;
        Ok((logits_hash(self.logits()), instructions))
    }

    fn choose(&mut self, token: u32) -> Result<Chosen, TextError> {
        let (hash, stepped) = self.hash(token)?;
        let start = ticks();
        let Self {
            session, sampler, ..
        } = self;
        let id = sampler.sample(session.logits().unwrap_or_default());
        Ok(Chosen {
            id,
            hash,
            instructions: stepped + since(start),
        })
    }

    fn answer(&mut self, token: u32) -> Result<Answered, TextError> {
        let (hash, stepped) = self.hash(token)?;
        let start = ticks();
        let answer = Answer::of(self.logits());
        Ok(Answered {
            answer,
            hash,
            instructions: stepped + since(start),
        })
    }
}
