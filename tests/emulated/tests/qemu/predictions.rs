//! What `kinglet plan` predicts, compared with QEMU: instructions of a token
//! within 2 %, variables to the byte.

use kinglet_emulated::qemu;
use kinglet_targets::{Machine, CORES, DEFAULT_MACHINE};
use kinglet_tests::{demo_checkpoint, file, folder, json, quantize, synth};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Models of shapes that no coefficient was fitted to, and formats of the state.
const SHAPES: [[&str; 2]; 6] = [
    [
        "--version v4 --layers 3 --channels 80 --ffn 200 --vocab 300",
        "i16",
    ],
    [
        "--version v4 --layers 2 --channels 144 --ffn 576 --vocab 512",
        "i16",
    ],
    [
        "--version v5.0 --layers 3 --channels 64 --head-size 32 --ffn 256 --vocab 256",
        "i16",
    ],
    [
        "--version v5 --layers 2 --channels 96 --head-size 48 --ffn 336 --vocab 256",
        "i8",
    ],
    [
        "--version v6 --layers 3 --channels 96 --head-size 32 --ffn 336 --vocab 400",
        "i16",
    ],
    [
        "--version v7 --layers 2 --channels 112 --head-size 16 --ffn 448 --vocab 256",
        "i16",
    ],
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

fn planned(image: &Path, boards: &Path) -> Value {
    let args = ("plan", image, "--board any --json --boards", boards);
    json(args)["boards"][0].clone()
}

fn packed(folder: &Path, name: &str, checkpoint: &Path, core: &str, options: &str) -> PathBuf {
    let image = folder.join(format!("{name}-{core}.kgl"));
    quantize(checkpoint, &image, (["--target", core], options));
    image
}

/// The share by which the prediction is off.
fn error(machine: &str, image: &Path, boards: &Path) -> f64 {
    let run = qemu(image, (["--machine", machine], "--load -n 7"));
    let count = |report: &Value| report["instructions_per_token"].as_f64();
    let measured = count(&run).expect("a number");
    count(&planned(image, boards)).expect("a number") / measured - 1.0
}

#[test]
fn instructions_are_predicted_within_2_percent() {
    let folder = folder();
    let demo = |bits: &str| {
        let options = format!("--weights {bits}");
        (format!("demo-{bits}"), demo_checkpoint(), options)
    };
    let mut models = vec![demo("int4"), demo("int8")];
    for (index, [size, state]) in SHAPES.into_iter().enumerate() {
        let checkpoint = folder.path().join(format!("{index}.safetensors"));
        synth(&checkpoint, size);
        let weights = if index % 2 == 0 { "int8" } else { "int4" };
        let options = format!("--weights {weights} --state {state}");
        models.push((format!("{size} {state}"), checkpoint, options));
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
        let image = packed(
            folder.path(),
            weights,
            &demo_checkpoint(),
            core,
            &format!("--weights {weights}"),
        );
        let built = kinglet_emulated::json(("firmware --image", &image, "--json"));
        let ram = planned(&image, &boards)["ram"].clone();
        let bytes = |key: &str| ram[key].as_u64().expect("a number");
        let predicted = bytes("variables_bytes") + bytes("state_bytes") + bytes("scratch_bytes");
        assert_eq!(built["static_ram_bytes"], predicted);
    }
}
