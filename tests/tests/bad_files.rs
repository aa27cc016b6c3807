//! Files that are damaged, or no model at all: a sentence and an exit code.

use kinglet_host::checkpoint::{write_safetensors, Checkpoint, Dtype};
use kinglet_tests::{
    demo_checkpoint, demo_image, fails, failure, file, folder, logits, quantize, run, says, stdout,
    synth,
};
use serde_json::Value;
use std::fs;

#[test]
fn unwritable_outputs_are_failures_that_leave_nothing() {
    let folder = folder();
    let out = folder.path().join("no-such-folder/m.kgl");
    let checkpoint = demo_checkpoint();
    fails(
        ("quantize", &checkpoint, "-o", &out, "--weights int8"),
        1,
        "m.kgl",
    );
    let out = folder.path().join("m.npy");
    failure(("logits", &checkpoint, "--tokens 1,999 -o", &out), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn files_that_are_no_model_get_a_sentence() {
    let folder = folder();
    let cases: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("text.txt", b"Once upon a time, there was no model."),
        ("zeros", &[0; 4096]),
        ("magic", b"KINGLET\0"),
        ("lies.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"),
        ("zip", b"PK\x03\x04 but nothing after it"),
    ];
    for (name, bytes) in cases {
        let path = file(folder.path(), name, bytes);
        fails(("inspect", &path), 1, name);
        fails(("run", &path, "-n 1"), 1, name);
        fails(("quantize", &path, "-o x.kgl --weights int8"), 1, name);
    }
}

/// A GGUF file of no tensors.
const LLAMA: &[u8] = b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\
    \x14\0\0\0\0\0\0\0general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0llama";

/// Files of known other kinds are named, with what to do.
#[test]
fn files_of_other_kinds_are_named() {
    let folder = folder();
    let image = demo_image(folder.path(), "int4");
    fails(
        ("quantize", &image, "-o x.kgl --weights int8"),
        1,
        "packed already",
    );
    for (name, bytes, part) in [
        ("a.gguf", &b"GGUF\x03\0\0\0"[..], "ends inside its table"),
        ("llama.gguf", LLAMA, "architecture `llama`, but"),
        ("a.bin", b"fmgg\x65\0\0\0", "rwkv.cpp"),
        (
            "lfs.pth",
            b"version https://git-lfs.github.com/spec/v1\noid",
            "git lfs pull",
        ),
        ("page.pth", b"<!doctype html>\n<html></html>", "/resolve/"),
        ("config.json", b"{}", "no index"),
        ("a-00001-of-00002.pth", b"PK", "part 1 of 2"),
    ] {
        let path = file(folder.path(), name, bytes);
        fails(("inspect", &path), 1, part);
        fails(("quantize", &path, "-o x.kgl --weights int8"), 1, part);
    }
    // A prompt is a text.
    for (path, part) in [
        (&image, "an image, no text"),
        (&demo_checkpoint(), "--state"),
        (&folder.path().join("a.gguf"), "no text"),
    ] {
        let prompt = ("--prompt-file", path);
        fails(("prime", &image, "-o x.kgl", prompt), 2, part);
        fails(("run", &image, prompt), 2, part);
    }
}

/// A checkpoint in parts is the whole one, by its index and by its folder.
#[test]
fn parts_are_the_whole() {
    let folder = folder();
    let whole = demo_checkpoint();
    let read = Checkpoint::open(&whole).unwrap();
    let names: Vec<_> = read.tensors().map(|info| info.name.clone()).collect();
    let mut map = serde_json::Map::new();
    for (part, names) in names.chunks(names.len().div_ceil(3)).enumerate() {
        let tensors: Vec<_> = names
            .iter()
            .map(|name| (name, read.load(name).unwrap()))
            .collect();
        let rows: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| (&***name, &*tensor.shape, Dtype::F32, &*tensor.data))
            .collect();
        let file = format!("model-0000{}-of-00003.safetensors", part + 1);
        write_safetensors(&folder.path().join(&file), &rows, read.metadata()).unwrap();
        map.extend(names.iter().map(|name| (name.clone(), file.clone().into())));
    }
    let index = folder.path().join("model.safetensors.index.json");
    let write = |map: &serde_json::Map<String, Value>| {
        fs::write(&index, serde_json::json!({ "weight_map": map }).to_string()).unwrap();
    };
    write(&map);
    let expected = logits(&whole, "--tokens 5,6,7");
    assert_eq!(logits(&index, "--tokens 5,6,7"), expected);
    assert_eq!(logits(folder.path(), "--tokens 5,6,7"), expected);
    let part = folder.path().join("model-00002-of-00003.safetensors");
    fails(("inspect", &part), 1, "part 2 of 3");
    // An index that does not fit its parts.
    let first = names[0].clone();
    let part = "model-00001-of-00003.safetensors";
    for (name, file, told) in [
        ("more", part, "lacks the tensor `more`"),
        (
            &*first,
            "model-00003-of-00003.safetensors",
            "the index does not name",
        ),
        (&*first, "../model.safetensors", "no file beside it"),
        (&*first, "absent.safetensors", "absent.safetensors"),
        (&*first, "", "no file beside it"),
    ] {
        let mut wrong = map.clone();
        wrong.insert(name.to_owned(), file.into());
        write(&wrong);
        fails(("inspect", folder.path()), 1, told);
    }
    map.remove(&first);
    write(&map);
    fails(("inspect", &index), 1, "the index does not name");
    fs::remove_file(&index).unwrap();
    fails(
        ("inspect", folder.path()),
        1,
        "no checkpoint, nor the index",
    );
    fs::copy(&whole, folder.path().join("one.safetensors")).unwrap();
    assert_eq!(logits(folder.path(), "--tokens 5,6,7"), expected);
    fs::copy(&whole, folder.path().join("two.safetensors")).unwrap();
    fails(("inspect", folder.path()), 1, "2 checkpoints: name one");
}

