//! The serial port, of one of three kinds.

use crate::arch::{sleep_unless, unpend};
use crate::device::UART;
use crate::MACHINE;
use kinglet_targets::UartKind;

/// ARM's CMSDK.
mod cmsdk {
    use super::UART;

    // Offsets of its registers in bytes.
    const DATA: u32 = 0x00;
    const STATE: u32 = 0x04;
    const CONTROL: u32 = 0x08;
    const INTERRUPT_CLEAR: u32 = 0x0c;
    const BAUD_DIVIDER: u32 = 0x10;

    const TRANSMIT_FULL: u32 = 1 << 0;
    const RECEIVE_FULL: u32 = 1 << 1;
    const TRANSMIT: u32 = 1 << 0;
    const RECEIVE: u32 = 1 << 1;
    const RECEIVE_INTERRUPT: u32 = 1 << 3;
    const CLEAR_RECEIVE: u32 = 1 << 1;
    /// The smallest that the hardware takes; QEMU does not model the rate.
    const FASTEST: u32 = 16;

    pub fn start() {
        UART.write(BAUD_DIVIDER, FASTEST);
        UART.write(CONTROL, TRANSMIT | RECEIVE | RECEIVE_INTERRUPT);
    }

    pub fn write(byte: u8) {
        while UART.read(STATE) & TRANSMIT_FULL != 0 {}
        UART.write(DATA, u32::from(byte));
    }

    pub fn has_byte() -> bool {
        UART.read(STATE) & RECEIVE_FULL != 0
    }

    pub fn take_byte() -> u8 {
        let byte = UART.read(DATA) as u8;
        UART.write(INTERRUPT_CLEAR, CLEAR_RECEIVE);
        byte
    }
}

/// Nordic's nRF51. Tasks are started by writing 1, events are registers
/// that become 1 and are cleared by writing 0.
mod nrf51 {
    use super::UART;

    // Offsets of its registers in bytes.
    const START_RECEIVING: u32 = 0x000;
    const START_TRANSMITTING: u32 = 0x008;
    const RECEIVED: u32 = 0x108;
    const TRANSMITTED: u32 = 0x11c;
    const INTERRUPTS: u32 = 0x304;
    const ENABLE: u32 = 0x500;
    const RECEIVE_DATA: u32 = 0x518;
    const TRANSMIT_DATA: u32 = 0x51c;

    const ENABLED: u32 = 4;
    const RECEIVE_INTERRUPT: u32 = 1 << 2;

    pub fn start() {
        UART.write(ENABLE, ENABLED);
        UART.write(INTERRUPTS, RECEIVE_INTERRUPT);
        UART.write(START_RECEIVING, 1);
        UART.write(START_TRANSMITTING, 1);
    }

    pub fn write(byte: u8) {
        UART.write(TRANSMITTED, 0);
        UART.write(TRANSMIT_DATA, u32::from(byte));
        while UART.read(TRANSMITTED) == 0 {}
    }

    pub fn has_byte() -> bool {
        UART.read(RECEIVED) != 0
    }

    /// Cleared first: reading the data announces the next byte.
    pub fn take_byte() -> u8 {
        UART.write(RECEIVED, 0);
        UART.read(RECEIVE_DATA) as u8
    }
}

/// The 16550, whose registers have a byte.
mod ns16550 {
    use super::UART;

    // Offsets of its registers in bytes.
    const DATA: u32 = 0;
    const INTERRUPTS: u32 = 1;
    const LINE_STATUS: u32 = 5;

    const RECEIVE_INTERRUPT: u8 = 1 << 0;
    const RECEIVE_FULL: u8 = 1 << 0;
    const TRANSMIT_EMPTY: u8 = 1 << 5;

    pub fn start() {
        UART.write_byte(INTERRUPTS, RECEIVE_INTERRUPT);
    }

    pub fn write(byte: u8) {
        while UART.read_byte(LINE_STATUS) & TRANSMIT_EMPTY == 0 {}
        UART.write_byte(DATA, byte);
    }

    pub fn has_byte() -> bool {
        UART.read_byte(LINE_STATUS) & RECEIVE_FULL != 0
    }

    pub fn take_byte() -> u8 {
        UART.read_byte(DATA)
    }
}

pub fn start() {
    match MACHINE.uart.kind {
        UartKind::Cmsdk => cmsdk::start(),
        UartKind::Nrf51 => nrf51::start(),
        UartKind::Ns16550 => ns16550::start(),
    }
}

/// Sends a byte.
pub fn write_byte(byte: u8) {
    match MACHINE.uart.kind {
        UartKind::Cmsdk => cmsdk::write(byte),
        UartKind::Nrf51 => nrf51::write(byte),
        UartKind::Ns16550 => ns16550::write(byte),
    }
}

/// Waits for a byte. There is no buffer: the sender must wait until a byte
/// has been taken, as QEMU does, or leave time for a step between bytes.
pub fn read_byte() -> u8 {
    while !has_byte() {
        sleep_unless(has_byte);
    }
    let byte = match MACHINE.uart.kind {
        UartKind::Cmsdk => cmsdk::take_byte(),
        UartKind::Nrf51 => nrf51::take_byte(),
        UartKind::Ns16550 => ns16550::take_byte(),
    };
    unpend();
    byte
}

/// Whether [`read_byte`] would not wait.
pub fn has_byte() -> bool {
    match MACHINE.uart.kind {
        UartKind::Cmsdk => cmsdk::has_byte(),
        UartKind::Nrf51 => nrf51::has_byte(),
        UartKind::Ns16550 => ns16550::has_byte(),
    }
}
