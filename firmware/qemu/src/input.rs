//! Lines from the UART, byte by byte.

use kinglet_machine::{has_byte, read_byte};
use kinglet_protocol::console::ABORT;
use kinglet_protocol::END_OF_INPUT;

/// Bytes that can be typed while the model answers.
const AHEAD_BYTES: usize = 64;

/// What was typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// A byte of a line.
    Byte(u8),
    /// The line ends.
    EndOfLine,
    /// The line is to be forgotten.
    Abort,
    /// The input ends.
    EndOfInput,
}

/// Reads lines that end with CR, LF or both.
pub struct Input {
    behind_cr: bool,
    ahead: heapless::Deque<u8, AHEAD_BYTES>,
}

impl Input {
    /// At the beginning of a line.
    pub fn new() -> Self {
        Self {
            behind_cr: false,
            ahead: heapless::Deque::new(),
        }
    }

    /// Waits for the next byte or end.
    pub fn next(&mut self) -> Typed {
        let byte = self.ahead.pop_front().unwrap_or_else(read_byte);
        let behind_cr = core::mem::replace(&mut self.behind_cr, byte == b'\r');
        match byte {
            // The second half of a line's end that has been reported.
            b'\n' if behind_cr => self.next(),
            b'\r' | b'\n' => Typed::EndOfLine,
            END_OF_INPUT => Typed::EndOfInput,
            byte if ABORT.contains(&byte) => Typed::Abort,
            byte => Typed::Byte(byte),
        }
    }

    /// Whether an abort has come; keeps what else has. Does not wait.
    pub fn is_aborted(&mut self) -> bool {
        // QEMU keeps what there is no room for.
        while !self.ahead.is_full() && has_byte() {
            let byte = read_byte();
            if ABORT.contains(&byte) {
                self.ahead.clear();
                return true;
            }
            // There is room, see above.
            let _ = self.ahead.push_back(byte);
        }
        false
    }

    /// Skips what is left of the line.
    pub fn skip_line(&mut self) {
        while let Typed::Byte(_) = self.next() {}
    }
}
