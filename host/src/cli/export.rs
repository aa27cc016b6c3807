//! `kinglet export`: an image in the formats of flash tools and compilers.

use super::fit::{check_layout, named};
use super::output::{check_outputs, print_json, report_to, write_file, Output};
use super::table::thousands;
use super::{bad_use, mention};
use crate::engine::open_image;
use crate::export::{
    read_firmware, write_bin, write_c, write_hex, write_rust, write_uf2, Part, PAGE_BYTES,
};
use crate::output::Out;
use crate::text::shown_path;
use anyhow::Result;
use kinglet::shape::ALIGN;
use kinglet_targets::{Board, Boards};
use serde::Serialize;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Write an image as a file for flash tools or compilers
///
/// The formats that name an address (--uf2, --hex) take it from the board,
/// where the firmware in firmware/boards looks for its model, or from
/// --address. A board also says how much flash there is, which cores its
/// images are packed for, and the family number of UF2 files.
///
/// With --firmware the file holds the board's firmware too, so that a new board
/// needs only one copy to the drive of its boot loader.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    kinglet export model.kgl --board pico --uf2 model.uf2\n  \
    kinglet export model.kgl --board pico --firmware kinglet-pico --uf2 all.uf2\n  \
    kinglet export model.kgl --board stm32f405 --hex model.hex --bin model.bin\n  \
    kinglet export model.kgl --address 0x10100000 --family 0xe48bff56 --uf2 model.uf2\n  \
    kinglet export model.kgl --rust model.rs --c-array model.c")]
pub struct Args {
    /// The image
    image: PathBuf,
    /// The board: its address of the model, its flash and its family
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// A file with further boards, see `kinglet plan`
    #[arg(long, value_name = "FILE")]
    boards: Option<PathBuf>,
    /// The ELF file of the board's firmware, which goes into the file too:
    /// `cargo xtask board NAME` builds it and prints where it is
    #[arg(long, value_name = "ELF", requires = "board", conflicts_with_all = ["address", "c_array", "rust"])]
    firmware: Option<PathBuf>,
    /// The address of the image's first byte, such as 0x10020000
    #[arg(long, value_name = "ADDRESS", value_parser = number)]
    address: Option<u32>,
    /// The number of the chip's family in UF2 files, such as 0xe48bff56
    #[arg(long, value_name = "NUMBER", value_parser = number, requires = "uf2")]
    family: Option<u32>,
    #[command(flatten)]
    files: Files,
    /// Print one JSON object: image_bytes, firmware_bytes, address, files
    #[arg(long)]
    json: bool,
}

/// What to write.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Files {
    /// UF2, for boot loaders that are USB drives
    #[arg(long, value_name = "FILE")]
    uf2: Option<PathBuf>,
    /// The bytes alone; with --firmware from the first of the flash
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    /// Intel HEX
    #[arg(long, value_name = "FILE")]
    hex: Option<PathBuf>,
    /// A C file with the array `kinglet_model`
    #[arg(long, value_name = "FILE")]
    c_array: Option<PathBuf>,
    /// A Rust file with the slice `MODEL`
    #[arg(long, value_name = "FILE")]
    rust: Option<PathBuf>,
}

impl Files {
    /// Whether a file is for a flash tool, not for a compiler.
    fn is_flashed(&self) -> bool {
        self.uf2.is_some() || self.bin.is_some() || self.hex.is_some()
    }

    fn outputs(&self) -> Vec<Output> {
        let Self {
            uf2,
            bin,
            hex,
            c_array,
            rust,
        } = self;
        let files = [uf2, bin, hex, c_array, rust].into_iter().flatten();
        files.map(|path| Output::named(path)).collect()
    }
}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Result<u32, String> {
    let digits = text.replace('_', "");
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    value.map_err(|_| "must be a number below 2^32, such as 0x10020000".to_owned())
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    image_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<u32>,
    files: Vec<&'a Path>,
}

