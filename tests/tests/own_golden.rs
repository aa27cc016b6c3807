//! The repository's own model: what was once computed must come out for ever.
//!
//! `tests/golden/stories.json` holds greedy tokens and hashes of logits of the
//! quantized images, and float logits that an independent numpy program
//! computed in double precision (`tests/golden/make.py`).

use kinglet_tests::npz::read_npy;
use kinglet_tests::{arg, demo_checkpoint, demo_image, json, root, stdout};

fn golden() -> serde_json::Value {
    let text = std::fs::read_to_string(root().join("tests/golden/stories.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn images_compute_the_recorded_bits() {
    let golden = golden();
    let folder = tempfile::tempdir().unwrap();
    let prompt = golden["prompt"].as_str().unwrap();
    for weights in ["int8", "int4"] {
        let image = demo_image(folder.path(), weights);
        let run = json(&["run", arg(&image), "--prompt", prompt, "-n", "24", "--json"]);
        assert_eq!(run["tokens"], golden[weights]["tokens"], "{weights}");
        assert_eq!(
            run["logits_hashes"], golden[weights]["logits_hashes"],
            "{weights}"
        );
    }
}

#[test]
fn float_logits_equal_those_of_another_implementation() {
    let golden = golden();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("logits.npy");
    let prompt = golden["prompt"].as_str().unwrap();
    stdout(&[
        "logits",
        arg(&demo_checkpoint()),
        "--prompt",
        prompt,
        "-o",
        arg(&out),
    ]);
    let ours = read_npy(&out);
    let last = &ours[ours.len() - 256..];
    let expected = golden["float_logits"].as_array().unwrap();
    assert_eq!(expected.len(), 256);
    for (ours, expected) in last.iter().zip(expected) {
        assert!((f64::from(*ours) - expected.as_f64().unwrap()).abs() < 1e-4);
    }
}
