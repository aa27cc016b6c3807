//! Lines from a byte stream, and text to it.

use core::fmt;
use embedded_io::{Read, ReadReady, Write};
use kinglet_protocol::console::{shown, ABORT, LINE_BYTES};
use kinglet_protocol::END_OF_INPUT;

/// Bytes that can be typed ahead while the model is at work: a line.
const AHEAD_BYTES: usize = LINE_BYTES;

/// The bytes of a line. It is collected before the model reads it: bytes
/// arrive faster than tokens are computed.
pub type LineBuffer = heapless::Vec<u8, LINE_BYTES>;

/// The result of reading a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It is in the buffer.
    Complete,
    /// Longer than [`LINE_BYTES`]; it is gone.
    TooLong,
    /// A program's request begins in its place.
    Request,
    /// The input ended, or the port failed.
    End,
}

/// A byte stream with lines.
#[derive(Debug)]
pub struct Port<'p, P> {
    stream: &'p mut P,
    behind_cr: bool,
    /// Came while the model was at work.
    ahead: heapless::Deque<u8, AHEAD_BYTES>,
    /// Bytes that came and had no room.
    lost: u32,
}

impl<'p, P: Read + ReadReady + Write> Port<'p, P> {
    /// At the beginning of a line.
    pub fn new(stream: &'p mut P) -> Self {
        Self {
            stream,
            behind_cr: false,
            ahead: heapless::Deque::new(),
            lost: 0,
        }
    }

    /// Reads a line that ends with CR, LF or both, or an end of the input that
    /// is not at its beginning; `request` there is something else.
    pub fn read_line(&mut self, line: &mut LineBuffer, request: Option<u8>) -> Line {
        line.clear();
        let mut is_too_long = false;
        while let Some(byte) = self.byte() {
            let behind_cr = core::mem::replace(&mut self.behind_cr, byte == b'\r');
            match byte {
                // The second half of a line's end that has been seen.
                b'\n' if behind_cr => {}
                END_OF_INPUT if line.is_empty() => return Line::End,
                byte if line.is_empty() && request == Some(byte) => return Line::Request,
                b'\r' | b'\n' | END_OF_INPUT if is_too_long => return Line::TooLong,
                b'\r' | b'\n' | END_OF_INPUT => return Line::Complete,
                byte if ABORT.contains(&byte) => {
                    line.clear();
                    is_too_long = false;
                }
                byte => is_too_long |= line.push(byte).is_err(),
            }
        }
        Line::End
    }

    /// Whether an abort has come; keeps other input. Does not wait, so it can be
    /// called between two tokens.
    pub fn is_aborted(&mut self) -> bool {
        while let Ok(true) = self.stream.read_ready() {
            let mut byte = [0];
            let Ok(1) = self.stream.read(&mut byte) else {
                return true;
            };
            let [byte] = byte;
            if ABORT.contains(&byte) {
                self.ahead.clear();
                return true;
            }
            self.lost += u32::from(self.ahead.push_back(byte).is_err());
        }
        false
    }

    /// Sends a byte as it is.
    pub fn put(&mut self, byte: u8) -> fmt::Result {
        let sent = self.stream.write_all(&[byte]);
        sent.and_then(|()| self.stream.flush())
            .map_err(|_| fmt::Error)
    }

    /// Bytes that were typed while the model was at work and are lost.
    pub fn take_lost(&mut self) -> u32 {
        core::mem::take(&mut self.lost)
    }

    /// Sends a piece of an answer. Errors show when the next line is read.
    pub fn show(&mut self, piece: &str) {
        let _ = fmt::Write::write_str(self, piece);
    }

    /// Waits for a byte; none where the port failed.
    pub fn byte(&mut self) -> Option<u8> {
        if let Some(byte) = self.ahead.pop_front() {
            return Some(byte);
        }
        let mut byte = [0];
        let [byte] = match self.stream.read(&mut byte) {
            Ok(1) => byte,
            _ => return None,
        };
        Some(byte)
    }
}

/// Text, each character as [`shown`] maps it; a line's end becomes CR and LF, as
/// terminals want it.
impl<P: Write> fmt::Write for Port<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            let mut buffer = [0; 4];
            let bytes = match shown(c) {
                '\n' => "\r\n",
                c => c.encode_utf8(&mut buffer),
            };
            self.stream
                .write_all(bytes.as_bytes())
                .map_err(|_| fmt::Error)?;
        }
        self.stream.flush().map_err(|_| fmt::Error)
    }
}
