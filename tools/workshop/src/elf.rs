//! The memory that a firmware takes, from its ELF file.

use anyhow::{Context, Result};
use object::elf::{SHF_ALLOC, SHF_WRITE, SHT_NOBITS};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A function or a constant of a firmware.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Its name as in the source.
    pub name: String,
    /// Where it is.
    pub address: u64,
    /// Bytes of flash.
    pub bytes: u64,
}

/// The bytes of a section; none where the file has no such section.
pub fn section<'e>(elf: &'e [u8], name: &str) -> Result<&'e [u8]> {
    let file = object::File::parse(elf)?;
    match file.section_by_name(name) {
        Some(section) => Ok(section.data()?),
        None => Ok(&[]),
    }
}

/// All functions and constants that have a name and take flash, by address.
pub fn symbols(path: &Path) -> Result<Vec<Symbol>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = object::File::parse(&*bytes)
        .with_context(|| format!("{} is not an ELF file", path.display()))?;
    // Two names of one place are one symbol.
    let mut places = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.size() > 0) {
        let section = symbol.section_index().map(|i| file.section_by_index(i));
        let Some(SectionFlags::Elf { sh_flags, sh_type }) =
            section.transpose()?.map(|section| section.flags())
        else {
            continue;
        };
        if sh_flags.contains(SHF_ALLOC) && sh_type != SHT_NOBITS {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
            // Functions of Thumb code have odd ones.
            let (address, bytes) = (symbol.address() & !1, symbol.size());
            let symbol = Symbol {
                name,
                address,
                bytes,
            };
            places.insert(address, symbol);
        }
    }
    Ok(places.into_values().collect())
}

/// Sections without a byte: what `riscv-rt` makes of all RAM after the variables, and
/// what esp-hal makes of addresses at which constants are.
const EMPTY: [&str; 2] = [".stack", ".rotext_dummy"];

/// Variables with initial values. Those of esp-hal are not marked as such.
const DATA: &str = ".data";

/// The sections of a firmware, as `size` of binutils adds them up.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Sections {
    /// Vector table, code, constants.
    pub text_bytes: u64,
    /// Variables with initial values, which are in flash, too.
    pub data_bytes: u64,
    /// Other variables.
    pub bss_bytes: u64,
}

impl Sections {
    /// Reads the sizes of the sections that are loaded or reserved.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = object::File::parse(&*bytes)
            .with_context(|| format!("{} is not an ELF file", path.display()))?;
        let mut sections = Self::default();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, sh_type } = section.flags() else {
                continue;
            };
            let name = section.name()?;
            if !sh_flags.contains(SHF_ALLOC) || EMPTY.contains(&name) {
                continue;
            }
            let is_written = sh_flags.contains(SHF_WRITE) || name == DATA;
            *match (sh_type == SHT_NOBITS, is_written) {
                (true, _) => &mut sections.bss_bytes,
                (false, true) => &mut sections.data_bytes,
                (false, false) => &mut sections.text_bytes,
            } += section.size();
        }
        Ok(sections)
    }

    /// Bytes of flash: vector table, code, constants (with a linked image), and
    /// the initial values of variables.
    pub fn flash_bytes(&self) -> u64 {
        self.text_bytes + self.data_bytes
    }

    /// Bytes of RAM of the variables: `.data`, `.bss` and `.uninit`.
    pub fn ram_bytes(&self) -> u64 {
        self.data_bytes + self.bss_bytes
    }
}
