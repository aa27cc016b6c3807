//! The repository's own models: their recorded outputs must never change.
//!
//! `tests/golden/stories.json` holds greedy tokens and hashes of logits of the
//! quantized images, and float logits that an independent numpy program
//! computed in double precision (`tests/golden/make.py`); `versions.json` holds
//! such logits of a random model of every RWKV version.

use kinglet::hash::fnv1a;
use kinglet_tests::{demo_checkpoint, demo_image, folder, json, quantize, root, Args};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn golden(name: &str) -> Value {
    let text = fs::read_to_string(root().join("tests/golden").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn images_compute_the_recorded_bits() {
    let golden = golden("stories.json");
    let folder = folder();
    let prompt = golden["prompt"].as_str().unwrap();
    for weights in ["int8", "int4"] {
        let image = demo_image(folder.path(), weights);
        let run = json(("run", &image, ["--prompt", prompt], "-n 24 --json"));
        assert_eq!(run["tokens"], golden[weights]["tokens"], "{weights}");
        assert_eq!(
            run["logits_hashes"], golden[weights]["logits_hashes"],
            "{weights}"
        );
    }
}

#[test]
fn float_logits_equal_those_of_another_implementation() {
    let golden = golden("stories.json");
    let prompt = golden["prompt"].as_str().unwrap();
    let ours = kinglet_tests::logits(&demo_checkpoint(), ["--prompt", prompt]);
    let last = &ours[ours.len() - 512..];
    assert!(largest_difference(last, &golden["float_logits"]) < 1e-4);
}

fn largest_difference(ours: &[f32], expected: &Value) -> f64 {
    let expected = expected.as_array().unwrap();
    assert_eq!(ours.len(), expected.len());
    let pairs = ours.iter().zip(expected);
    pairs.fold(0.0, |max, (ours, expected)| {
        f64::max(max, (f64::from(*ours) - expected.as_f64().unwrap()).abs())
    })
}

/// Makes the checkpoint that the golden logits are of.
fn synth(model: &Value, checkpoint: &Path) {
    let options = model["synth"].as_array().unwrap().iter();
    let options: Vec<&str> = options.filter_map(Value::as_str).collect();
    kinglet_tests::synth(checkpoint, &options);
    let hash = fnv1a(fs::read(checkpoint).unwrap().into_iter());
    let message = "synth makes another checkpoint: run tests/golden/make.py";
    let expected = &model["checkpoint_fnv1a"];
    assert_eq!(format!("{hash:016x}"), *expected, "{message}");
}

/// The logits at every token, `[tokens][vocabulary]`.
fn logits(file: &Path, tokens: &Value, options: impl Args) -> Vec<Vec<f32>> {
    let tokens = tokens.as_array().unwrap();
    let listed: Vec<String> = tokens.iter().map(Value::to_string).collect();
    let listed = listed.join(",");
    let logits = kinglet_tests::logits(file, (["--tokens", &listed], options));
    let vocab = logits.len() / tokens.len();
    logits.chunks(vocab).map(<[f32]>::to_vec).collect()
}

/// Most that a forward pass in single precision may differ from one in double
/// precision: twice what was measured. Logits have a deviation of about one.
const FLOAT_TOLERANCE: f64 = 1e-5;

/// Most divergence of an image from its checkpoint, in nats: a third above
/// what was measured.
const MOST_KL: [(&str, f64); 2] = [("int8", 2e-3), ("int4", 8e-2)];

#[test]
fn float_logits_of_every_version_equal_those_of_another_implementation() {
    let golden = golden("versions.json");
    let folder = folder();
    let checkpoint = folder.path().join("synth.safetensors");
    let mut versions = 0;
    for model in golden["models"].as_array().unwrap() {
        synth(model, &checkpoint);
        let gn_eps = model["gn_eps"].as_str().unwrap();
        let ours = logits(&checkpoint, &golden["tokens"], ["--gn-eps", gn_eps]);
        let positions = golden["positions"].as_array().unwrap();
        for (position, expected) in positions.iter().zip(model["logits"].as_array().unwrap()) {
            let row = &ours[position.as_u64().unwrap() as usize];
            let difference = largest_difference(row, expected);
            let name = format!("{} {gn_eps} at {position}", model["synth"][1]);
            println!("{name}: {difference:.1e}");
            assert!(difference < FLOAT_TOLERANCE, "{name}: {difference}");
        }
        versions += 1;
    }
    assert_eq!(versions, 11);
}

#[test]
fn images_of_every_version_stay_close_to_their_checkpoints() {
    let golden = golden("versions.json");
    let folder = folder();
    let checkpoint = folder.path().join("synth.safetensors");
    let image = folder.path().join("synth.kgl");
    for model in golden["models"].as_array().unwrap() {
        synth(model, &checkpoint);
        let gn_eps = ["--gn-eps", model["gn_eps"].as_str().unwrap()];
        let float = logits(&checkpoint, &golden["tokens"], gn_eps);
        for (weights, most) in MOST_KL {
            quantize(&checkpoint, &image, ("--weights", weights, gn_eps));
            let kl = divergence(&float, &logits(&image, &golden["tokens"], ""));
            let name = format!("{} {gn_eps:?} {weights}", model["synth"][1]);
            println!("{name}: {kl:.1e}");
            // Never zero: an image is not the checkpoint.
            assert!(kl > 1e-7 && kl < most, "{name}: {kl}");
        }
    }
}

/// The mean Kullback-Leibler divergence of `image` from `float`, in nats.
fn divergence(float: &[Vec<f32>], image: &[Vec<f32>]) -> f64 {
    assert_eq!(float.len(), image.len());
    let rows = float.iter().zip(image).map(|(float, image)| {
        let pairs = log_softmax(float).into_iter().zip(log_softmax(image));
        pairs.map(|(f, i)| f.exp() * (f - i)).sum::<f64>()
    });
    rows.sum::<f64>() / float.len() as f64
}

fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|&v| f64::from(v).exp()).sum();
    logits.iter().map(|&v| f64::from(v) - sum.ln()).collect()
}
