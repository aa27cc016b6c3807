//! Steps in slices and texts that start from a named state, in QEMU: what the
//! workstation computes, to the bit.

use kinglet_emulated::{assert_same, failure, qemu};
use kinglet_targets::{Core, Machine};
use kinglet_tests::{arg, demo_checkpoint, json, kept_folder, stdout};
use std::path::{Path, PathBuf};

/// The demo model for a core, and the machine that runs it.
fn on(folder: &Path, target: &str) -> (PathBuf, [&'static str; 2]) {
    let core = Core::named(target).expect("a core of the table");
    let machine = Machine::of(core).expect("a machine").name;
    let (checkpoint, image) = (demo_checkpoint(), folder.join(format!("{target}.kgl")));
    let pack = ["quantize", arg(&checkpoint), "-o", arg(&image)];
    let args = ["--weights", "int4", "--target", target];
    stdout(&[&pack[..], &args].concat());
    (image, ["--machine", machine])
}

#[test]
fn slices_are_those_of_a_whole_step() {
    let folder = kept_folder("slices");
    let args = ["--prompt", "Once upon", "-n", "3", "--every-logits"];
    for target in ["m4", "m0"] {
        let (image, machine) = on(&folder, target);
        let most = |slices: &str| {
            let board = [&machine[..], &["--slices", slices]].concat();
            assert_same(&image, &args, &board);
            let run = qemu(&image, &[&args[..], &board].concat());
            run["slice_instructions"].as_u64().unwrap()
        };
        let (short, long) = (most("500"), most("1000000"));
        assert!(short < long, "{short} {long}");
        let whole = qemu(&image, &[&args[..], &machine[..]].concat());
        let token = whole["instructions_per_token"].as_u64().unwrap();
        assert!(long * 4 < token, "{long} of {token}");
    }
}

/// A random model of RWKV-7.
fn seventh(folder: &Path) -> PathBuf {
    let (checkpoint, image) = (folder.join("v7.safetensors"), folder.join("v7.kgl"));
    let synth = ["synth", "--version", "v7", "-o", arg(&checkpoint)];
    let size = ["--layers", "2", "--channels", "64", "--head-size", "32"];
    stdout(&[&synth[..], &size].concat());
    let pack = ["quantize", arg(&checkpoint), "-o", arg(&image)];
    stdout(&[&pack[..], &["--weights", "int4"]].concat());
    image
}

#[test]
fn slices_and_losses_of_power_change_nothing_in_any_start() {
    let folder = kept_folder("ties");
    let (demo, _) = on(&folder, "m4");
    for image in [demo, seventh(&folder)] {
        let text = ["--prompt", "A dog. A cat.", "-n", "5", "--json"];
        let whole = json(&[&["run", arg(&image), "--ignore-end"], &text[..]].concat());
        let primed = image.with_extension("primed.kgl");
        let prime = ["prime", arg(&image), "-o", arg(&primed)];
        stdout(&[&prime[..], &["--prompt", "A dog."]].concat());
        for board in [
            &[][..],
            &["--slices", "700"],
            &["--snapshots"],
            &["--in-blocks"],
        ] {
            for (image, prompt) in [(&image, "A dog. A cat."), (&primed, " A cat.")] {
                let args = ["--prompt", prompt, "-n", "5"];
                let found = qemu(image, &[&args[..], board].concat());
                for key in ["tokens", "logits_hashes"] {
                    assert_eq!(found[key], whole[key], "{key} {board:?} {prompt}");
                }
            }
        }
    }
}

#[test]
fn a_primed_image_goes_on_as_on_the_workstation() {
    let folder = kept_folder("primed");
    let text = ["--prompt", "Once upon a time, there"];
    let (demo, _) = on(&folder, "m4");
    let whole = json(
        &[
            &["run", arg(&demo), "--ignore-end", "-n", "9", "--json"],
            &text[..],
        ]
        .concat(),
    );
    let image = folder.join("primed.kgl");
    for (name, text) in [("start", "Once upon a time"), ("all", text[1])] {
        let from: &Path = if name == "all" { &image } else { &demo };
        stdout(&[
            "prime",
            arg(from),
            "--prompt",
            text,
            "--name",
            name,
            "-o",
            arg(&image),
        ]);
    }
    for args in [
        ["--prompt", ", there"].as_slice(),
        &["--prompt", "", "--from", "all"],
    ] {
        let args = [args, &["-n", "9"]].concat();
        for board in [
            [].as_slice(),
            &["--load"],
            &["--in-blocks"],
            &["--slices", "3000"],
        ] {
            assert_same(&image, &args, board);
            let found = qemu(&image, &[&args[..], board].concat());
            assert_eq!(found["logits_hashes"], whole["logits_hashes"], "{board:?}");
        }
    }
    assert_same(
        &image,
        &["--prompt", "a", "-n", "2", "--from", "empty"],
        &[],
    );
    let unknown = ["--image", arg(&image), "--prompt", "a", "--from", "x"];
    assert!(failure(&unknown).contains("no state of this name"));
}
