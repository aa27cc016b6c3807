//! Lines that a firmware prints by itself about the tokens that it chooses.

use super::link::{Event, Link};
use super::{Left, Limits};
use anyhow::Result;
use kinglet_protocol::console::{image_checksum, Chosen};
use std::collections::VecDeque;
use std::time::Instant;

/// Bytes kept of a line.
const LINE_BYTES: usize = 4096;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The checksum of the firmware's image.
    Image(u32),
    /// A token that was chosen.
    Token(Chosen),
}

/// The output of a firmware.
#[derive(Debug)]
pub struct Printed {
    link: Link,
    limits: Limits,
    deadline: Instant,
    heard: VecDeque<u8>,
    has_ended: bool,
}

impl Printed {
    /// All of it has to come within the time for an answer.
    pub fn over(link: Link, limits: Limits) -> Self {
        Self {
            link,
            limits,
            deadline: Instant::now() + limits.answer,
            heard: VecDeque::new(),
            has_ended: false,
        }
    }

    /// What prints.
    pub fn name(&self) -> &str {
        self.link.name()
    }

    /// The next line that says something; none after the last.
    ///
    /// # Errors
    /// The firmware is silent or takes too long, the port is gone, or the person
    /// wants to leave.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        while let Some(line) = self.text()? {
            if let Some(chosen) = Chosen::parse(&line) {
                return Ok(Some(Line::Token(chosen)));
            }
            if let Some(checksum) = image_checksum(&line) {
                return Ok(Some(Line::Image(checksum)));
            }
        }
        Ok(None)
    }

    /// The next line, whatever it says.
    fn text(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        while let Some(byte) = self.byte()? {
            match byte {
                b'\n' | b'\r' => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
                _ if line.len() < LINE_BYTES => line.push(byte),
                _ => {}
            }
        }
        // A line that the end of the output ends.
        let text = String::from_utf8_lossy(&line);
        Ok((!line.is_empty()).then(|| text.into_owned()))
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        loop {
            if let Some(byte) = self.heard.pop_front() {
                return Ok(Some(byte));
            }
            if self.has_ended {
                return Ok(None);
            }
            match self.link.wait(&self.limits, self.deadline)? {
                Some(Event::Bytes(bytes)) => self.heard.extend(bytes),
                Some(Event::Closed(None)) => self.has_ended = true,
                Some(Event::Closed(reason)) => return Err(self.link.closed(reason)),
                Some(Event::Interrupt) => return Err(Left.into()),
                // Nothing is asked for.
                Some(Event::Typed(_) | Event::TypedEnd) => {}
                None => return Err(self.link.overdue(self.limits.answer)),
            }
        }
    }
}
