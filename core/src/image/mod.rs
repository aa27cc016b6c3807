//! The packed model, read in place from flash.
//!
//! [`Image::new`] validates everything once; after it no access can fail.
//! The normative description with byte offsets is `docs/format.md`.
//!
//! ```
//! use kinglet::shape::Dim;
//! use kinglet::Image;
#![doc = concat!("let bytes = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
//!
//! let image = Image::new(bytes)?;
//! image.verify_checksum()?;
//! let embedding = image.parts().table(Dim::Vocab, Dim::Embd);
//! assert_eq!(embedding.cols as u32, image.shape().n_embd);
//! # Ok::<(), kinglet::ImageError>(())
//! ```

mod checksum;
mod error;
mod header;
mod header_checks;
#[cfg(feature = "metadata")]
mod metadata;
mod reader;
#[cfg(feature = "states")]
mod states;

pub use crate::number::Factors;
pub use checksum::image_crc32;
#[cfg(feature = "snapshot")]
pub(crate) use checksum::CRC32;
pub use error::ImageError;
pub use header::{Header, Span, TokenizerKind, CRC_OFFSET, FORMAT_VERSION, HEADER_BYTES, MAGIC};
#[cfg(feature = "metadata")]
pub use metadata::Metadata;
pub use reader::Parts;
#[cfg(feature = "states")]
pub use states::{
    is_state_name, states_bytes, NamedState, States, EMPTY_STATE, MAX_STATES, START_STATE,
    STATE_NAME_BYTES,
};

use crate::shape::{Shape, AFTER_LAYERS, ALIGN, BEFORE_LAYERS};
use crate::tokenizer::Tokenizer;
#[cfg(feature = "trie")]
use crate::tokenizer::{Trie, TrieFault};

/// A validated model image, borrowed from flash or RAM.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    /// All parts, one after the other.
    weights: &'a [u32],
    header: Header,
    tokenizer: Option<Tokenizer<'a>>,
}

impl<'a> Image<'a> {
    /// Checks `bytes` and borrows them. Bytes after the image are ignored,
    /// so that a whole flash region may be passed.
    ///
    /// Every length, offset, dimension and scale is checked here, the
    /// checksum is not: see [`Image::verify_checksum`].
    ///
    /// # Errors
    /// [`ImageError`] says what is wrong; hostile bytes never cause a panic.
    /// The first error in this order: those of [`Header::parse`], `Truncated`,
    /// `Misaligned`, those of the vocabulary, `Range` and `Size` of the weights, `States`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ImageError> {
        let mut image = Self {
            bytes,
            weights: &[],
            header: Header::NONE,
            tokenizer: None,
        };
        image.header.read_whole(bytes)?;
        let header = &image.header;
        image.bytes = bytes.get(..header.image_bytes as usize).unwrap_or_default();
        if image.bytes.as_ptr().align_offset(ALIGN) != 0 {
            return Err(ImageError::Misaligned);
        }
        let weights = image.bytes.get(HEADER_BYTES..header.weights_end() as usize);
        image.weights = bytemuck::try_cast_slice(weights.unwrap_or_default()).unwrap_or_default();
        image.tokenizer = tokenizer(image.bytes, header)?;
        image.check_ranges()?;
        #[cfg(feature = "states")]
        if header.states.bytes > 0 {
            let at = |at: usize| ImageError::States(header.states.offset.saturating_add(at as u32));
            states::check(section(bytes, header.states), &header.shape).map_err(at)?;
        }
        Ok(image)
    }

    /// Compares the CRC-32 of the bytes with the stored one: finds any
    /// change since packing. On a board it takes some 40 instructions a byte.
    ///
    /// # Errors
    /// [`ImageError::Checksum`].
    pub fn verify_checksum(&self) -> Result<(), ImageError> {
        if image_crc32(self.bytes) == self.header.crc32 {
            Ok(())
        } else {
            Err(ImageError::Checksum)
        }
    }

    /// The header's fields.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The model's shape.
    pub fn shape(&self) -> &Shape {
        &self.header.shape
    }

    /// All bytes of the image.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The tokenizer that belongs to the model, if it has one.
    pub fn tokenizer(&self) -> Option<Tokenizer<'a>> {
        self.tokenizer
    }

    /// The vocabulary of the tokenizer, where it has one.
    #[cfg(feature = "trie")]
    pub fn trie(&self) -> Option<&Trie<'a>> {
        self.tokenizer.as_ref().and_then(Tokenizer::as_trie)
    }

    /// The name and origin of the model; `None` where the block is absent,
    /// unreadable, or not [text](Metadata::is_text).
    #[cfg(feature = "metadata")]
    pub fn metadata(&self) -> Option<Metadata<'a>> {
        Metadata::from_bytes(section(self.bytes, self.header.metadata))
    }

    /// The named states, in stored order.
    #[cfg(feature = "states")]
    pub fn states(&self) -> States<'a> {
        States::new(section(self.bytes, self.header.states), self.shape())
    }

    /// The state of this name.
    #[cfg(feature = "states")]
    pub fn state_named(&self, name: &str) -> Option<NamedState<'a>> {
        self.states().find(|state| state.name == name)
    }

    /// All parts, in stored order: the embedding, those of the layers, the output
    /// norm, the head.
    pub fn parts(&self) -> Parts<'_> {
        self.parts_after(0)
    }

    /// The parts after this many bytes of them.
    pub(crate) fn parts_after(&self, bytes: usize) -> Parts<'_> {
        let rest = self.weights.get(bytes / 4..).unwrap_or_default();
        Parts::new(rest, self.shape())
    }

    /// The bytes of the parts before these.
    pub(crate) fn bytes_before(&self, parts: &Parts<'_>) -> usize {
        size_of_val(self.weights).saturating_sub(parts.bytes_left())
    }

    /// All parts are there and fill the weights. No power of two, shift or fixed-point
    /// number may be out of its range, and no format unknown: the arithmetic relies on
    /// these. Weights and scales may have any bits.
    fn check_ranges(&self) -> Result<(), ImageError> {
        let end = HEADER_BYTES + size_of_val(self.weights);
        let at = |rest: usize| ImageError::Range((end - rest) as u32);
        let mut parts = self.parts();
        parts.check_ranges(BEFORE_LAYERS).map_err(at)?;
        for index in 0..self.header.shape.n_layer {
            for section in self.header.shape.layer_parts(index) {
                parts.check_ranges(section).map_err(at)?;
            }
        }
        parts.check_ranges(AFTER_LAYERS).map_err(at)?;
        match parts.bytes_left() {
            0 => Ok(()),
            _ => Err(ImageError::Size),
        }
    }
}

