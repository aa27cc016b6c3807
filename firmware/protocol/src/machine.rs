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
    /// Nordic's nRF51.
    Nrf51,
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

/// An emulated machine with the code that runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What we call it.
    pub name: &'static str,
    /// QEMU's name for it.
    pub qemu: &'static str,
    /// The core that the code is for.
    pub core: &'static str,
    /// The Rust target that runs on it.
    pub target: &'static str,
    /// What `kinglet quantize --target` packs images for it with.
    pub layout_target: &'static str,
    /// Features of the firmware for it: those of cores that share a target.
    pub features: &'static [&'static str],
    /// Where code and a linked image lie.
    pub flash: Region,
    /// Where variables and the stack lie.
    pub ram: Region,
    /// Memory that the linker leaves alone: for an image that QEMU loads,
    /// and for the buffers behind it. May have no bytes.
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

/// What the MPS2 boards with ARMv6-M and ARMv7-M cores have in common.
const MPS2: Machine = Machine {
    name: "",
    qemu: "",
    core: "",
    target: "",
    layout_target: "",
    features: &[],
    flash: region(0x0000_0000, 4 * MIB),
    ram: region(0x2000_0000, 4 * MIB),
    spare: region(0x2100_0000, 16 * MIB),
    uart: cmsdk_uart(0x4000_4000, 0),
    timer: timer(TimerKind::Cmsdk, 0x4000_0000, 25_000_000),
};

/// All machines. A new one is a new entry. The first is that of the demo.
pub const MACHINES: &[Machine] = &[
    Machine {
        name: "mps2-an386",
        qemu: "mps2-an386",
        core: "Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        layout_target: "m4",
        ..MPS2
    },
    Machine {
        name: "mps2-an385",
        qemu: "mps2-an385",
        core: "Cortex-M3",
        target: "thumbv7m-none-eabi",
        layout_target: "m3",
        ..MPS2
    },
    // Cortex-M0 code where there is room to measure it: a Cortex-M3 executes
    // the same instructions.
    Machine {
        name: "mps2-an385-m0",
        qemu: "mps2-an385",
        core: "Cortex-M0",
        target: "thumbv6m-none-eabi",
        layout_target: "m0",
        ..MPS2
    },
    Machine {
        name: "microbit",
        qemu: "microbit",
        core: "Cortex-M0",
        target: "thumbv6m-none-eabi",
        layout_target: "m0",
        features: &[],
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
        name: "mps2-an500",
        qemu: "mps2-an500",
        core: "Cortex-M7",
        target: "thumbv7em-none-eabihf",
        layout_target: "m4",
        spare: region(0x6000_0000, 16 * MIB),
        ..MPS2
    },
    // The secure addresses of memory and devices: that is the state in which
    // ARMv8-M cores start.
    Machine {
        name: "mps2-an505",
        qemu: "mps2-an505",
        core: "Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        layout_target: "m4",
        flash: region(0x1000_0000, 4 * MIB),
        ram: region(0x3800_0000, 4 * MIB),
        spare: region(0x8000_0000, 16 * MIB),
        uart: cmsdk_uart(0x5020_0000, 32),
        timer: timer(TimerKind::Cmsdk, 0x5000_0000, 20_000_000),
        ..MPS2
    },
    Machine {
        name: "mps3-an547",
        qemu: "mps3-an547",
        core: "Cortex-M55",
        target: "thumbv8m.main-none-eabihf",
        layout_target: "m55",
        features: &["m55"],
        // The two tightly coupled memories: the vector table must lie at 0.
        flash: region(0x0000_0000, 512 * KIB),
        ram: region(0x3000_0000, 512 * KIB),
        spare: region(0x6000_0000, 16 * MIB),
        uart: cmsdk_uart(0x5930_3000, 33),
        timer: timer(TimerKind::Sse300, 0x5810_0000, 32_000_000),
    },
];

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

    #[test]
    fn every_timer_has_a_whole_divisor() {
        for machine in MACHINES {
            let product = u64::from(machine.timer.hz) * NANOS_PER_INSTRUCTION;
            assert_eq!(product % 8_000_000, 0, "{}", machine.name);
        }
    }
}