#[test]
fn damaged_images_get_a_sentence() {
    let folder = folder();
    let good = fs::read(demo_image(folder.path(), "int4")).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        let path = file(folder.path(), "bad.kgl", bytes);
        fails(("run", &path, "-n 1"), 1, expected);
    };
    for len in [9, 127, 128, good.len() / 2, good.len() - 1] {
        check(&good[..len], "bytes");
    }
    let flipped = |at: usize, bit: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << bit;
        bytes
    };
    check(&flipped(8, 1), "format version 3");
    check(&flipped(20, 3), "RWKV version 12");
    // Another number of hidden channels: parts begin elsewhere.
    check(&flipped(37, 0), "is not what its dimensions make it");
    // A longer image than its parts.
    check(&flipped(14, 0), "do not have the size");
    check(&flipped(good.len() / 2, 3), "checksum");
    check(&flipped(good.len() - 1, 0), "checksum");
    for at in 0..128 {
        let path = file(folder.path(), "bad.kgl", flipped(at, 5));
        let code = run(("inspect", &path)).status.code();
        assert_eq!(code, Some(1), "header byte {at}");
    }
}

/// An image whose name holds what a terminal or a board's frames would obey.
#[test]
fn no_image_speaks_to_a_terminal() {
    let folder = folder();
    let (checkpoint, image) = (
        folder.path().join("m.safetensors"),
        folder.path().join("m.kgl"),
    );
    synth(&checkpoint, "--layers 1 --channels 64 --vocab 256");
    for name in ["a\u{5}b", "\u{1b}]0;x\u{7}", "\u{9b}2J", "two\nlines"] {
        let args = (
            "quantize",
            &checkpoint,
            "-o",
            &image,
            ["--weights", "int8", "--name", name],
        );
        fails(args, 2, "has control characters");
        assert!(!image.exists());
    }
    quantize(&checkpoint, &image, "--weights int8 --name forged-name");
    let mut bytes = fs::read(&image).unwrap();
    let at = bytes
        .windows(11)
        .position(|part| part == b"forged-name")
        .unwrap();
    says(
        &stdout(("inspect", &image)),
        "name         forged-name (from m.safetensors",
    );
    bytes[at..at + 4].copy_from_slice(b"\x1b[2J");
    let crc = kinglet::image::image_crc32(&bytes);
    bytes[kinglet::image::CRC_OFFSET..][..4].copy_from_slice(&crc.to_le_bytes());
    let forged = file(folder.path(), "forged.kgl", &bytes);
    let said = stdout(("inspect", &forged));
    says(&said, "name         none that can be shown");
    says(&said, "ok");
    assert!(
        !said.replace('\n', "").contains(char::is_control),
        "{said:?}"
    );
}

/// Text of a file in a message is on one line, without control characters.
#[test]
fn no_file_speaks_to_a_terminal() {
    let folder = folder();
    let clean = |error: String| {
        assert!(!error.trim_end().contains(char::is_control), "{error:?}");
        assert!(error.len() < 1000, "{error}");
    };
    let long = "x".repeat(100_000);
    for text in [
        "a = \"\x1b[2J\"\n[[[",
        "\x1b[2J = 1",
        &format!("{long} = 1"),
        "layers = \"\\u001b\"",
    ] {
        let recipe = file(folder.path(), "recipe.toml", text);
        clean(failure(
            (
                "train --steps 1 -o",
                folder.path().join("m"),
                "--recipe",
                &recipe,
            ),
            2,
        ));
        clean(failure(("plan x.kgl --boards", &recipe), 1));
    }
    let checkpoint = demo_checkpoint();
    for text in [
        "\x1b[2J 'a' 1",
        "1 b'\u{9b}' 1",
        "1 'a' \x07",
        "{\"\x1b[2J\": 1}",
        "{\"version\": \"\\u001b[2J\"}",
    ] {
        let vocabulary = file(folder.path(), "vocabulary", text);
        clean(failure(
            (
                "quantize",
                &checkpoint,
                "-o x.kgl --weights int8 --tokenizer",
                &vocabulary,
            ),
            1,
        ));
    }
}
