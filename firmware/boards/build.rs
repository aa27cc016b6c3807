//! Links the program of a board as the `memory.x` in its folder says.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    // On ARM the start-up code's script asks for it, on RISC-V it asks for that script.
    let is_riscv = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|name| name == "riscv32");
    let (copy, script) = match is_riscv {
        true => ("board.x", "board.x"),
        false => ("memory.x", "link.x"),
    };
    fs::copy("memory.x", out.join(copy)).expect("the folder of a board has a memory.x");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-T{script}");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
}
