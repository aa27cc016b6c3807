//! A byte stream from the two functions that every chip's crate has, whatever
//! version of which traits it implements.

use core::convert::Infallible;
use core::fmt;
use embedded_io::{ErrorType, Read, Write};

/// A UART.
#[derive(Debug)]
pub struct Wire<R, W> {
    /// Waits for a byte. One that arrived damaged is none.
    pub read: R,
    /// Sends bytes.
    pub write: W,
}

impl<R, W> ErrorType for Wire<R, W> {
    type Error = Infallible;
}

impl<R: FnMut() -> u8, W: FnMut(&[u8])> Read for Wire<R, W> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = to.first_mut() else {
            return Ok(0);
        };
        *first = (self.read)();
        Ok(1)
    }
}

impl<R: FnMut() -> u8, W: FnMut(&[u8])> Write for Wire<R, W> {
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
