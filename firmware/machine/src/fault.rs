//! Panics and faults: a message, then exit code 1.

use crate::{exit, say};
use core::panic::PanicInfo;
use cortex_m_rt::{exception, ExceptionFrame};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    say!("{info}");
    exit(1)
}

#[exception]
#[allow(unsafe_code)]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    say!("hard fault at {:#010x}", frame.pc());
    exit(1)
}

#[exception]
#[allow(unsafe_code)]
unsafe fn DefaultHandler(number: i16) -> ! {
    say!("interrupt {number} has no handler");
    exit(1)
}
