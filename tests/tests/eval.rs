//! The sums of `kinglet eval` against the logits of `kinglet logits`.

use kinglet_tests::npz::read_npy;
use kinglet_tests::{arg, failure, file, folder, json, stdout};
use std::path::{Path, PathBuf};

const TEXT: &[u8] = b"Once upon a time";

/// A random model whose tokens are bytes.
fn bytes(folder: &Path) -> PathBuf {
    let checkpoint = folder.join("bytes.safetensors");
    if !checkpoint.exists() {
        let size = ["--layers", "2", "--channels", "32", "--vocab", "256"];
        stdout(&[&["synth", "-o", arg(&checkpoint)], &size[..]].concat());
    }
    checkpoint
}

/// Bits that the byte `next` costs after `prompt`.
fn bits(folder: &Path, prompt: &[u8], next: u8) -> f64 {
    let prompt = file(folder, "prompt.bin", prompt);
    let out = folder.join("logits.npy");
    let files = ["--prompt-file", arg(&prompt), "-o", arg(&out)];
    let checkpoint = bytes(folder);
    stdout(&[&["logits", arg(&checkpoint)], &files[..]].concat());
    let logits = read_npy(&out);
    let last = &logits[logits.len() - 256..];
    let sum: f64 = last.iter().map(|&v| f64::from(v).exp()).sum();
    (sum.ln() - f64::from(last[usize::from(next)])) / std::f64::consts::LN_2
}

#[test]
fn bits_are_those_of_the_logits() {
    // What follows each byte.
    for after in [None, Some(0), Some(b' ')] {
        let folder = folder();
        let text = file(folder.path(), "text.txt", TEXT);
        let mut expected = 0.0;
        for segment in [&TEXT[..10], &TEXT[10..]] {
            for at in 1..segment.len() {
                let fed = |&byte: &u8| std::iter::once(byte).chain(after);
                let prompt: Vec<u8> = segment[..at].iter().flat_map(fed).collect();
                expected += bits(folder.path(), &prompt, segment[at]);
            }
        }
        let expected = expected / 14.0;
        let checkpoint = bytes(folder.path());
        let args = ["eval", arg(&checkpoint), "--text", arg(&text), "--json"];
        let after = after.map(|after| after.to_string());
        let option = after.as_deref().map(|after| ["--after-each-byte", after]);
        let options = [&["--reset", "10"], option.as_slice().as_flattened()].concat();
        let scores = json(&[&args[..], &options].concat());
        assert_eq!(scores["scored_bytes"], 14);
        let found = scores["bits_per_byte"].as_f64().unwrap();
        let message = format!("{after:?}: {found}, expected {expected}");
        assert!((found - expected).abs() < 1e-4, "{message}");
    }
}

#[test]
fn bytes_after_bytes_do_not_make_a_text_longer() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", "O");
    let checkpoint = bytes(folder.path());
    let args = ["eval", arg(&checkpoint), "--text", arg(&text)];
    let error = failure(&[&args[..], &["--after-each-byte", "0"]].concat(), 1);
    assert!(error.contains("too short"), "{error}");
    failure(&[&args[..], &["--after-each-byte", "256"]].concat(), 2);
}

/// A tokenizer in which `ab` is one token.
const BPE: &str = r#"{"version": "1.0", "added_tokens": [], "normalizer": null,
"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
"post_processor": null,
"decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
"model": {"type": "BPE", "vocab": {"a": 1, "b": 2, "ab": 7}, "merges": ["a b"]}}"#;

#[test]
fn bytes_go_between_bytes_only() {
    let folder = folder();
    let checkpoint = folder.path().join("m.safetensors");
    let size = ["--layers", "1", "--channels", "8", "--vocab", "8"];
    stdout(&[&["synth", "-o", arg(&checkpoint)], &size[..]].concat());
    let text = file(folder.path(), "text.txt", "baa");
    let tokenizer = file(folder.path(), "tokenizer.json", BPE);
    let args = ["eval", arg(&checkpoint), "--text", arg(&text)];
    let options = ["--tokenizer", arg(&tokenizer), "--after-each-byte", "98"];
    let error = failure(&[args, options].concat(), 1);
    assert!(error.contains("leave out --after-each-byte"), "{error}");
}
