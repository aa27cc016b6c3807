//! A board's console, with frames on.

use super::link::{Event, Link};
use super::{refused, reset, Left};
use crate::text::shown;
use anyhow::{anyhow, bail, Result};
use kinglet::tokenizer::MAX_TOKEN_BYTES;
use kinglet::Utf8Stream;
use kinglet_protocol::console::{
    Chosen, Statistics, ABORT, FRAMES_OFF, FRAMES_ON, GREETING, LINE_BYTES, NO_MODEL, READY,
    TEXT_BEGINS, TEXT_ENDS, TOKEN_CHOSEN, TOKEN_READ,
};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant, SystemTime};

/// After this silence the board has sent all.
const QUIET: Duration = Duration::from_millis(150);

/// Duration of the first attempt to get an answer; each other one doubles it.
const ATTEMPT: Duration = Duration::from_millis(500);

/// How long an answer may go on after it was interrupted, and anything after the
/// last.
const FAREWELL: Duration = Duration::from_secs(5);

/// Characters shown of unexpected output.
const EXCERPT: usize = 120;

/// Bytes kept of it.
const LAST_BYTES: usize = 4096;

/// The most bytes of an answer without tokens.
const SETTINGS_BYTES: usize = 4096;

/// What a board is given.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long it may be silent.
    pub silence: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// The most bytes of an answer.
    pub bytes: usize,
}

impl Limits {
    /// The most bytes of an answer of this number of tokens, or of what a board says
    /// beside answers.
    pub fn bytes_of(tokens: u32) -> usize {
        SETTINGS_BYTES + tokens as usize * MAX_TOKEN_BYTES
    }
}

/// The answer to a prompt.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Tokens of the prompt that the board has read.
    pub prompt_tokens: u32,
    /// Its tokens, the one that ends the text among them; none without hashes.
    pub chosen: Vec<Chosen>,
    /// Its cost.
    pub statistics: Statistics,
    /// Other lines of the board.
    pub notes: Vec<String>,
}

/// The next input.
enum Heard {
    Byte(u8),
    /// Ctrl-C: the answer is to end.
    Interrupt,
}

/// The console of a board that waits for a line.
#[derive(Debug)]
pub struct Console {
    link: Link,
    limits: Limits,
    /// The end of the time for the answer under way.
    deadline: Instant,
    is_interrupted: bool,
    heard: VecDeque<u8>,
    /// Typed while the board was at work; `None` is the end.
    typed: VecDeque<Option<String>>,
}

impl Console {
    /// That of a board that is known to wait for a line, with frames on.
    pub fn over(link: Link, limits: Limits) -> Self {
        Self {
            link,
            limits,
            deadline: Instant::now(),
            is_interrupted: false,
            heard: VecDeque::new(),
            typed: VecDeque::new(),
        }
    }

    /// Gets the board's attention: ends an answer, clears an unfinished line,
    /// asks for frames.
    ///
    /// # Errors
    /// There is no answer, or not Kinglet's.
    pub fn attach(link: Link, limits: Limits) -> Result<Self> {
        let timeout = limits.silence;
        let mut console = Self::over(link, limits);
        let start = Instant::now();
        let mut attempt = ATTEMPT;
        let mut said = Vec::new();
        while start.elapsed() < timeout {
            // Alone: while a board works, its UART may keep one byte only.
            console.link.send(&ABORT[..1])?;
            console.hear_until_quiet(&mut said, timeout)?;
            // Answers to earlier commands may arrive now too: this one has a
            // number that none of them has.
            let number = nonce();
            let line = format!("/seed {number} {FRAMES_ON}\r");
            console.link.send(line.as_bytes())?;
            let left = timeout.saturating_sub(start.elapsed());
            let answer = format!("/seed {number} ");
            if console.hear_answer(&answer, &mut said, attempt.min(left))? {
                return Ok(console);
            }
            attempt *= 2;
        }
        if said.is_empty() {
            return Err(console.link.silent(timeout));
        }
        let (name, said) = (console.link.name(), excerpt(&said));
        match said.contains(NO_MODEL) {
            true => bail!("{name}: the firmware runs, but refuses the image in its flash: {said}"),
            false => bail!(
                "{name} speaks, but not as Kinglet's console does; check what was flashed, and at a serial port the rate (--baud). It says: {said}"
            ),
        }
    }

