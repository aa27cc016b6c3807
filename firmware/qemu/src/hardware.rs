//! All that needs `unsafe`: registers, memory by address, faults. The rest
//! of the program is safe code over the functions of this file.
#![allow(unsafe_code)]

use crate::model::{SCRATCH_LEN, STATE_LEN};
use crate::output::say;
#[cfg(not(linked_image))]
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use cortex_m::interrupt::{self, InterruptNumber};
use cortex_m::peripheral::NVIC;
use cortex_m_rt::{entry, exception, ExceptionFrame, STACK_PAINT_VALUE};
use kinglet_protocol::{Machine, TimerKind, UartKind};

/// The machine that this program was built for.
pub const MACHINE: &Machine = match Machine::named(env!("KINGLET_MACHINE")) {
    Some(machine) => machine,
    None => panic!("the build script chooses machines of the table only"),
};

// ---- UART: ARM's CMSDK, offsets of its registers in bytes ----

const DATA: u32 = 0x00;
const STATE: u32 = 0x04;
const CONTROL: u32 = 0x08;
const INTERRUPT_CLEAR: u32 = 0x0c;
const BAUD_DIVIDER: u32 = 0x10;

const STATE_TRANSMIT_FULL: u32 = 1 << 0;
const STATE_RECEIVE_FULL: u32 = 1 << 1;
const CONTROL_TRANSMIT: u32 = 1 << 0;
const CONTROL_RECEIVE: u32 = 1 << 1;
const CONTROL_RECEIVE_INTERRUPT: u32 = 1 << 3;
const CLEAR_RECEIVE: u32 = 1 << 1;
/// The smallest that the hardware takes; QEMU does not model the rate.
const FASTEST: u32 = 16;

const UART: u32 = match MACHINE.uart.kind {
    UartKind::Cmsdk => MACHINE.uart.address,
};

fn read_uart(offset: u32) -> u32 {
    // SAFETY: the table of machines says that a CMSDK UART lies here; reading
    // any of its registers is defined and aligned.
    unsafe { core::ptr::read_volatile((UART + offset) as *const u32) }
}

fn write_uart(offset: u32, value: u32) {
    // SAFETY: as for reading; no register of a UART reaches memory.
    unsafe { core::ptr::write_volatile((UART + offset) as *mut u32, value) }
}

#[derive(Clone, Copy)]
struct ReceiveIrq;

// SAFETY: the number is fixed, and the table of machines says that the
// interrupt controller has it.
unsafe impl InterruptNumber for ReceiveIrq {
    fn number(self) -> u16 {
        MACHINE.uart.receive_irq
    }
}

/// Makes UART and timer ready.
fn start() {
    write_uart(BAUD_DIVIDER, FASTEST);
    write_uart(
        CONTROL,
        CONTROL_TRANSMIT | CONTROL_RECEIVE | CONTROL_RECEIVE_INTERRUPT,
    );
    start_timer();
}

/// Sends a byte.
pub fn write_byte(byte: u8) {
    while read_uart(STATE) & STATE_TRANSMIT_FULL != 0 {}
    write_uart(DATA, u32::from(byte));
}

/// Waits for a byte. There is no buffer: the sender must wait until a byte
/// has been taken, as QEMU does, or leave time for a step between bytes.
pub fn read_byte() -> u8 {
    while read_uart(STATE) & STATE_RECEIVE_FULL == 0 {
        interrupt::free(|_| sleep_until_byte());
    }
    let byte = read_uart(DATA) as u8;
    write_uart(INTERRUPT_CLEAR, CLEAR_RECEIVE);
    NVIC::unpend(ReceiveIrq);
    byte
}

/// Sleeps until the UART wants something. The interrupt only ends the sleep:
/// it is switched off again before it could be served.
fn sleep_until_byte() {
    // SAFETY: interrupts are masked here, so this breaks no critical section
    // and no handler runs before `mask`.
    unsafe { NVIC::unmask(ReceiveIrq) };
    if read_uart(STATE) & STATE_RECEIVE_FULL == 0 {
        cortex_m::asm::wfi();
    }
    NVIC::mask(ReceiveIrq);
}

