//! The control bytes of the boards' console, for programs.
//!
//! A person needs none of this. A program sends [`FRAMES_ON`] as a line and
//! finds these bytes between the text, in this order, for every prompt:
//! [`READY`], then, once it has sent a line, [`TEXT_BEGINS`], a [`TOKEN_READ`]
//! for every token of the prompt, the text, [`TEXT_ENDS`], and the line of
//! [`Statistics`] or one that says what is wrong. A command is answered
//! between two [`READY`]. In the text there is no control character but tabs
//! and ends of lines (CR, LF).

use core::fmt;
use kinglet::End;

/// The greeting, from which a program learns of a reset. Sent without frames
/// too: terminals do not show it.
pub const GREETING: u8 = 0x0f;

/// The board waits for a line.
pub const READY: u8 = 0x05;

/// The answer's text begins.
pub const TEXT_BEGINS: u8 = 0x02;

/// It ends.
pub const TEXT_ENDS: u8 = 0x03;

/// A token of the prompt has been read: the board is at work.
pub const TOKEN_READ: u8 = 0x06;

/// In an answer with hashes: the line of a [`Chosen`] follows, then what the
/// token adds to the text.
pub const TOKEN_CHOSEN: u8 = 0x1e;

/// The bytes that end an answer or clear a line: Ctrl-C and the escape key.
pub const ABORT: [u8; 2] = [0x03, 0x1b];

/// The commands that switch these bytes on and off.
pub const FRAMES_ON: &str = "/frames on";
/// The same with [`TOKEN_CHOSEN`] for every token of an answer.
pub const FRAMES_WITH_HASHES: &str = "/frames hashes";
/// See [`FRAMES_ON`].
pub const FRAMES_OFF: &str = "/frames off";

/// The line of `/info` that tells one image from another: these words, then the
/// checksum in the image's header as 8 hexadecimal digits.
pub const IMAGE_CHECKSUM: &str = "image checksum: ";

/// With this a board's firmware ends its refusal of what lies in its flash in place of an
/// image.
pub const NO_MODEL: &str = "then type anything.";

/// No line that is sent to a console is longer, in bytes.
pub const LINE_BYTES: usize = 256;

/// A character of text from a model, a file or a wire as it is shown: no text
/// speaks to a terminal, or in place of the bytes above.
pub fn shown(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        _ if c.is_control() => '?',
        _ => c,
    }
}

/// A token, and the hash of the logits that it was chosen from
/// (`kinglet::hash`): the line `token 7 0123456789abcdef`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its id; of a model of labels the class.
    pub token: u32,
    /// The hash.
    pub hash: u64,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {} {:016x}", self.token, self.hash)
    }
}

impl Chosen {
    /// Reads the line, also one with other words around it, as a log has them;
    /// none if it is another.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        words.find(|&word| word == "token")?;
        let token = words.next()?.parse().ok()?;
        let hash = crate::line::hash(words.next()?)?;
        Some(Self { token, hash })
    }
}

/// Reads the checksum in a line with [`IMAGE_CHECKSUM`]; none if it is another.
pub fn image_checksum(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once(IMAGE_CHECKSUM)?;
    let digits = rest.split_whitespace().next()?;
    u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.len() == 8)
}

/// How fast an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// From a clock: hundredths of a token per second.
    CentitokensPerSecond(u64),
    /// From a counter in an emulated machine: instructions of a token.
    InstructionsPerToken(u64),
}

/// What an answer took, as the line after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Tokens generated.
    pub tokens: u32,
    /// While they were.
    pub speed: Speed,
    /// The most bytes of stack in use since the reset.
    pub stack_bytes: u32,
    /// Why it ended.
    pub end: End,
}