    /// Waits for what has `answer` in it and ends with [`READY`].
    fn hear_answer(&mut self, answer: &str, said: &mut Vec<u8>, time: Duration) -> Result<bool> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.hear_until_quiet(said, self.limits.silence)?;
            if said.last() == Some(&READY) && contains(said, answer.as_bytes()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes what comes, for `most` where it never stops.
    fn hear_until_quiet(&mut self, said: &mut Vec<u8>, most: Duration) -> Result<()> {
        let start = Instant::now();
        while let Some(event) = self.link.event(QUIET) {
            self.take(event, said)?;
            if start.elapsed() > most {
                break;
            }
        }
        Ok(())
    }

    /// An event before there is a conversation.
    fn take(&mut self, event: Event, said: &mut Vec<u8>) -> Result<()> {
        match event {
            Event::Bytes(bytes) => {
                said.extend(bytes);
                said.drain(..said.len().saturating_sub(LAST_BYTES));
            }
            Event::Closed(reason) if said.is_empty() => return Err(self.link.closed(reason)),
            Event::Closed(_) => {
                let (name, said) = (self.link.name(), excerpt(said));
                bail!("the board says: {said} ({name} is gone)");
            }
            Event::Typed(line) => self.typed.push_back(Some(line)),
            Event::TypedEnd => self.typed.push_back(None),
            Event::Interrupt => return Err(Left.into()),
        }
        Ok(())
    }

    /// The answer takes too long.
    fn overdue(&self) -> anyhow::Error {
        if self.is_interrupted {
            return Left.into();
        }
        self.link.overdue(self.limits.answer)
    }

    /// The answer is longer than it can be.
    fn endless(&self) -> anyhow::Error {
        let (name, bytes) = (self.link.name(), self.limits.bytes);
        anyhow!("{name} does not stop: its answer has more than {bytes} bytes, more than it was asked for")
    }

    /// Sends a line, to be answered in time.
    fn send_line(&mut self, line: &str) -> Result<()> {
        self.deadline = Instant::now() + self.limits.answer;
        self.is_interrupted = false;
        self.link.send(format!("{line}\r").as_bytes())
    }

    /// The next byte or interrupt.
    fn next(&mut self) -> Result<Heard> {
        loop {
            if let Some(byte) = self.heard.pop_front() {
                return Ok(Heard::Byte(byte));
            }
            match self.link.wait(&self.limits, self.deadline)? {
                Some(Event::Bytes(bytes)) => self.heard.extend(bytes),
                Some(Event::Closed(reason)) => return Err(self.link.closed(reason)),
                Some(Event::Typed(line)) => self.typed.push_back(Some(line)),
                Some(Event::TypedEnd) => self.typed.push_back(None),
                Some(Event::Interrupt) => return Ok(Heard::Interrupt),
                None => return Err(self.overdue()),
            }
        }
    }

    /// The next line that the person types; none after the last.
    ///
    /// # Errors
    /// The board is gone or was reset, or the person wants to leave.
    pub fn typed(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(typed) = self.typed.pop_front() {
                return Ok(typed);
            }
            match self.link.event(Duration::from_secs(3600)) {
                Some(Event::Bytes(bytes)) if bytes.contains(&GREETING) => return Err(reset()),
                // Not asked for.
                Some(Event::Bytes(_)) | None => {}
                Some(Event::Closed(reason)) => return Err(self.link.closed(reason)),
                Some(Event::Typed(line)) => return Ok(Some(line)),
                Some(Event::TypedEnd) => return Ok(None),
                Some(Event::Interrupt) => return Err(Left.into()),
            }
        }
    }

    /// Carries out a line of commands; returns what the board says.
    ///
    /// # Errors
    /// The board is silent, gone or was reset, or the person wants to leave.
    pub fn command(&mut self, line: &str) -> Result<String> {
        self.send_line(line)?;
        self.rest()
    }

    /// Carries out a line that changes settings.
    ///
    /// # Errors
    /// The board refuses it, or as with [`Console::command`].
    pub fn set(&mut self, line: &str) -> Result<()> {
        let said = self.command(line)?;
        // The board answers with its settings.
        match said.starts_with("/n ") {
            true => Ok(()),
            false => Err(refused(said.trim())),
        }
    }

    /// The output until the board waits for a line.
    fn rest(&mut self) -> Result<String> {
        let mut said = Vec::new();
        loop {
            match self.next()? {
                Heard::Byte(READY) => break,
                Heard::Byte(GREETING) => return Err(reset()),
                Heard::Byte(b'\r') => {}
                Heard::Byte(_) if said.len() >= self.limits.bytes => return Err(self.endless()),
                Heard::Byte(byte) => said.push(byte),
                Heard::Interrupt => return Err(Left.into()),
            }
        }
        Ok(shown(&String::from_utf8_lossy(&said)))
    }

