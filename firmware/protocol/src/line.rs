//! The firmware's answer to a request: one definition for writing
//! ([`core::fmt::Display`]) and for reading ([`Line::parse`]).

use core::fmt;
use core::str::FromStr;

/// A line of an answer. Hashes are 16 hexadecimal digits, counts decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The request was understood; the number is [`crate::VERSION`].
    Begin(u32),
    /// Progress: the number of tokens of the prompt that have been read.
    Reading(u32),
    /// The hash of the logits at the next position of the prompt.
    Logits(u64),
    /// The prompt has been read.
    Prompt {
        /// Its tokens.
        tokens: u32,
        /// Instructions for all of them but the last, which belongs to the
        /// first generated token.
        instructions: u64,
    },
    /// A token was generated.
    Token {
        /// Its id.
        id: u32,
        /// The hash of the logits that it was chosen from.
        hash: u64,
        /// Instructions of the whole step and of choosing the token.
        instructions: u64,
        /// What the token stands for; may be a part of a character.
        text: &'a [u8],
    },
    /// The most instructions that a slice of a step took.
    SliceInstructions(u64),
    /// Bytes of the state.
    StateBytes(u32),
    /// Bytes of the scratch.
    ScratchBytes(u32),
    /// The most bytes of stack in use since the start.
    StackBytes(u32),
    /// The request cannot be carried out, and why.
    Error(&'a str),
    /// Nothing more follows.
    End,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Begin(version) => write!(f, "begin {version}"),
            Self::Reading(tokens) => write!(f, "reading {tokens}"),
            Self::Logits(hash) => write!(f, "logits {hash:016x}"),
            Self::Prompt {
                tokens,
                instructions,
            } => write!(f, "prompt {tokens} {instructions}"),
            Self::Token {
                id,
                hash,
                instructions,
                text,
            } => {
                write!(f, "token {id} {hash:016x} {instructions} ")?;
                text.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::SliceInstructions(most) => write!(f, "slice_instructions {most}"),
            Self::StateBytes(bytes) => write!(f, "state_bytes {bytes}"),
            Self::ScratchBytes(bytes) => write!(f, "scratch_bytes {bytes}"),
            Self::StackBytes(bytes) => write!(f, "stack_bytes {bytes}"),
            Self::Error(message) => write!(f, "error {message}"),
            Self::End => f.write_str("end"),
        }
    }
}

impl<'a> Line<'a> {
    /// Reads a line, given without its line feed. A token's text is put
    /// into `buffer`, which half the length of the line always suffices for.
    pub fn parse(line: &'a str, buffer: &'a mut [u8]) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "begin" => Some(Self::Begin(number(rest)?)),
            "reading" => Some(Self::Reading(number(rest)?)),
            "logits" => Some(Self::Logits(hash(rest)?)),
            "prompt" => {
                let (tokens, instructions) = rest.split_once(' ')?;
                let (tokens, instructions) = (number(tokens)?, number(instructions)?);
                Some(Self::Prompt {
                    tokens,
                    instructions,
                })
            }
            "token" => Self::parse_token(rest, buffer),
            "slice_instructions" => Some(Self::SliceInstructions(number(rest)?)),
            "state_bytes" => Some(Self::StateBytes(number(rest)?)),
            "scratch_bytes" => Some(Self::ScratchBytes(number(rest)?)),
            "stack_bytes" => Some(Self::StackBytes(number(rest)?)),
            "error" => Some(Self::Error(rest)),
            "end" if rest.is_empty() => Some(Self::End),
            _ => None,
        }
    }

    fn parse_token(fields: &'a str, buffer: &'a mut [u8]) -> Option<Self> {
        let mut fields = fields.splitn(4, ' ');
        let id = number(fields.next()?)?;
        let hash = hash(fields.next()?)?;
        let instructions = number(fields.next()?)?;
        let text = unhex(fields.next()?, buffer)?;
        Some(Self::Token {
            id,
            hash,
            instructions,
            text,
        })
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A hash of 16 hexadecimal digits.
pub fn hash(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16)
        .ok()
        .filter(|_| text.len() == 16)
}

fn unhex<'b>(digits: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes = buffer.get_mut(..pairs.len())?;
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let &[high, low] = pair else { return None };
        let (high, low) = (
            char::from(high).to_digit(16)?,
            char::from(low).to_digit(16)?,
        );
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::string::ToString;

    #[test]
    fn every_line_comes_back() {
        let token = |text| Line::Token {
            id: 7,
            hash: 0xabc,
            instructions: 1 << 40,
            text,
        };
        let lines = [
            Line::Begin(crate::VERSION),
            Line::Reading(3),
            Line::Logits(u64::MAX),
            Line::Prompt {
                tokens: 100_000,
                instructions: u64::MAX,
            },
            token(b""),
            token(b" a\n\xff"),
            Line::SliceInstructions(1 << 33),
            Line::StateBytes(10_240),
            Line::ScratchBytes(1),
            Line::StackBytes(0),
            Line::Error("no token stands for the byte 0xff"),
            Line::End,
        ];
        for line in lines {
            let text = line.to_string();
            assert_eq!(Line::parse(&text, &mut [0; 16]), Some(line), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_line() {
        for text in [
            "",
            "> ",
            "token",
            "token 1 2 3",
            "logits 12",
            "end 1",
            "begin x",
        ] {
            assert_eq!(Line::parse(text, &mut [0; 16]), None, "{text}");
        }
        let odd = "token 1 0000000000000abc 5 616";
        assert_eq!(Line::parse(odd, &mut [0; 16]), None);
        assert_eq!(
            Line::parse("token 1 0000000000000abc 5 6162", &mut [0; 1]),
            None
        );
    }
}
