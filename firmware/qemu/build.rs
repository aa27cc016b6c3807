//! Links the program, with an image if `KINGLET_IMAGE` is the absolute path
//! of one. Without it, the program expects QEMU to load an image into the
//! machine's spare memory. `kinglet-machine` chooses the machine.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Without it the linker may pad sections to pages that no flash has.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    if let Err(message) = image(&out) {
        println!("cargo::error={message}");
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
    let copy = out.join("model.kgl");
    fs::write(&copy, &bytes).map_err(|e| format!("cannot write {}: {e}", copy.display()))
}
