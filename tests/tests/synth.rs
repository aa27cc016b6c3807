//! Random checkpoints: of the sizes asked for, the same for the same seed, and
//! with activations that stay in bounds.

use kinglet_tests::{fails, file, folder, json, quantize, synth, Args};
use std::fs;
use std::path::{Path, PathBuf};

fn checkpoint(folder: &Path, version: &str, options: impl Args) -> PathBuf {
    let path = folder.join(format!("{version}.safetensors"));
    synth(&path, (["--version", version], "--head-size 16", options));
    path
}

/// Logits `[tokens, 256]` of bytes that follow no rule.
fn logits(folder: &Path, checkpoint: &Path, tokens: usize) -> Vec<f32> {
    let bytes = (0..tokens as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
    let prompt = file(folder, "prompt.bin", bytes.collect::<Vec<u8>>());
    kinglet_tests::logits(checkpoint, ("--prompt-file", &prompt))
}

/// The root mean square of the deviations over time of 256 logits: a state that
/// grew beyond the rest would leave little of it, an activation that vanished
/// nothing.
fn deviation(logits: &[f32]) -> f64 {
    let rows = || logits.chunks(256);
    let variance = |c: usize| {
        let mean = rows().map(|row| f64::from(row[c])).sum::<f64>() / rows().len() as f64;
        let square = |row: &[f32]| (f64::from(row[c]) - mean).powi(2);
        rows().map(square).sum::<f64>() / rows().len() as f64
    };
    ((0..256).map(variance).sum::<f64>() / 256.0).sqrt()
}

#[test]
fn activations_stay_in_bounds() {
    for version in ["v4", "v5.0", "v5.1", "v5", "v6", "v7"] {
        let folder = folder();
        let checkpoint = checkpoint(folder.path(), version, "--layers 8 --channels 64");
        let logits = logits(folder.path(), &checkpoint, 1500);
        let part = |from: usize| deviation(&logits[256 * from..][..256 * 100]);
        let (start, end) = (part(10), part(1400));
        println!("{version}: logits vary by {start:.2} at the start, {end:.2} at the end");
        assert!((0.5..2.0).contains(&start), "{version}: {start}");
        assert!((0.8..1.25).contains(&(end / start)), "{version}: {end}");
    }
}

#[test]
fn the_seed_and_the_sizes_are_as_asked() {
    let folder = folder();
    let make = |options: &str| {
        let size = "--layers 2 --channels 48 --vocab 100";
        checkpoint(folder.path(), "v7", (size, options))
    };
    let bytes = |options: &str| fs::read(make(options)).unwrap();
    let one = bytes("--seed 1");
    assert_eq!(one, bytes("--seed 1"));
    assert_ne!(one, bytes("--seed 2"));
    let path = make("--ranks 3,5,7,11 --ffn 70");
    let image = folder.path().join("m.kgl");
    quantize(&path, &image, "--weights int8");
    let report = json(("inspect", &image, "--json"));
    assert_eq!(report["heads"]["ranks"], serde_json::json!([3, 5, 7, 11]));
    assert_eq!(report["heads"]["heads"], 3);
    assert_eq!(report["ffn"], 70);
}

#[test]
fn ranks_that_do_not_fit_are_bad_use() {
    let fixed = "synth --layers 1 --channels 16 -o x";
    for (version, ranks, expected) in [
        ("v4", "8", "RWKV-4 has 0 ranks, but --ranks gives 1"),
        ("v6", "8", "RWKV-6 has 2 ranks"),
        ("v7", "8,8", "RWKV-7 has 4 ranks"),
        ("v7", "8,8,0,8", "0 is not in"),
    ] {
        let options = ["--version", version, "--ranks", ranks];
        fails((fixed, options), 2, expected);
    }
}
