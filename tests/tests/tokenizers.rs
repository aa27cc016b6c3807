//! `--tokenizer`: vocabularies in images and on the command line.

use kinglet_tests::{
    arg, failure, file, folder, json, made_up_vocabulary, stdout, VOCABULARY_TEXT,
};
use std::path::{Path, PathBuf};

/// A random checkpoint of 300 vocabulary entries.
fn checkpoint(folder: &Path) -> PathBuf {
    let path = folder.join("model.safetensors");
    let size = ["--layers", "1", "--channels", "32", "--vocab", "300"];
    stdout(&[&["synth", "-o", arg(&path)], &size[..]].concat());
    path
}

fn image(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    let (checkpoint, image) = (checkpoint(folder), folder.join(name));
    let args = ["quantize", arg(&checkpoint), "-o", arg(&image)];
    stdout(&[&args, &["--weights", "int4", "--head", "int4"], more].concat());
    image
}

#[test]
fn an_image_carries_its_vocabulary() {
    let folder = folder();
    let vocabulary = made_up_vocabulary(folder.path());
    let with = image(
        folder.path(),
        "with.kgl",
        &["--tokenizer", arg(&vocabulary)],
    );
    let without = image(folder.path(), "without.kgl", &[]);
    let report = json(&["inspect", arg(&with), "--json"]);
    assert_eq!(report["tokenizer"], "longest match");
    assert_eq!(report["tokenizer_entries"], 102);
    let bytes = report["tokenizer_bytes"].as_u64().unwrap();
    let parts = report["parts"].as_array().unwrap();
    let sum: u64 = parts
        .iter()
        .map(|part| part["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(report["image_bytes"], sum);
    let plain = json(&["inspect", arg(&without), "--json"]);
    assert_eq!(
        (&plain["tokenizer"], &plain["tokenizer_bytes"]),
        (&"none".into(), &0.into())
    );
    assert_eq!(plain["image_bytes"].as_u64().unwrap() + bytes, sum);
    assert!(stdout(&["inspect", arg(&with)]).contains("longest match: 102 entries"));

    let run = ["-n", "9", "--json", "--prompt", VOCABULARY_TEXT];
    let carried = json(&[&["run", arg(&with)], &run[..]].concat());
    let given = ["run", arg(&without), "--tokenizer", arg(&vocabulary)];
    assert_eq!(carried, json(&[&given, &run[..]].concat()));
    // the, " kinglets", " ", s, ing, " t", o, " the", " ", king, ...
    assert_eq!(carried["prompt_tokens"], 16);
    let error = failure(&["run", arg(&without), "--prompt", "a"], 1);
    assert!(
        error.contains("--tokenizer") && error.contains("--tokens"),
        "{error}"
    );
    stdout(&["run", arg(&without), "--tokens", "1,2,299", "-n", "2"]);
    let error = failure(&["run", arg(&with), "--prompt", "the~"], 1);
    assert!(error.contains("0x7e (at byte 3 of the text)"), "{error}");
}

#[test]
fn bits_count_the_bytes_of_tokens() {
    let folder = folder();
    let vocabulary = made_up_vocabulary(folder.path());
    let with = image(
        folder.path(),
        "with.kgl",
        &["--tokenizer", arg(&vocabulary)],
    );
    let text = file(folder.path(), "text.txt", VOCABULARY_TEXT);
    let scored = |extra: &[&str]| {
        let args = ["eval", arg(&with), "--text", arg(&text), "--json"];
        json(&[&args, extra].concat())["scored_bytes"]
            .as_u64()
            .unwrap()
    };
    // All but the first token, "the".
    assert_eq!(scored(&[]), VOCABULARY_TEXT.len() as u64 - 3);
    // Segments "the king", "lets sin", "g to the", " king, c", "afé": their
    // first tokens are "the", "l", "g", " ", "a".
    assert_eq!(scored(&["--reset", "8"]), VOCABULARY_TEXT.len() as u64 - 7);
    let checkpoint = folder.path().join("model.safetensors");
    let args = [
        "eval",
        arg(&checkpoint),
        "--text",
        arg(&text),
        "--tokenizer",
    ];
    stdout(&[&args[..], &[arg(&vocabulary)]].concat());
}

#[test]
fn a_tokenizer_that_does_not_fit_gives_a_sentence() {
    let folder = folder();
    let vocabulary = made_up_vocabulary(folder.path());
    let with = image(
        folder.path(),
        "with.kgl",
        &["--tokenizer", arg(&vocabulary)],
    );
    let two = failure(&["run", arg(&with), "--tokenizer", arg(&vocabulary)], 2);
    assert!(two.contains("carries its tokenizer"), "{two}");
    let checkpoint = folder.path().join("model.safetensors");
    let out = folder.path().join("out.kgl");
    let quantize = |tokenizer: &Path, code: i32| {
        let args = [
            "quantize",
            arg(&checkpoint),
            "-o",
            arg(&out),
            "--weights",
            "int8",
        ];
        failure(
            &[&args[..], &["--tokenizer", arg(tokenizer)]].concat(),
            code,
        )
    };
    let bad = file(folder.path(), "bad.txt", "1 'a' 1\n2 'b' 2\n");
    assert!(quantize(&bad, 1).contains("bad.txt: line 2: the token has 1 bytes"));
    let large = file(folder.path(), "large.txt", "300 'a' 1\n");
    assert!(quantize(&large, 1).contains("token id 300, but the model has only 300"));
    let error = failure(&["run", arg(&checkpoint), "--tokenizer", arg(&large)], 1);
    assert!(error.contains("do not belong together"), "{error}");
    let bpe = file(folder.path(), "named-otherwise.txt", BPE);
    let error = quantize(&bpe, 2);
    assert!(
        error.contains("byte-level BPE cannot be put into an image"),
        "{error}"
    );
    assert!(!out.exists());
    let run = [
        "run",
        arg(&checkpoint),
        "--tokenizer",
        arg(&bpe),
        "--prompt",
    ];
    let report = json(&[&run[..], &["abba", "-n", "3", "--json"]].concat());
    assert_eq!(report["prompt_tokens"], 3);
}

/// Byte-level BPE of three tokens.
const BPE: &str = r#"{"version": "1.0", "added_tokens": [], "normalizer": null,
"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
"post_processor": null,
"decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
"model": {"type": "BPE", "vocab": {"a": 1, "b": 2, "ab": 7}, "merges": ["a b"]}}"#;