pub fn run(args: &Args) -> Result<()> {
    let inputs = [
        Some(&args.image),
        args.boards.as_ref(),
        args.firmware.as_ref(),
    ];
    check_outputs(&inputs, &args.files.outputs())?;
    let boards = Boards::load(args.boards.as_deref())?;
    let board = args.board.as_deref().map(|name| named(&boards, name));
    let board = board.transpose()?;
    if let Some(address) = args.address.filter(|at| !at.is_multiple_of(ALIGN as u32)) {
        return bad_use(format!(
            "--address {address:#x} is no multiple of {ALIGN}, as an image needs"
        ));
    }
    if let Some(board) = board.filter(|board| board.is_linked && args.files.is_flashed()) {
        return bad_use(format!(
            "the firmware of {} has the model in it: build that with the image's absolute path in KINGLET_IMAGE",
            board.name
        ));
    }
    let address = args.address.or(board.map(|board| board.model().origin));
    // Before the image is read: a missing option is bad use for any image.
    let uf2 = args.files.uf2.as_deref();
    let uf2 = uf2.map(|path| uf2_family(args, board, address).map(|family| (path, family)));
    let uf2 = uf2.transpose().or_else(bad_use)?;
    if args.files.hex.is_some() && address.is_none() {
        return bad_use(no_address("--hex"));
    }
    let file = open_image(&args.image)?;
    let bytes = file.image().bytes();
    if let (Some(board), Some(address)) = (board, address) {
        check_layout(&args.image, file.image().shape().layout, board)?;
        check_place(&args.image, bytes.len(), address, board)?;
    }
    let firmware = args.firmware.as_deref().zip(board);
    let firmware = firmware.map(|(path, board)| read_firmware(path, firmware_flash(board)));
    let firmware = firmware.transpose()?;
    let firmware_bytes = firmware.as_ref().map(|part| part.bytes.len());
    let model = Part {
        // Without an address there are only formats that need none.
        address: address.unwrap_or(0),
        bytes: bytes.into(),
    };
    let parts: Vec<_> = firmware.into_iter().chain([model]).collect();
    let mut files = Vec::new();
    let mut put = |path, write: &dyn Fn(&mut Out<'_>) -> std::io::Result<()>| {
        files.push(path);
        write_file(path, |out| Ok(write(out)?))
    };
    if let Some((path, family)) = uf2 {
        put(path, &|out| write_uf2(&parts, family, out))?;
    }
    if let Some(path) = &args.files.hex {
        put(path, &|out| write_hex(&parts, out))?;
    }
    if let Some(path) = &args.files.bin {
        put(path, &|out| write_bin(&parts, out))?;
    }
    if let Some(path) = &args.files.c_array {
        put(path, &|out| write_c(bytes, out))?;
    }
    if let Some(path) = &args.files.rust {
        put(path, &|out| write_rust(bytes, out))?;
    }
    report(
        args,
        Report {
            image_bytes: bytes.len(),
            firmware_bytes,
            address: address.filter(|_| !board.is_some_and(|board| board.is_linked)),
            files,
        },
    )
}

/// The flash in front of the model.
fn firmware_flash(board: &Board) -> Range<u64> {
    u64::from(board.flash.origin)..u64::from(board.model().origin)
}

fn report(args: &Args, report: Report<'_>) -> Result<()> {
    if args.json {
        return print_json(&report);
    }
    let place = report
        .address
        .map_or(String::new(), |at| format!(" at {at:#010x}"));
    let bytes = thousands(report.image_bytes as u64);
    let firmware = report.firmware_bytes.map_or(String::new(), |bytes| {
        format!(", and a firmware of {}", thousands(bytes as u64))
    });
    for file in report.files {
        writeln!(
            report_to(),
            "{}: {bytes} bytes{place}{firmware}",
            shown_path(file)
        )?;
    }
    Ok(())
}

fn no_address(option: &str) -> String {
    format!("{option} names addresses: give --board NAME or --address ADDRESS")
}

/// The family, or what is missing.
fn uf2_family(args: &Args, board: Option<&Board>, address: Option<u32>) -> Result<u32, String> {
    let address = address.ok_or_else(|| no_address("--uf2"))?;
    let family = args.family.or(board.and_then(|board| board.uf2_family));
    let family = family.ok_or_else(|| match board {
        Some(board) => format!(
            "the boot loader of {} takes no UF2 files: use --hex or --bin, or name a family with --family NUMBER",
            board.name
        ),
        None => "--uf2 names the chip's family: give --board NAME or --family NUMBER".to_owned(),
    })?;
    let firmware = args.firmware.as_ref().and(board);
    let firmware = firmware.map(|board| board.flash.origin);
    let odd = |address: &u32| !(*address as usize).is_multiple_of(PAGE_BYTES);
    match [Some(address), firmware].into_iter().flatten().find(odd) {
        Some(odd) => Err(format!(
            "a UF2 file holds whole pages: the address {odd:#x} must be a multiple of {PAGE_BYTES:#x}"
        )),
        None => Ok(family),
    }
}

/// The image must lie within the flash, and not on the firmware.
fn check_place(image: &Path, bytes: usize, address: u32, board: &Board) -> Result<()> {
    let model = board.model();
    let end = u64::from(address) + bytes as u64;
    let (path, name) = (image.display(), &board.name);
    if address >= model.origin && end <= model.end() {
        if address != model.origin {
            mention(format_args!(
                "warning: the firmware of {name} looks for a model at {:#x}, not at {address:#x}",
                model.origin
            ));
        }
        return Ok(());
    }
    bad_use(format!(
        "{path}: {bytes} bytes at {address:#x} end at {end:#x}, but {name} has flash for a model from {:#x} to {:#x}: \
         `kinglet plan` says what would fit",
        model.origin,
        model.end()
    ))
}