#[cfg(any(feature = "metadata", feature = "states", feature = "trie"))]
fn section(bytes: &[u8], span: Span) -> &[u8] {
    let start = span.offset as usize;
    bytes.get(start..start + span.bytes as usize).unwrap_or(&[])
}

/// The tokenizer that the header names, its vocabulary checked.
fn tokenizer<'a>(bytes: &'a [u8], header: &Header) -> Result<Option<Tokenizer<'a>>, ImageError> {
    match header.tokenizer {
        TokenizerKind::None => Ok(None),
        TokenizerKind::Bytes => Ok(Some(Tokenizer::bytes(header.shape.n_vocab))),
        #[cfg(feature = "trie")]
        TokenizerKind::Trie => {
            let words = bytemuck::try_cast_slice(section(bytes, header.vocabulary));
            let trie = Trie::new(words.unwrap_or(&[]), header.shape.n_vocab);
            let at = |fault: TrieFault| header.vocabulary.offset.saturating_add(4 * fault.0);
            trie.map(|trie| Some(Tokenizer::trie(trie)))
                .map_err(|fault| ImageError::Tokenizer(at(fault)))
        }
        #[cfg(not(feature = "trie"))]
        TokenizerKind::Trie => {
            let _ = bytes;
            Err(ImageError::TokenizerKind(2))
        }
    }
}

/// Bytes at an address that is a multiple of 16: what [`include_image!`]
/// places in flash.
///
/// [`include_image!`]: crate::include_image
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Aligned<T: ?Sized>(pub T);

/// Includes an image file in the program, aligned as [`Image::new`] requires.
///
/// `include_bytes!` alone gives no alignment, and unaligned weights fault on
/// a Cortex-M0. The path is relative to the source file, as there.
#[macro_export]
macro_rules! include_image {
    ($path:expr $(,)?) => {{
        const IMAGE: &$crate::image::Aligned<[u8]> =
            &$crate::image::Aligned(*include_bytes!($path));
        &IMAGE.0
    }};
}
