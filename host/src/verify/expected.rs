//! What the workstation answers to a prompt, step by step as a board does.

use crate::text::shown;
use kinglet::hash::Hashed;
use kinglet::{Answer, Error, Image, Sample, Sampler, Sampling, Session, Text};
use kinglet_protocol::console::Chosen;

/// What a firmware has to answer to a prompt.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The prompt.
    pub prompt: String,
    /// The likeliest tokens, one after the other, the one that ends the text
    /// among them; of a model of labels its answer.
    pub chosen: Vec<Chosen>,
    /// Their text as a console shows it.
    pub text: String,
}

impl Expected {
    /// At most `tokens` of them, from the state of this name on, as
    /// [`Text::start_from`] has it.
    ///
    /// # Errors
    /// The image cannot read the prompt, or has no such state.
    pub fn of(image: &Image<'_>, prompt: &str, tokens: u32, from: &str) -> Result<Self, Error> {
        let shape = image.shape();
        let mut state = vec![0; shape.state_len()];
        let mut scratch = vec![0; shape.scratch_len()];
        let mut session = Session::new(image, &mut state, &mut scratch)?;
        let mut text = Text::new(image, tokens)?;
        text.start_from(&mut session, from)?;
        for token in text.prompt(prompt.as_bytes()) {
            session.feed(&[token?])?;
        }
        let (mut chosen, mut said) = (Vec::new(), String::new());
        let mut choose = |token, sampler: &mut dyn Sample| {
            let mut hashed = Hashed::new(sampler);
            let token = session.choose(token, &mut hashed)?;
            let hash = hashed.finish();
            chosen.push(Chosen { token, hash });
            Ok::<_, Error>(token)
        };
        if shape.n_class > 0 {
            let mut answer = Answer::new();
            choose(text.token(), &mut answer)?;
            said = answer.label(image).to_string();
        } else {
            let mut sampler = Sampler::new(Sampling::greedy(), 0);
            while text.end().is_none() {
                let token = choose(text.token(), &mut sampler)?;
                text.push(token, |piece| said.push_str(piece));
            }
        }
        Ok(Self {
            prompt: prompt.to_owned(),
            chosen,
            text: shown(&said),
        })
    }
}
