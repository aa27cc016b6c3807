//! Steps in slices, and texts that start from a named state, of the demo model.

use kinglet_emulated::{assert_same, failure, qemu};
use kinglet_targets::{Core, Machine};
use kinglet_tests::{demo_checkpoint, json, kept_folder, quantize, says, stdout};
use std::path::{Path, PathBuf};

/// The demo model for a core, and the machine that runs it.
fn on(folder: &Path, target: &str) -> (PathBuf, [&'static str; 2]) {
    let core = Core::named(target).expect("a core of the table");
    let machine = Machine::of(core).expect("a machine").name;
    let (checkpoint, image) = (demo_checkpoint(), folder.join(format!("{target}.kgl")));
    quantize(&checkpoint, &image, ("--weights int4 --target", target));
    (image, ["--machine", machine])
}

#[test]
fn slices_are_those_of_a_whole_step() {
    let folder = kept_folder("slices");
    let args = (["--prompt", "Once upon"], "-n 3 --every-logits");
    for target in ["m4", "m0"] {
        let (image, machine) = on(&folder, target);
        let most = |slices: &str| {
            let board = (machine, ["--slices", slices]);
            assert_same(&image, args, board);
            let run = qemu(&image, (args, board));
            run["slice_instructions"].as_u64().unwrap()
        };
        let (short, long) = (most("500"), most("1000000"));
        assert!(short < long, "{short} {long}");
        let whole = qemu(&image, (args, machine));
        let token = whole["instructions_per_token"].as_u64().unwrap();
        assert!(long * 4 < token, "{long} of {token}");
    }
}

#[test]
fn a_primed_image_goes_on_as_on_the_workstation() {
    let folder = kept_folder("primed");
    let text = ["--prompt", "Once upon a time, there"];
    let args = (["--prompt", ""], "--from all -n 9");
    let (demo, _) = on(&folder, "m4");
    let whole = json(("run", &demo, "--ignore-end -n 9 --json", text));
    let image = folder.join("primed.kgl");
    stdout(("prime", &demo, "-o", &image, "--name all", text));
    for option in ["--load", "--in-blocks", "--snapshots"] {
        assert_same(&image, args, option);
        let found = qemu(&image, (args, option));
        assert_eq!(found["logits_hashes"], whole["logits_hashes"], "{option}");
    }
    let unknown = failure(("--image", &image, "--prompt a --from x"));
    says(&unknown, "no state of this name");
}
