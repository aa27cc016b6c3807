//! An image or a checkpoint behind one interface: tokens in, logits out.

mod runner;

pub use runner::Runner;

use crate::checkpoint::Checkpoint;
use crate::input;
use crate::model::{Model, Reading};
use crate::reference::Reference;
use crate::text::{without_unknown, Unknown};
use crate::tokenizer::{Json, TokenizerFile};
use anyhow::{anyhow, bail, Context, Result};
use kinglet::image::{ImageError, MAGIC, START_STATE};
use kinglet::tokenizer::Trie;
use kinglet::{Image, Session, Tokenizer, UnknownByte};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

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

/// A model in memory, and its tokenizer.
#[derive(Debug)]
pub struct Engine {
    weights: Weights,
    given: Option<Given>,
    /// The names of the classes; none for a model of text.
    labels: Vec<String>,
    /// As in [`kinglet::Header`].
    unknown_below: u16,
}

#[derive(Debug)]
enum Weights {
    /// A quantized image.
    Image(ImageFile),
    /// A checkpoint in float.
    Float(Box<Reference>),
}

/// A tokenizer that is not part of an image.
#[derive(Debug)]
enum Given {
    /// The words of a trie.
    Trie(Vec<u32>),
    Json(Box<Json>),
}

/// Text to tokens and back: a tokenizer of the device or of the workstation.
#[derive(Clone, Copy, Debug)]
pub enum AnyTokenizer<'e> {
    /// One that an image can carry.
    Device(Tokenizer<'e>),
    /// Byte-level BPE.
    Json(&'e Json),
}

impl AnyTokenizer<'_> {
    /// The bytes that a token stands for; none for one without text.
    pub fn decode(&self, token: u32) -> Vec<u8> {
        match self {
            Self::Device(tokenizer) => tokenizer.decode(token).to_vec(),
            Self::Json(json) => json.decode(token).to_vec(),
        }
    }
}

/// Whether the file is an image, judged by its first bytes.
///
/// # Errors
/// The file cannot be read.
pub fn is_image(path: &Path) -> Result<bool> {
    // A folder of a checkpoint in parts.
    if path.is_dir() {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start))
        .with_context(|| path.display().to_string())?;
    Ok(start == MAGIC)
}

/// The names of an image's classes, numbers where it does not name them.
pub(crate) fn image_labels(image: &Image<'_>) -> Vec<String> {
    let name = |class| {
        let label = image.metadata().and_then(|metadata| metadata.label(class));
        label.map_or_else(|| class.to_string(), str::to_owned)
    };
    (0..image.shape().n_class).map(name).collect()
}

/// Logits in the engine's units.
pub fn fixed(logits: &[f32]) -> Vec<i32> {
    let one = (1 << kinglet::LOGIT_BITS) as f32;
    logits
        .iter()
        .map(|logit| (logit * one).round() as i32)
        .collect()
}

/// Reads and checks an image file.
///
/// # Errors
/// The file cannot be read, or is not a good image.
pub fn open_image(path: &Path) -> Result<ImageFile> {
    let bytes = input::read(path, input::MOST_BYTES)?;
    ImageFile::new(&bytes).map_err(|error| {
        let path = path.display();
        anyhow!("{path}: {error}; pack an image with `kinglet quantize`")
    })
}

impl Engine {
    /// The checksum of an image; none of a checkpoint.
    pub fn image_checksum(&self) -> Option<u32> {
        match &self.weights {
            Weights::Image(file) => Some(file.image().header().crc32),
            Weights::Float(_) => None,
        }
    }

