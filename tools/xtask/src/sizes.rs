//! `cargo xtask sizes`: the flash that the library takes.

mod boards;

use anyhow::Result;
use kinglet_targets::Core;
use kinglet_workshop::elf::{symbols, Sections};
use kinglet_workshop::firmware::{build_smallest, Smallest, RELEASE, SMALL};
use kinglet_workshop::table::{thousands, Table};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// The cores that are measured: one with and one without an FPU, and a RISC-V.
const CORES: [&str; 3] = ["m4", "m0", "rv32"];

/// The rooms of the library, by the first of these that a symbol's name
/// holds. The program itself is split into functions that stand for rooms,
/// because the compiler merges the library into them.
const ROOMS: [(&str, &str); 14] = [
    ("kinglet::arch", ARCH),
    ("kinglet::number", "number"),
    ("kinglet::image", "image"),
    ("kinglet::scratch", "image"),
    ("kinglet_sizes::rooms::image", "image"),
    ("kinglet::text::sample", "sampler"),
    ("kinglet::random", "sampler"),
    ("kinglet_sizes::rooms::sampler", "sampler"),
    ("kinglet_sizes::rooms::choose", "sampler"),
    ("kinglet::tokenizer", "tokenizer"),
    ("kinglet_sizes::rooms::prompt", "tokenizer"),
    ("kinglet::", "model"),
    ("kinglet_sizes::", "model"),
    ("compiler_builtins", COMPILER),
];

/// Functions of the library's module, and routines in assembly.
const ARCH: &str = "arch";

/// The compiler's own routines: memory copies, divisions, products of 64 bits.
const COMPILER: &str = "compiler's";

/// Show the flash that Kinglet takes in a firmware
///
/// Builds the smallest firmware that generates text from an RWKV-4 image (the
/// whole library with kernels, tokenizer and sampler; no console, no image),
/// and the same without Kinglet. The difference is split by the names of the
/// symbols. Built for size; "fast" is the same for speed.
///
/// With --boards: text, data and bss of the firmware of each board, and the
/// most stack in use on those that QEMU has, while they answer a prompt. Then
/// the same application on the machines that stand in for boards, one for each
/// core, each in the memory of a board or a chip.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask sizes\n  cargo xtask sizes --json\n  cargo xtask sizes --boards"
)]
pub struct Args {
    /// The firmware of the boards instead
    #[arg(long)]
    boards: bool,
    /// Print a JSON list of {core, target, flash_bytes, fast_flash_bytes, rooms, panics}, or with --boards of
    /// {board, machine, text_bytes, data_bytes, bss_bytes, stack_bytes, panics}
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Sizes {
    core: &'static str,
    target: &'static str,
    flash_bytes: u64,
    fast_flash_bytes: u64,
    rooms: BTreeMap<&'static str, i64>,
    /// Symbols that a panic would call, also in a firmware with all versions; none
    /// where nothing can panic.
    panics: Vec<String>,
}

/// The command `sizes`.
pub fn run(args: &Args) -> Result<()> {
    if args.boards {
        return boards::run(args.json);
    }
    let sizes = CORES
        .into_iter()
        .filter_map(Core::named)
        .map(measure)
        .collect::<Result<Vec<_>>>()?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&sizes)?)?;
    } else {
        write!(out, "{}", table(&sizes))?;
    }
    Ok(())
}

fn measure(core: &Core) -> Result<Sizes> {
    let target = core.triple;
    let with = build_smallest(target, SMALL, Smallest::Kinglet)?;
    let without = build_smallest(target, SMALL, Smallest::Without)?;
    let flash_bytes =
        Sections::read(&with)?.flash_bytes() - Sections::read(&without)?.flash_bytes();
    let mut rooms = BTreeMap::new();
    for (path, sign) in [(&with, 1), (&without, -1)] {
        for symbol in symbols(path)? {
            *rooms.entry(room(&symbol.name)).or_default() += sign * symbol.bytes as i64;
        }
    }
    let named: i64 = rooms.values().sum();
    *rooms.entry(OTHER).or_default() += flash_bytes as i64 - named;
    let fast = build_smallest(target, RELEASE, Smallest::Kinglet)?;
    let fast_with = Sections::read(&fast)?;
    let fast_without = Sections::read(&build_smallest(target, RELEASE, Smallest::Without)?)?;
    let everything = build_smallest(target, SMALL, Smallest::Everything)?;
    Ok(Sizes {
        core: core.title,
        target,
        flash_bytes,
        fast_flash_bytes: fast_with.flash_bytes() - fast_without.flash_bytes(),
        rooms,
        panics: [panics(&with)?, panics(&fast)?, panics(&everything)?].concat(),
    })
}

/// The linker leaves out what nothing reaches: a firmware that cannot panic
/// has none of these.
pub fn panics(elf: &Path) -> Result<Vec<String>> {
    let names = symbols(elf)?.into_iter().map(|symbol| symbol.name);
    let is_panic = |name: &String| name.contains("panicking") || name.contains("rust_begin_unwind");
    Ok(names.filter(is_panic).collect())
}

/// Constants without a name, the core library's functions, padding.
const OTHER: &str = "other";

fn room(symbol: &str) -> &'static str {
    let found = ROOMS.iter().find(|(part, _)| symbol.contains(part));
    match found {
        Some((_, room)) => room,
        // Names without a module: routines in assembly, and the compiler's.
        None if symbol.starts_with("kinglet_") => ARCH,
        None if is_builtin(symbol) => COMPILER,
        None => OTHER,
    }
}

/// `__aeabi_fadd`, `__mulsf3`, `memcpy`, `fminf`, but neither `__EXCEPTIONS`
/// nor a Rust name.
fn is_builtin(symbol: &str) -> bool {
    let known = ["mem", "fmin", "fmax", "rint", "round"];
    let helper = symbol.starts_with("__") && !symbol.chars().any(|c| c.is_ascii_uppercase());
    !symbol.contains("::") && (helper || known.iter().any(|name| symbol.starts_with(name)))
}

fn table(sizes: &[Sizes]) -> Table {
    let mut table = Table::default();
    for size in sizes {
        let total = thousands(size.flash_bytes);
        let fast = thousands(size.fast_flash_bytes);
        let remark = format!("bytes of flash, all of the library (built for speed: {fast})");
        table.row(size.core, total, remark);
        for (room, &bytes) in &size.rooms {
            table.row(&format!("  {room}"), bytes, "");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_put_into_rooms() {
        assert_eq!(room("kinglet::arch::dsp::int4_sums"), "arch");
        assert_eq!(room("kinglet_dsp_int8"), "arch");
        assert_eq!(
            room("kinglet::scratch::<impl kinglet::image::Header>::len"),
            "image"
        );
        assert_eq!(room("kinglet_sizes::rooms::choose"), "sampler");
        assert_eq!(room("kinglet::session::Session::advance"), "model");
        assert_eq!(room("__aeabi_fadd"), COMPILER);
        assert_eq!(room("memcpy"), COMPILER);
        assert_eq!(room("__EXCEPTIONS"), OTHER);
        assert_eq!(room("core::fmt::write"), OTHER);
    }
}
