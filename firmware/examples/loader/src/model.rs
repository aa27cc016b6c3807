//! A model that is found at run time, in memory of the size that it asks for.

use crate::entry::heap_used;
use alloc::vec::Vec;
use core::fmt;
use kinglet::{
    Answer, BufferError, Image, ImageError, Sampler, Sampling, Session, StepError, UnknownByte,
    START_TOKEN,
};
use kinglet_machine::{put, say, write_byte};

/// Tokens of an answer, at most.
const TOKENS: usize = 32;

/// Why there is no answer.
pub enum Refusal {
    /// The memory is as it is where nothing has been written.
    NoImage,
    /// What was written is not an image that runs here.
    Image(ImageError),
    /// There is not so much of the heap in one piece, in bytes.
    Heap(usize),
    /// The image has no tokenizer.
    NoTokenizer,
    /// The prompt has a byte that the vocabulary does not have.
    Byte(UnknownByte),
    /// The library refuses a buffer.
    Buffer(BufferError),
    /// The library refuses a token.
    Step(StepError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage => f.write_str("no image lies there"),
            Self::Image(error) => write!(f, "the image cannot be used: {error}"),
            Self::Heap(bytes) => write!(
                f,
                "the heap has no {bytes} bytes in one piece, which the image asks for"
            ),
            Self::NoTokenizer => f.write_str("the image has no tokenizer that reads a prompt"),
            Self::Byte(error) => error.fmt(f),
            Self::Buffer(error) => error.fmt(f),
            Self::Step(error) => error.fmt(f),
        }
    }
}

macro_rules! refusals {
    ($($error:ident => $variant:ident),*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}
refusals!(ImageError => Image, BufferError => Buffer, UnknownByte => Byte, StepError => Step);

/// What an answer took of the heap.
pub struct Heap {
    /// The most bytes in use.
    pub bytes: usize,
}

/// An image whose every byte has been checked.
pub struct Model {
    image: Image<'static>,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.image.header();
        let name = self.image.metadata().map_or("?", |metadata| metadata.name);
        let (image, state) = (header.image_bytes, header.state_bytes());
        let scratch = header.scratch_bytes();
        write!(
            f,
            "{name}, {image} bytes, state {state}, scratch {scratch} bytes"
        )
    }
}

impl Model {
    /// Looks for an image at the beginning of `bytes`.
    pub fn open(bytes: &'static [u8]) -> Result<Self, Refusal> {
        let start = bytes.get(..8).unwrap_or_default();
        // Erased flash is ones, untouched RAM of the emulator zeros.
        if [0x00, 0xff].map(|empty| start.iter().all(|&byte| byte == empty)) != [false; 2] {
            return Err(Refusal::NoImage);
        }
        let image = Image::new(bytes)?;
        image.verify_checksum()?;
        Ok(Self { image })
    }

    /// Goes on with the prompt, or says its class. The buffers are freed at
    /// the end, whichever it is.
    pub fn answer(&self, prompt: &[u8]) -> Result<Heap, Refusal> {
        let header = self.image.header();
        let mut state = floats(header.state_len())?;
        let mut scratch = floats(header.scratch_len())?;
        let mut session = Session::new(&self.image, &mut state, &mut scratch)?;
        let last = self.read(&mut session, prompt)?;
        if header.n_class > 0 {
            let answer = Answer::of(session.step(last)?);
            let metadata = self.image.metadata();
            let label = metadata.and_then(|metadata| metadata.label(answer.class));
            say!("{} %: {}", answer.percent(), label.unwrap_or("?"));
        } else {
            self.write(&mut session, last)?;
        }
        Ok(Heap { bytes: heap_used() })
    }

    /// Reads all tokens of the prompt but the last, and returns that.
    fn read(&self, session: &mut Session<'_, '_>, prompt: &[u8]) -> Result<u32, Refusal> {
        let tokenizer = self.image.tokenizer().ok_or(Refusal::NoTokenizer)?;
        let mut last = None;
        for token in tokenizer.encode(prompt) {
            if let Some(token) = last.replace(token?) {
                session.feed(&[token])?;
            }
        }
        Ok(last.unwrap_or(START_TOKEN))
    }

    /// Prints text as it comes, then the ids of its tokens. The token that
    /// ends a text ends the answer.
    fn write(&self, session: &mut Session<'_, '_>, last: u32) -> Result<(), Refusal> {
        let tokenizer = self.image.tokenizer().ok_or(Refusal::NoTokenizer)?;
        let mut sampler = Sampler::new(Sampling::greedy(), 0);
        let mut token = last;
        let mut tokens = heapless::Vec::<u32, TOKENS>::new();
        while !tokens.is_full() {
            token = session.choose(token, &mut sampler)?;
            if token == START_TOKEN {
                break;
            }
            let _ = tokens.push(token);
            tokenizer.decode(token).iter().copied().for_each(write_byte);
        }
        put!("\ntokens");
        tokens.iter().for_each(|id| put!(" {id}"));
        say!();
        Ok(())
    }
}

/// Zeros from the heap.
fn floats(len: usize) -> Result<Vec<f32>, Refusal> {
    let mut floats = Vec::new();
    let refused = |_| Refusal::Heap(len * size_of::<f32>());
    floats.try_reserve_exact(len).map_err(refused)?;
    floats.resize(len, 0.0);
    Ok(floats)
}
