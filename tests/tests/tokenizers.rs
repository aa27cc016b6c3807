//! `--tokenizer`: vocabularies in images and on the command line.

use kinglet_tests::{
    computed, fails, failure, file, folder, json, made_up_vocabulary, quantize, run, says, stdout,
    synth, Args, SMALL_BPE, VOCABULARY_TEXT,
};
use std::path::{Path, PathBuf};

/// A random checkpoint of 300 vocabulary entries.
fn checkpoint(folder: &Path) -> PathBuf {
    let path = folder.join("model.safetensors");
    synth(&path, "--layers 1 --channels 32 --vocab 300");
    path
}

fn image(folder: &Path, more: impl Args) -> PathBuf {
    let image = folder.join("without.kgl");
    let options = ("--weights int4 --head int4", more);
    quantize(&checkpoint(folder), &image, options);
    image
}

/// An image with a vocabulary, and that vocabulary.
fn image_with_vocabulary(folder: &Path) -> (PathBuf, PathBuf) {
    let (vocabulary, with) = (made_up_vocabulary(folder), folder.join("with.kgl"));
    let image = image(folder, ("--tokenizer", &vocabulary));
    std::fs::rename(image, &with).unwrap();
    (with, vocabulary)
}

#[test]
fn an_image_carries_its_vocabulary() {
    let folder = folder();
    let (with, vocabulary) = image_with_vocabulary(folder.path());
    let without = image(folder.path(), "");
    let report = json(("inspect", &with, "--json"));
    assert_eq!(report["tokenizer"], "longest match");
    assert_eq!(report["tokenizer_entries"], 102);
    let bytes = report["tokenizer_bytes"].as_u64().unwrap();
    let parts = report["parts"].as_array().unwrap();
    let sum: u64 = parts
        .iter()
        .map(|part| part["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(report["image_bytes"], sum);
    let plain = json(("inspect", &without, "--json"));
    assert_eq!(
        (&plain["tokenizer"], &plain["tokenizer_bytes"]),
        (&"none".into(), &0.into())
    );
    assert_eq!(plain["image_bytes"].as_u64().unwrap() + bytes, sum);
    assert!(stdout(("inspect", &with)).contains("longest match: 102 entries"));

    let options = ("-n 9 --json", ["--prompt", VOCABULARY_TEXT]);
    let carried = computed(("run", &with, options));
    let given = ("run", &without, "--tokenizer", &vocabulary, options);
    assert_eq!(carried, computed(given));
    // the, " kinglets", " ", s, ing, " t", o, " the", " ", king, ...
    assert_eq!(carried["prompt_tokens"], 16);
    let error = failure(("run", &without, "--prompt a"), 1);
    says(&error, "--tokenizer");
    says(&error, "--tokens");
    stdout(("run", &without, "--tokens 1,2,299 -n 2"));
    let place = "0x7e (at byte 3 of the text)";
    fails(("run", &with, "--prompt the~"), 1, place);
}

#[test]
fn bits_count_the_bytes_of_tokens() {
    let folder = folder();
    let (with, vocabulary) = image_with_vocabulary(folder.path());
    let text = file(folder.path(), "text.txt", VOCABULARY_TEXT);
    let scored = |extra: &str| {
        let scores = json(("eval", &with, "--text", &text, "--json", extra));
        scores["scored_bytes"].as_u64().unwrap()
    };
    // All but the first token, "the".
    assert_eq!(scored(""), VOCABULARY_TEXT.len() as u64 - 3);
    // Segments "the king", "lets sin", "g to the", " king, c", "afé": their
    // first tokens are "the", "l", "g", " ", "a".
    assert_eq!(scored("--reset 8"), VOCABULARY_TEXT.len() as u64 - 7);
    let checkpoint = folder.path().join("model.safetensors");
    stdout((
        "eval",
        &checkpoint,
        "--text",
        &text,
        "--tokenizer",
        &vocabulary,
    ));
}

#[test]
fn a_tokenizer_that_does_not_fit_gives_a_sentence() {
    let folder = folder();
    let (with, vocabulary) = image_with_vocabulary(folder.path());
    let two = ("run", &with, "--tokenizer", &vocabulary);
    fails(two, 2, "carries its tokenizer");
    let checkpoint = folder.path().join("model.safetensors");
    let out = folder.path().join("out.kgl");
    let refuses = |name: &str, text: &str, code: i32, said: &str| {
        let tokenizer = file(folder.path(), name, text);
        let pack = ("quantize", &checkpoint, "-o", &out, "--weights int8");
        fails((pack, "--tokenizer", &tokenizer), code, said);
        assert!(!out.exists());
        tokenizer
    };
    let said = "bad.txt: line 2: the token has 1 bytes";
    refuses("bad.txt", "1 'a' 1\n2 'b' 2\n", 1, said);
    let said = "token id 300, but the model has only 300";
    let large = refuses("large.txt", "300 'a' 1\n", 1, said);
    let large = ("run", &checkpoint, "--tokenizer", &large);
    fails(large, 1, "do not belong together");
    let said = "byte-level BPE cannot be put into an image";
    let bpe = refuses("named-otherwise.txt", SMALL_BPE, 2, said);
    let run = ("run", &checkpoint, "--tokenizer", &bpe, "--prompt abba");
    let report = json((run, "-n 3 --json"));
    assert_eq!(report["prompt_tokens"], 3);
}

/// A model without a tokenizer, or with a part of one, is packed, but not
/// without a word.
#[test]
fn an_image_that_can_say_little_is_packed_with_a_warning() {
    let folder = folder();
    let checkpoint = checkpoint(folder.path());
    let image = folder.path().join("image.kgl");
    let warning = |more: &dyn Args| {
        let pack = (
            "quantize",
            &checkpoint,
            "-o",
            &image,
            "--weights int8",
            more,
        );
        let output = run(pack);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    says(
        &warning(&""),
        "no tokenizer for the model's 300 vocabulary entries",
    );
    let lines = |count: u32| -> String {
        let line = |id| format!("{id} b'\\x01\\x{:02x}\\x{:02x}' 3\n", id >> 8, id & 255);
        (0..count).map(line).collect()
    };
    let cut = file(folder.path(), "cut.txt", lines(200));
    says(
        &warning(&("--tokenizer", &cut)),
        "has 200 tokens, but the model 300 entries",
    );
    let whole = file(folder.path(), "whole.txt", lines(298));
    assert_eq!(warning(&("--tokenizer", &whole)), "");
}

/// The same vocabulary in its formats gives the same image.
#[test]
fn formats_of_a_vocabulary_are_told_apart() {
    let folder = folder();
    let checkpoint = checkpoint(folder.path());
    let packed = |name: &str, text: &str| {
        let vocabulary = file(folder.path(), name, text);
        let image = folder.path().join("image.kgl");
        quantize(
            &checkpoint,
            &image,
            ("--weights int8 --tokenizer", &vocabulary),
        );
        std::fs::read(image).unwrap()
    };
    let text = packed("a.txt", "1 '\\n' 1\n2 'a' 1\n3 b'\\xc3' 1\n");
    for (name, other) in [
        (
            "json.txt",
            "{\n  \"1\": \"\\n\",\n  \"2\": \"a\",\n  \"3\": [195]\n}\n",
        ),
        ("mark.txt", "\u{feff}1 '\\n' 1\r\n2 'a' 1\r\n3 b'\\xc3' 1"),
        (
            "mark.json",
            "\u{feff}{\"1\": [10], \"2\": [97], \"3\": [195]}",
        ),
        (
            "empty-lines.txt",
            "\n1 '\\n' 1\n\n2 'a' 1\n3 b'\\xc3' 1\n\n",
        ),
    ] {
        assert!(packed(name, other) == text, "{name}");
    }
}

#[test]
fn characters_that_a_vocabulary_lacks_are_refused_skipped_or_replaced() {
    let folder = folder();
    let (with, _) = image_with_vocabulary(folder.path());
    let read = |prompt: &str, policy: &str| {
        let run = ("run", &with, ["--prompt", prompt], "-n 3 --json");
        json((run, ["--unknown", policy]))["logits_hashes"].clone()
    };
    let curly = "the \u{201c}king\u{2019}s\u{201d} ~caf\u{e9}\u{20ac}";
    fails(("run", &with, ["--prompt", curly]), 1, "--unknown skip");
    let skipped = read("the kings caf\u{e9}", "refuse");
    assert_eq!(read(curly, "skip"), skipped);
    let replaced = read("the \"king's\" ?caf\u{e9}?", "refuse");
    assert_eq!(read(curly, "replace"), replaced);
    assert_ne!(skipped, replaced);
    let text = file(folder.path(), "text.txt", curly);
    fails(
        ("eval", &with, "--text", &text),
        1,
        "0xe2 (at byte 4 of the text)",
    );
    for (policy, bytes) in [("skip", 15), ("replace", 20)] {
        let eval = ("eval", &with, "--text", &text, "--json --unknown", policy);
        let scores = json(eval);
        assert_eq!(
            (&scores["unknown"], &scores["scored_bytes"]),
            (&5.into(), &(bytes - 3).into())
        );
    }
}
