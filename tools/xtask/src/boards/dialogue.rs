//! Talking to a board's firmware in an emulator.

use anyhow::{anyhow, bail, Context, Result};
use kinglet_protocol::console::{Statistics, GREETING, NO_MODEL};
use kinglet_protocol::END_OF_INPUT;
use kinglet_workshop::emulator::{forward, Running};
use std::io::{self, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::Duration;

/// Firmware that is silent for this long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// What the console prints when it is ready for a line.
const READY: &str = "> ";

/// An emulator that ends with its owner, and what its firmware says.
pub struct Dialogue {
    emulator: Running,
    heard: Receiver<u8>,
}

impl Dialogue {
    /// Starts the emulator, and hears the first byte of the greeting of a firmware
    /// that has a model.
    pub fn start(command: &mut Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut emulator = Running::start(piped)?;
        let stdout = emulator
            .0
            .stdout
            .take()
            .context("the emulator has no output")?;
        let (sender, heard) = channel();
        thread::spawn(move || {
            for byte in BufReader::new(stdout).bytes().map_while(Result::ok) {
                if sender.send(byte).is_err() {
                    return;
                }
            }
        });
        let dialogue = Self { emulator, heard };
        let mut said = Vec::new();
        while said.last() != Some(&GREETING) {
            said.push(dialogue.byte()?);
            if said.ends_with(NO_MODEL.as_bytes()) {
                bail!("the firmware says: {}", String::from_utf8_lossy(&said));
            }
        }
        Ok(dialogue)
    }

    /// Gives the console to the person at the keyboard, until the input ends.
    pub fn converse(mut self) -> Result<()> {
        let mut input = self
            .emulator
            .0
            .stdin
            .take()
            .context("the emulator has no input")?;
        thread::spawn(move || {
            // Errors mean that the other side has left: nothing to do.
            let _ = forward(&mut io::stdin().lock(), &mut input);
            // The first ends an unfinished line, the second the conversation.
            let _ = input.write_all(&[END_OF_INPUT; 2]);
            let _ = input.flush();
        });
        let mut out = io::stdout();
        for byte in &self.heard {
            // The board ends this conversation and greets the next person.
            if byte == GREETING {
                break;
            }
            out.write_all(&[byte])?;
            out.flush()?;
        }
        Ok(())
    }

    /// Hears the greeting to its end.
    pub fn greeted(mut self) -> Result<Self> {
        self.hear(READY)?;
        Ok(self)
    }

    /// Asks the firmware once: the text after the prompt, and the line after it.
    pub fn ask(&mut self, prompt: &str, tokens: u32) -> Result<(String, Statistics)> {
        self.say(&format!("/n {tokens}\r"))?;
        self.hear(READY)?;
        self.say(&format!("{prompt}\r"))?;
        let answer = self.hear(&format!("\n{READY}"))?;
        parse(&answer).with_context(|| format!("the firmware says: {answer}"))
    }

    /// Types.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self
            .emulator
            .0
            .stdin
            .as_mut()
            .context("the emulator has no input")?;
        input.write_all(line.as_bytes())?;
        Ok(input.flush()?)
    }

    fn byte(&self) -> Result<u8> {
        let byte = self.heard.recv_timeout(SILENCE);
        byte.map_err(|_| anyhow!("the firmware says no more"))
    }

    /// What the firmware says up to `end`, without it.
    fn hear(&mut self, end: &str) -> Result<String> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            bytes.push(self.byte().with_context(|| {
                let said = String::from_utf8_lossy(&bytes);
                format!("its last words: {said}")
            })?);
        }
        bytes.truncate(bytes.len() - end.len());
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The text, and the line after it.
fn parse(answer: &str) -> Option<(String, Statistics)> {
    let (text, statistics) = answer.trim_end().rsplit_once("\r\n")?;
    Some((text.replace("\r\n", "\n"), Statistics::parse(statistics)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_text_and_stack() {
        let line = "[3 tokens, 1.50 tokens/s, stack 4076 bytes, end]";
        let (text, statistics) = parse(&format!("a [b]\r\nc\r\n{line}\r")).expect("statistics");
        assert_eq!(text, "a [b]\nc");
        assert_eq!(statistics.stack_bytes, 4076);
        assert!(parse("the image has no tokenizer\r").is_none());
    }
}
