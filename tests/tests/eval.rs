//! The sums of `kinglet eval` against the logits of `kinglet logits`.

use kinglet_tests::{
    demo_checkpoint, fails, failure, file, folder, intents_checkpoint, json, logits, quantize,
    says, stdout, synth, SMALL_BPE,
};
use std::path::{Path, PathBuf};

const TEXT: &[u8] = b"Once upon a time";

/// A random model whose tokens are bytes.
fn bytes(folder: &Path) -> PathBuf {
    let checkpoint = folder.join("bytes.safetensors");
    if !checkpoint.exists() {
        synth(&checkpoint, "--layers 2 --channels 32 --vocab 256");
    }
    checkpoint
}

/// Bits that the byte `next` costs after `prompt`.
fn bits(folder: &Path, prompt: &[u8], next: u8) -> f64 {
    let prompt = file(folder, "prompt.bin", prompt);
    let logits = logits(&bytes(folder), ("--prompt-file", &prompt));
    let last = &logits[logits.len() - 256..];
    let sum: f64 = last.iter().map(|&v| f64::from(v).exp()).sum();
    (sum.ln() - f64::from(last[usize::from(next)])) / std::f64::consts::LN_2
}

/// Logits of other tokens are compared with nothing.
#[test]
fn a_reference_has_the_same_tokens() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", TEXT);
    let model = bytes(folder.path());
    let labels = intents_checkpoint();
    let array = folder.path().join("labels.npy");
    stdout(("logits", &labels, "--prompt ab -o", &array));
    let values = logits(&labels, "--prompt ab").len() / 2;
    assert!((2..256).contains(&values));
    let header = std::fs::read(&array).expect("an array");
    says(&String::from_utf8_lossy(&header), &format!("(2, {values})"));
    let eval = ("eval", &model, "--text", &text, "--reference");
    fails((eval, &labels), 1, "predicts no text");
    let demo = demo_checkpoint();
    let other = folder.path().join("other.safetensors");
    let vocab = ["--vocab", "512"];
    synth(&other, ("--layers 1 --channels 32", vocab));
    let words: String = (0..512u32)
        .map(|id| format!("{id} b'\\x{:02x}\\x{:02x}' 2\n", id >> 8, id & 255))
        .collect();
    let words = file(folder.path(), "words.txt", words);
    let image = folder.path().join("other.kgl");
    quantize(&other, &image, ("--weights int8 --tokenizer", &words));
    let eval = ("eval", &demo, "--text", &text, "--reference", &image);
    fails(eval, 1, "do not belong together");
}

#[test]
fn a_character_without_a_token_is_named_by_its_place_in_the_text() {
    let folder = folder();
    let text = ["a".repeat(1500), "\0".into(), "b".repeat(1500), "é".into()].concat();
    let text = file(folder.path(), "text.txt", text);
    let eval = ("eval", &demo_checkpoint(), "--text", &text);
    for cut in ["--reset 0", "--reset 1024", "--documents"] {
        fails((eval, cut), 1, "at byte 3001 of the text");
    }
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
        let option = after.map(|after| format!("--after-each-byte {after}"));
        let option = option.unwrap_or_default();
        let options = ("--reset 10", &*option);
        let scores = json(("eval", &checkpoint, "--text", &text, "--json", options));
        assert_eq!(scores["scored_bytes"], 14);
        let found = scores["bits_per_byte"].as_f64().unwrap();
        let message = format!("{after:?}: {found}, expected {expected}");
        assert!((found - expected).abs() < 1e-4, "{message}");
    }
}

/// Every byte is scored, after the byte 0 and those before it; and the ends of two documents.
#[test]
fn documents_are_scored_from_their_start_to_their_end() {
    let folder = folder();
    let checkpoint = bytes(folder.path());
    let documents: [&[u8]; 3] = [b"\0Once\0", b"\0a time\0", b"\0upon"];
    let marked = "Once<|endoftext|>\na time\n<|endoftext|>\n\nupon";
    for text in [b"Once\0a time\0upon", marked.as_bytes()] {
        let mut expected = 0.0;
        for document in documents {
            for at in 1..document.len() {
                expected += bits(folder.path(), &document[..at], document[at]);
            }
        }
        let text = file(folder.path(), "text.txt", text);
        let eval = ("eval", &checkpoint, "--text", &text, "--documents");
        let scores = json((eval, "--json"));
        assert_eq!(scores["scored_bytes"], 16);
        let found = scores["bits_per_byte"].as_f64().unwrap();
        let expected = expected / 16.0;
        assert!(
            (found - expected).abs() < 1e-4,
            "{found}, expected {expected}"
        );
        fails((eval, "--reset 0"), 2, "cannot be used with");
    }
}

#[test]
fn bytes_after_bytes_do_not_make_a_text_longer() {
    let folder = folder();
    let text = file(folder.path(), "text.txt", "O");
    let checkpoint = bytes(folder.path());
    let eval = ("eval", &checkpoint, "--text", &text);
    fails((eval, "--after-each-byte 0"), 1, "too short");
    failure((eval, "--after-each-byte 256"), 2);
}

#[test]
fn bytes_go_between_bytes_only() {
    let folder = folder();
    let checkpoint = folder.path().join("m.safetensors");
    synth(&checkpoint, "--layers 1 --channels 8 --vocab 8");
    let text = file(folder.path(), "text.txt", "baa");
    let tokenizer = file(folder.path(), "tokenizer.json", SMALL_BPE);
    let eval = ("eval", &checkpoint, "--text", &text);
    let options = ("--tokenizer", &tokenizer, "--after-each-byte 98");
    fails((eval, options), 1, "leave out --after-each-byte");
}
