//! An image or a checkpoint behind one interface: tokens in, logits out.

use crate::checkpoint::Checkpoint;
use crate::model::{Model, ModelError};
use crate::reference::{Reference, ReferenceState};
use kinglet::image::{ImageError, MAGIC};
use kinglet::{Image, Session, Tokenizer, UnknownByte, UnknownToken};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why a file cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is an image, but a bad one.
    #[error("{path}: {error}; pack the image again with `kinglet quantize`")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ImageError,
    },
    /// The file is no checkpoint either, or not a usable one.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The bytes of an image file, aligned as [`Image::new`] wants them.
#[derive(Debug)]
pub struct ImageFile {
    words: Vec<u128>,
    len: usize,
}

impl ImageFile {
    /// Aligns `bytes` and checks the image in them, checksum included.
    ///
    /// # Errors
    /// What is wrong with the image.
    pub fn new(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut words = vec![0u128; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        let file = Self {
            words,
            len: bytes.len(),
        };
        Image::new(file.bytes())?.verify_checksum()?;
        Ok(file)
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    /// The image.
    pub fn image(&self) -> Image<'_> {
        Image::new(self.bytes()).expect("the constructor checked it")
    }
}

/// A model in memory.
#[derive(Debug)]
pub enum Engine {
    /// A quantized image.
    Image(ImageFile),
    /// A checkpoint in float.
    Float(Box<Reference>),
}

/// Whether the file is an image, judged by its first bytes.
///
/// # Errors
/// The file cannot be read.
pub fn is_image(path: &Path) -> Result<bool, OpenError> {
    let io = |error| OpenError::Io {
        path: path.to_path_buf(),
        error,
    };
    let mut start = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(io)?;
    Ok(start == MAGIC)
}

/// Reads and checks an image file.
///
/// # Errors
/// The file cannot be read, or is not a good image.
pub fn open_image(path: &Path) -> Result<ImageFile, OpenError> {
    let path = path.to_path_buf();
    match std::fs::read(&path) {
        Err(error) => Err(OpenError::Io { path, error }),
        Ok(bytes) => ImageFile::new(&bytes).map_err(|error| OpenError::Image { path, error }),
    }
}

impl Engine {
    /// Opens an image or a checkpoint, told apart by content.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if is_image(path)? {
            return Ok(Self::Image(open_image(path)?));
        }
        let checkpoint = Checkpoint::open(path).map_err(ModelError::from)?;
        let model = Model::new(checkpoint)?;
        Ok(Self::Float(Box::new(Reference::new(
            &model,
            crate::reference::DEFAULT_GN_EPS,
        )?)))
    }

    /// Vocabulary entries.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Image(file) => file.image().header().n_vocab as usize,
            Self::Float(reference) => reference.dimensions().vocab,
        }
    }

    /// The tokenizer; a checkpoint of at most 256 entries is one of bytes.
    pub fn tokenizer(&self) -> Option<Tokenizer> {
        match self {
            Self::Image(file) => file.image().tokenizer(),
            Self::Float(_) if self.vocab() <= 256 => Some(Tokenizer::bytes(self.vocab() as u32)),
            Self::Float(_) => None,
        }
    }

    /// Something that reads tokens, from an empty text on.
    pub fn runner(&self) -> Runner<'_> {
        match self {
            Self::Image(file) => {
                let image = file.image();
                let mut state = vec![0.0; image.header().state_len()];
                let mut scratch = vec![0.0; image.header().scratch_len()];
                Session::new(&image, &mut state, &mut scratch).expect("the buffers fit");
                Runner::Image {
                    image,
                    state,
                    scratch,
                    logits: vec![0.0; self.vocab()],
                }
            }
            Self::Float(reference) => Runner::Float {
                reference,
                state: Box::new(reference.state()),
            },
        }
    }
}

/// Text that the model's tokenizer cannot express.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncodeError {
    /// The model has no tokenizer.
    #[error(
        "the model has {vocab} vocabulary entries and no tokenizer; give token ids with --tokens"
    )]
    NoTokenizer {
        /// Entries of the vocabulary.
        vocab: usize,
    },
    /// A byte without a token.
    #[error("{error} (at byte {at} of the text): the vocabulary has {vocab} entries")]
    Unknown {
        /// Which byte.
        error: UnknownByte,
        /// Where it stands.
        at: usize,
        /// Entries of the vocabulary.
        vocab: usize,
    },
}

impl Engine {
    /// The tokens of `text`.
    ///
    /// # Errors
    /// [`EncodeError`] says which byte has no token.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<u32>, EncodeError> {
        let vocab = self.vocab();
        let tokenizer = self.tokenizer().ok_or(EncodeError::NoTokenizer { vocab })?;
        let tokens = tokenizer.encode(text).enumerate();
        tokens
            .map(|(at, token)| token.map_err(|error| EncodeError::Unknown { error, at, vocab }))
            .collect()
    }
}

/// A model at work, with a state of its own.
#[derive(Clone, Debug)]
pub enum Runner<'e> {
    /// On the engine that boards run.
    Image {
        /// The model.
        image: Image<'e>,
        /// Its state.
        state: Vec<f32>,
        /// Its scratch.
        scratch: Vec<f32>,
        /// The logits of the last step.
        logits: Vec<f32>,
    },
    /// In float.
    Float {
        /// The model.
        reference: &'e Reference,
        /// Its state.
        state: Box<ReferenceState>,
    },
}

impl Runner<'_> {
    /// Reads tokens without computing logits.
    ///
    /// # Errors
    /// A token id that the vocabulary does not have.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<(), UnknownToken> {
        match self {
            Self::Image {
                image,
                state,
                scratch,
                ..
            } => Session::resume(image, state, scratch)
                .expect("the buffers fit")
                .feed(tokens),
            Self::Float { reference, state } => tokens.iter().try_for_each(|&token| {
                check(reference, token)?;
                reference.advance(token, state);
                Ok(())
            }),
        }
    }

    /// Reads a token and returns the logits `[V]` of the next.
    ///
    /// # Errors
    /// A token id that the vocabulary does not have.
    pub fn step(&mut self, token: u32) -> Result<&mut [f32], UnknownToken> {
        match self {
            Self::Image {
                image,
                state,
                scratch,
                logits,
            } => {
                let mut session = Session::resume(image, state, scratch).expect("the buffers fit");
                logits.copy_from_slice(session.step(token)?);
                Ok(logits)
            }
            Self::Float { reference, state } => {
                check(reference, token)?;
                reference.advance(token, state);
                Ok(reference.logits(state))
            }
        }
    }
}

fn check(reference: &Reference, token: u32) -> Result<(), UnknownToken> {
    if (token as usize) < reference.dimensions().vocab {
        Ok(())
    } else {
        Err(UnknownToken(token))
    }
}
