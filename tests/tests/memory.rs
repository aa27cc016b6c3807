//! Large models need no large workstation. On Linux only, where a program's
//! memory can be limited.
#![cfg(target_os = "linux")]

use kinglet_tests::{arg, folder, kinglet, stdout};

/// Quantizes a model whose largest tensor alone is twice the memory there is.
#[test]
fn quantizing_needs_no_memory_for_the_whole_model() {
    let folder = folder();
    let (checkpoint, image) = (
        folder.path().join("wide.safetensors"),
        folder.path().join("wide.kgl"),
    );
    let size = ["--layers", "1", "--channels", "512", "--vocab", "65536"];
    stdout(&[&["synth", "-o", arg(&checkpoint)], &size[..]].concat());
    let program = kinglet().get_program().to_owned();
    let quantize = |kilobytes: &str| {
        std::process::Command::new("sh")
            .args(["-c", "ulimit -v $0; exec \"$@\"", kilobytes])
            .arg(&program)
            .args([
                "quantize",
                arg(&checkpoint),
                "-o",
                arg(&image),
                "--weights",
                "int8",
            ])
            .env("RAYON_NUM_THREADS", "1")
            .output()
            .expect("sh starts")
    };
    // The embedding has 33,554,432 values: 128 MiB as f32.
    let output = quantize("65536");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    stdout(&["inspect", arg(&image)]);
    // The limit is in force.
    assert!(!quantize("16384").status.success());
}
