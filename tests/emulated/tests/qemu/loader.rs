//! The firmware that finds its images at run time computes what the
//! workstation computes, and frees what it allocated.

use kinglet_tests::{
    arg, demo_image, folder, intents_checkpoint, json, quantize, says, synth, typed, xtask,
};
use std::path::Path;

fn loader(images: &[&Path], lines: &str) -> String {
    let mut command = xtask();
    command.arg("loader");
    command.args(images.iter().flat_map(|image| ["--image", arg(image)]));
    let output = typed(&mut command, lines);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The line of tokens that the workstation's run stands for.
fn expected(image: &Path, prompt: &str) -> String {
    let run = json(("run", image, ["--prompt", prompt], "-n 32 --json"));
    let tokens = run["tokens"].as_array().unwrap().iter();
    let tokens = tokens.map(|token| token.as_u64().unwrap());
    let text: String = tokens.map(|token| format!(" {token}")).collect();
    format!("tokens{text}\n")
}

#[test]
fn two_images_take_turns_and_leave_nothing_behind() {
    let folder = folder();
    let int8 = demo_image(folder.path(), "int8");
    let int4 = demo_image(folder.path(), "int4");
    let (first, second) = ("Once upon a time", "The little dog");
    let lines = format!("0 {first}\n1 {second}\n0 {second}\n");
    let said = loader(&[&int8, &int4], &lines);
    for line in [
        expected(&int8, first),
        expected(&int4, second),
        expected(&int8, second),
    ] {
        says(&said, &line);
    }
    let inspected = json(("inspect", &int8, "--json"));
    let bytes = |key: &str| inspected[key].as_u64().unwrap();
    let heap = said.lines().find(|line| line.starts_with("heap ")).unwrap();
    let used: u64 = heap.split(' ').nth(1).unwrap().parse().unwrap();
    let asked = bytes("state_bytes") + bytes("scratch_bytes");
    assert!((asked..asked + 16).contains(&used), "{heap}, asked {asked}");
    assert_eq!(said.matches(", 0 after it").count(), 3, "{said}");
}

#[test]
fn what_does_not_run_gives_a_sentence() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let (large, image) = (path("large.safetensors"), path("large.kgl"));
    synth(&large, "--layers 1 --channels 16 --vocab 40000");
    quantize(&large, &image, "--weights int4");
    let intents = path("intents.kgl");
    quantize(&intents_checkpoint(), &intents, "--weights int4");
    let said = loader(&[&image, &intents], "0 a\n1 lock the front door\n");
    says(&said, "the heap has no 16");
    says(&said, "; heap 0 bytes in use");
    says(&said, " %: lock");
    let mut bytes = std::fs::read(&intents).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&intents, bytes).unwrap();
    let said = loader(&[&intents], "0 a\n1 a\n");
    says(&said, "checksum");
    says(&said, "no image lies there");
}
