//! Links the program for the machine `KINGLET_MACHINE`, of whose memory it
//! takes as much as the board `KINGLET_BOARD` has.

use kinglet_targets::{Board, Boards, Machine, Region};
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=KINGLET_MACHINE");
    println!("cargo::rerun-if-env-changed=KINGLET_BOARD");
    if let Err(message) = link() {
        println!("cargo::error={message}");
    }
}

fn link() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let chosen = |name: &str| {
        env::var(name).map_err(|_| format!("{name} is not set: `cargo xtask board` does it"))
    };
    let name = chosen("KINGLET_MACHINE")?;
    let machine = Machine::named(&name).ok_or_else(|| format!("no machine is called {name}"))?;
    let boards = Boards::with_chips().map_err(|error| error.to_string())?;
    let board = boards.named(&chosen("KINGLET_BOARD")?);
    let board = board.map_err(|error| error.to_string())?;
    fs::write(out.join("memory.x"), layout(machine, board)?).map_err(|error| error.to_string())?;
    println!(
        "cargo::rustc-env=KINGLET_TITLE={} in place of {}",
        machine.name, board.title
    );
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    if machine.core.is_riscv() {
        println!("cargo::rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    Ok(())
}

/// The machine's addresses, the board's sizes.
fn layout(machine: &Machine, board: &Board) -> Result<String, String> {
    let part = |of: Region, bytes: u32| match bytes <= of.bytes {
        true => Ok((of.origin, bytes)),
        false => Err(format!(
            "{} has too little memory for a {}",
            machine.name, board.name
        )),
    };
    let (flash, flash_bytes) = part(machine.flash, board.application_bytes)?;
    let (model, model_bytes) = part(machine.spare, board.model().bytes)?;
    let (ram, ram_bytes) = part(machine.ram, board.ram.bytes)?;
    let stack_bytes = board.stack_bytes;
    let sections = match machine.core.is_riscv() {
        true => [machine.core.sections(), "__sheap = _sheap;\n"].concat(),
        false => String::new(),
    };
    Ok(format!(
        "MEMORY\n{{\n  FLASH : ORIGIN = {flash:#010x}, LENGTH = {flash_bytes:#x}\n  \
         RAM : ORIGIN = {ram:#010x}, LENGTH = {ram_bytes:#x}\n}}\n\
         _model_start = {model:#010x};\n_model_end = _model_start + {model_bytes:#x};\n\
         _stack_end = ORIGIN(RAM) + LENGTH(RAM) - {stack_bytes};\n{sections}"
    ))
}
