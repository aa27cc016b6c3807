//! The tokens by which matrices are rounded: a text of the model's own, and the user's.

use crate::engine::{Engine, ImageFile};
use crate::model::Model;
use crate::pack::{pack, Formats, Options};
use anyhow::Result;
use kinglet::image::Metadata;
use kinglet::{Image, Sampler, Sampling, Session, StepError, START_TOKEN};
use rayon::prelude::*;

/// Texts, each from an empty state.
pub const TEXTS: usize = 8;
/// Tokens of each.
pub const TEXT_TOKENS: usize = 1024;

/// Tokens of some texts of one length, one after the other.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// All of them.
    pub tokens: Vec<u32>,
    /// Texts.
    pub texts: usize,
}

impl Calibration {
    /// `count` texts: from the tokens of a given one, half of all at most, and others that
    /// the model of `image` writes, at its own probabilities; a model of labels writes none.
    /// `progress` is called after each.
    ///
    /// # Errors
    /// A given token is beyond the vocabulary.
    pub fn new(
        image: &Image<'_>,
        given: &[u32],
        count: usize,
        progress: impl Fn() + Sync,
    ) -> Result<Self> {
        let writes = image.shape().n_class == 0;
        let most_given = if writes { count / 2 } else { count };
        let given = given.chunks_exact(TEXT_TOKENS).take(most_given);
        let given: Vec<&[u32]> = given.collect();
        let texts = if writes { count } else { given.len() };
        let texts = (0..texts).into_par_iter().map(|text| {
            let tokens = match given.get(text) {
                Some(given) => Ok(given.to_vec()),
                None => written(image, text as u64),
            };
            progress();
            tokens
        });
        let texts: Vec<_> = texts.collect::<Result<_, StepError>>()?;
        Ok(Self {
            texts: texts.len(),
            tokens: texts.concat(),
        })
    }
}

/// The model in eight bits, which writes: the same on every machine.
///
/// # Errors
/// As [`pack`].
pub fn writer(model: &Model, options: &Options<'_>) -> Result<Engine> {
    let metadata = Metadata::default();
    let options = Options {
        formats: Formats::INT8,
        calibration: None,
        ..*options
    };
    let packed = pack(model, &options, &metadata, |_, _| {})?;
    Ok(Engine::of_image(ImageFile::new(&packed.bytes)?))
}

/// What the model writes.
fn written(image: &Image<'_>, seed: u64) -> Result<Vec<u32>, StepError> {
    let shape = image.shape();
    let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; shape.scratch_len()]);
    let mut session = Session::new(image, &mut state, &mut scratch).expect("the buffers fit");
    let settings = Sampling {
        temperature: 1.0,
        ..Sampling::greedy()
    };
    let mut sampler = Sampler::new(settings, seed);
    let mut tokens = vec![START_TOKEN];
    while tokens.len() < TEXT_TOKENS {
        let logits = session.step(tokens[tokens.len() - 1])?;
        tokens.push(sampler.sample(logits));
    }
    Ok(tokens)
}
