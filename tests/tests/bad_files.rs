//! Files that are damaged, or no model at all: a sentence and an exit code.

use kinglet_tests::{demo_checkpoint, demo_image, fails, failure, file, folder, run};
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
    // Another number of hidden channels: the vocabulary begins elsewhere.
    check(&flipped(37, 0), "byte 72 is out of range");
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
