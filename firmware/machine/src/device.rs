//! Registers of the machine's devices.

use crate::MACHINE;

/// A device, by its first address in the table of machines.
#[derive(Clone, Copy)]
pub struct Device(pub u32);

/// The UART.
pub const UART: Device = Device(MACHINE.uart.address);

/// The timer.
pub const TIMER: Device = Device(MACHINE.timer.address);

impl Device {
    /// Reads the register `offset` bytes after the first one.
    pub fn read(self, offset: u32) -> u32 {
        // SAFETY: the table of machines says that a device lies here; reading
        // any of its registers is defined and aligned.
        unsafe { core::ptr::read_volatile((self.0 + offset) as *const u32) }
    }

    /// Writes the register `offset` bytes after the first one.
    pub fn write(self, offset: u32, value: u32) {
        // SAFETY: as for reading; no register of a UART or a timer makes the
        // device reach memory.
        unsafe { core::ptr::write_volatile((self.0 + offset) as *mut u32, value) }
    }

    /// Reads a register of a byte.
    pub fn read_byte(self, offset: u32) -> u8 {
        // SAFETY: as for a word.
        unsafe { core::ptr::read_volatile((self.0 + offset) as *const u8) }
    }

    /// Writes a register of a byte.
    pub fn write_byte(self, offset: u32, value: u8) {
        // SAFETY: as for a word.
        unsafe { core::ptr::write_volatile((self.0 + offset) as *mut u8, value) }
    }
}
