//! Large models need no large workstation. On Linux only, where a program's
//! memory can be limited.
#![cfg(target_os = "linux")]

use kinglet_tests::{folder, kinglet, stdout, synth, Args};

/// Quantizes a model whose largest tensor alone is twice the memory there is.
#[test]
fn quantizing_needs_no_memory_for_the_whole_model() {
    let folder = folder();
    let [checkpoint, image] = ["wide.safetensors", "wide.kgl"].map(|name| folder.path().join(name));
    synth(&checkpoint, "--layers 1 --channels 512 --vocab 65536");
    let program = kinglet().get_program().to_owned();
    let quantize = |kilobytes: &str| {
        std::process::Command::new("sh")
            .args(["-c", "ulimit -v $0; exec \"$@\"", kilobytes])
            .arg(&program)
            .args(
                (
                    "quantize",
                    &checkpoint,
                    "-o",
                    &image,
                    "--weights int8 --plain",
                )
                    .list(),
            )
            .env("RAYON_NUM_THREADS", "1")
            // There may be no memory for one, and the program would wait for ever.
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("sh starts")
    };
    // The embedding has 33,554,432 values: 128 MiB as f32.
    let output = quantize("65536");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    stdout(("inspect", &image));
    // The limit is in force.
    assert!(!quantize("32768").status.success());
}
