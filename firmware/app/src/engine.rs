//! The model at work, with all logits at once where there is room, and in
//! blocks where there is not.

use core::fmt;
use kinglet::{
    Answer, BlockSampler, BlockSession, BufferError, Image, ImageError, NotInBlocks, Sampler,
    Sampling, Session, UnknownState, UnknownToken,
};

/// Why there is no model to speak with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BootError {
    /// There is no image in the flash, or not a good one.
    Image(ImageError),
    /// State and scratch need this many bytes of RAM, there are so many.
    Ram {
        /// What they need.
        needed: usize,
        /// What there is.
        found: usize,
    },
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(error) => write!(f, "the image in the flash cannot be used: {error}"),
            Self::Ram { needed, found } => write!(
                f,
                "the model needs {needed} bytes of RAM, this board has {found} for it"
            ),
        }
    }
}

impl core::error::Error for BootError {}

impl From<ImageError> for BootError {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

/// A model and the RAM that it works in.
#[derive(Debug)]
pub struct Model<'m> {
    pub image: Image<'m>,
    state: &'m mut [f32],
    scratch: &'m mut [f32],
}

impl<'m> Model<'m> {
    /// Checks the image at the beginning of `flash` and divides `arena`.
    #[inline(never)]
    pub fn open(flash: &'m [u8], arena: &'m mut [f32]) -> Result<Self, BootError> {
        let image = Image::new(flash)?;
        image.verify_checksum()?;
        let header = image.header();
        let needed = header.state_bytes() + header.scratch_bytes_in_blocks();
        let found = size_of_val(arena);
        let state = arena.split_at_mut_checked(header.state_len());
        let state = state.filter(|(_, rest)| rest.len() >= least_scratch_len(&image));
        let (state, scratch) = state.ok_or(BootError::Ram { needed, found })?;
        Ok(Self {
            image,
            state,
            scratch,
        })
    }

    /// An empty text.
    // Not inlined: what it needs of the stack to put the large value together
    // is free again before the model works.
    #[inline(never)]
    pub fn engine(&mut self, settings: Sampling, seed: u64) -> Result<Engine<'m, '_>, TextError> {
        let has_room = self.scratch.len() >= self.image.header().scratch_len();
        Ok(if has_room {
            let session = Session::new(&self.image, self.state, self.scratch)?;
            Engine::Whole(session, Sampler::new(settings, seed))
        } else {
            let session = Session::in_blocks(&self.image, self.state, self.scratch)?;
            Engine::Blocks(session, BlockSampler::new(settings, seed)?)
        })
    }
}

/// Floats of scratch without which the model cannot work.
fn least_scratch_len(image: &Image<'_>) -> usize {
    let header = image.header();
    header.scratch_len().min(header.scratch_len_in_blocks())
}

/// A session and who chooses its tokens.
// There is no heap to put the larger one into, and the stack has room for it.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Engine<'i, 'b> {
    Whole(Session<'i, 'b>, Sampler),
    Blocks(BlockSession<'i, 'b>, BlockSampler),
}

impl Engine<'_, '_> {
    /// Starts from a state of the image; returns the token to be read next.
    pub fn start_from(&mut self, name: &str) -> Result<u32, UnknownState> {
        match self {
            Self::Whole(session, _) => session.start_from(name),
            Self::Blocks(session, _) => session.start_from(name),
        }
    }

    /// Reads a token.
    pub fn feed(&mut self, token: u32) -> Result<(), UnknownToken> {
        match self {
            Self::Whole(session, _) => session.feed(&[token]),
            Self::Blocks(session, _) => session.feed(&[token]),
        }
    }

    /// Reads a token and answers with a class.
    pub fn answer(&mut self, token: u32) -> Result<Answer, UnknownToken> {
        match self {
            Self::Whole(session, _) => Ok(Answer::of(session.step(token)?)),
            Self::Blocks(session, _) => {
                let mut answer = Answer::new();
                session.step_in_blocks(token, |first, logits| answer.see(first, logits))?;
                Ok(answer)
            }
        }
    }

    /// Reads a token and chooses the next.
    pub fn choose(&mut self, token: u32) -> Result<u32, UnknownToken> {
        match self {
            Self::Whole(session, sampler) => session.choose(token, sampler),
            Self::Blocks(session, sampler) => {
                session.step_in_blocks(token, |first, logits| sampler.see(first, logits))?;
                Ok(drawn(sampler))
            }
        }
    }
}

/// Not inlined: the sorted candidates need not lie on the stack while the
/// model works.
#[inline(never)]
fn drawn(sampler: &mut BlockSampler) -> u32 {
    sampler.choose()
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// The vocabulary does not have this byte.
    Byte(kinglet::UnknownByte),
    /// The model does not have this token.
    Token(UnknownToken),
    /// The image has no tokenizer.
    NoTokenizer,
    /// The buffers are too small.
    Buffer(BufferError),
    /// Tokens cannot be chosen so in blocks.
    Sampler(NotInBlocks),
    /// The image has no such state.
    State(UnknownState),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(error) => error.fmt(f),
            Self::Token(error) => error.fmt(f),
            Self::Buffer(error) => error.fmt(f),
            Self::Sampler(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::NoTokenizer => f.write_str("the image has no tokenizer that reads a prompt"),
        }
    }
}

impl From<kinglet::UnknownByte> for TextError {
    fn from(error: kinglet::UnknownByte) -> Self {
        Self::Byte(error)
    }
}

impl From<UnknownToken> for TextError {
    fn from(error: UnknownToken) -> Self {
        Self::Token(error)
    }
}

impl From<BufferError> for TextError {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}

impl From<UnknownState> for TextError {
    fn from(error: UnknownState) -> Self {
        Self::State(error)
    }
}

impl From<NotInBlocks> for TextError {
    fn from(error: NotInBlocks) -> Self {
        Self::Sampler(error)
    }
}
