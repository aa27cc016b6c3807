//! Running a model: one token in, the logits of the next one out.

mod blocks;
mod sliced;

pub use blocks::BlockSession;
pub use sliced::{BeginError, Paused, SlicedBlocks, SlicedSession};

use crate::arch::{layer_norm, Executor, Prepared, Serial};
use crate::embedding::read_row;
use crate::image::Dim::{Embd, Output, Vocab};
use crate::image::{Image, Matrix};
use crate::number::abs_max;
use crate::scratch::{split, Work};
use crate::versions::{layer, reset};
#[cfg(doc)]
use crate::Header;
use crate::Sample;

/// A buffer passed to [`Session::new`] is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BufferError {
    /// The state buffer needs this many floats: [`Header::state_len`].
    State(usize),
    /// The scratch buffer needs this many floats: [`Header::scratch_len`], or
    /// [`Header::scratch_len_in_blocks`].
    Scratch(usize),
}

impl core::fmt::Display for BufferError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (name, len) = match self {
            Self::State(len) => ("state", len),
            Self::Scratch(len) => ("scratch", len),
        };
        write!(f, "the {name} buffer must hold {len} floats")
    }
}

impl core::error::Error for BufferError {}

/// A token id that the model's vocabulary does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownToken(pub u32);

impl core::fmt::Display for UnknownToken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "token {} is not in the vocabulary", self.0)
    }
}

impl core::error::Error for UnknownToken {}

/// The image has no state of this name.
#[cfg(feature = "states")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownState;

#[cfg(feature = "states")]
impl core::fmt::Display for UnknownState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the image has no state of this name")
    }
}

#[cfg(feature = "states")]
impl core::error::Error for UnknownState {}

/// A model at work: the image, and the two buffers it runs in.
///
/// The state is all that the model remembers. It never grows: the millionth
/// token costs what the first one did.
#[derive(Debug)]
pub struct Session<'i, 'b, E = Serial> {
    image: Image<'i>,
    state: &'b mut [f32],
    scratch: &'b mut [f32],
    executor: E,
}

impl<'i, 'b> Session<'i, 'b> {
    /// Takes the buffers and starts with an empty text.
    ///
    /// `state` needs [`Header::state_len`] floats and `scratch`
    /// [`Header::scratch_len`]; both may be longer. What they hold before
    /// does not matter.
    ///
    /// # Errors
    /// [`BufferError`] names the buffer that is too short.
    pub fn new(
        image: &Image<'i>,
        state: &'b mut [f32],
        scratch: &'b mut [f32],
    ) -> Result<Self, BufferError> {
        let mut session = Self::resume(image, state, scratch)?;
        session.reset();
        Ok(session)
    }

    /// Takes the buffers and goes on from what `state` holds: the state that
    /// an earlier session of the same image left there, or a copy of it.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn resume(
        image: &Image<'i>,
        state: &'b mut [f32],
        scratch: &'b mut [f32],
    ) -> Result<Self, BufferError> {
        Self::with_scratch(image, state, scratch, image.header().scratch_len())
    }

    /// A session in so many floats of scratch.
    fn with_scratch(
        image: &Image<'i>,
        state: &'b mut [f32],
        scratch: &'b mut [f32],
        scratch_len: usize,
    ) -> Result<Self, BufferError> {
        let state_len = image.header().state_len();
        let state = state
            .get_mut(..state_len)
            .ok_or(BufferError::State(state_len))?;
        let scratch = scratch
            .get_mut(..scratch_len)
            .ok_or(BufferError::Scratch(scratch_len))?;
        Ok(Self {
            image: *image,
            state,
            scratch,
            executor: Serial,
        })
    }

    /// The same session, its products computed by `executor`.
    pub fn with_executor<E: Executor>(self, executor: E) -> Session<'i, 'b, E> {
        Session {
            image: self.image,
            state: self.state,
            scratch: self.scratch,
            executor,
        }
    }
}

