//! The machines that QEMU emulates. The firmware takes memory and devices from
//! this table, `cargo xtask` the core and the command line of QEMU.

use crate::{equal, Core};

/// QEMU's `-icount shift=`: virtual time advances 2^6 ns per instruction.
pub const ICOUNT_SHIFT: u32 = 6;

/// Virtual time of an instruction, so that a timer counts instructions.
pub const NANOS_PER_INSTRUCTION: u64 = 1 << ICOUNT_SHIFT;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "boards",
    derive(serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Region {
    /// The first address.
    pub origin: u32,
    /// Length in bytes.
    pub bytes: u32,
}

impl Region {
    /// The address after the last byte.
    pub const fn end(self) -> u64 {
        self.origin as u64 + self.bytes as u64
    }
}

/// How a UART is programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UartKind {
    /// ARM's Cortex-M System Design Kit, as on all MPS2 and MPS3 boards.
    Cmsdk,
    /// Nordic's nRF51.
    Nrf51,
    /// National Semiconductor's 16550, with registers of a byte.
    Ns16550,
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
    /// The counter of ARM's SSE-300 subsystem, by its control frame: counts up.
    Sse300,
    /// Nordic's nRF51, whose first timer has 32 bits: counts up.
    Nrf51,
    /// RISC-V's counter of cycles, which QEMU makes virtual nanoseconds of; a
    /// tick is an instruction. It is a register of the core, without an address.
    Cycles,
}

/// The timer that counts instructions.
///
/// Not SysTick: its 24 bits wrap every 10 million instructions, so it needs an
/// exception, whose frame would make the stack's high-water mark depend on
/// when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// How it is programmed.
    pub kind: TimerKind,
    /// The address of its first register.
    pub address: u32,
    /// Ticks per second.
    pub hz: u32,
}

/// An emulated machine with the code that runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: &'static str,
    /// QEMU's name for it.
    pub qemu: &'static str,
    /// The core that the code is for.
    pub core: &'static Core,
    /// Where code and a linked image lie.
    pub flash: Region,
    /// Where variables and the stack lie.
    pub ram: Region,
    /// Memory that the linker leaves alone: for an image that QEMU loads,
    /// and for the buffers after it. May have no bytes.
    pub spare: Region,
    /// The console.
    pub uart: Uart,
    /// What counts instructions.
    pub timer: Timer,
}

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

const fn region(origin: u32, bytes: u32) -> Region {
    Region { origin, bytes }
}

const fn cmsdk_uart(address: u32, receive_irq: u16) -> Uart {
    Uart {
        kind: UartKind::Cmsdk,
        address,
        receive_irq,
    }
}

const fn timer(kind: TimerKind, address: u32, hz: u32) -> Timer {
    Timer { kind, address, hz }
}

/// A core of the table.
const fn core(name: &str) -> &'static Core {
    match Core::named(name) {
        Some(core) => core,
        None => panic!("a machine has a core of the table"),
    }
}

/// An MPS2 board with an ARMv6-M or ARMv7-M core.
const fn mps2(qemu: &'static str, core_name: &str) -> Machine {
    Machine {
        name: qemu,
        qemu,
        core: core(core_name),
        flash: region(0x0000_0000, 4 * MIB),
        ram: region(0x2000_0000, 4 * MIB),
        spare: region(0x2100_0000, 16 * MIB),
        uart: cmsdk_uart(0x4000_4000, 0),
        timer: timer(TimerKind::Cmsdk, 0x4000_0000, 25_000_000),
    }
}