const PER_SECOND: &str = " tokens/s";
const PER_TOKEN: &str = " instructions/token";

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} tokens, ", self.tokens)?;
        match self.speed {
            Speed::CentitokensPerSecond(rate) => {
                write!(f, "{}.{:02}{PER_SECOND}", rate / 100, rate % 100)?;
            }
            Speed::InstructionsPerToken(count) => write!(f, "{count}{PER_TOKEN}")?,
        }
        let Self {
            stack_bytes, end, ..
        } = self;
        write!(f, ", stack {stack_bytes} bytes, {}]", end.name())
    }
}

impl Statistics {
    /// Reads the line; none if it is another.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim().strip_prefix('[')?.strip_suffix(']')?;
        let mut parts = line.split(", ");
        let tokens = parts.next()?.strip_suffix(" tokens")?.parse().ok()?;
        let speed = parts.next()?;
        let speed = match speed.strip_suffix(PER_TOKEN) {
            Some(count) => Speed::InstructionsPerToken(count.parse().ok()?),
            None => {
                let (whole, hundredths) = speed.strip_suffix(PER_SECOND)?.split_once('.')?;
                let (whole, rest): (u64, u64) = (whole.parse().ok()?, hundredths.parse().ok()?);
                Speed::CentitokensPerSecond(whole.checked_mul(100)?.checked_add(rest)?)
            }
        };
        let stack = parts.next()?.strip_prefix("stack ")?;
        let stack_bytes = stack.strip_suffix(" bytes")?.parse().ok()?;
        let name = parts.next()?;
        let end = End::ALL.into_iter().find(|end| end.name() == name)?;
        Some(Self {
            tokens,
            speed,
            stack_bytes,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn statistics_are_read_as_they_are_printed() {
        for end in End::ALL {
            for speed in [
                Speed::CentitokensPerSecond(1205),
                Speed::InstructionsPerToken(1_210_866),
            ] {
                let statistics = Statistics {
                    tokens: 12,
                    speed,
                    stack_bytes: 3892,
                    end,
                };
                assert_eq!(Statistics::parse(&statistics.to_string()), Some(statistics));
            }
        }
    }

    #[test]
    fn tokens_are_read_as_they_are_printed() {
        for (token, hash) in [(0, u64::MAX), (u32::MAX, 0), (312, 0xabc)] {
            let chosen = Chosen { token, hash };
            let line = chosen.to_string();
            assert_eq!(Chosen::parse(&line), Some(chosen));
            let logged = std::format!("0.31 INFO  {line} (main.rs:9)\r\n");
            assert_eq!(Chosen::parse(&logged), Some(chosen));
        }
        for line in [
            "",
            "token",
            "token 1",
            "token 1 abc",
            "token -1 0000000000000abc",
            "tokens 1 0000000000000abc",
            "token 4294967296 0000000000000abc",
        ] {
            assert_eq!(Chosen::parse(line), None, "{line}");
        }
    }

    #[test]
    fn checksums_are_read_as_they_are_printed() {
        let line = std::format!("{IMAGE_CHECKSUM}{:08x}\r\n", 0xabc);
        assert_eq!(image_checksum(&line), Some(0xabc));
        for line in [
            "",
            "image checksum: ",
            "image checksum: abc",
            "image bytes: 00000abc",
        ] {
            assert_eq!(image_checksum(line), None, "{line}");
        }
    }

    #[test]
    fn no_text_is_a_control_byte() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let expected = match c {
                '\n' | '\t' => c,
                '\0'..='\x1f' | '\x7f'..='\u{9f}' => '?',
                _ => c,
            };
            assert_eq!(shown(c), expected);
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "[]",
            "[12 tokens]",
            "[12 tokens, 1.50 tokens/s, stack 4076 bytes]",
            "[12 tokens, 1 tokens/s, stack 4076 bytes, end]",
            "[-1 tokens, 1.50 tokens/s, stack 4076 bytes, end]",
            "[1 tokens, 99999999999999999999.00 tokens/s, stack 1 bytes, end]",
            "[1 tokens, 999999999999999999.00 tokens/s, stack 1 bytes, over]",
        ] {
            assert_eq!(Statistics::parse(line), None, "{line}");
        }
    }
}
