//! The model and the memory that it works in.

use core::fmt;
use kinglet::{
    BufferError, Image, ImageError, NotInBlocks, Session, StepError, UnknownByte, UnknownState,
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
        if found < needed {
            return Err(BootError::Ram { needed, found });
        }
        let (state, scratch) = arena.split_at_mut(header.state_len());
        Ok(Self {
            image,
            state,
            scratch,
        })
    }

    /// An empty text.
    pub fn session(&mut self) -> Result<Session<'m, '_>, BufferError> {
        Session::new(&self.image, self.state, self.scratch)
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// The vocabulary does not have this byte.
    Byte(UnknownByte),
    /// The model does not read this token.
    Step(StepError),
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
            Self::Step(error) => error.fmt(f),
            Self::Buffer(error) => error.fmt(f),
            Self::Sampler(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::NoTokenizer => f.write_str("the image has no tokenizer that reads a prompt"),
        }
    }
}

impl From<UnknownByte> for TextError {
    fn from(error: UnknownByte) -> Self {
        Self::Byte(error)
    }
}

impl From<StepError> for TextError {
    fn from(error: StepError) -> Self {
        Self::Step(error)
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
