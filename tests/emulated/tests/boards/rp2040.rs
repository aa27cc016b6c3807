//! The file that a Raspberry Pi Pico is flashed with, in an emulator of the whole RP2040
//! that shares nothing with QEMU.

use kinglet_emulated::run;
use kinglet_targets::Boards;
use kinglet_tests::{folder, json, quantize, root, xtask};
use kinglet_workshop::setup::RP2040_MISSING;
use serde_json::Value;
use std::io::{stderr, Write};
use std::path::Path;

/// What the emulators say about a few tokens; nothing where the emulator cannot be
/// installed, but in CI that is a failure.
fn measured(image: &Path, prompt: &str) -> Option<Value> {
    let output = run(("rp2040 --json --image", image, ["--prompt", prompt], "-n 6"));
    let errors = String::from_utf8_lossy(&output.stderr);
    if errors.contains(RP2040_MISSING) && std::env::var_os("CI").is_none() {
        // Not captured, as what passes prints nothing.
        writeln!(stderr(), "SKIPPED: {errors}").expect("standard error");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// From the boot ROM to the text, over USB, and again after the cable was pulled; over
/// UART0, too; in as many cycles for an instruction as `kinglet plan` counts.
#[test]
fn the_picos_file_runs_in_an_emulator_of_the_whole_chip() {
    let folder = folder();
    let image = folder.path().join("pico.kgl");
    let prompt = "Once upon a time";
    let small = root().join("models/stories-small.safetensors");
    quantize(&small, &image, "--weights int4 --board pico");
    let Some(measured) = measured(&image, prompt) else {
        return;
    };
    let cycles = measured["cycles_per_instruction"].as_f64();
    let cycles = cycles.expect("a number");
    let boards = Boards::load(None).expect("the repository's boards");
    let planned = boards.named("pico").expect("a board");
    let difference = cycles - planned.cycles_per_instruction;
    assert!(difference.abs() < 0.04, "{cycles} cycles per instruction");
    let program = xtask().get_program().to_owned();
    for (port, tokens) in [("", "20"), ("--uart", "3")] {
        let board = ("--", Path::new(&program), "rp2040 --image", &image, port);
        let asked = ["--prompt", prompt, "-n", tokens];
        let report = json(("verify", &image, asked, "--json", board));
        assert_eq!(report["agrees"], true, "{report}");
        assert_eq!(report["tokens"].to_string(), tokens);
    }
}
