//! Talking to a board's firmware in QEMU.

use anyhow::{anyhow, bail, Context, Result};
use kinglet_protocol::console::GREETING;
use kinglet_protocol::END_OF_INPUT;
use kinglet_workshop::emulator::{forward, Running};
use std::io::{self, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::thread;
use std::time::Duration;

/// Firmware that is silent for this long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// The end of the message of firmware without a model.
const NO_MODEL: &[u8] = b"then type anything.";

/// What the console prints when it is ready for a line.
pub const READY: &str = "> ";

/// A QEMU that ends with its owner, and what its firmware says.
pub struct Dialogue {
    qemu: Running,
    heard: Receiver<u8>,
}

impl Dialogue {
    /// Starts QEMU, and hears the first byte of the greeting of a firmware
    /// that has a model.
    pub fn start(command: &mut Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut qemu = Running::start(piped)?;
        let stdout = qemu.0.stdout.take().context("QEMU has no output")?;
        let (sender, heard) = channel();
        thread::spawn(move || {
            for byte in BufReader::new(stdout).bytes().map_while(Result::ok) {
                if sender.send(byte).is_err() {
                    return;
                }
            }
        });
        let dialogue = Self { qemu, heard };
        let mut said = Vec::new();
        while said.last() != Some(&GREETING) {
            said.push(dialogue.byte()?);
            if said.ends_with(NO_MODEL) {
                bail!("the firmware says: {}", String::from_utf8_lossy(&said));
            }
        }
        Ok(dialogue)
    }

    /// Gives the console to the person at the keyboard, until the input ends.
    pub fn converse(mut self) -> Result<()> {
        let mut input = self.qemu.0.stdin.take().context("QEMU has no input")?;
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

    /// Types.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let input = self.qemu.0.stdin.as_mut().context("QEMU has no input")?;
        input.write_all(line.as_bytes())?;
        Ok(input.flush()?)
    }

    fn byte(&self) -> Result<u8> {
        let byte = self.heard.recv_timeout(SILENCE);
        byte.map_err(|_| anyhow!("the firmware says no more"))
    }

    /// What the firmware says up to `end`, without it.
    pub fn hear(&mut self, end: &str) -> Result<String> {
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
