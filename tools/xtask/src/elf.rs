//! What a firmware takes, read from its ELF file.

use anyhow::{Context, Result};
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::{Object, ObjectSection, SectionFlags};
use std::path::Path;

/// Bytes of a firmware.
#[derive(Clone, Copy, Debug)]
pub struct Elf {
    /// Vector table, code, constants (with a linked image), and the initial
    /// values of variables.
    pub flash_bytes: u64,
    /// Variables: `.data`, `.bss` and `.uninit`.
    pub ram_bytes: u64,
}

impl Elf {
    /// Reads the sizes of the sections that are loaded or reserved.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes)
            .with_context(|| format!("{} is not an ELF file", path.display()))?;
        let mut elf = Self {
            flash_bytes: 0,
            ram_bytes: 0,
        };
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, sh_type } = section.flags() else {
                continue;
            };
            if !sh_flags.contains(SHF_ALLOC) {
                continue;
            }
            // The file holds no bytes for such a section: it is only reserved.
            let reserved = sh_type == SHT_NOBITS;
            if !reserved {
                elf.flash_bytes += section.size();
            }
            if reserved || sh_flags.contains(SHF_WRITE) {
                elf.ram_bytes += section.size();
            }
        }
        Ok(elf)
    }
}
