//! A vocabulary in the image: every machine splits and joins text as the
//! workstation does.

use kinglet_emulated::assert_same;
use kinglet_targets::MACHINES;
use kinglet_tests::{arg, folder, made_up_vocabulary, stdout, VOCABULARY_TEXT};

#[test]
fn machines_tokenize_as_the_workstation_does() {
    let folder = folder();
    let vocabulary = made_up_vocabulary(folder.path());
    let checkpoint = folder.path().join("model.safetensors");
    let size = ["--layers", "1", "--channels", "32", "--vocab", "300"];
    stdout(&[&["synth", "-o", arg(&checkpoint)], &size[..]].concat());
    for machine in MACHINES {
        let image = folder.path().join(format!("{}.kgl", machine.core.name));
        let pack = [
            "quantize",
            arg(&checkpoint),
            "-o",
            arg(&image),
            "--weights",
            "int4",
        ];
        let tokenizer = ["--head", "int4", "--tokenizer", arg(&vocabulary)];
        let target = ["--target", machine.core.name];
        stdout(&[&pack[..], &tokenizer, &target].concat());
        let asked = ["--prompt", VOCABULARY_TEXT, "-n", "20", "--every-logits"];
        // Where it can be loaded, the firmware is one that other tests build, too.
        let load = Some("--load").filter(|_| machine.spare.bytes > 0);
        let board = [&["--machine", machine.name], load.as_slice()].concat();
        assert_same(&image, &asked, &board);
    }
}
