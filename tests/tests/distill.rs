//! `kinglet train --from --distill` as its users meet it.

use kinglet_tests::{fails, file, folder, json, kinglet, says, sentences, stdout, synth, Args};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A random model with heads of a size that is computed with padding.
fn model(folder: &Path, version: &str) -> PathBuf {
    let path = folder.join(format!("{version}.safetensors"));
    let size = "--layers 2 --channels 48 --head-size 12 --ffn 96 --vocab 128";
    synth(&path, (["--version", version], size));
    path
}

/// A distillation of seconds.
fn distill<'a>(from: &'a Path, output: &'a Path, more: impl Args + 'a) -> impl Args + 'a {
    let settings = "--distill --steps 60 --batch 4 --context 64";
    ("train --from", from, settings, "-o", output, more)
}

/// Packs as `train` says, and returns how far the image is from the model.
fn divergence(packed: &Path, from: &Path, text: &Path, bits: &str) -> f64 {
    let image = packed.with_extension("kgl");
    stdout(("quantize", packed, "-o", &image, bits));
    let eval = (
        "eval",
        &image,
        "--reference",
        from,
        "--text",
        text,
        "--json",
    );
    json(eval)["kl"].as_f64().expect("a divergence")
}

/// Nearer than the image whose errors of rounding make up for each other, for models that
/// have learned something.
#[test]
fn a_distilled_image_is_nearer_to_its_model() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let learned = file(folder.path(), "learned.txt", sentences(2000, 1));
    let text = file(folder.path(), "text.txt", sentences(150, 2));
    let (from, output) = (at("from.safetensors"), at("out.safetensors"));
    for version in ["v4", "v6", "v7"] {
        let size = "--layers 2 --channels 32 --context 64 --steps 200 --learning-rate 0.01";
        let train = ("train --text", &learned, ["--version", version], size);
        stdout((train, "--fresh -o", &from));
        // Those of RWKV-4 have no state to stay in.
        let keys = if version == "v4" { "" } else { " --keys int4" };
        let bits = format!("--weights int4 --head int4{keys}");
        let told = stdout(distill(&from, &output, keys));
        says(&told, "nats per token");
        says(&told, &bits);
        let before = divergence(&from, &from, &text, &bits);
        let after = divergence(&output, &from, &text, &bits);
        println!("{version}: {before:.6} before, {after:.6} after");
        assert!(after < 0.8 * before, "{version}: {before} {after}");
    }
}

/// Noise leaves little to learn, but a model that was read wrongly would be far away.
#[test]
fn a_network_that_is_distilled_is_that_of_its_file() {
    let folder = folder();
    let output = folder.path().join("out.safetensors");
    let text = file(folder.path(), "text.txt", sentences(40, 1));
    for version in ["v5.0", "v5.1", "v5"] {
        let from = model(folder.path(), version);
        let more = "--keys int4 --learning-rate 0.0005";
        stdout(distill(&from, &output, more));
        let bits = "--weights int4 --head int4 --keys int4";
        let before = divergence(&from, &from, &text, bits);
        let after = divergence(&output, &from, &text, bits);
        println!("{version}: {before:.4} before, {after:.4} after");
        assert!(after < 1.05 * before, "{version}: {before} {after}");
    }
}

/// Also where it was killed, and on any number of threads.
#[test]
fn the_same_distillation_has_the_same_result() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let (from, text) = (model(folder.path(), "v5"), at("text.txt"));
    file(folder.path(), "text.txt", sentences(150, 2));
    let given = ("--keys int4 --text", &text);
    let (one, two) = (at("one.safetensors"), at("two.safetensors"));
    stdout(distill(&from, &one, (given, "--threads 1")));
    let killed = distill(&from, &two, (given, "--threads 2 --save-every 0"));
    let mut child = kinglet()
        .args(killed.list())
        .stdout(Stdio::null())
        .spawn()
        .expect("kinglet starts");
    let (saved, start) = (at("two.safetensors.training"), Instant::now());
    while !saved.exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("the child can be killed");
    let ended = child.wait().expect("the child ends");
    assert!(!ended.success(), "it was not interrupted");
    stdout(&killed);
    let read = |path: &Path| fs::read(path).expect("a checkpoint");
    assert!(read(&one) == read(&two), "the results differ");
}

#[test]
fn what_cannot_be_distilled_is_told() {
    let folder = folder();
    let from = model(folder.path(), "v4");
    let output = folder.path().join("out.safetensors");
    for (options, code, part) in [
        ("--layers 3", 2, "cannot be used with"),
        ("--recipe a.toml", 2, "cannot be used with"),
        ("--force ffn.gate=int8", 2, "no matrix `ffn.gate`"),
        (
            "--read-as converted --ignore x",
            1,
            "no tensor of the pattern",
        ),
    ] {
        fails(distill(&from, &output, options), code, part);
    }
    let train = ("train -o", &output);
    fails((train, "--distill"), 2, "--from");
    fails((train, "--from", &from), 2, "--distill");
    fails((train, "--text a --ignore x"), 2, "give one with --from");
    let short = file(folder.path(), "short.txt", "short");
    fails(distill(&from, &output, ("--text", &short)), 2, "too few");
    let over = ("train --distill --from", &from, "-o", &from);
    fails(over, 2, "would be written over an input");
    let labels = kinglet_tests::intents_checkpoint();
    fails(distill(&labels, &output, ""), 2, "model of labels");
}
