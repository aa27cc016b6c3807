//! The console's commands, and what they set.

use core::fmt;
use kinglet::image::STATE_NAME_BYTES;
use kinglet::Sampling;

/// A text that ends an answer; none if it is empty.
pub type StopText = heapless::Vec<u8, STOP_BYTES>;

/// No stop text is longer, in bytes.
const STOP_BYTES: usize = 32;

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tokens of an answer.
    pub tokens: u32,
    /// How a token is chosen.
    pub sampling: Sampling,
    /// The named state that a prompt starts from; without a name `start`, or
    /// the empty text.
    pub from: heapless::String<STATE_NAME_BYTES>,
    /// The seed of the random draws.
    pub seed: u64,
    /// An answer ends where this text would appear in it.
    pub stop: StopText,
    /// What tells a program where an answer begins and ends.
    pub frames: Frames,
}

/// Control bytes around answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// None, for people.
    Off,
    /// For programs.
    On,
    /// The same, with a line for each token and the hash of its logits.
    Hashes,
}

/// The result of a line of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Settings were changed.
    Changed,
    /// Show the commands and the settings.
    Help,
    /// Describe model and board.
    Info,
    /// Leave.
    Quit,
    /// An unknown command, or a bad value.
    Unknown,
}

/// All commands.
pub const HELP: &str = "\
A line is a prompt; an empty one lets the model begin. Commands:
  /n 100                  tokens of an answer
  /temperature 0.8        how varied; 0 takes the likeliest token
  /top-k 40               only the likeliest 40 tokens; 0 is no limit
  /top-p 0.9              only the likeliest tokens of that probability together
  /repetition-penalty 1.2 against repeating the last 64 tokens; 1 is off
  /seed 1                 what the random draws follow from
  /from start             the state of the image that a prompt goes on from, or empty
  /stop TEXT              an answer ends before TEXT, the rest of the line; \\n is a line's end
  /frames on              control bytes around answers, for programs; or hashes, off
  /info, /help, /quit     model and board; this text; leave
Several commands fit a line. A prompt that begins with a slash needs two.
Ctrl-C or Esc ends an answer.";

/// Greedy, 100 tokens.
impl Default for Settings {
    fn default() -> Self {
        Self {
            tokens: 100,
            sampling: Sampling::greedy(),
            from: heapless::String::new(),
            seed: 0,
            stop: StopText::new(),
            frames: Frames::Off,
        }
    }
}

impl Settings {
    /// Carries out commands, given without the first slash. A stop text is the
    /// rest of the line: it may hold slashes, and spaces at its ends.
    pub fn apply(&mut self, line: &str) -> Command {
        let mut rest = Some(line);
        while let Some(line) = rest {
            if let Some(text) = line.strip_prefix("stop ") {
                let Some(text) = unescape(text) else {
                    return Command::Unknown;
                };
                self.stop = text;
                return Command::Changed;
            }
            let command;
            (command, rest) = first_command(line);
            let (name, value) = command.split_once(' ').unwrap_or((command, ""));
            match name {
                "help" => return Command::Help,
                "info" => return Command::Info,
                "quit" => return Command::Quit,
                "stop" => self.stop.clear(),
                _ if self.set(name, value.trim()).is_some() => {}
                _ => return Command::Unknown,
            }
        }
        Command::Changed
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "n" => self.tokens = value.parse().ok()?,
            "temperature" => self.sampling.temperature = decimal(value)?,
            "top-k" => self.sampling.top_k = value.parse().ok()?,
            "top-p" => self.sampling.top_p = decimal(value)?,
            "repetition-penalty" => self.sampling.repetition_penalty = decimal(value)?,
            "from" => self.from = value.try_into().ok()?,
            "seed" => self.seed = value.parse().ok()?,
            "frames" => {
                self.frames = match value {
                    "off" => Frames::Off,
                    "on" => Frames::On,
                    "hashes" => Frames::Hashes,
                    _ => return None,
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// The first command of a line, and the following ones without their slash.
fn first_command(line: &str) -> (&str, Option<&str>) {
    // Not `str::split_once`: its search can panic as far as the compiler knows.
    let at = line.as_bytes().windows(2).position(|pair| pair == b" /");
    let parts = at.and_then(|at| Some((line.get(..at)?, line.get(at + 2..))));
    parts.unwrap_or((line, None))
}

/// One line of commands that would set what is set.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sampling {
            temperature,
            top_k,
            top_p,
            repetition_penalty,
        } = self.sampling;
        write!(
            f,
            "/n {} /temperature {} ",
            self.tokens,
            Decimal(temperature)
        )?;
        write!(f, "/top-k {top_k} /top-p {} ", Decimal(top_p))?;
        write!(
            f,
            "/repetition-penalty {} /seed {}",
            Decimal(repetition_penalty),
            self.seed
        )?;
        if !self.from.is_empty() {
            write!(f, " /from {}", self.from)?;
        }
        f.write_str(match self.frames {
            Frames::Off => "",
            Frames::On => " /frames on",
            Frames::Hashes => " /frames hashes",
        })?;
        if self.stop.is_empty() {
            return Ok(());
        }
        f.write_str(" /stop ")?;
        // In pieces that end with a character.
        let mut utf8 = kinglet::Utf8Stream::new();
        let mut result = Ok(());
        escape(&self.stop, |bytes| {
            for &byte in bytes {
                result = result.and_then(|()| write!(f, "{}", utf8.push(byte)));
            }
        });
        result
    }
}

/// A number with three digits after the point. Shorter than the standard
/// library's way to print any float.
struct Decimal(f32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousandths = (self.0 * 1000.0 + 0.5) as u32;
        write!(f, "{}.{:03}", thousandths / 1000, thousandths % 1000)
    }
}

/// A number such as `0.85`. Shorter than the standard library's `parse`, which
/// is 15 KB of code, and as exact for up to seven digits.
fn decimal(text: &str) -> Option<f32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (mut value, mut divisor) = (0u32, 1u32);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    for digit in whole.chars() {
        value = value.checked_mul(10)?.checked_add(digit.to_digit(10)?)?;
    }
    for digit in fraction.chars() {
        value = value.checked_mul(10)?.checked_add(digit.to_digit(10)?)?;
        divisor = divisor.checked_mul(10)?;
    }
    Some(value as f32 / divisor as f32)
}

/// A stop text as it is typed: `\n`, `\t` and `\\` stand for one byte.
fn unescape(typed: &str) -> Option<StopText> {
    let mut text = StopText::new();
    let mut bytes = typed.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                _ => return None,
            },
            byte => byte,
        };
        text.push(byte).ok()?;
    }
    Some(text)
}

/// A stop text as it can be typed.
fn escape(text: &[u8], mut put: impl FnMut(&[u8])) {
    for &byte in text {
        match byte {
            b'\n' => put(b"\\n"),
            b'\t' => put(b"\\t"),
            b'\\' => put(b"\\\\"),
            byte => put(&[byte]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn typed_and_shown_stop_texts_are_the_same() {
        let text = unescape("a\\n\\t\\\\b").unwrap();
        assert_eq!(&text[..], b"a\n\t\\b");
        let mut typed = Vec::new();
        escape(&text, |bytes| typed.extend_from_slice(bytes));
        assert_eq!(typed, b"a\\n\\t\\\\b");
        assert_eq!(unescape("\\x"), None);
        assert_eq!(unescape("\\"), None);
        assert_eq!(unescape(&"a".repeat(33)), None);
    }
}
