//! Names the instruction set of the target for `src/kernels`: stable rustc
//! has no `target_feature` cfg for Thumb.

use std::env::var;

/// Every cfg that this script may set.
const NAMES: [&str; 12] = [
    // Instruction sets.
    "kinglet_dsp",
    "kinglet_fpu",
    "kinglet_soft",
    "kinglet_x86",
    "kinglet_neon",
    "kinglet_mve",
    "kinglet_armv8m",
    "kinglet_armv7m",
    "kinglet_armv6m",
    // Weight layouts that are compiled in.
    "kinglet_rows4",
    "kinglet_pairs",
    "kinglet_lanes16",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg({})", NAMES.join(", "));
    for name in names(&var("TARGET").unwrap_or_default()) {
        println!("cargo:rustc-cfg={name}");
    }
}

fn names(target: &str) -> Vec<&'static str> {
    let all_layouts = var("CARGO_FEATURE_ALL_LAYOUTS").is_ok();
    let m55 = var("CARGO_FEATURE_M55").is_ok();
    let mut names = match target.split('-').next().unwrap_or_default() {
        // ARMv7E-M has the DSP extension.
        "thumbv7em" => vec!["kinglet_dsp", "kinglet_rows4"],
        "thumbv8m.main" if m55 => vec!["kinglet_armv8m", "kinglet_mve", "kinglet_lanes16"],
        // So have the Cortex-M33 parts that are sold, though ARMv8-M leaves
        // it to the maker.
        "thumbv8m.main" => vec!["kinglet_armv8m", "kinglet_dsp", "kinglet_rows4"],
        "thumbv7m" => vec!["kinglet_armv7m", "kinglet_pairs"],
        "thumbv6m" | "thumbv8m.base" => vec!["kinglet_armv6m", "kinglet_pairs"],
        // A workstation runs every image.
        _ => vec!["kinglet_rows4", "kinglet_pairs", "kinglet_lanes16"],
    };
    // A hard-float target has at least single precision, and half floats.
    if target.starts_with("thumb") {
        let fpu = target.ends_with("eabihf");
        names.push(if fpu { "kinglet_fpu" } else { "kinglet_soft" });
    }
    // Which vectors a processor has is found out at run time, which needs std.
    if target.starts_with("x86_64-") && var("CARGO_FEATURE_STD").is_ok() {
        names.push("kinglet_x86");
    }
    if target.starts_with("aarch64-") && var("CARGO_FEATURE_STD").is_ok() {
        names.push("kinglet_neon");
    }
    if all_layouts {
        let layouts = ["kinglet_rows4", "kinglet_pairs", "kinglet_lanes16"];
        names.extend(
            layouts
                .into_iter()
                .filter(|layout| !names.contains(layout))
                .collect::<Vec<_>>(),
        );
    }
    names
}