impl<'i, E: Executor> Session<'i, '_, E> {
    /// The model.
    pub fn image(&self) -> &Image<'i> {
        &self.image
    }

    /// What the model remembers, [`Header::state_len`] floats: a copy of it
    /// can be gone on from, with [`Session::resume`].
    pub fn state(&self) -> &[f32] {
        self.state
    }

    /// Forgets everything: the state becomes that of an empty text.
    pub fn reset(&mut self) {
        let header = self.image.header();
        let states = self.state.chunks_exact_mut(header.layer_state_len().max(1));
        states.for_each(|state| reset(header.version, state));
    }

    /// Forgets everything and starts from a named state of the image, a text
    /// that was read before. Returns the last token of that text, which is
    /// to be read next: it has not been, so that its step gives logits.
    ///
    /// # Errors
    /// [`UnknownState`]; the state is then unchanged.
    #[cfg(feature = "states")]
    pub fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        let named = self.image.state_named(name).ok_or(UnknownState)?;
        crate::number::copy(named.words, self.state);
        Ok(named.next_token)
    }

    /// Reads tokens without asking for what comes next: a prompt, all but
    /// its last token. Skips the head, a good part of a step's work.
    ///
    /// # Errors
    /// [`UnknownToken`]; the tokens before it have been read.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<(), UnknownToken> {
        tokens.iter().try_for_each(|&token| self.advance(token))
    }

    /// Reads one token and returns the logits `[V]` of the next.
    ///
    /// The logits lie in the scratch: they may be changed in place (a
    /// sampler does) and are gone with the next call.
    ///
    /// # Errors
    /// [`UnknownToken`]; the state is then unchanged.
    pub fn step(&mut self, token: u32) -> Result<&mut [f32], UnknownToken> {
        self.advance(token)?;
        Ok(self.logits())
    }

    /// Reads one token and chooses the next.
    ///
    /// # Errors
    /// [`UnknownToken`]; state and sampler are then unchanged.
    pub fn choose(&mut self, token: u32, sampler: &mut impl Sample) -> Result<u32, UnknownToken> {
        Ok(sampler.sample(self.step(token)?))
    }

    /// Embedding and layers; leaves the residual stream in the scratch.
    fn advance(&mut self, token: u32) -> Result<(), UnknownToken> {
        let header = self.image.header();
        self.check(token)?;
        let Some((q, rest)) = split(header, self.scratch) else {
            return Ok(());
        };
        let Some(mut work) = Work::split(header, q, rest) else {
            return Ok(());
        };
        // The layers follow the embedding, each other, and take all their parts.
        let mut parts = self.image.before_layers();
        read_row(&parts.table(Vocab, Embd), token as usize, work.x);
        let states = self.state.chunks_exact_mut(header.layer_state_len().max(1));
        for (index, state) in (0..).zip(states) {
            let Ok(()) = layer(
                header,
                index,
                &mut parts,
                state,
                &mut work,
                &mut self.executor,
            );
        }
        Ok(())
    }

    #[inline]
    fn check(&self, token: u32) -> Result<(), UnknownToken> {
        if token < self.image.header().n_vocab {
            Ok(())
        } else {
            Err(UnknownToken(token))
        }
    }

    /// The logits, in the scratch.
    fn logits(&mut self) -> &mut [f32] {
        let Some(Head {
            matrix,
            prepared,
            out,
        }) = head(&self.image, self.scratch)
        else {
            return &mut [];
        };
        self.executor.matvec(&matrix, &prepared, out);
        out.get_mut(..matrix.rows).unwrap_or_default()
    }
}

/// The last product of a step, about to be computed.
struct Head<'i, 's> {
    /// `[V, C]`.
    matrix: Matrix<'i>,
    /// The normalized residual stream `[C]`.
    prepared: Prepared<'s>,
    /// The working vectors, which are done with: the logits take their place.
    out: &'s mut [f32],
}

/// Applies the output norm to what the layers left in the scratch.
#[inline]
fn head<'i, 's>(image: &Image<'i>, scratch: &'s mut [f32]) -> Option<Head<'i, 's>> {
    let (q, out) = split(image.header(), scratch)?;
    let Work {
        x, tmp, product, ..
    } = Work::split(image.header(), q, out)?;
    let mut parts = image.after_layers();
    layer_norm(x, parts.half(Embd), parts.half(Embd), tmp);
    let matrix = parts.head(Output, Embd);
    let prepared = product.prepared(tmp, abs_max(tmp), &matrix);
    Some(Head {
        matrix,
        prepared,
        out,
    })
}
