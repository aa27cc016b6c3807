//! Chooses the machine; with the feature `program` writes its memory layout for
//! the linker.
//!
//! `KINGLET_MACHINE` is a name from the table of machines; without it, the
//! first entry that the target fits.

use kinglet_targets::{Machine, MACHINES};
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-env-changed=KINGLET_MACHINE");
    if let Err(message) = machine() {
        println!("cargo::error={message}");
    }
}

fn machine() -> Result<(), String> {
    let machine = choose(&env::var("TARGET").expect("cargo sets TARGET"))?;
    println!("cargo::rustc-env=KINGLET_MACHINE={}", machine.name);
    match env::var_os("CARGO_FEATURE_PROGRAM") {
        Some(_) => write_layout(machine),
        None => Ok(()),
    }
}

fn write_layout(machine: &Machine) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut script = format!(
        "MEMORY\n{{\n  FLASH : ORIGIN = {:#010x}, LENGTH = {:#x}\n  RAM : ORIGIN = {:#010x}, LENGTH = {:#x}\n}}\n",
        machine.flash.origin, machine.flash.bytes, machine.ram.origin, machine.ram.bytes,
    );
    script += machine.core.sections();
    if machine.core.is_riscv() {
        // As the other start-up code does by itself.
        script += "_stack_end = __eheap;\n";
    }
    let path = out.join("memory.x");
    fs::write(&path, script).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    println!("cargo::rustc-link-search={}", out.display());
    Ok(())
}

fn choose(target: &str) -> Result<&'static Machine, String> {
    let machine = match env::var("KINGLET_MACHINE") {
        Ok(name) => Machine::named(&name)
            .ok_or_else(|| format!("KINGLET_MACHINE names no known machine: {name}"))?,
        Err(_) => MACHINES
            .iter()
            .find(|machine| machine.core.triple == target)
            .ok_or_else(|| format!("no known machine runs the target {target}"))?,
    };
    if machine.core.triple == target {
        Ok(machine)
    } else {
        Err(format!(
            "{} needs --target {}, not {target}",
            machine.name, machine.core.triple
        ))
    }
}
