//! A model that is found at run time, in memory of the size that it asks for.

use crate::entry::heap_used;
use alloc::vec::Vec;
use core::fmt;
use kinglet::{Answer, Error, Image, Sampler, Sampling, Session, Text};
use kinglet_machine::{put, say};

/// Tokens of an answer, at most.
const TOKENS: u32 = 32;

/// Why there is no answer.
pub enum Refusal {
    /// The memory is erased or untouched.
    NoImage,
    /// The heap does not have this many bytes in one piece.
    Heap(usize),
    /// The image does not run here, or not with this prompt.
    Library(Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImage => f.write_str("no image lies there"),
            Self::Library(Error::Image(error)) => write!(f, "the image cannot be used: {error}"),
            Self::Library(error) => error.fmt(f),
            Self::Heap(bytes) => write!(
                f,
                "the heap has no {bytes} bytes in one piece, which the image asks for"
            ),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// The heap that an answer took.
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
        let (image, state) = (header.image_bytes, header.shape.state_bytes());
        let scratch = header.shape.scratch_bytes();
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
        let image = Image::new(bytes).map_err(Error::Image)?;
        image.verify_checksum().map_err(Error::Image)?;
        Ok(Self { image })
    }

    /// Continues the prompt, or prints its class; then the ids of the tokens.
    /// The buffers are freed at every end.
    pub fn answer(&self, prompt: &[u8]) -> Result<Heap, Refusal> {
        let header = self.image.header();
        let mut state = words(header.shape.state_len())?;
        let mut scratch = words(header.shape.scratch_len())?;
        self.answer_in(&mut state, &mut scratch, prompt)?;
        Ok(Heap { bytes: heap_used() })
    }

    fn answer_in(
        &self,
        state: &mut [i32],
        scratch: &mut [i32],
        prompt: &[u8],
    ) -> Result<(), Error> {
        let mut session = Session::new(&self.image, state, scratch)?;
        let mut text = Text::new(&self.image, TOKENS)?;
        for token in text.prompt(prompt) {
            session.feed(&[token?])?;
        }
        if self.image.shape().n_class > 0 {
            let mut answer = Answer::new();
            session.choose(text.token(), &mut answer)?;
            say!("{}", answer.label(&self.image));
            return Ok(());
        }
        let mut sampler = Sampler::new(Sampling::greedy(), 0);
        let mut tokens = heapless::Vec::<u32, { TOKENS as usize }>::new();
        while text.end().is_none() {
            let token = session.choose(text.token(), &mut sampler)?;
            text.push(token, |piece| put!("{piece}"));
            // The one that ends the text is not one of them.
            if text.tokens() as usize > tokens.len() {
                let _ = tokens.push(token);
            }
        }
        put!("\ntokens");
        tokens.iter().for_each(|id| put!(" {id}"));
        say!("");
        Ok(())
    }
}

/// Zeros from the heap.
fn words(len: usize) -> Result<Vec<i32>, Refusal> {
    let mut words = Vec::new();
    let refused = |_| Refusal::Heap(len * size_of::<i32>());
    words.try_reserve_exact(len).map_err(refused)?;
    words.resize(len, 0);
    Ok(words)
}
