//! Lines from the UART, byte by byte, with no buffer behind them.

use kinglet_board::read_byte;
use kinglet_protocol::END_OF_INPUT;

/// What was typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// A byte of a line.
    Byte(u8),
    /// The line ends.
    EndOfLine,
    /// The input ends.
    EndOfInput,
}

/// Reads lines that end with CR, LF or both.
pub struct Input {
    behind_cr: bool,
}

impl Input {
    /// At the beginning of a line.
    pub fn new() -> Self {
        Self { behind_cr: false }
    }

    /// Waits for the next byte or end.
    pub fn next(&mut self) -> Typed {
        let byte = read_byte();
        let behind_cr = core::mem::replace(&mut self.behind_cr, byte == b'\r');
        match byte {
            // The second half of a line's end that has been reported.
            b'\n' if behind_cr => self.next(),
            b'\r' | b'\n' => Typed::EndOfLine,
            END_OF_INPUT => Typed::EndOfInput,
            byte => Typed::Byte(byte),
        }
    }

    /// Skips what is left of the line.
    pub fn skip_line(&mut self) {
        while let Typed::Byte(_) = self.next() {}
    }
}
