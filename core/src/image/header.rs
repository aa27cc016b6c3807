//! The fixed header of an image: 128 bytes, readable in a `const fn`.
//!
//! Byte offsets are normative in `docs/format.md`.

use super::error::ImageError;
use crate::shape::{BitsSet, Layout, Shape, StateFormat, Version, MAX_COLS, MAX_LAYERS, MAX_VOCAB};

/// The first eight bytes of every image.
pub const MAGIC: [u8; 8] = *b"KINGLET\0";

/// The format version that this crate writes and reads.
pub const FORMAT_VERSION: u16 = 1;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 128;

/// Where the CRC-32 stands; it covers every other byte of the image.
pub const CRC_OFFSET: usize = 16;

/// The first byte that must be zero, up to the end of the header.
const UNUSED_FROM: usize = 90;

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TokenizerKind {
    /// The image has no tokenizer: it runs on token ids.
    None,
    /// A token is a byte value.
    Bytes,
    /// The longest entry of a vocabulary that matches, see
    /// [`crate::tokenizer`].
    Trie,
}

/// A part of the file: where it begins and how long it is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Span {
    /// Offset from the first byte of the image.
    pub offset: u32,
    /// Length in bytes.
    pub bytes: u32,
}

impl Span {
    /// No part.
    pub const EMPTY: Self = Self {
        offset: 0,
        bytes: 0,
    };
}

/// The first 128 bytes of an image.
///
/// Every field is checked by [`Header::parse`]; the packer fills one and writes
/// it with [`Header::to_bytes`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// In this order a move is one of whole words, which takes less code.
#[repr(C)]
pub struct Header {
    /// Bytes of the whole image.
    /// It is the end of the metadata.
    pub image_bytes: u32,
    /// CRC-32 (ISO-HDLC) of all bytes but these four.
    pub crc32: u32,
    /// The model.
    pub shape: Shape,
    /// How text becomes tokens.
    pub tokenizer: TokenizerKind,
    /// The metadata block.
    /// It ends the image; it may be empty.
    pub metadata: Span,
    /// The vocabulary of the tokenizer; both zero where it has none.
    /// It begins where the weights end and has a multiple of 16 bytes.
    pub vocabulary: Span,
    /// The named states; both zero where there are none.
    /// They begin where the weights or the vocabulary end; a multiple of 16 bytes.
    pub states: Span,
    /// Of a model of labels: an answer whose share of the softmax is below this, in
    /// units of 2^-16, is none of its labels; 0: there is no such answer.
    pub unknown_below: u16,
}

type Bytes = [u8; HEADER_BYTES];

const fn u16_at<const AT: usize>(b: &Bytes) -> u16 {
    u16::from_le_bytes([b[AT], b[AT + 1]])
}

const fn u32_at<const AT: usize>(b: &Bytes) -> u32 {
    const { assert!(AT + 4 <= HEADER_BYTES) }
    // A header has many words: a core that reads them by bytes calls a function.
    match cfg!(any(kinglet_armv6m, kinglet_riscv)) {
        true => word(b, AT),
        false => u32::from_le_bytes([b[AT], b[AT + 1], b[AT + 2], b[AT + 3]]),
    }
}

/// Zeros after the end.
#[inline(never)]
const fn word(b: &Bytes, at: usize) -> u32 {
    let (mut word, mut byte) = (0, 4);
    while byte > 0 {
        byte -= 1;
        let place = at + byte;
        word = word << 8
            | if place < HEADER_BYTES {
                b[place] as u32
            } else {
                0
            };
    }
    word
}

const fn span_at<const OFFSET: usize, const BYTES: usize>(b: &Bytes) -> Span {
    Span {
        offset: u32_at::<OFFSET>(b),
        bytes: u32_at::<BYTES>(b),
    }
}

const fn starts_with_magic(bytes: &[u8]) -> bool {
    match bytes.first_chunk::<8>() {
        Some(start) => u64::from_le_bytes(*start) == u64::from_le_bytes(MAGIC),
        None => false,
    }
}

/// Whether it is 1 to `max`.
const fn in_range(value: u32, max: usize) -> bool {
    value >= 1 && value as u64 <= max as u64
}

impl Header {
    /// Of no image.
    pub(super) const NONE: Self = Self {
        image_bytes: 0,
        crc32: 0,
        shape: Shape::NONE,
        tokenizer: TokenizerKind::None,
        metadata: Span::EMPTY,
        vocabulary: Span::EMPTY,
        states: Span::EMPTY,
        unknown_below: 0,
    };

