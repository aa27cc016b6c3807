//! The UART as a stream of bytes, and text on it.

use crate::{has_byte, read_byte, write_byte};
use core::convert::Infallible;
use core::fmt;
use embedded_io::{ErrorType, Read, ReadReady, Write};

/// The UART. It takes everything, so there is no error to report.
#[derive(Debug)]
pub struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(write_byte);
        Ok(())
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(has_byte())
    }
}

impl Read for Uart {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = to.first_mut() else {
            return Ok(0);
        };
        *first = read_byte();
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        bytes.iter().copied().for_each(write_byte);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Prints text as `print!` does.
#[macro_export]
macro_rules! put {
    ($($argument:tt)*) => {{
        let _ = core::fmt::Write::write_fmt(&mut $crate::Uart, format_args!($($argument)*));
    }};
}

/// Prints a line as `println!` does.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        $crate::put!($($argument)*);
        $crate::write_byte(b'\n');
    }};
}
