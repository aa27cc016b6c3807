//! The first difference between a firmware and the workstation, as a sentence.

use super::Expected;
use kinglet::{Image, Tokenizer};
use kinglet_protocol::console::Chosen;
use serde::Serialize;
use std::fmt;

/// Characters shown of a text.
const EXCERPT: usize = 40;

/// A token as people and programs take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    token: u32,
    /// What it stands for; none of a class.
    text: String,
    /// Of the logits that it was chosen from.
    logits_hash: String,
}

/// Where two choices differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AtToken {
    /// After this prompt.
    prompt: String,
    /// Which token, counted from 1.
    position: usize,
    /// The workstation's choice.
    expected: Choice,
    /// The firmware's.
    found: Choice,
}

/// What differs first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Difference {
    /// The firmware has another image.
    Image {
        /// Checksum of the image's file.
        expected: String,
        /// That of the firmware's image.
        found: String,
    },
    /// Another token was chosen, from equal logits or others.
    Token(AtToken),
    /// The same token was chosen from other logits.
    Logits(AtToken),
    /// There are more tokens, or fewer.
    Length {
        /// After this prompt.
        prompt: String,
        /// The workstation's tokens.
        expected: usize,
        /// The firmware's.
        found: usize,
    },
    /// Equal tokens became another text.
    Text {
        /// After this prompt.
        prompt: String,
        /// From the first other character on, cut.
        expected: String,
        /// The same of the firmware.
        found: String,
    },
}

impl Difference {
    /// Whether the firmware's image is another, by its checksum.
    pub fn of_image(image: &Image<'_>, found: u32) -> Option<Self> {
        let expected = image.header().crc32;
        (expected != found).then(|| Self::Image {
            expected: format!("{expected:08x}"),
            found: format!("{found:08x}"),
        })
    }

    /// The first other token, or other logits. Fewer tokens than expected are no
    /// difference yet: see [`Difference::of_length`].
    pub fn of_tokens(image: &Image<'_>, expected: &Expected, found: &[Chosen]) -> Option<Self> {
        let tokenizer = image.tokenizer().filter(|_| image.shape().n_class == 0);
        let mut pairs = expected.chosen.iter().zip(found);
        let at = pairs.position(|(expected, found)| expected != found)?;
        let (ours, theirs) = (expected.chosen[at], found[at]);
        let difference = AtToken {
            prompt: expected.prompt.clone(),
            position: at + 1,
            expected: choice(tokenizer, ours),
            found: choice(tokenizer, theirs),
        };
        Some(match ours.token == theirs.token {
            true => Self::Logits(difference),
            false => Self::Token(difference),
        })
    }

    /// Whether there are more tokens than expected, or fewer.
    pub fn of_length(expected: &Expected, found: usize) -> Option<Self> {
        let (prompt, expected) = (expected.prompt.clone(), expected.chosen.len());
        (expected != found).then_some(Self::Length {
            prompt,
            expected,
            found,
        })
    }

    /// Whether the text is another.
    pub fn of_text(expected: &Expected, found: &str) -> Option<Self> {
        let pairs = expected.text.chars().zip(found.chars());
        let equal = pairs.take_while(|(expected, found)| expected == found);
        let equal = equal.count();
        (expected.text != found).then(|| Self::Text {
            prompt: expected.prompt.clone(),
            expected: expected.text.chars().skip(equal).take(EXCERPT).collect(),
            found: found.chars().skip(equal).take(EXCERPT).collect(),
        })
    }
}

fn choice(tokenizer: Option<Tokenizer<'_>>, chosen: Chosen) -> Choice {
    let text = tokenizer.map(|tokenizer| tokenizer.decode(chosen.token));
    Choice {
        token: chosen.token,
        text: String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned(),
        logits_hash: format!("{:016x}", chosen.hash),
    }
}

/// Its number and, in quotation marks, its text.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { token, text, .. } = self;
        match text.is_empty() {
            true => write!(f, "{token}"),
            false => write!(f, "{token} {text:?}"),
        }
    }
}

/// A prompt that fits a sentence.
struct Short<'t>(&'t str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: String = self.0.chars().take(EXCERPT).collect();
        let more = if start.len() < self.0.len() {
            "..."
        } else {
            ""
        };
        write!(f, "prompt {start:?}{more}")
    }
}

impl fmt::Display for AtToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, token {}", Short(&self.prompt), self.position)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { expected, found } => write!(
                f,
                "the firmware has another image: its checksum is {found}, that of the file is {expected}"
            ),
            Self::Token(at) => {
                let (expected, found) = (&at.expected, &at.found);
                write!(
                    f,
                    "{at}: the firmware chose {found}, the workstation {expected}; "
                )?;
                let (ours, theirs) = (&expected.logits_hash, &found.logits_hash);
                match ours == theirs {
                    true => write!(f, "the logits are equal (hash {ours})"),
                    false => write!(f, "the hash of the logits is {theirs}, not {ours}"),
                }?;
                write_hint(f, at.position)
            }
            Self::Logits(at) => {
                let (expected, found) = (&at.expected, &at.found);
                let (ours, theirs) = (&expected.logits_hash, &found.logits_hash);
                write!(
                    f,
                    "{at}: both chose {expected}, but the hash of the firmware's logits is {theirs}, not {ours}"
                )?;
                write_hint(f, at.position)
            }
            Self::Length {
                prompt,
                expected,
                found,
            } => {
                let prompt = Short(prompt);
                write!(
                    f,
                    "{prompt}: all tokens are equal, but the firmware has {found} of them and the workstation \
                     {expected}"
                )
            }
            Self::Text {
                prompt,
                expected,
                found,
            } => {
                let prompt = Short(prompt);
                write!(
                    f,
                    "{prompt}: all tokens are equal, but the firmware's text goes on with {found:?} where it \
                     should be {expected:?}"
                )
            }
        }
    }
}

/// What is to be checked where nothing was equal.
fn write_hint(f: &mut fmt::Formatter<'_>, position: usize) -> fmt::Result {
    match position {
        1 => f.write_str(" (do both start from the same prompt and state?)"),
        _ => Ok(()),
    }
}
