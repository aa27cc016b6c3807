//! Panics: a message, then exit code 1.

use crate::{exit, say};
use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("{info}");
    exit(1)
}
