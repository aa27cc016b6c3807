//! Names the port of the target for `src/arch`: stable rustc has no
//! `target_feature` cfg for Thumb.

use std::env::var;

/// Every cfg that there may be beside layouts.
const NAMES: [&str; 11] = [
    // Ports: a target has one of them.
    "kinglet_armv6m",
    "kinglet_armv7m",
    "kinglet_dsp",
    "kinglet_mve",
    "kinglet_neon",
    "kinglet_portable",
    "kinglet_riscv",
    "kinglet_x86",
    // The assembler has to be told that an ARMv8-M core has the DSP extension.
    "kinglet_armv8m",
    // The compiler was told to optimize for speed.
    "kinglet_fast",
    // A kernel may have a wrong bit: for a test, which says it to the compiler.
    "kinglet_wrong_bit",
];

/// The same for the weight layouts that are compiled in.
const LAYOUTS: [&str; 3] = ["kinglet_rows4", "kinglet_pairs", "kinglet_lanes16"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let all = [&NAMES[..], &LAYOUTS].concat();
    println!("cargo:rustc-check-cfg=cfg({})", all.join(", "));
    for name in names(&var("TARGET").unwrap_or_default()) {
        println!("cargo:rustc-cfg={name}");
    }
    if matches!(var("OPT_LEVEL").as_deref(), Ok("2" | "3")) {
        println!("cargo:rustc-cfg=kinglet_fast");
    }
}

fn names(target: &str) -> Vec<&'static str> {
    let has = |feature: &str| var(format!("CARGO_FEATURE_{feature}")).is_ok();
    let architecture = target.split('-').next().unwrap_or_default();
    let port = match architecture {
        // ARMv7E-M has the DSP extension.
        "thumbv7em" => "kinglet_dsp",
        "thumbv8m.main" if has("M55") => "kinglet_mve",
        // So have the Cortex-M33 parts that are sold, though ARMv8-M leaves
        // it to the maker.
        "thumbv8m.main" => "kinglet_dsp",
        "thumbv7m" => "kinglet_armv7m",
        "thumbv6m" | "thumbv8m.base" => "kinglet_armv6m",
        // With multiplication, and 32 registers.
        _ if architecture.starts_with("riscv32im") => "kinglet_riscv",
        // A processor's vectors are detected at run time, which needs std.
        "x86_64" if has("STD") => "kinglet_x86",
        "aarch64" if has("STD") => "kinglet_neon",
        _ => "kinglet_portable",
    };
    let mut names = vec![port];
    names.extend(match port {
        _ if has("ALL_LAYOUTS") => &LAYOUTS[..],
        "kinglet_dsp" => &["kinglet_rows4"],
        "kinglet_mve" => &["kinglet_lanes16"],
        "kinglet_armv6m" | "kinglet_armv7m" | "kinglet_riscv" => &["kinglet_pairs"],
        // A workstation runs every image.
        _ => &LAYOUTS,
    });
    if architecture == "thumbv8m.main" {
        names.push("kinglet_armv8m");
    }
    names
}
