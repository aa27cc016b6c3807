//! Links the program for a board with a lot of memory: it is never run.

use std::path::PathBuf;
use std::{env, fs};

const MEMORY: &str = "MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 1M
  RAM : ORIGIN = 0x20000000, LENGTH = 1M
}
";

/// What `riscv-rt` asks for; no tables for unwinding.
const RISCV_REGIONS: &str = r#"
REGION_ALIAS("REGION_TEXT", FLASH);
REGION_ALIAS("REGION_RODATA", FLASH);
REGION_ALIAS("REGION_DATA", RAM);
REGION_ALIAS("REGION_BSS", RAM);
REGION_ALIAS("REGION_HEAP", RAM);
REGION_ALIAS("REGION_STACK", RAM);
SECTIONS { /DISCARD/ : { *(.eh_frame .eh_frame.*) } }
"#;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut script = MEMORY.to_owned();
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("riscv32") {
        script += RISCV_REGIONS;
    }
    fs::write(out.join("memory.x"), script).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}
