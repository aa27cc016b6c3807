//! A model at work on the workstation.

use crate::reference::{Reference, ReferenceState};
use kinglet::image::START_STATE;
use kinglet::{logit_to_f32, Image, Session, StepError};

/// A model with a state.
#[derive(Clone, Debug)]
pub enum Runner<'e> {
    /// On the engine that boards run.
    Image {
        /// The model.
        image: Box<Image<'e>>,
        /// Its state.
        state: Vec<i32>,
        /// Its scratch.
        scratch: Vec<i32>,
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
    /// Starts from a named state of the model, where there is one: that of a
    /// text of this many tokens, whose last one is to be read next. A tuned state
    /// has no text.
    pub fn start_from(&mut self, name: &str) -> Option<(u32, Option<u32>)> {
        match self {
            Self::Image { image, state, .. } => {
                let named = image.state_named(name)?;
                state.copy_from_slice(named.words);
                let next = (named.tokens > 0).then_some(named.next_token);
                Some((named.tokens, next))
            }
            Self::Float { reference, state } if name == START_STATE => {
                **state = reference.start_state()?;
                Some((0, None))
            }
            Self::Float { .. } => None,
        }
    }

    /// The state, where the model is an image.
    pub fn state(&self) -> Option<&[i32]> {
        match self {
            Self::Image { state, .. } => Some(state),
            Self::Float { .. } => None,
        }
    }

    /// Reads tokens without computing logits.
    ///
    /// # Errors
    /// A token id that the vocabulary does not have.
    pub fn feed(&mut self, tokens: &[u32]) -> Result<(), StepError> {
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
    pub fn step(&mut self, token: u32) -> Result<&mut [f32], StepError> {
        match self {
            Self::Image {
                image,
                state,
                scratch,
                logits,
            } => {
                let mut session = Session::resume(image, state, scratch).expect("the buffers fit");
                let fixed = session.step(token)?;
                for (logit, &fixed) in logits.iter_mut().zip(&*fixed) {
                    *logit = logit_to_f32(fixed);
                }
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

fn check(reference: &Reference, token: u32) -> Result<(), StepError> {
    if (token as usize) < reference.dimensions().vocab {
        Ok(())
    } else {
        Err(StepError::UnknownToken(token))
    }
}
