//! A byte stream from two functions that every chip's crate has, independent of
//! the embedded traits that the crate implements.

use core::convert::Infallible;
use core::fmt;
use embedded_io::{ErrorType, Read, ReadReady, Write};

/// A UART.
#[derive(Debug)]
pub struct Wire<R, W> {
    poll: R,
    write: W,
    /// A byte that was polled and not read yet.
    next: Option<u8>,
}

impl<R: FnMut() -> Option<u8>, W: FnMut(&[u8])> Wire<R, W> {
    /// `poll` takes a byte if there is one; one that arrived damaged is none.
    /// `write` sends bytes.
    pub fn new(poll: R, write: W) -> Self {
        Self {
            poll,
            write,
            next: None,
        }
    }
}

impl<R, W> ErrorType for Wire<R, W> {
    type Error = Infallible;
}

impl<R: FnMut() -> Option<u8>, W: FnMut(&[u8])> ReadReady for Wire<R, W> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        self.next = self.next.take().or_else(&mut self.poll);
        Ok(self.next.is_some())
    }
}

impl<R: FnMut() -> Option<u8>, W: FnMut(&[u8])> Read for Wire<R, W> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = to.first_mut() else {
            return Ok(0);
        };
        loop {
            if let Some(byte) = self.next.take().or_else(&mut self.poll) {
                *first = byte;
                return Ok(1);
            }
        }
    }
}

impl<R, W: FnMut(&[u8])> Write for Wire<R, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        (self.write)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Text to a byte stream.
pub(crate) struct Text<'p, P>(pub &'p mut P);

impl<P: Write> fmt::Write for Text<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
