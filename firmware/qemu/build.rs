//! Turns two environment variables into a program for one machine:
//!
//! - `KINGLET_MACHINE`: a name from the table of machines; without it, the
//!   first entry that the target fits.
//! - `KINGLET_IMAGE`: the absolute path of an image to link in; without it,
//!   the program expects QEMU to load one into the machine's spare memory.

use kinglet_protocol::{Machine, MACHINES};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    if let Err(message) = machine(&out).and_then(|()| image(&out)) {
        println!("cargo::error={message}");
    }
}

fn machine(out: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=KINGLET_MACHINE");
    let machine = choose(&env::var("TARGET").expect("cargo sets TARGET"))?;
    println!("cargo::rustc-env=KINGLET_MACHINE={}", machine.name);
    let script = format!(
        "MEMORY\n{{\n  FLASH : ORIGIN = {:#010x}, LENGTH = {:#x}\n  RAM : ORIGIN = {:#010x}, LENGTH = {:#x}\n}}\n",
        machine.flash.origin, machine.flash.bytes, machine.ram.origin, machine.ram.bytes,
    );
    write(&out.join("memory.x"), script.as_bytes())?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Without it the linker may pad sections to pages that no flash has.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    Ok(())
}

fn choose(target: &str) -> Result<&'static Machine, String> {
    let machine = match env::var("KINGLET_MACHINE") {
        Ok(name) => Machine::named(&name)
            .ok_or_else(|| format!("KINGLET_MACHINE names no known machine: {name}"))?,
        Err(_) => MACHINES
            .iter()
            .find(|machine| machine.target == target)
            .ok_or_else(|| format!("no known machine runs the target {target}"))?,
    };
    if machine.target == target {
        Ok(machine)
    } else {
        Err(format!(
            "{} needs --target {}, not {target}",
            machine.name, machine.target
        ))
    }
}

fn image(out: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=KINGLET_IMAGE");
    println!("cargo::rustc-check-cfg=cfg(linked_image)");
    let Some(path) = env::var_os("KINGLET_IMAGE") else {
        return Ok(());
    };
    let path = PathBuf::from(path);
    println!("cargo::rerun-if-changed={}", path.display());
    println!("cargo::rustc-cfg=linked_image");
    let bytes = fs::read(&path)
        .map_err(|e| format!("cannot read KINGLET_IMAGE {}: {e}", path.display()))?;
    write(&out.join("model.kgl"), &bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
