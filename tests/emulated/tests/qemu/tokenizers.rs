//! A vocabulary in the image: every machine splits and joins text as the
//! workstation does.

use kinglet_emulated::assert_same;
use kinglet_targets::MACHINES;
use kinglet_tests::{folder, made_up_vocabulary, quantize, synth, VOCABULARY_TEXT};

#[test]
fn machines_tokenize_as_the_workstation_does() {
    let folder = folder();
    let vocabulary = made_up_vocabulary(folder.path());
    let checkpoint = folder.path().join("model.safetensors");
    synth(&checkpoint, "--layers 1 --channels 32 --vocab 300");
    for machine in MACHINES {
        let image = folder.path().join(format!("{}.kgl", machine.core.name));
        let options = "--weights int4 --head int4 --tokenizer";
        let target = ["--target", machine.core.name];
        quantize(&checkpoint, &image, (options, &vocabulary, target));
        let asked = (["--prompt", VOCABULARY_TEXT], "-n 20 --every-logits");
        // Where it can be loaded, the firmware is one that other tests build, too.
        let has_room = machine.spare.bytes > 0;
        let load = if has_room { "--load" } else { "" };
        assert_same(&image, asked, (load, ["--machine", machine.name]));
    }
}