    /// Asks with a prompt, and shows the text while it comes, in whole
    /// characters and without control characters. An interrupt ends the answer;
    /// a second one, or the first where the board goes on, ends all.
    ///
    /// # Errors
    /// The board is silent, gone or was reset, does not stop, or the person wants
    /// to leave.
    pub fn ask(
        &mut self,
        prompt: &str,
        show: &mut dyn FnMut(&str) -> io::Result<()>,
    ) -> Result<Answer> {
        // A slash begins a command, two of them a prompt.
        let slash = if prompt.starts_with('/') { "/" } else { "" };
        self.send_line(&format!("{slash}{prompt}"))?;
        let mut utf8 = Utf8Stream::new();
        let (mut text, mut prompt_tokens) = (String::new(), 0);
        let (mut before, mut chosen) = (Vec::new(), Vec::new());
        let mut has_begun = false;
        loop {
            match self.next()? {
                Heard::Byte(TEXT_BEGINS) => has_begun = true,
                Heard::Byte(TEXT_ENDS) if has_begun => break,
                Heard::Byte(GREETING) => return Err(reset()),
                // The board did not take the line as a prompt.
                Heard::Byte(READY) => return Err(refused(&excerpt(&before))),
                // A token has a byte of the line at least.
                Heard::Byte(TOKEN_READ) if prompt_tokens > LINE_BYTES as u32 => {
                    return Err(self.endless());
                }
                Heard::Byte(TOKEN_READ) => prompt_tokens += 1,
                Heard::Byte(TOKEN_CHOSEN) if chosen.len() >= self.limits.bytes => {
                    return Err(self.endless());
                }
                Heard::Byte(TOKEN_CHOSEN) => chosen.push(self.chosen()?),
                Heard::Byte(b'\r') => {}
                Heard::Byte(_) if text.len().max(before.len()) >= self.limits.bytes => {
                    return Err(self.endless());
                }
                Heard::Byte(byte) if has_begun => {
                    let piece = shown(&utf8.push(byte).to_string());
                    show(&piece)?;
                    text += &piece;
                }
                Heard::Byte(byte) => before.push(byte),
                Heard::Interrupt if self.is_interrupted => return Err(Left.into()),
                Heard::Interrupt => {
                    self.is_interrupted = true;
                    self.deadline = self.deadline.min(Instant::now() + FAREWELL);
                    self.link.send(&ABORT[..1])?;
                }
            }
        }
        let piece = shown(&utf8.finish().to_string());
        show(&piece)?;
        text += &piece;
        let rest = self.rest()?;
        let mut notes: Vec<_> = rest.lines().filter(|line| !line.is_empty()).collect();
        let found = notes.pop().and_then(Statistics::parse);
        let statistics = found.ok_or_else(|| refused(rest.trim()))?;
        Ok(Answer {
            text,
            chosen,
            // The last one is read for the first of the answer.
            prompt_tokens: prompt_tokens + u32::from(statistics.tokens > 0),
            statistics,
            notes: notes.into_iter().map(str::to_owned).collect(),
        })
    }

    /// The line after [`TOKEN_CHOSEN`].
    fn chosen(&mut self) -> Result<Chosen> {
        let mut line = Vec::new();
        while line.len() < EXCERPT {
            match self.next()? {
                Heard::Byte(b'\n') => break,
                Heard::Byte(GREETING) => return Err(reset()),
                Heard::Byte(byte) => line.push(byte),
                Heard::Interrupt => return Err(Left.into()),
            }
        }
        let found = Chosen::parse(&String::from_utf8_lossy(&line));
        found.ok_or_else(|| {
            let (name, line) = (self.link.name(), excerpt(&line));
            anyhow!("{name} sends {line:?} where a token and its hash belong: are bytes lost on the way?")
        })
    }

    /// Switches frames off, for a person at a terminal.
    pub fn detach(mut self) {
        // Where the board is gone there is nothing to do.
        let line = format!("{FRAMES_OFF}\r");
        if self.link.send(line.as_bytes()).is_ok() {
            let _ = self.hear_until_quiet(&mut Vec::new(), FAREWELL);
        }
    }
}

/// A number that was not used before.
fn nonce() -> u32 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before its epoch gives a number too.
    now.map_or(0, |now| now.subsec_nanos() ^ now.as_secs() as u32)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The end of what was said, printable.
fn excerpt(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let text = words.join(" ");
    let skipped = text.chars().count().saturating_sub(EXCERPT);
    let end: String = text.chars().skip(skipped).collect();
    match end.split_once(' ') {
        // From the beginning of a word on.
        Some((_, words)) if skipped > 0 => words.to_owned(),
        _ => end,
    }
}