// ---- Timer: ARM's CMSDK, which counts down through 32 bits ----

const TIMER_CONTROL: u32 = 0x00;
const TIMER_VALUE: u32 = 0x04;
const TIMER_RELOAD: u32 = 0x08;
const TIMER_ENABLE: u32 = 1 << 0;

const TIMER: u32 = match MACHINE.timer.kind {
    TimerKind::Cmsdk => MACHINE.timer.address,
};

fn write_timer(offset: u32, value: u32) {
    // SAFETY: the table of machines says that a CMSDK timer lies here; it
    // raises no interrupt and reaches no memory.
    unsafe { core::ptr::write_volatile((TIMER + offset) as *mut u32, value) }
}

fn start_timer() {
    write_timer(TIMER_RELOAD, u32::MAX);
    write_timer(TIMER_VALUE, u32::MAX);
    write_timer(TIMER_CONTROL, TIMER_ENABLE);
}

/// The ticks that passed, modulo 2^32: the difference of two readings is right
/// for up to 2.6 billion instructions.
pub fn ticks() -> u32 {
    // SAFETY: as for writing; reading has no effect.
    !unsafe { core::ptr::read_volatile((TIMER + TIMER_VALUE) as *const u32) }
}

// ---- Memory ----

extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The most bytes of stack in use since the reset. The start-up code painted
/// all memory between the variables and the stack's top; what lost its paint
/// has been used.
pub fn stack_bytes() -> u32 {
    // The linker script defines both: only their addresses mean something.
    let top = &raw const _stack_start as usize;
    let mut at = &raw const _stack_end as usize;
    // SAFETY: the linker script aligns `_stack_end`, all words up to the top
    // are RAM, and no variable lies between.
    while at < top && unsafe { core::ptr::read_volatile(at as *const u32) } == STACK_PAINT_VALUE {
        at += size_of::<u32>();
    }
    (top - at) as u32
}

/// The machine's spare RAM, the first time. What lies in it is what QEMU's
/// loader put there, and zeros.
#[cfg(not(linked_image))]
pub fn spare_ram() -> Option<&'static mut [u8]> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let first = interrupt::free(|_| {
        let first = !TAKEN.load(Relaxed);
        TAKEN.store(true, Relaxed);
        first
    });
    let (start, bytes) = (
        MACHINE.spare.origin as *mut u8,
        MACHINE.spare.bytes as usize,
    );
    // SAFETY: the linker script does not name this RAM, so nothing else of
    // the program lies in it, and `first` is true for one caller.
    first.then(|| unsafe { core::slice::from_raw_parts_mut(start, bytes) })
}

// All the RAM that the library takes, under names that `nm` shows. Both are
// empty where the image is not linked in.
#[export_name = "KINGLET_STATE"]
static mut MODEL_STATE: [f32; STATE_LEN] = [0.0; STATE_LEN];
#[export_name = "KINGLET_SCRATCH"]
static mut MODEL_SCRATCH: [f32; SCRATCH_LEN] = [0.0; SCRATCH_LEN];

/// The program's entry, behind `cortex-m-rt`'s start-up code.
#[entry]
fn enter() -> ! {
    start();
    let (state, scratch) = (&raw mut MODEL_STATE, &raw mut MODEL_SCRATCH);
    // SAFETY: the start-up code alone can call this function, once, and
    // nothing else names the two statics.
    let (state, scratch) = unsafe { (&mut *state, &mut *scratch) };
    crate::main(state, scratch)
}

// ---- Faults ----

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    say!("hard fault at {:#010x}", frame.pc());
    semihosting::process::exit(1)
}

#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    say!("interrupt {number} has no handler");
    semihosting::process::exit(1)
}
