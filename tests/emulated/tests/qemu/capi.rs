//! A program in C computes what the workstation computes, without a panic.

use kinglet_emulated::{fails, on_image, run};
use kinglet_tests::{
    demo_image, folder, intents_checkpoint, json, quantize, root, says, stdout, Args,
};
use serde_json::Value;
use std::path::Path;

fn capi(image: &Path, args: impl Args) -> Value {
    on_image("capi", image, args)
}

#[test]
fn tokens_are_those_of_the_workstation_and_nothing_can_panic() {
    let folder = folder();
    let warm = "--temperature 0.9 --top-k 20 --top-p 0.85 --seed 18446744073709551615";
    for weights in ["int8", "int4"] {
        let image = demo_image(folder.path(), weights);
        for (prompt, options) in [
            ("Once upon a time", "-n 40"),
            ("The \"cat\"\\", &format!("-n 40 {warm}")),
            ("", "-n 3"),
        ] {
            let args = (["--prompt", prompt], options);
            let expected = json(("run", &image, "--ignore-end --json", args));
            let expected: Vec<_> = expected["tokens"].as_array().unwrap().iter().collect();
            let expected: Vec<_> = expected.into_iter().map(Value::to_string).collect();
            let found = capi(&image, args);
            assert_eq!(found["lines"], Value::from(expected), "{weights} {prompt}");
            assert_eq!(found["panics"], Value::Array(Vec::new()));
        }
    }
}

#[test]
fn wrong_arguments_are_refused_and_slices_and_states_are_whole_steps() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    let primed = folder.path().join("p.kgl");
    let prompt = ["--prompt", "a big red dog"];
    stdout(("prime", &image, "-o", &primed, prompt));
    let program = root().join("tests/capi/checks.c");
    let found = capi(&primed, ("--program", &program, prompt));
    let lines = found["lines"].as_array().unwrap();
    assert_eq!(lines.last().unwrap(), "failures 0", "{lines:?}");
    assert_eq!(found["panics"], Value::Array(Vec::new()));
    // Another text: its logits are not those of the state.
    let other = ("capi --image", &primed, "--program", &program, "--json");
    let output = run((other, ["--prompt", "a big red cat"]));
    says(&String::from_utf8_lossy(&output.stderr), "the same bits: ");
}

#[test]
fn classes_are_named_and_a_bad_image_is_a_sentence() {
    let folder = folder();
    let (image, bad) = (folder.path().join("in.kgl"), folder.path().join("bad.kgl"));
    quantize(&intents_checkpoint(), &image, "--weights int4");
    let line = capi(&image, ["--prompt", "lock the front door"])["lines"][0].clone();
    assert!(line.as_str().unwrap().ends_with(" %: lock"), "{line}");
    let mut bytes = std::fs::read(&image).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&bad, bytes).unwrap();
    let args = ("capi --image", &bad, "--json");
    fails(args, 1, "checksum does not match");
}
