//! GGUF files that lie, and those that are not read.

use super::gguf_testing::Gguf;
use super::hostile_tests::for_each_flip;
use super::testing::{exercise, refusal};
use super::{Checkpoint, Dtype};

fn small() -> Gguf {
    Gguf::new("rwkv7")
        .texts("tokenizer.ggml.tokens", &["<s>", "a", "\u{1b}[2J"])
        .value(
            "some.array",
            9,
            &[4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
        )
        .value("some.byte", 0, &[7])
        .word("rwkv7.wkv.head_size", 64)
        .tensor("a", &[2, 3], Dtype::F32, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .tensor("b", &[1, 32], Dtype::Q8_0, &[0.5; 32])
        .tensor("c", &[3], Dtype::F16, &[7.0; 3])
}

#[test]
fn what_is_written_is_read() {
    let checkpoint = Checkpoint::from_bytes(small().bytes()).unwrap();
    assert_eq!(checkpoint.format(), "GGUF");
    let matrix = checkpoint.load("a").unwrap();
    assert_eq!(matrix.shape, [2, 3]);
    assert_eq!(matrix.data, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(checkpoint.load("c").unwrap().data, [7.0; 3]);
    let notes = checkpoint.metadata();
    assert_eq!(notes.len(), 2);
    assert_eq!(notes["rwkv7.wkv.head_size"], "64");
}

/// Rows may begin inside a block.
#[test]
fn rows_of_blocks_are_those_of_the_whole() {
    let values: Vec<f32> = (0..192).map(|i| i as f32 / 7.0 - 9.0).collect();
    for shape in [&[6, 32][..], &[12, 16], &[192]] {
        // 16 columns are no row of blocks, but nothing is lost.
        let file = Gguf::new("rwkv7").tensor("w", shape, Dtype::Q8_0, &values);
        let checkpoint = Checkpoint::from_bytes(file.bytes()).unwrap();
        let whole = checkpoint.load("w").unwrap().data;
        let cols = 192 / shape[0];
        for first in 0..shape[0] {
            for end in first..=shape[0] {
                let rows = checkpoint.load_rows("w", first..end).unwrap().data;
                assert_eq!(
                    rows,
                    whole[first * cols..end * cols],
                    "{shape:?} {first}..{end}"
                );
            }
        }
    }
}

#[test]
fn damage_is_an_error_and_no_panic() {
    let whole = small().bytes();
    assert!(exercise(whole.clone()));
    // The last tensor's padding may be missing.
    let end = whole.len() - 26;
    (0..end).for_each(|len| assert!(!exercise(whole[..len].to_vec()), "{len}"));
    assert!(exercise(whole[..end].to_vec()));
    for_each_flip(&whole, |bytes| {
        exercise(bytes);
    });
}

#[test]
fn each_refusal_says_why() {
    let huge = u64::MAX / 2;
    let seven = || Gguf::new("rwkv7");
    let tensor = |shape: &[u64], kind: u32, offset: u64| seven().said("w", shape, kind, offset);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = small().bytes();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let array = |kind: u32, len: u64| {
        let bytes = [&kind.to_le_bytes()[..], &len.to_le_bytes()].concat();
        seven().value("x", 9, &bytes).bytes()
    };
    let long = "n".repeat(2000);
    for (file, part) in [
        (Gguf::new("llama").bytes(), "the architecture `llama`, but"),
        (
            Gguf::new("\u{1b}[2J").bytes(),
            "the architecture `\\u{1b}[2J`",
        ),
        (
            Gguf::new("rwkv6qwen2").bytes(),
            "the architecture `rwkv6qwen2`",
        ),
        (
            Gguf::default().bytes(),
            "does not say which architecture its model has (`general.architecture`)",
        ),
        (
            seven().value("split.count", 2, &[3, 0]).bytes(),
            "one of 3 parts of a model: join",
        ),
        (
            seven().text("general.architecture", "rwkv6").bytes(),
            "two values of `general.architecture`",
        ),
        (
            seven().word("general.alignment", 0).bytes(),
            "an alignment of 0",
        ),
        (
            seven().word("general.alignment", 33).bytes(),
            "an alignment of 33",
        ),
        (seven().value("x", 13, &[]).bytes(), "of the kind 13"),
        (array(9, 1), "of the kind 9 here"),
        (array(8, huge), "ends inside its table"),
        (array(11, huge), "ends inside its table"),
        (with(4, &[1, 0, 0, 0]), "the version 1, but"),
        (with(4, &[0, 0, 0, 3]), "on a little-endian machine"),
        (with(8, &huge.to_le_bytes()), "ends inside its table"),
        (with(16, &huge.to_le_bytes()), "ends inside its table"),
        (with(24, &huge.to_le_bytes()), "ends inside its table"),
        (
            tensor(&[4], 12, 0).bytes(),
            "the tensor `w` in Q4_K, but F32, F16, BF16 and Q8_0",
        ),
        (tensor(&[4], 77, 0).bytes(), "in type 77, but"),
        (tensor(&[1; 5], 0, 0).bytes(), "has 5 dimensions"),
        (
            tensor(&[huge, huge], 0, 0).bytes(),
            "which F32 values do not fill",
        ),
        (
            tensor(&[huge], 0, 0).bytes(),
            "which F32 values do not fill",
        ),
        (
            tensor(&[3, 16], 8, 0).bytes(),
            "has shape [3, 16], which Q8_0 values do not fill",
        ),
        (
            tensor(&[huge / 8], 0, 0).bytes(),
            "ends inside the tensor `w`",
        ),
        (tensor(&[4], 0, 0).bytes(), "ends inside the tensor `w`"),
        (
            tensor(&[4], 0, 32).bytes(),
            "begins at byte 32 of the values, not at 0",
        ),
        (
            small().said("a", &[0], 0, 128).bytes(),
            "`a` is listed twice",
        ),
        (
            seven().said(&long, &[4], 0, 0).bytes(),
            "a name of more than 1024 bytes",
        ),
    ] {
        let message = refusal(file);
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
}
