//! Text on the UART.

use crate::write_byte;
use core::fmt;

/// The UART as a place to write text to.
pub struct Output;

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(write_byte);
        Ok(())
    }
}

/// Prints text as `print!` does. The UART takes everything, so there is no
/// error to report.
#[macro_export]
macro_rules! put {
    ($($argument:tt)*) => {{
        use core::fmt::Write as _;
        let _ = write!($crate::Output, $($argument)*);
    }};
}

/// Prints a line as `println!` does.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        use core::fmt::Write as _;
        let _ = writeln!($crate::Output, $($argument)*);
    }};
}
