//! The cores that have kernels.

use crate::equal;

/// A core: what to compile for it, and how weights are arranged for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// One word: what `kinglet quantize --target` and files of boards call it.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Which processors are meant, in a few words.
    pub about: &'static str,
    /// Its name for C compilers (`-mcpu`); Clang's, where they differ.
    pub cpu: &'static str,
    /// The Rust target.
    pub triple: &'static str,
    /// Features of the crate `kinglet` that tell it from other cores with the
    /// same Rust target.
    pub features: &'static [&'static str],
    /// Whether the target has hardware for floats.
    pub has_fpu: bool,
    /// The arrangement of weights that its kernels read, by the name that
    /// `kinglet::shape::Layout` has for it.
    pub layout: &'static str,
}

/// All cores. A new one is a row here, a port in `core/src/arch` that
/// `core/build.rs` chooses, and a machine that runs it.
pub const CORES: &[Core] = &[
    Core {
        name: "m0",
        title: "Cortex-M0",
        about: "Cortex-M0 and M0+",
        cpu: "cortex-m0",
        triple: "thumbv6m-none-eabi",
        features: &[],
        has_fpu: false,
        layout: "pairs",
    },
    Core {
        name: "m3",
        title: "Cortex-M3",
        about: "Cortex-M3",
        cpu: "cortex-m3",
        triple: "thumbv7m-none-eabi",
        features: &[],
        has_fpu: false,
        layout: "pairs",
    },
    Core {
        name: "m4",
        title: "Cortex-M4F",
        about: "Cortex-M4 with FPU",
        cpu: "cortex-m4",
        triple: "thumbv7em-none-eabihf",
        features: &[],
        has_fpu: true,
        layout: "rows4",
    },
    Core {
        name: "m7",
        title: "Cortex-M7",
        about: "Cortex-M7",
        cpu: "cortex-m7",
        triple: "thumbv7em-none-eabihf",
        features: &[],
        has_fpu: true,
        layout: "rows4",
    },
    Core {
        name: "m33",
        title: "Cortex-M33",
        about: "Cortex-M33 with FPU and DSP extension",
        cpu: "cortex-m33",
        triple: "thumbv8m.main-none-eabihf",
        features: &[],
        has_fpu: true,
        layout: "rows4",
    },
    Core {
        name: "m55",
        title: "Cortex-M55",
        about: "Cortex-M55 with vectors (MVE)",
        cpu: "cortex-m55",
        triple: "thumbv8m.main-none-eabihf",
        features: &["m55"],
        has_fpu: true,
        layout: "lanes16",
    },
    Core {
        name: "rv32",
        title: "RISC-V RV32IMAC",
        about: "RISC-V of 32 bits with multiplication, without FPU",
        cpu: "generic-rv32",
        triple: "riscv32imac-unknown-none-elf",
        features: &[],
        has_fpu: false,
        layout: "pairs",
    },
];

/// What `riscv-rt` asks for, and what `cortex-m-rt` does by itself: no tables for
/// unwinding.
const RISCV_SECTIONS: &str = r#"
REGION_ALIAS("REGION_TEXT", FLASH);
REGION_ALIAS("REGION_RODATA", FLASH);
REGION_ALIAS("REGION_DATA", RAM);
REGION_ALIAS("REGION_BSS", RAM);
REGION_ALIAS("REGION_HEAP", RAM);
REGION_ALIAS("REGION_STACK", RAM);
SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame.*) } }
"#;

impl Core {
    /// The core with this name.
    pub const fn named(name: &str) -> Option<&'static Core> {
        let mut i = 0;
        while i < CORES.len() {
            if equal(CORES[i].name, name) {
                return Some(&CORES[i]);
            }
            i += 1;
        }
        None
    }

    /// Whether it is a RISC-V; the others are ARM's.
    pub fn is_riscv(&self) -> bool {
        self.triple.starts_with("riscv")
    }

    /// What the linker script of a program has for this core after its memory,
    /// `FLASH` and `RAM`.
    pub fn sections(&self) -> &'static str {
        if self.is_riscv() {
            RISCV_SECTIONS
        } else {
            ""
        }
    }

    /// The first core of the table that runs the same compiled code:
    /// both execute the same instructions.
    pub fn first_of_code(&self) -> &'static Core {
        let same = |core: &&Core| core.triple == self.triple && core.features == self.features;
        CORES.iter().find(same).unwrap_or(&CORES[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinglet::shape::Layout;

    #[test]
    fn cores_are_found_by_their_whole_name() {
        for core in CORES {
            assert_eq!(Core::named(core.name), Some(core));
        }
        assert_eq!(Core::named("m"), None);
        assert_eq!(Core::named("m44"), None);
    }

    #[test]
    fn every_layout_is_one_of_the_engine() {
        for core in CORES {
            let layout = Layout::named(core.layout).expect(core.name);
            assert_eq!(layout.name(), core.layout);
        }
    }

    #[test]
    fn cores_that_share_code_are_counted_once() {
        let code = |name: &str| Core::named(name).unwrap().first_of_code().name;
        assert_eq!(["m4", "m7"].map(code), ["m4"; 2]);
        assert_eq!(
            ["m0", "m3", "m33", "m55", "rv32"].map(code),
            ["m0", "m3", "m33", "m55", "rv32"]
        );
        // One image serves both.
        for core in CORES {
            assert_eq!(core.first_of_code().layout, core.layout, "{}", core.name);
        }
    }
}
