//! Names the instruction set of the target for `src/kernels`: stable rustc
//! has no `target_feature` cfg for Thumb.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(kinglet_dsp, kinglet_armv8m)");
    let target = std::env::var("TARGET").unwrap_or_default();
    let armv8m = target.starts_with("thumbv8m.main-");
    if armv8m {
        println!("cargo:rustc-cfg=kinglet_armv8m");
    }
    // ARMv7E-M has the DSP extension; so do the Cortex-M33 and M55 parts that
    // are sold, though ARMv8-M leaves it to the maker.
    if armv8m || target.starts_with("thumbv7em-") {
        println!("cargo:rustc-cfg=kinglet_dsp");
    }
}
