//! The machines that the firmware runs on: a table of facts, nothing else.
//! `firmware/qemu` takes memory and devices from it, `cargo xtask` the
//! target and the command line of QEMU.

/// QEMU's `-icount shift=`: virtual time advances 2^6 ns per instruction.
pub const ICOUNT_SHIFT: u32 = 6;

/// Virtual time of an instruction, so that a timer counts instructions.
pub const NANOS_PER_INSTRUCTION: u64 = 1 << ICOUNT_SHIFT;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub origin: u32,
    /// Length in bytes.
    pub bytes: u32,
}

/// How a UART is programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartKind {
    /// ARM's Cortex-M System Design Kit, as on all MPS2 and MPS3 boards.
    Cmsdk,
}

/// The serial port that carries the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uart {
    /// How it is programmed.
    pub kind: UartKind,
    /// The address of its first register.
    pub address: u32,
    /// The number of the interrupt that a received byte raises.
    pub receive_irq: u16,
}

/// How a timer is programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerKind {
    /// ARM's Cortex-M System Design Kit: counts down through 32 bits.
    Cmsdk,
}

/// The timer that counts instructions.
///
/// Not SysTick: its 24 bits wrap every 10 million instructions, so it needs an
/// exception, which writes below the stack's end wherever it strikes and
/// makes the stack's high-water mark a matter of chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// How it is programmed.
    pub kind: TimerKind,
    /// The address of its first register.
    pub address: u32,
    /// Ticks per second.
    pub hz: u32,
}

/// An emulated board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// QEMU's name for it.
    pub name: &'static str,
    /// The core on it.
    pub core: &'static str,
    /// The Rust target that runs on it.
    pub target: &'static str,
    /// Where code and a linked image lie.
    pub flash: Region,
    /// Where variables and the stack lie.
    pub ram: Region,
    /// Memory that the linker leaves alone: for an image that QEMU loads,
    /// and for the buffers behind it.
    pub spare: Region,
    /// The console.
    pub uart: Uart,
    /// What counts instructions.
    pub timer: Timer,
}

const MIB: u32 = 1 << 20;

/// All machines. A new one is a new entry.
pub const MACHINES: &[Machine] = &[Machine {
    name: "mps2-an386",
    core: "Cortex-M4F",
    target: "thumbv7em-none-eabihf",
    flash: Region {
        origin: 0x0000_0000,
        bytes: 4 * MIB,
    },
    ram: Region {
        origin: 0x2000_0000,
        bytes: 4 * MIB,
    },
    spare: Region {
        origin: 0x2100_0000,
        bytes: 16 * MIB,
    },
    uart: Uart {
        kind: UartKind::Cmsdk,
        address: 0x4000_4000,
        receive_irq: 0,
    },
    timer: Timer {
        kind: TimerKind::Cmsdk,
        address: 0x4000_0000,
        hz: 25_000_000,
    },
}];

impl Machine {
    /// The machine with this name.
    pub const fn named(name: &str) -> Option<&'static Machine> {
        let mut i = 0;
        while i < MACHINES.len() {
            if equal(MACHINES[i].name.as_bytes(), name.as_bytes()) {
                return Some(&MACHINES[i]);
            }
            i += 1;
        }
        None
    }

    /// The instructions that passed in so many ticks of the timer.
    pub const fn instructions(&self, ticks: u32) -> u64 {
        // 10^9 / 8,000,000 = 125 keeps the product small, and all rates are
        // multiples of 125 kHz.
        ticks as u64 * 125 / (self.timer.hz as u64 * NANOS_PER_INSTRUCTION / 8_000_000)
    }
}

/// `==` on slices is not `const`.
const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_found_by_their_whole_name() {
        for machine in MACHINES {
            assert_eq!(Machine::named(machine.name), Some(machine));
        }
        assert_eq!(Machine::named("mps2-an38"), None);
        assert_eq!(Machine::named("mps2-an3866"), None);
        assert_eq!(Machine::named(""), None);
    }

    #[test]
    fn ticks_become_instructions() {
        let machine = Machine::named("mps2-an386").unwrap();
        // 64 ns an instruction, 40 ns a tick: 1.6 ticks an instruction.
        assert_eq!(machine.instructions(16), 10);
        assert_eq!(machine.instructions(4_000_000_000), 2_500_000_000);
    }
}
