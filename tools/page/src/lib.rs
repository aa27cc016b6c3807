//! The engine in a browser: `page.html` calls the functions of `exports`, compiled
//! to WebAssembly.

#[cfg(target_arch = "wasm32")]
mod exports;

use kinglet::hash::logits_hash;
use kinglet::{probabilities, Error, Image, Sample, Sampler, Sampling, Session, Text};

/// A model, and the text that it writes.
pub struct Writing {
    image: Image<'static>,
    state: Vec<i32>,
    scratch: Vec<i32>,
    text: Text<'static, 'static>,
    sampler: Sampler,
}

/// A token that was chosen.
pub struct Chosen {
    /// The text that is complete by then.
    pub text: String,
    /// Its share of the probability.
    pub probability: f32,
    /// The hash of the logits.
    pub hash: u64,
}

impl Writing {
    /// An empty text of a model, whose bytes are kept for ever: the image is read in place.
    ///
    /// # Errors
    /// The image cannot be used, or has no text.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        let mut words = vec![0u128; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        let words: &'static [u128] = words.leak();
        let image = Image::new(&bytemuck::cast_slice(words)[..bytes.len()])?;
        if image.shape().n_class > 0 {
            return Err(Error::Labels);
        }
        Ok(Self {
            text: Text::new(&image, 0)?,
            state: vec![0; image.shape().state_len()],
            scratch: vec![0; image.shape().scratch_len()],
            sampler: Sampler::new(Sampling::greedy(), 0),
            image,
        })
    }

    /// Bytes of image, state and scratch.
    pub fn bytes(&self) -> [usize; 3] {
        let [state, scratch] = [&self.state, &self.scratch].map(|words| size_of_val(&words[..]));
        [self.image.bytes().len(), state, scratch]
    }

    /// Begins a text: reads the prompt.
    ///
    /// # Errors
    /// The vocabulary lacks a character.
    pub fn begin(&mut self, prompt: &[u8], limit: u32, sampler: Sampler) -> Result<(), Error> {
        let mut session = Session::new(&self.image, &mut self.state, &mut self.scratch)?;
        let mut text = Text::new(&self.image, limit)?;
        text.start_from(&mut session, "")?;
        for token in text.prompt(prompt) {
            session.feed(&[token?])?;
        }
        (self.text, self.sampler) = (text, sampler);
        Ok(())
    }

    /// Chooses the next token; none after the end.
    ///
    /// # Errors
    /// None where [`Writing::begin`] had none.
    pub fn choose(&mut self) -> Result<Option<Chosen>, Error> {
        if self.text.end().is_some() {
            return Ok(None);
        }
        let mut session = Session::resume(&self.image, &mut self.state, &mut self.scratch)?;
        let mut watched = Watched {
            sampler: &mut self.sampler,
            logits: Vec::new(),
        };
        let token = session.choose(self.text.token(), &mut watched)?;
        let hash = logits_hash(&watched.logits);
        let probability = probabilities(&watched.logits).nth(token as usize);
        let (before, mut text) = (self.text.tokens(), String::new());
        self.text.push(token, |piece| text.push_str(piece));
        // The token for the end is none of the text.
        let is_of_text = self.text.tokens() > before;
        Ok(is_of_text.then(|| Chosen {
            text,
            probability: probability.unwrap_or(0.0),
            hash,
        }))
    }
}

/// A sampler for one choice, with the logits that it sees.
struct Watched<'s> {
    sampler: &'s mut Sampler,
    logits: Vec<i32>,
}

impl Sample for Watched<'_> {
    fn wants_all(&self) -> bool {
        self.sampler.wants_all()
    }

    // Before the sampler, which may change them.
    fn see(&mut self, first: u32, logits: &mut [i32]) {
        self.logits.extend_from_slice(logits);
        self.sampler.see(first, logits);
    }

    fn choose(&mut self) -> u32 {
        self.sampler.choose()
    }
}
