//! The workstation as a board: the boards' console on an image in memory.

use super::Link;
use crate::engine::Engine;
use anyhow::{bail, Result};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write};
use kinglet_app::{converse, Board, Model, Speed};
use std::fmt::Display;
use std::io;
use std::sync::mpsc::{channel, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::Instant;

/// Starts the console of an image in a thread; the link is its port.
///
/// # Errors
/// The model is a checkpoint's, or the system has no pipe left.
pub fn workstation(engine: Engine) -> Result<Link> {
    if !engine.is_image() {
        bail!("a console talks to an image, not to a checkpoint: make one with `kinglet quantize`");
    }
    let (heard, said) = io::pipe()?;
    let (typed, bytes) = channel();
    thread::spawn(move || {
        let Some(image) = engine.image() else {
            return;
        };
        let mut state = vec![0; image.shape().state_len()];
        let mut scratch = vec![0; image.shape().scratch_len()];
        let mut model = Model {
            image,
            state: &mut state,
            scratch: &mut scratch,
        };
        let mut port = Port {
            bytes,
            next: None,
            said,
        };
        converse(&mut port, &mut Workstation(Instant::now()), &mut model);
    });
    Ok(Link::over("the model".to_owned(), heard, Typed(typed)))
}

/// The console's end of the port.
struct Port {
    bytes: Receiver<u8>,
    /// Received, but not read.
    next: Option<u8>,
    said: io::PipeWriter,
}

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl Read for Port {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(first) = to.first_mut() else {
            return Ok(0);
        };
        // Where the sender is gone, the input has ended.
        let Some(byte) = self.next.take().or_else(|| self.bytes.recv().ok()) else {
            return Ok(0);
        };
        *first = byte;
        Ok(1)
    }
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        if self.next.is_none() {
            match self.bytes.try_recv() {
                Ok(byte) => self.next = Some(byte),
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => {}
            }
        }
        Ok(true)
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        io::Write::write(&mut self.said, bytes).map_err(|_| ErrorKind::BrokenPipe)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// The person's end of the port.
#[derive(Debug)]
struct Typed(Sender<u8>);

impl io::Write for Typed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bytes_left = bytes.iter();
        let sent = bytes_left.try_for_each(|&byte| self.0.send(byte));
        sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Since when its clock runs.
struct Workstation(Instant);

impl Board for Workstation {
    fn title(&self) -> impl Display {
        "workstation"
    }

    /// Microseconds.
    fn clock(&self) -> u32 {
        self.0.elapsed().as_micros() as u32
    }

    fn speed(&self, tokens: u32, elapsed: u64) -> Speed {
        Speed::CentitokensPerSecond(u64::from(tokens) * 100_000_000 / elapsed.max(1))
    }

    /// Not measured.
    fn stack_bytes(&self) -> u32 {
        0
    }
}
