//! Against third-party checkpoints and logits; see CONTRIBUTING.md for where
//! they are looked for.

use kinglet_tests::npz::{read_npy, Npz};
use kinglet_tests::{arg, golden, json, stdout, text};
use std::fs;
use std::path::{Path, PathBuf};

/// Most that a logit of the float forward pass may differ.
const FLOAT_TOLERANCE: f32 = 1e-4;

/// The RWKV-4 models: checkpoint and folder of golden vectors.
fn models(golden: &Path) -> [(PathBuf, PathBuf); 2] {
    [
        (
            golden.join("models/4v0-660K.safetensors"),
            golden.join("public/4v0-660K"),
        ),
        (
            golden.join("synth/models/synth-v4.safetensors"),
            golden.join("synth/public/synth-v4"),
        ),
    ]
}

/// The logits of a file at every token, `[tokens, 256]`.
fn logits(file: &Path, tokens: &[u32], folder: &Path) -> Vec<f32> {
    let (prompt, out) = (folder.join("prompt.bin"), folder.join("logits.npy"));
    let bytes: Vec<u8> = tokens.iter().map(|&token| token as u8).collect();
    fs::write(&prompt, bytes).unwrap();
    stdout(&[
        "logits",
        arg(file),
        "--prompt-file",
        arg(&prompt),
        "-o",
        arg(&out),
    ]);
    read_npy(&out)
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .fold(0.0, |max, (a, b)| f32::max(max, (a - b).abs()))
}

#[test]
fn float_logits_equal_the_golden_ones_at_every_position() {
    let Some(golden) = golden() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (checkpoint, vectors) in models(&golden) {
        let mut files = 0;
        for entry in fs::read_dir(&vectors).unwrap() {
            let path = entry.unwrap().path();
            let mut npz = Npz::open(&path);
            let tokens = npz.tokens("tokens").expect("tokens");
            let ours = logits(&checkpoint, &tokens, folder.path());
            let difference = match npz.f32("logits") {
                Some(expected) => largest_difference(&ours, &expected),
                // The long run holds logits at four positions only.
                None => {
                    let rows = [1023, 2047, 3071, 4095].map(|t| &ours[t * 256..(t + 1) * 256]);
                    largest_difference(&rows.concat(), &npz.f32("logits_at").expect("logits_at"))
                }
            };
            println!("{}: {difference:e}", path.display());
            assert!(
                difference <= FLOAT_TOLERANCE,
                "{}: {difference}",
                path.display()
            );
            files += 1;
        }
        assert!(files >= 4, "{}: {files} files", vectors.display());
    }
}

#[test]
fn greedy_tokens_equal_the_golden_ones() {
    let Some(golden) = golden() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (checkpoint, vectors) in models(&golden) {
        let mut npz = Npz::open(&vectors.join("p1_english.npz"));
        let (tokens, expected) = (
            npz.tokens("tokens").unwrap(),
            npz.tokens("greedy_tokens").unwrap(),
        );
        let margins = npz.f32("greedy_margin").unwrap();
        let prompt = folder.path().join("prompt.bin");
        fs::write(
            &prompt,
            tokens.iter().map(|&t| t as u8).collect::<Vec<u8>>(),
        )
        .unwrap();
        let run = json(&[
            "run",
            arg(&checkpoint),
            "--prompt-file",
            arg(&prompt),
            "-n",
            "64",
            "--json",
        ]);
        for (i, expected) in expected.iter().enumerate() {
            // A margin below the tolerance is a tie: nothing after it counts.
            if margins[i] < FLOAT_TOLERANCE {
                break;
            }
            assert_eq!(
                run["tokens"][i],
                *expected,
                "{}: token {i}",
                checkpoint.display()
            );
        }
    }
}

#[test]
fn pth_and_safetensors_give_identical_results() {
    let Some(golden) = golden() else { return };
    let folder = tempfile::tempdir().unwrap();
    let tokens: Vec<u32> = (0..200).map(|i| (i * 37 + 11) % 256).collect();
    let (st, pth) = (
        golden.join("models/4v0-660K.safetensors"),
        golden.join("pth/4v0-660K.pth"),
    );
    let bits = |file| -> Vec<u32> {
        logits(file, &tokens, folder.path())
            .iter()
            .map(|v| v.to_bits())
            .collect()
    };
    assert_eq!(bits(&st), bits(&pth));
    let image = |file, name: &str| {
        let out = folder.path().join(name);
        stdout(&[
            "quantize",
            arg(file),
            "-o",
            arg(&out),
            "--weights",
            "int4",
            "--name",
            "same",
        ]);
        let bytes = fs::read(out).unwrap();
        // All but the metadata, where the file's name stands, and its spans.
        let weights_end = u32::from_le_bytes([bytes[56], bytes[57], bytes[58], bytes[59]]) as usize;
        bytes[64..weights_end].to_vec()
    };
    assert!(
        image(&st, "a.kgl") == image(&pth, "b.kgl"),
        "the images' weights differ"
    );
}

#[test]
fn quantized_images_stay_close_to_the_reference() {
    let (Some(golden), Some(text)) = (golden(), text()) else {
        return;
    };
    let text = text.join("alpacaseed.txt");
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("model.kgl");
    let checkpoint = golden.join("models/4v0-660K.safetensors");
    for (weights, kl, top1, bytes) in [
        ("int8", 2.5e-4, 0.984, 720_000),
        ("int4", 1.5e-3, 0.96, 410_000),
    ] {
        let report = json(&[
            "quantize",
            arg(&checkpoint),
            "-o",
            arg(&image),
            "--weights",
            weights,
            "--json",
        ]);
        assert!(report["image_bytes"].as_u64().unwrap() <= bytes, "{report}");
        let scores = json(&[
            "eval",
            arg(&image),
            "--text",
            arg(&text),
            "--reference",
            arg(&checkpoint),
            "--json",
        ]);
        println!("{weights}: {scores}");
        assert!(scores["kl"].as_f64().unwrap() <= kl, "{weights}: {scores}");
        assert!(
            scores["top1"].as_f64().unwrap() >= top1,
            "{weights}: {scores}"
        );
        assert_eq!(scores["scored_bytes"], 99_597);
    }
}

#[test]
fn other_versions_are_named_and_refused() {
    let Some(golden) = golden() else { return };
    let versions = [
        ("5v1-730K.safetensors", "RWKV-5.0"),
        ("5v2-730K.safetensors", "RWKV-5.2"),
        ("6v0-3m-bf16.safetensors", "RWKV-6"),
        ("7v0-834K.safetensors", "RWKV-7"),
    ];
    for (file, version) in versions {
        let path = golden.join("models").join(file);
        let error = kinglet_tests::failure(&["run", arg(&path), "-n", "1"], 1);
        assert!(
            error.contains(&format!("is an {version} checkpoint")),
            "{error}"
        );
        let report = json(&["inspect", arg(&path), "--json"]);
        assert_eq!(report["version"], version);
    }
}
