//! Links the program for a board with a lot of memory: it is never run.

use kinglet_targets::{Core, CORES};
use std::path::PathBuf;
use std::{env, fs};

const MEMORY: &str = "MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 1M
  RAM : ORIGIN = 0x20000000, LENGTH = 1M
}
";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let core = CORES.iter().find(|core| core.triple == target);
    let script = [MEMORY, core.map_or("", Core::sections)].concat();
    fs::write(out.join("memory.x"), script).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
