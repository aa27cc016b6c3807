//! Names the instruction set of the target for `src/kernels`: stable rustc
//! has no `target_feature` cfg for Thumb.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(kinglet_dsp)");
    let target = std::env::var("TARGET").unwrap_or_default();
    // ARMv7E-M has the DSP extension; so do the Cortex-M33 and M55 parts that
    // are sold.
    if target.starts_with("thumbv7em-") || target.starts_with("thumbv8m.main-") {
        println!("cargo:rustc-cfg=kinglet_dsp");
    }
}
