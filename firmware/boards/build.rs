//! Links the program of a board as the `memory.x` in its folder says.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let memory = fs::read_to_string("memory.x").expect("the folder of a board has a memory.x");
    // A script of the start-up code asks for it by this name. That of riscv-rt does
    // not, so it asks for that script.
    let is_riscv = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|name| name == "riscv32");
    let has_model = !memory.contains("_model_start");
    let (copy, script) = match (is_riscv, has_model) {
        (false, _) => ("memory.x", "link.x"),
        (true, false) => ("board.x", "board.x"),
        (true, true) => ("memory.x", "linkall.x"),
    };
    fs::write(out.join(copy), memory).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bins=-T{script}");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo::rustc-link-arg-bins=-Tdefmt.x");
    }
    if has_model {
        model(&out);
    }
}

/// A model that is part of the program: the file `KINGLET_IMAGE`, or the project's.
/// Without either it has no bytes.
fn model(out: &Path) {
    let of_project = Path::new("model");
    println!("cargo::rerun-if-env-changed=KINGLET_IMAGE");
    // What is missing is always changed for cargo.
    if of_project.exists() {
        println!("cargo::rerun-if-changed={}", of_project.display());
    }
    let image = match env::var_os("KINGLET_IMAGE") {
        Some(path) => fs::read(path).expect("KINGLET_IMAGE is the absolute path of a file"),
        None => fs::read(of_project.join("model.kgl")).unwrap_or_default(),
    };
    let copy = out.join("model.kgl");
    fs::write(&copy, image).expect("OUT_DIR can be written");
    println!("cargo::rustc-env=KINGLET_MODEL={}", copy.display());
}