    /// Reads and checks the first [`HEADER_BYTES`] bytes. Never panics: a
    /// caller may turn the error into a compile error.
    ///
    /// Bytes after the header are not looked at: whether the image is complete,
    /// and what it holds, is checked by [`Image::new`](super::Image::new).
    ///
    /// # Errors
    /// - `NotAnImage`, `FormatVersion`: other bytes.
    /// - `Truncated`: fewer than 128 bytes.
    /// - `RwkvVersion`, `Layout`, `TokenizerKind`: this build lacks it.
    /// - `Field`: the field at this offset is out of its range, or unused and not zero.
    /// - `Size`: the sections do not follow each other up to `image_bytes`, or the
    ///   weights cannot have room before them.
    pub const fn parse(bytes: &[u8]) -> Result<Header, ImageError> {
        let mut header = Self::NONE;
        match header.read(bytes) {
            Ok(()) => Ok(header),
            Err(error) => Err(error),
        }
    }

    /// What [`Header::parse`] returns, in place: it is not moved.
    const fn read(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        if !starts_with_magic(bytes) {
            return Err(ImageError::NotAnImage);
        }
        let Some(b) = bytes.first_chunk::<HEADER_BYTES>() else {
            let (expected, found) = (HEADER_BYTES as u64, bytes.len() as u64);
            return Err(ImageError::Truncated { expected, found });
        };
        if u16_at::<8>(b) != FORMAT_VERSION {
            return Err(ImageError::FormatVersion(u16_at::<8>(b)));
        }
        if u16_at::<10>(b) as usize != HEADER_BYTES {
            return Err(ImageError::Field(10));
        }
        self.read_fields(b)
    }

    /// The header of an image that a constant holds; what is wrong with it is a compile
    /// error that says what to do: another target, a feature that is missing, a file that is
    /// cut off. Elsewhere [`Header::parse`] returns an error.
    ///
    /// ```
    /// use kinglet::{Header, Shape};
    #[doc = concat!("static MODEL: &[u8] = kinglet::include_image!(\"", env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl\");")]
    /// const SHAPE: Shape = Header::expect(MODEL).shape;
    /// let state = [0; SHAPE.state_len()];
    /// # assert!(!state.is_empty());
    /// ```
    pub const fn expect(bytes: &[u8]) -> Header {
        let mut header = Self::NONE;
        match header.read_whole(bytes) {
            Ok(()) => header,
            Err(error) => panic!("{}", error.advice()),
        }
    }

    /// The header of an image of which all bytes are there, and perhaps more.
    pub(super) const fn read_whole(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        if let Err(error) = self.read(bytes) {
            return Err(error);
        }
        let (expected, found) = (self.image_bytes as u64, bytes.len() as u64);
        match expected <= found {
            true => Ok(()),
            false => Err(ImageError::Truncated { expected, found }),
        }
    }

    const fn read_fields(&mut self, b: &Bytes) -> Result<(), ImageError> {
        let Some(version) = Version::from_numbers(b[20], b[21]) else {
            return Err(ImageError::RwkvVersion(b[20]));
        };
        if !version.is_supported() {
            return Err(ImageError::RwkvVersion(b[20]));
        }
        let Some(layout) = Layout::from_number(b[22]) else {
            return Err(ImageError::Layout(b[22]));
        };
        if !layout.is_supported() {
            return Err(ImageError::Layout(b[22]));
        }
        let Some(formats) = BitsSet::from_number(b[23]) else {
            return Err(ImageError::Field(23));
        };
        let Some(state) = StateFormat::from_number(b[25]) else {
            return Err(ImageError::Field(25));
        };
        let tokenizer = match b[26] {
            0 => TokenizerKind::None,
            1 => TokenizerKind::Bytes,
            2 if cfg!(feature = "trie") => TokenizerKind::Trie,
            2 => return Err(ImageError::TokenizerKind(2)),
            _ => return Err(ImageError::Field(26)),
        };
        self.shape = Shape {
            version,
            layout,
            formats,
            state,
            n_layer: u32_at::<28>(b),
            n_embd: u32_at::<32>(b),
            n_ffn: u32_at::<36>(b),
            n_vocab: u32_at::<40>(b),
            n_class: u32_at::<52>(b),
            n_head: u32_at::<44>(b),
            gn_eps: f32::from_bits(u32_at::<48>(b)),
            ranks: [
                u16_at::<64>(b),
                u16_at::<66>(b),
                u16_at::<68>(b),
                u16_at::<70>(b),
            ],
        };
        self.image_bytes = u32_at::<12>(b);
        self.crc32 = u32_at::<CRC_OFFSET>(b);
        self.tokenizer = tokenizer;
        self.metadata = span_at::<56, 60>(b);
        self.vocabulary = span_at::<72, 76>(b);
        self.states = span_at::<80, 84>(b);
        self.unknown_below = u16_at::<88>(b);
        // Unused bytes are zero, so that a later version may use them.
        if b[24] != 0 {
            return Err(ImageError::Field(24));
        }
        if b[27] != 0 {
            return Err(ImageError::Field(27));
        }
        let mut i = UNUSED_FROM;
        while i < HEADER_BYTES {
            if b[i] != 0 {
                return Err(ImageError::Field(i as u8));
            }
            i += 1;
        }
        self.check()
    }

