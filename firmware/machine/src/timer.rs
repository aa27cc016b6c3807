//! The timer that counts instructions, of one of four kinds.

use crate::arch::cycles;
use crate::device::TIMER;
use crate::MACHINE;
use kinglet_targets::{TimerKind, ICOUNT_SHIFT};

/// ARM's CMSDK, which counts down through 32 bits.
mod cmsdk {
    pub const CONTROL: u32 = 0x00;
    pub const VALUE: u32 = 0x04;
    pub const RELOAD: u32 = 0x08;
    pub const ENABLE: u32 = 1 << 0;
}

/// The control frame of the SSE-300's counter, which counts up through 64.
mod sse300 {
    pub const CONTROL: u32 = 0x00;
    pub const VALUE_LOW: u32 = 0x08;
    pub const ENABLE: u32 = 1 << 0;
}

/// Nordic's nRF51, which counts up; a capture makes the count readable.
mod nrf51 {
    pub const START: u32 = 0x000;
    pub const CAPTURE: u32 = 0x040;
    pub const BIT_MODE: u32 = 0x508;
    pub const PRESCALER: u32 = 0x510;
    pub const CAPTURED: u32 = 0x540;
    pub const BITS_32: u32 = 3;
}

pub fn start() {
    match MACHINE.timer.kind {
        TimerKind::Cmsdk => {
            TIMER.write(cmsdk::RELOAD, u32::MAX);
            TIMER.write(cmsdk::VALUE, u32::MAX);
            TIMER.write(cmsdk::CONTROL, cmsdk::ENABLE);
        }
        TimerKind::Sse300 => TIMER.write(sse300::CONTROL, sse300::ENABLE),
        TimerKind::Nrf51 => {
            TIMER.write(nrf51::BIT_MODE, nrf51::BITS_32);
            TIMER.write(nrf51::PRESCALER, 0);
            TIMER.write(nrf51::START, 1);
        }
        TimerKind::Cycles => {}
    }
}

/// The ticks that passed, modulo 2^32: the difference of two readings is right
/// for about 2 billion instructions.
// Not inlined: a trace of the program shows where counting begins and ends.
#[inline(never)]
pub fn ticks() -> u32 {
    match MACHINE.timer.kind {
        TimerKind::Cmsdk => !TIMER.read(cmsdk::VALUE),
        TimerKind::Sse300 => TIMER.read(sse300::VALUE_LOW),
        TimerKind::Nrf51 => {
            TIMER.write(nrf51::CAPTURE, 1);
            TIMER.read(nrf51::CAPTURED)
        }
        TimerKind::Cycles => (cycles() >> ICOUNT_SHIFT) as u32,
    }
}

/// The instructions since [`ticks`] was `start`.
pub fn since(start: u32) -> u64 {
    MACHINE.instructions(u64::from(ticks().wrapping_sub(start)))
}
