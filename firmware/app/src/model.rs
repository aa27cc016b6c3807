//! The model and the RAM that it works in.

use core::fmt;
use kinglet::{Image, ImageError};

/// Why no model can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BootError {
    /// The flash has no image, or a bad one.
    Image(ImageError),
    /// State and scratch need more RAM than there is, in bytes.
    Ram {
        /// Needed.
        needed: usize,
        /// Available.
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
    /// The image.
    pub image: Image<'m>,
    /// `Shape::state_len` words or more.
    pub state: &'m mut [i32],
    /// `Shape::scratch_len_in_blocks` words or more; with `scratch_len` all
    /// logits are computed at once.
    pub scratch: &'m mut [i32],
}

impl<'m> Model<'m> {
    /// Checks the image at the beginning of `flash` and divides `arena`.
    ///
    /// # Errors
    /// [`BootError`] says what is wrong with the image, or how much RAM is
    /// missing.
    #[inline(never)]
    pub fn open(flash: &'m [u8], arena: &'m mut [i32]) -> Result<Self, BootError> {
        let image = Image::new(flash)?;
        image.verify_checksum()?;
        let shape = image.shape();
        let needed = shape.state_bytes() + shape.scratch_bytes_in_blocks();
        let found = size_of_val(arena);
        let state = arena.split_at_mut_checked(shape.state_len());
        let state = state.filter(|(_, rest)| rest.len() >= shape.scratch_len_in_blocks());
        let (state, scratch) = state.ok_or(BootError::Ram { needed, found })?;
        Ok(Self {
            image,
            state,
            scratch,
        })
    }
}