    /// Opens an image or a checkpoint, told apart by content. `gn_eps` is the
    /// epsilon of a checkpoint's group norm; an image has its own. `reading` is
    /// of checkpoints too.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn open(path: &Path, gn_eps: f32, reading: &Reading) -> Result<Self> {
        if is_image(path)? {
            return open_image(path).map(Self::of_image);
        }
        let model = Model::new(Checkpoint::open(path)?, reading)?;
        let own = model.vocabulary()?;
        Ok(Self {
            weights: Weights::Float(Box::new(Reference::new(&model, gn_eps)?)),
            given: own.map(|own| Given::Trie(own.to_trie())),
            labels: model.labels(),
            unknown_below: model.unknown_below()?,
        })
    }

    /// The model of an image in memory.
    pub fn of_image(file: ImageFile) -> Self {
        Self {
            labels: image_labels(&file.image()),
            unknown_below: file.image().header().unknown_below,
            weights: Weights::Image(file),
            given: None,
        }
    }

    /// The image, if it is one.
    pub fn image(&self) -> Option<Image<'_>> {
        match &self.weights {
            Weights::Image(file) => Some(file.image()),
            Weights::Float(_) => None,
        }
    }

    /// Whether the file carries its tokenizer.
    pub fn carries_tokenizer(&self) -> bool {
        self.given.is_some() || self.is_image() && self.tokenizer().is_some()
    }

    /// The same model, whose file carries no tokenizer, with this one.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the tokenizer.
    pub fn with_tokenizer(mut self, tokenizer: &Path) -> Result<Self> {
        let file = TokenizerFile::open(tokenizer)?;
        let (id, vocab) = (file.max_id(), self.vocab());
        if id as usize >= vocab {
            bail!(
                "the tokenizer has the token id {id}, but the model has only {vocab} vocabulary entries: \
                 they do not belong together"
            );
        }
        self.given = Some(match file {
            TokenizerFile::Vocabulary(vocabulary) => Given::Trie(vocabulary.to_trie()),
            TokenizerFile::Json(json) => Given::Json(json),
        });
        Ok(self)
    }

    /// Whether it is an image; else it is a checkpoint.
    pub fn is_image(&self) -> bool {
        matches!(self.weights, Weights::Image(_))
    }

    /// The epsilon of the group norm that an image has.
    pub fn gn_eps(&self) -> Option<f32> {
        match &self.weights {
            Weights::Image(file) => Some(file.image().shape().gn_eps).filter(|&eps| eps > 0.0),
            Weights::Float(_) => None,
        }
    }

    /// Vocabulary entries.
    pub fn vocab(&self) -> usize {
        match &self.weights {
            Weights::Image(file) => file.image().shape().n_vocab as usize,
            Weights::Float(reference) => reference.dimensions().vocab,
        }
    }

    /// Outputs of a step: the vocabulary's entries, or the classes.
    pub fn outputs(&self) -> usize {
        match &self.weights {
            Weights::Image(file) => file.image().shape().outputs() as usize,
            Weights::Float(reference) => reference.dimensions().outputs(),
        }
    }

    /// The names of the classes, for a model that answers with a label; none
    /// for a model of text.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Of a model that answers with a label: which answers are none of them, in the units of
    /// [`Answer::share`](kinglet::Answer::share).
    pub fn unknown_below(&self) -> u16 {
        self.unknown_below
    }

    /// The tokenizer; a checkpoint of at most 256 entries is one of bytes.
    pub fn tokenizer(&self) -> Option<AnyTokenizer<'_>> {
        match (&self.given, &self.weights) {
            (Some(Given::Json(json)), _) => Some(AnyTokenizer::Json(json)),
            (Some(Given::Trie(words)), _) => {
                let trie = Trie::new(words, self.vocab() as u32).expect("built for this model");
                Some(AnyTokenizer::Device(Tokenizer::trie(trie)))
            }
            (None, Weights::Image(file)) => file.image().tokenizer().map(AnyTokenizer::Device),
            (None, Weights::Float(_)) => {
                let vocab = self.vocab() as u32;
                (vocab <= 256).then(|| AnyTokenizer::Device(Tokenizer::bytes(vocab)))
            }
        }
    }

    /// The names of the model's states.
    pub fn state_names(&self) -> Vec<String> {
        match &self.weights {
            Weights::Image(file) => file.image().states().map(|s| s.name.to_owned()).collect(),
            Weights::Float(reference) => {
                let start = reference.start_state();
                start.into_iter().map(|_| START_STATE.to_owned()).collect()
            }
        }
    }

    /// Something that reads tokens, from an empty text on.
    pub fn runner(&self) -> Runner<'_> {
        match &self.weights {
            Weights::Image(file) => {
                let image = file.image();
                let mut state = vec![0; image.shape().state_len()];
                let mut scratch = vec![0; image.shape().scratch_len()];
                Session::new(&image, &mut state, &mut scratch).expect("the buffers fit");
                Runner::Image {
                    image: Box::new(image),
                    state,
                    scratch,
                    logits: vec![0.0; self.outputs()],
                }
            }
            Weights::Float(reference) => Runner::Float {
                reference,
                state: Box::new(reference.state()),
            },
        }
    }

    /// The tokens of `text`, and how many of its characters the vocabulary lacks:
    /// more than 0 only where `unknown` lets them be left out or replaced.
    ///
    /// # Errors
    /// The model has no tokenizer, or none for a byte, which is named.
    pub fn encode(&self, text: &[u8], unknown: Unknown) -> Result<(Vec<u32>, usize)> {
        self.encode_part(0, text, unknown)
    }

    /// As [`Engine::encode`], of a part of a text that begins at this byte of it.
    ///
    /// # Errors
    /// Likewise.
    pub fn encode_part(
        &self,
        first: usize,
        text: &[u8],
        unknown: Unknown,
    ) -> Result<(Vec<u32>, usize)> {
        let vocab = self.vocab();
        let tokenizer = match self.tokenizer() {
            Some(AnyTokenizer::Device(tokenizer)) => tokenizer,
            Some(AnyTokenizer::Json(json)) => return Ok((json.encode(text)?, 0)),
            None => bail!(
                "the model has {vocab} vocabulary entries and no tokenizer; give one with --tokenizer, \
                 or token ids with --tokens"
            ),
        };
        let (known, count) = self.known(text, unknown);
        let tokens = encode(tokenizer, &known).map_err(|(error, at)| {
            let at = first + at;
            anyhow!(
                "{error} (at byte {at} of the text): the vocabulary has {vocab} entries; \
                 --unknown skip or --unknown replace goes on without such characters"
            )
        })?;
        Ok((tokens, count))
    }

    /// `text` without characters that the vocabulary lacks, and how many it has.
    pub fn known<'t>(&self, text: &'t [u8], unknown: Unknown) -> (Cow<'t, [u8]>, usize) {
        match (self.tokenizer(), unknown) {
            (Some(AnyTokenizer::Device(tokenizer)), Unknown::Skip | Unknown::Replace) => {
                let first_unknown = |text: &[u8]| Some(encode(tokenizer, text).err()?.1);
                let (known, count) = without_unknown(text, unknown, first_unknown);
                (known.into(), count)
            }
            _ => (text.into(), 0),
        }
    }
}

/// The tokens of `text`, or a byte that the vocabulary lacks, and where it is.
fn encode(tokenizer: Tokenizer<'_>, text: &[u8]) -> Result<Vec<u32>, (UnknownByte, usize)> {
    let mut tokens = Vec::new();
    for token in tokenizer.encode(text) {
        tokens.push(token.map_err(|error| {
            // All text before has tokens.
            let at = tokens.iter().map(|&t| tokenizer.decode(t).len()).sum();
            (error, at)
        })?);
    }
    Ok(tokens)
}
