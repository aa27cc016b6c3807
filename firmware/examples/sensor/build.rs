//! Links the program with a model, a stream of samples and a threshold:
//! `KINGLET_IMAGE` and `KINGLET_SAMPLES` are absolute paths of files,
//! `KINGLET_THRESHOLD` is in bits per sample, in units of 2^-16. `kinglet-machine` chooses the
//! machine.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
    // Without it the linker may pad sections to pages that no flash has.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let linked = copy("KINGLET_IMAGE", &out.join("model.kgl"))
        .and_then(|()| copy("KINGLET_SAMPLES", &out.join("samples.bin")))
        .and_then(|()| threshold(&out.join("threshold.rs")));
    if let Err(message) = linked {
        println!("cargo::error={message}");
    }
}

fn variable(name: &str) -> Result<String, String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).map_err(|_| format!("{name} is not set: build with `cargo xtask sensor --run`"))
}

fn copy(name: &str, to: &Path) -> Result<(), String> {
    let from = variable(name)?;
    println!("cargo::rerun-if-changed={from}");
    fs::copy(&from, to)
        .map(|_| ())
        .map_err(|error| format!("cannot copy {name} {from}: {error}"))
}

fn threshold(to: &Path) -> Result<(), String> {
    let text = variable("KINGLET_THRESHOLD")?;
    let bits: u32 = text
        .parse()
        .map_err(|_| format!("KINGLET_THRESHOLD is no whole number: {text}"))?;
    fs::write(to, format!("{bits}")).map_err(|error| format!("cannot write: {error}"))
}