    /// The ranges of the dimensions and the lengths that follow from them.
    const fn check(&self) -> Result<(), ImageError> {
        if !in_range(self.shape.n_layer, MAX_LAYERS) {
            return Err(ImageError::Field(28));
        }
        if !in_range(self.shape.n_embd, MAX_COLS) {
            return Err(ImageError::Field(32));
        }
        if !in_range(self.shape.n_ffn, MAX_COLS) {
            return Err(ImageError::Field(36));
        }
        if !in_range(self.shape.n_vocab, MAX_VOCAB) {
            return Err(ImageError::Field(40));
        }
        if self.shape.n_class > MAX_VOCAB as u32 {
            return Err(ImageError::Field(52));
        }
        if self.shape.n_class == 0 && self.unknown_below != 0 {
            return Err(ImageError::Field(88));
        }
        if let Some(at) = self.bad_heads_at() {
            return Err(ImageError::Field(at));
        }
        if let Some(at) = self.bad_rank_at() {
            return Err(ImageError::Field(at));
        }
        if !self.has_room() {
            return Err(ImageError::Size);
        }
        let end = self.metadata.offset as u64 + self.metadata.bytes as u64;
        let Some(vocabulary_end) = self.vocabulary_end() else {
            return Err(ImageError::Field(72));
        };
        let Some(states_end) = self.states_end(vocabulary_end) else {
            return Err(ImageError::Field(80));
        };
        if self.metadata.offset as u64 != states_end || end != self.image_bytes as u64 {
            return Err(ImageError::Size);
        }
        Ok(())
    }

    /// The header as bytes; the inverse of [`Header::parse`].
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let (mut b, shape) = ([0; HEADER_BYTES], &self.shape);
        let mut put = |at: usize, field: &[u8]| {
            for (to, from) in b.iter_mut().skip(at).zip(field) {
                *to = *from;
            }
        };
        put(0, &MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(10, &(HEADER_BYTES as u16).to_le_bytes());
        put(12, &self.image_bytes.to_le_bytes());
        put(CRC_OFFSET, &self.crc32.to_le_bytes());
        let (major, minor) = shape.version.numbers();
        put(20, &[major, minor]);
        put(22, &[shape.layout as u8]);
        put(23, &[shape.formats.number()]);
        put(25, &[shape.state as u8, self.tokenizer as u8]);
        put(28, &shape.n_layer.to_le_bytes());
        put(32, &shape.n_embd.to_le_bytes());
        put(36, &shape.n_ffn.to_le_bytes());
        put(40, &shape.n_vocab.to_le_bytes());
        put(44, &shape.n_head.to_le_bytes());
        put(48, &shape.gn_eps.to_le_bytes());
        put(52, &shape.n_class.to_le_bytes());
        for (at, rank) in (64..).step_by(2).zip(shape.ranks) {
            put(at, &rank.to_le_bytes());
        }
        put(56, &self.metadata.offset.to_le_bytes());
        put(60, &self.metadata.bytes.to_le_bytes());
        put(72, &self.vocabulary.offset.to_le_bytes());
        put(76, &self.vocabulary.bytes.to_le_bytes());
        put(80, &self.states.offset.to_le_bytes());
        put(84, &self.states.bytes.to_le_bytes());
        put(88, &self.unknown_below.to_le_bytes());
        b
    }
}
