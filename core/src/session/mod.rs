//! Running a model: one token in, the logits of the next one out.
//! A [`Session`] borrows an image, a state and a scratch. A step of it reads a
//! token: it looks up the token's embedding, passes it through the layers, each
//! of which updates its part of the state, and multiplies the result by the head.

mod step;

pub use step::Step;

use crate::arch::{layer_norm, product_exp, Executor, Prepared, Serial};
use crate::image::Image;
use crate::layers::pace::Whole;
use crate::layers::work::{split, Product, Work};
use crate::layers::{layer, read_row, reset};
use crate::number::{Peak, ToFixed};
use crate::pieces::pieces_mut;
use crate::shape::Dim::{Embd, Output, Vocab};
use crate::shape::{Matrix, Shape, BLOCK_ROWS};

/// A buffer passed to [`Session::new`] is too short.
///
/// Lengths are in words of four bytes. A firmware that takes them from
/// [`Header::parse`](crate::Header::parse) at compile time never sees this error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BufferError {
    /// The state buffer needs this many words: [`Shape::state_len`].
    State(usize),
    /// The scratch buffer needs at least this many words:
    /// [`Shape::scratch_len_in_blocks`].
    Scratch(usize),
}

impl core::fmt::Display for BufferError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (name, len) = match self {
            Self::State(len) => ("state", len),
            Self::Scratch(len) => ("scratch", len),
        };
        write!(f, "the {name} buffer must hold {len} words")
    }
}

impl core::error::Error for BufferError {}

/// Why a session does not read a token. State and sampler are then unchanged.
///
/// Neither error depends on the state: a caller that passes ids below
/// `Shape::n_vocab` and a scratch of [`Shape::scratch_len`] never sees one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StepError {
    /// The model's vocabulary does not have this token id.
    /// Ids are 0 to `n_vocab - 1`.
    UnknownToken(u32),
    /// All logits are asked for at once, and the scratch has no room for them:
    /// it needs [`Shape::scratch_len`] words.
    /// Only [`Session::step`], and [`Session::choose`] with a sampler that
    /// [wants all](Sample::wants_all) logits, return it.
    NoRoom,
}

impl core::fmt::Display for StepError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownToken(token) => write!(f, "token {token} is not in the vocabulary"),
            Self::NoRoom => f.write_str("the scratch has no room for all logits"),
        }
    }
}

impl core::error::Error for StepError {}

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

/// Chooses a token from logits that are seen block by block.
///
/// [`Sampler`](crate::Sampler) and [`Answer`](crate::Answer) are the samplers
/// of this crate. A sampler of the caller may look at logits or change them:
///
/// ```
#[doc = concat!("# let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
/// use kinglet::{Image, Sample, Sampler, Sampling, Session};
///
/// /// Never chooses the token of this id.
/// struct Without(u32, Sampler);
///
/// impl Sample for Without {
///     fn wants_all(&self) -> bool {
///         self.1.wants_all()
///     }
///     fn see(&mut self, first: u32, logits: &mut [i32]) {
///         let at = self.0.checked_sub(first).map(|at| at as usize);
///         if let Some(logit) = at.and_then(|at| logits.get_mut(at)) {
///             *logit = i32::MIN;
///         }
///         self.1.see(first, logits);
///     }
///     fn choose(&mut self) -> u32 {
///         self.1.choose()
///     }
/// }
/// # let image = Image::new(bytes)?;
/// # let mut state = vec![0; image.shape().state_len()];
/// # let mut scratch = vec![0; image.shape().scratch_len()];
/// # let mut session = Session::new(&image, &mut state, &mut scratch)?;
/// let mut sampler = Without(10, Sampler::new(Sampling::greedy(), 0));
/// let token = session.choose(65, &mut sampler)?;
/// assert_ne!(token, 10);
/// # Ok::<(), kinglet::Error>(())
/// ```
pub trait Sample {
    /// Whether it must see all logits as one block.
    /// [`Session::choose`] then needs a scratch of [`Shape::scratch_len`].
    fn wants_all(&self) -> bool;

