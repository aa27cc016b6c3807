//! Formats that are chosen for a budget: the image fits, the model is better than with
//! one format for all, and a recipe makes the same image again.

use kinglet_tests::{fails, failure, folder, json, kinglet, sentences, stdout, synth, Args};
use std::fs;
use std::path::{Path, PathBuf};

/// A model whose layers differ in what they are worth.
fn checkpoint(folder: &Path) -> PathBuf {
    let path = folder.join("model.safetensors");
    let sizes = "--version v5 --layers 3 --channels 64 --head-size 16 --seed 4";
    synth(&path, sizes);
    path
}

/// Bytes of the image that `quantize` makes with these options.
fn quantize(checkpoint: &Path, image: &Path, options: impl Args) -> u64 {
    stdout(("quantize", checkpoint, "-o", image, options));
    fs::metadata(image).unwrap().len()
}

/// The divergence from the checkpoint.
fn divergence(image: &Path, checkpoint: &Path) -> f64 {
    let text = image.with_extension("txt");
    fs::write(&text, sentences(60, 3)).unwrap();
    let reference = ("--reference", checkpoint, "--json");
    json(("eval", image, "--text", &text, reference))["kl"]
        .as_f64()
        .unwrap()
}

#[test]
fn a_budget_is_kept_and_its_recipe_makes_the_same_image() {
    let folder = folder();
    let checkpoint = checkpoint(folder.path());
    let [int4, int8, chosen, again] =
        ["int4", "int8", "chosen", "again"].map(|name| folder.path().join(name));
    let least = quantize(&checkpoint, &int4, "--weights int4");
    let most = quantize(&checkpoint, &int8, "--weights int8");
    let budget = (2 * least + most) / 3;
    let recipe = folder.path().join("recipe.toml");
    let options = (["--budget", &budget.to_string()], "--json --save-recipe");
    let report = json(("quantize", &checkpoint, "-o", &chosen, options, &recipe));
    let bytes = fs::metadata(&chosen).unwrap().len();
    // What is left has no room for another step of a small matrix.
    assert!(
        bytes <= budget && bytes > budget - 1024,
        "{bytes} of {budget}"
    );
    assert_eq!(report["image_bytes"], bytes);
    let formats = report["choice"]["formats"].as_object().unwrap();
    assert_eq!(formats.len(), 2 + 3 * 8);
    let slowdown = report["choice"]["slowdown"].as_f64().unwrap();
    assert!(slowdown <= 1.25, "{slowdown}");
    // A third of the way in bytes, and most of it in quality.
    let [one, two] = [&int4, &chosen].map(|image| divergence(image, &checkpoint));
    assert!(two < 0.4 * one, "{one} {two}");

    let same = kinglet()
        .args(
            (
                "quantize",
                &checkpoint,
                "-o",
                &again,
                ["--budget", &budget.to_string()],
            )
                .list(),
        )
        .env("RAYON_NUM_THREADS", "1")
        .status();
    assert!(same.unwrap().success());
    assert_eq!(fs::read(&again).unwrap(), fs::read(&chosen).unwrap());
    quantize(&checkpoint, &again, ("--recipe", &recipe));
    assert_eq!(fs::read(&again).unwrap(), fs::read(&chosen).unwrap());
    let mut text = fs::read_to_string(&recipe).unwrap();
    text = text.replace("blocks.2.ffn.value", "blocks.3.ffn.value");
    fs::write(&recipe, text).unwrap();
    let other = ("quantize", &checkpoint, "-o", &again, "--recipe", &recipe);
    fails(other, 2, "the model has no matrix `blocks.3.ffn.value`");
}

#[test]
fn what_no_choice_reaches_is_said() {
    let folder = folder();
    let checkpoint = checkpoint(folder.path());
    let image = folder.path().join("image");
    let quantize = ("quantize", &checkpoint, "-o", &image);
    let error = failure((quantize, "--budget 1KiB"), 2);
    let (_, bytes) = error.split_once("model has ").unwrap();
    let (bytes, _) = bytes.split_once(" bytes; ").unwrap();
    let bytes: String = bytes.chars().filter(char::is_ascii_digit).collect();
    assert!(!image.exists());
    // The smallest there is, to the byte.
    let smallest = ("--plain --budget", [&bytes]);
    assert_eq!(
        self::quantize(&checkpoint, &image, smallest).to_string(),
        bytes
    );
    fails(
        (quantize, "--budget 1MiB --weights int8"),
        2,
        "cannot be used with",
    );
    fails((quantize, ""), 2, "--weights");
    let forced = "--weights int8 --force emb=int8x16";
    fails((quantize, forced), 2, "the embedding is read");
}

/// Vectors of 16 bits take nearly half of the divergence of weights of eight bits: what is left is the weights'.
#[test]
fn fine_vectors_are_finer() {
    let folder = folder();
    let checkpoint = checkpoint(folder.path());
    let [plain, fine] = ["plain", "fine"].map(|name| folder.path().join(name));
    let names = [
        "att.key",
        "att.value",
        "att.receptance",
        "att.gate",
        "att.output",
    ];
    let names = names
        .into_iter()
        .chain(["ffn.key", "ffn.value", "ffn.receptance", "head"]);
    let forced = |format: &str| -> Vec<String> {
        let force = names.clone().map(|name| format!("--force={name}={format}"));
        force.collect()
    };
    let sizes = [(&plain, "int8"), (&fine, "int8x16")].map(|(image, format)| {
        let forced = forced(format);
        let forced: Vec<&str> = forced.iter().map(String::as_str).collect();
        quantize(&checkpoint, image, ("--weights int8", &forced[..]))
    });
    assert_eq!(sizes[0], sizes[1]);
    let [plain_kl, fine_kl] = [&plain, &fine].map(|image| divergence(image, &checkpoint));
    assert!(fine_kl < 0.6 * plain_kl, "{plain_kl} {fine_kl}");
}