/// All machines. A new one is a row here. The first is the default.
pub const MACHINES: &[Machine] = &[
    mps2("mps2-an386", "m4"),
    mps2("mps2-an385", "m3"),
    // Cortex-M0 code where there is room to measure it: a Cortex-M3 executes
    // the same instructions.
    Machine {
        name: "mps2-an385-m0",
        ..mps2("mps2-an385", "m0")
    },
    Machine {
        name: "microbit",
        qemu: "microbit",
        core: core("m0"),
        flash: region(0x0000_0000, 256 * KIB),
        ram: region(0x2000_0000, 16 * KIB),
        // All its RAM is the linker's.
        spare: region(0, 0),
        uart: Uart {
            kind: UartKind::Nrf51,
            address: 0x4000_2000,
            receive_irq: 2,
        },
        timer: timer(TimerKind::Nrf51, 0x4000_8000, 16_000_000),
    },
    Machine {
        spare: region(0x6000_0000, 16 * MIB),
        ..mps2("mps2-an500", "m7")
    },
    // The secure addresses of memory and devices: that is the state in which
    // ARMv8-M cores start.
    Machine {
        flash: region(0x1000_0000, 4 * MIB),
        ram: region(0x3800_0000, 4 * MIB),
        spare: region(0x8000_0000, 16 * MIB),
        uart: cmsdk_uart(0x5020_0000, 32),
        timer: timer(TimerKind::Cmsdk, 0x5000_0000, 20_000_000),
        ..mps2("mps2-an505", "m33")
    },
    Machine {
        name: "mps3-an547",
        qemu: "mps3-an547",
        core: core("m55"),
        // The two tightly coupled memories: the vector table must lie at 0.
        flash: region(0x0000_0000, 512 * KIB),
        ram: region(0x3000_0000, 512 * KIB),
        spare: region(0x6000_0000, 16 * MIB),
        uart: cmsdk_uart(0x5930_3000, 33),
        timer: timer(TimerKind::Sse300, 0x5810_0000, 32_000_000),
    },
    Machine {
        name: "virt-rv32",
        qemu: "virt",
        core: core("rv32"),
        // All of it is RAM: the core starts at its first address.
        flash: region(0x8000_0000, 4 * MIB),
        ram: region(0x8040_0000, 4 * MIB),
        spare: region(0x8100_0000, 16 * MIB),
        uart: Uart {
            kind: UartKind::Ns16550,
            address: 0x1000_0000,
            receive_irq: 10,
        },
        timer: timer(
            TimerKind::Cycles,
            0,
            1_000_000_000 / NANOS_PER_INSTRUCTION as u32,
        ),
    },
];

/// The machine of the demo, and of commands that are given none.
pub const DEFAULT_MACHINE: &Machine = &MACHINES[0];

impl Machine {
    /// The machine with this name.
    pub const fn named(name: &str) -> Option<&'static Machine> {
        let mut i = 0;
        while i < MACHINES.len() {
            if equal(MACHINES[i].name, name) {
                return Some(&MACHINES[i]);
            }
            i += 1;
        }
        None
    }

    /// The machine that runs the code of this core and has room for images that
    /// QEMU loads.
    pub fn of(core: &Core) -> Option<&'static Machine> {
        let mut machines = MACHINES.iter().filter(|machine| machine.spare.bytes > 0);
        machines.find(|machine| machine.core == core)
    }

    /// The instructions that passed in `ticks` of the timer.
    pub const fn instructions(&self, ticks: u64) -> u64 {
        // 10^9 / 8,000,000 = 125 keeps the product small, and all rates are
        // multiples of 125 kHz.
        ticks * 125 / (self.timer.hz as u64 * NANOS_PER_INSTRUCTION / 8_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CORES;

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
    fn every_core_has_one_machine_with_room() {
        for core in CORES {
            let machines = MACHINES.iter().filter(|machine| machine.core == core);
            let with_room = machines.filter(|machine| machine.spare.bytes > 0);
            assert_eq!(with_room.count(), 1, "{}", core.name);
            assert_eq!(Machine::of(core).map(|machine| machine.core), Some(core));
        }
    }

    #[test]
    fn ticks_become_instructions() {
        let machine = Machine::named("mps2-an386").unwrap();
        // 64 ns an instruction, 40 ns a tick: 1.6 ticks an instruction.
        assert_eq!(machine.instructions(16), 10);
        assert_eq!(machine.instructions(4_000_000_000), 2_500_000_000);
    }

    #[test]
    fn every_timer_has_a_whole_divisor() {
        for machine in MACHINES {
            let product = u64::from(machine.timer.hz) * NANOS_PER_INSTRUCTION;
            assert_eq!(product % 8_000_000, 0, "{}", machine.name);
        }
    }
}