    /// Sees the next block of logits: those from token `first` on. They may
    /// be changed. The blocks of a step come in order, each once.
    ///
    /// `logits` holds one row of the head for each token `first`, `first + 1`
    /// and so on; a block is never empty.
    fn see(&mut self, first: u32, logits: &mut [i32]);

    /// Chooses a token from the blocks seen since the last choice, and
    /// remembers it.
    ///
    /// Of equal logits the lowest id wins; NaN never wins. Without logits
    /// the answer is 0.
    fn choose(&mut self) -> u32;
}

/// A running model: the image and its two buffers.
///
/// The state is all that the model remembers. It never grows: the millionth
/// token costs what the first one did.
///
/// Where the scratch has room for all logits, [`Session::step`] returns them.
/// Where it has not, they are computed in blocks of rows and seen once, with
/// [`Session::step_in_blocks`]: then RAM does not grow with the vocabulary.
/// Logits and tokens are the same, to the bit, and so is the work.
///
/// # Example
/// The logits of the next token, whole and in blocks:
///
/// ```
#[doc = concat!("# let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
/// # use kinglet::{Image, Session};
/// # let image = Image::new(bytes)?;
/// let shape = image.shape();
/// let mut state = vec![0; shape.state_len()];
/// let mut scratch = vec![0; shape.scratch_len()];
/// let mut session = Session::new(&image, &mut state, &mut scratch)?;
/// let logits = session.step(79)?.to_vec();
///
/// let mut small = vec![0; shape.scratch_len_in_blocks()];
/// let mut session = Session::new(&image, &mut state, &mut small)?;
/// let mut seen = Vec::new();
/// session.step_in_blocks(79, &mut |_, block| seen.extend_from_slice(block))?;
/// assert_eq!(seen, logits);
/// # Ok::<(), kinglet::Error>(())
/// ```
pub struct Session<'i, 'b> {
    image: Image<'i>,
    state: &'b mut [i32],
    product: Product<'b>,
    /// The rest of the scratch: [`Work`] while the layers run, the logits after.
    work: &'b mut [i32],
}

impl core::fmt::Debug for Session<'_, '_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let shape = self.image.shape();
        f.debug_tuple("Session").field(shape).finish()
    }
}

impl<'i, 'b> Session<'i, 'b> {
    /// Takes the buffers and starts with an empty text.
    ///
    /// `state` needs [`Shape::state_len`] words and `scratch`
    /// [`Shape::scratch_len`], or [`Shape::scratch_len_in_blocks`] where the
    /// logits are seen block by block. Both may be longer. Their
    /// contents are overwritten.
    ///
    /// # Errors
    /// [`BufferError`] names the buffer that is too short.
    pub fn new(
        image: &Image<'i>,
        state: &'b mut [i32],
        scratch: &'b mut [i32],
    ) -> Result<Self, BufferError> {
        Self::with(image, state, scratch, reset)
    }

