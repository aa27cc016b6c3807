//! What `kinglet plan` predicts, compared with QEMU: instructions of a token
//! within 2 %, variables to the byte.

use kinglet_emulated::run;
use kinglet_targets::{Machine, CORES, DEFAULT_MACHINE};
use kinglet_tests::{arg, demo_checkpoint, file, folder, json, stdout};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Models of shapes that no coefficient was fitted to: version, layers,
/// channels, hidden channels, vocabulary, channels of a head, state.
const SHAPES: [[&str; 7]; 6] = [
    ["v4", "3", "80", "200", "300", "80", "f32"],
    ["v4", "2", "144", "576", "512", "144", "f32"],
    ["v5.0", "3", "64", "256", "256", "32", "f32"],
    ["v5", "2", "96", "336", "256", "48", "f16"],
    ["v6", "3", "96", "336", "400", "32", "f32"],
    ["v7", "2", "112", "448", "256", "16", "f32"],
];

/// The one board of a file: all memory; of variables only a flag.
fn boards(folder: &Path, core: &str) -> PathBuf {
    let text = format!(
        "[[board]]\nname = \"any\"\ntitle = \"Any\"\nchip = \"X\"\ncore = \"{core}\"\n\
         flash = {{ origin = 0, bytes = 0x1000000 }}\nram = {{ origin = 0x20000000, bytes = 0x400000 }}\n\
         application_bytes = 0x10000\nvariables_bytes = 4\nstack_bytes = 4096\nclock_hz = 1\n\
         cycles_per_instruction = 1\nassumption = \"none\"\n"
    );
    file(folder, &format!("{core}.toml"), text)
}

fn plan(image: &Path, boards: &Path) -> Value {
    let args = [
        "plan",
        arg(image),
        "--board",
        "any",
        "--json",
        "--boards",
        arg(boards),
    ];
    json(&args)["boards"][0].clone()
}

fn xtask(args: &[&str]) -> Value {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn packed(folder: &Path, name: &str, checkpoint: &Path, core: &str, options: &[&str]) -> PathBuf {
    let image = folder.join(format!("{name}-{core}.kgl"));
    let args = [
        "quantize",
        arg(checkpoint),
        "-o",
        arg(&image),
        "--target",
        core,
    ];
    stdout(&[&args[..], options].concat());
    image
}

/// The share by which the prediction is off.
fn error(machine: &str, image: &Path, boards: &Path) -> f64 {
    let args = [
        "qemu",
        "--machine",
        machine,
        "--image",
        arg(image),
        "--load",
    ];
    let run = xtask(&[&args[..], &["-n", "7", "--json"]].concat());
    let measured = run["instructions_per_token"].as_f64().expect("a number");
    let predicted = plan(image, boards)["instructions_per_token"]
        .as_f64()
        .expect("a number");
    predicted / measured - 1.0
}

#[test]
fn instructions_are_predicted_within_2_percent() {
    let folder = folder();
    let mut models = vec![
        (
            "demo-int4".to_owned(),
            demo_checkpoint(),
            vec!["--weights", "int4"],
        ),
        (
            "demo-int8".to_owned(),
            demo_checkpoint(),
            vec!["--weights", "int8"],
        ),
    ];
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let [version, layers, channels, ffn, vocab, head, state] = shape;
        let checkpoint = folder.path().join(format!("{index}.safetensors"));
        let size = [
            "--layers",
            layers,
            "--channels",
            channels,
            "--ffn",
            ffn,
            "--vocab",
            vocab,
        ];
        let args = [
            "synth",
            "--version",
            version,
            "--head-size",
            head,
            "-o",
            arg(&checkpoint),
        ];
        stdout(&[&args[..], &size].concat());
        let weights = if index % 2 == 0 { "int8" } else { "int4" };
        models.push((
            shape.join("-"),
            checkpoint,
            vec!["--weights", weights, "--state", state],
        ));
    }
    let mut wrong = Vec::new();
    for core in CORES {
        let machine = Machine::of(core).expect(core.name).name;
        let core = core.name;
        let boards = boards(folder.path(), core);
        for (name, checkpoint, options) in &models {
            let image = packed(folder.path(), name, checkpoint, core, options);
            let error = error(machine, &image, &boards);
            eprintln!("{core} {name}: {:+.2} %", 100.0 * error);
            if error.abs() > 0.02 {
                wrong.push(format!("{core} {name}: {:+.2} %", 100.0 * error));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The firmware of the emulated machines has no variables but state, scratch and
/// a flag: that the spare RAM is taken.
#[test]
fn variables_are_predicted_to_the_byte() {
    let folder = folder();
    let core = DEFAULT_MACHINE.core.name;
    let boards = boards(folder.path(), core);
    for weights in ["int4", "int8"] {
        let options = ["--weights", weights];
        let image = packed(folder.path(), weights, &demo_checkpoint(), core, &options);
        let built = xtask(&["firmware", "--image", arg(&image), "--json"]);
        let ram = plan(&image, &boards)["ram"].clone();
        let bytes = |key: &str| ram[key].as_u64().expect("a number");
        let predicted = bytes("variables_bytes") + bytes("state_bytes") + bytes("scratch_bytes");
        assert_eq!(built["static_ram_bytes"], predicted);
    }
}