    /// Takes the buffers and continues from `state`, which holds the state of
    /// an earlier session of the same image, or a copy of it.
    ///
    /// A state belongs to one image: that of another image of the same shape is
    /// accepted, and the logits are then meaningless.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn resume(
        image: &Image<'i>,
        state: &'b mut [i32],
        scratch: &'b mut [i32],
    ) -> Result<Self, BufferError> {
        Self::with(image, state, scratch, |_, _| {})
    }

    /// A session whose state `begin` sees. The session is made last: it is not moved.
    #[inline]
    fn with(
        image: &Image<'i>,
        state: &'b mut [i32],
        scratch: &'b mut [i32],
        begin: impl FnOnce(&Shape, &mut [i32]),
    ) -> Result<Self, BufferError> {
        let shape = image.shape();
        let state_len = shape.state_len();
        let state = state
            .get_mut(..state_len)
            .ok_or(BufferError::State(state_len))?;
        let (q, work) = split(shape, scratch);
        if work.len() < shape.work_len() {
            return Err(BufferError::Scratch(shape.scratch_len_in_blocks()));
        }
        begin(shape, state);
        Ok(Self {
            image: *image,
            state,
            product: Product {
                q,
                executor: &Serial,
            },
            work,
        })
    }

    /// The same session, its products computed by `executor`.
    /// The products of a step are all of its matrices: the layers' and the head.
    pub fn with_executor(mut self, executor: &'b dyn Executor) -> Self {
        self.product.executor = executor;
        self
    }

    /// The model.
    pub fn image(&self) -> &Image<'i> {
        &self.image
    }

    /// The state, [`Shape::state_len`] words: [`Session::resume`] continues
    /// from a copy of it. While a [`Step`] is under way it is that of no text.
    /// Its arrangement is in `docs/format.md`, chapter "State and scratch".
    pub fn state(&self) -> &[i32] {
        self.state
    }

    /// Forgets everything: the state becomes that of an empty text.
    pub fn reset(&mut self) {
        reset(self.image.shape(), self.state);
    }

    /// Forgets everything and starts from a named state of the image. Returns
    /// the last token of its text, which is to be read next: the state is that
    /// before it, so that its step gives logits. A tuned state has no text: its
    /// token is that which an empty prompt starts with, and any prompt may take
    /// its place.
    ///
    /// # Errors
    /// [`UnknownState`]; the state is then unchanged.
    #[cfg(feature = "states")]
    pub fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        let last = self.start_text(name)?;
        Ok(last.unwrap_or(crate::START_TOKEN))
    }

    /// The same; the last token of the state's text, if it has one.
    #[cfg(feature = "states")]
    pub(crate) fn start_text(&mut self, name: &str) -> Result<Option<u32>, UnknownState> {
        let named = self.image.state_named(name).ok_or(UnknownState)?;
        crate::number::copy(named.words, self.state);
        Ok((named.tokens > 0).then_some(named.next_token))
    }

    /// Reads tokens without computing logits: a prompt, all but its last
    /// token. Skips the head, a good part of a step's work.
    ///
    /// # Errors
    /// [`StepError::UnknownToken`]; the tokens before it have been read.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<(), StepError> {
        for &token in tokens {
            self.check(token)?;
            self.read(token);
        }
        Ok(())
    }

    /// Reads one token and returns the logits `[V]` of the next.
    ///
    /// The logits lie in the scratch: they may be changed in place (a
    /// sampler does) and are gone with the next call.
    ///
    /// # Errors
    /// [`StepError::UnknownToken`]: the id is not below `n_vocab`.
    /// [`StepError::NoRoom`]: the scratch is shorter than [`Shape::scratch_len`].
    /// In both cases nothing has been read.
    pub fn step(&mut self, token: u32) -> Result<&mut [i32], StepError> {
        self.check_room()?;
        self.check(token)?;
        let at = self.read(token);
        Ok(self.with_head(at, logits))
    }

    /// Reads one token and passes the logits of the next to `see`, block by
    /// block, each with the id of its first token; as one block where the
    /// scratch has room for all. They may be changed.
    ///
    /// Blocks take the place of the working vectors: all but the last have as
    /// many rows as fit there, a multiple of four.
    ///
    /// # Errors
    /// [`StepError::UnknownToken`]; `see` is not called then.
    pub fn step_in_blocks(
        &mut self,
        token: u32,
        see: &mut dyn FnMut(u32, &mut [i32]),
    ) -> Result<(), StepError> {
        self.check(token)?;
        let at = self.read(token);
        self.with_head(at, |executor, matrix, x, out| {
            let (mut first, mut rest) = (0, *matrix);
            while rest.rows > 0 {
                let (block, after) = rest.split_at_block(out.len() / BLOCK_ROWS);
                see(first, logits(executor, &block, x, out));
                first += block.rows as u32;
                rest = after;
            }
        });
        Ok(())
    }

    /// Reads one token and chooses the next.
    ///
    /// This is [`Session::step_in_blocks`] with [`Sample::see`], then
    /// [`Sample::choose`].
    ///
    /// # Errors
    /// [`StepError::UnknownToken`]; [`StepError::NoRoom`] where the sampler
    /// wants all logits. Neither the state nor the sampler has changed then.
    pub fn choose(&mut self, token: u32, sampler: &mut dyn Sample) -> Result<u32, StepError> {
        if sampler.wants_all() {
            self.check_room()?;
        }
        self.step_in_blocks(token, &mut |first, logits| sampler.see(first, logits))?;
        Ok(sampler.choose())
    }

    /// Whether the scratch has room for all logits; else they are seen in
    /// blocks.
    pub fn has_room_for_logits(&self) -> bool {
        self.work.len() >= self.image.shape().logits_len()
    }

    fn check_room(&self) -> Result<(), StepError> {
        match self.has_room_for_logits() {
            true => Ok(()),
            false => Err(StepError::NoRoom),
        }
    }

    #[inline]
    fn check(&self, token: u32) -> Result<(), StepError> {
        match token < self.image.shape().n_vocab {
            true => Ok(()),
            false => Err(StepError::UnknownToken(token)),
        }
    }

    /// Embedding and layers; leaves the residual stream in the scratch.
    /// Returns how many bytes of parts the embedding and the layers have.
    fn read(&mut self, token: u32) -> usize {
        let shape = self.image.shape();
        let mut work = Work::split(shape, self.product.again(), self.work);
        // The layers follow the embedding and each other, and each reads all its parts.
        let mut parts = self.image.parts();
        read_row(&parts.table(Vocab, Embd), token as usize, &mut work.x);
        let states = pieces_mut(self.state, shape.layer_state_len());
        for (index, state) in (0..).zip(states) {
            let Ok(()) = layer(shape, index, &mut parts, state, &mut work, &mut Whole);
        }
        self.image.bytes_before(&parts)
    }

    /// Applies the output norm to the residual stream in the scratch. `multiply` gets the
    /// head `[V, C]`, the normalized stream `[C]`, and the place of the working vectors,
    /// which logits overwrite.
    #[inline]
    fn with_head<'s, T>(
        &'s mut self,
        at: usize,
        multiply: impl FnOnce(&dyn Executor, &Matrix<'_>, &Prepared<'_>, &'s mut [i32]) -> T,
    ) -> T {
        let (shape, executor) = (self.image.shape(), self.product.executor);
        let Work {
            x,
            mut xx,
            mut product,
            ..
        } = Work::split(shape, self.product.again(), self.work);
        let mut parts = self.image.parts_after(at);
        layer_norm(
            x.view(),
            [parts.factors(Embd), parts.factors(Embd)],
            &mut xx,
        );
        let matrix = parts.matrix(Output, Embd);
        let peak = Peak::of(xx.first(matrix.cols));
        let prepared = product.prepare(&matrix, xx.m(), peak);
        multiply(executor, &matrix, &prepared, self.work)
    }
}

/// Logits from rows of the head, in units of 2^-[`LOGIT_BITS`].
pub(crate) fn logits<'o>(
    executor: &dyn Executor,
    rows: &Matrix<'_>,
    x: &Prepared<'_>,
    out: &'o mut [i32],
) -> &'o mut [i32] {
    executor.matvec(rows, x, out);
    let logits = out.get_mut(..rows.rows).unwrap_or_default();
    to_logits(logits, product_exp(rows, x.scale()));
    logits
}

/// Products with rows of the head, of this power of two, become logits.
pub(crate) fn to_logits(rows: &mut [i32], exp: i32) {
    let to_fixed = ToFixed::to(LOGIT_BITS, exp);
    for row in rows {
        *row = to_fixed.of(*row);
    }
}

/// Binary places of a logit: what a session gives is in units of 2^-16, less than
/// 2^13 in magnitude.
pub const LOGIT_BITS: u32 = 16;

/// A logit as a float.
#[inline]
pub fn logit_to_f32(logit: i32) -> f32 {
    logit as f32 * (1.0 / (1 << LOGIT_BITS) as f32)
}
