//! Files that lie: an error or a loadable checkpoint, and never a panic.

use super::testing::*;
use super::writer::{safetensors_bytes, TensorToWrite};
use super::{Checkpoint, Dtype};
use std::collections::{BTreeMap, HashSet};

const SMALL: [TensorToWrite<'static>; 2] = [
    ("b.0", &[2, 2], Dtype::F32, &[1.0, 2.0, 3.0, 4.0]),
    ("b.1", &[3], Dtype::F16, &[5.0; 3]),
];

fn small_safetensors() -> Vec<u8> {
    let notes = BTreeMap::from([("source".to_owned(), "test".to_owned())]);
    safetensors_bytes(&SMALL, &notes).unwrap()
}

#[test]
fn truncation_at_every_byte_is_an_error() {
    for whole in [small_safetensors(), pth_bytes(&SMALL)] {
        assert!(exercise(whole.clone()));
        for len in 0..whole.len() {
            assert!(
                !exercise(whole[..len].to_vec()),
                "{len} of {} bytes",
                whole.len()
            );
        }
    }
}

/// Calls `check` with each of the files that differ from `whole` in one bit.
pub(super) fn for_each_flip(whole: &[u8], mut check: impl FnMut(Vec<u8>)) {
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        check(bytes);
    }
}

#[test]
fn any_flipped_bit_is_survived() {
    for whole in [small_safetensors(), pth_bytes(&SMALL)] {
        for_each_flip(&whole, |bytes| {
            exercise(bytes);
        });
    }
    for_each_flip(&one_view(&MATRIX), |pickle| {
        exercise(pth_of_pickle(&pickle));
    });
}

#[test]
fn what_is_accepted_the_official_library_accepts() {
    for_each_flip(&small_safetensors(), |bytes| {
        let theirs = ::safetensors::SafeTensors::deserialize(&bytes).is_ok();
        if exercise(bytes) {
            assert!(theirs);
        }
    });
}

#[test]
fn lying_safetensors_headers_are_refused() {
    let tensor = |shape: &str, range: &str| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{range}}}}}"#)
    };
    let a = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let cases = [
        (
            tensor("[4294967296,4294967296]", "[0,8]"),
            "does not take 8 bytes",
        ),
        (
            tensor("[9223372036854775807,3]", "[0,8]"),
            "does not take 8 bytes",
        ),
        (
            tensor("[2,2]", "[0,8]"),
            "has shape [2, 2] in F32, which does not take 8 bytes",
        ),
        (
            tensor("[2]", "[0,18446744073709551615]"),
            "the file ends inside the tensor `w`",
        ),
        (
            tensor("[2]", "[4,12]"),
            "the file ends inside the tensor `w`",
        ),
        (
            tensor("[2]", "[8,0]"),
            "ends at byte 0, before it begins at byte 8",
        ),
        (
            tensor("[1]", "[0,4]"),
            "accounts for 4 bytes of values, but the file has 8",
        ),
        (tensor("[1]", "[4,8]"), "leaves a gap at byte 4"),
        (tensor("[-1]", "[0,8]"), "is damaged"),
        (tensor("[2.0]", "[0,8]"), "is damaged"),
        (
            format!(r#"{{{a},"b":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#),
            "overlaps",
        ),
        (format!("{{{a},{a}}}"), "the tensor `a` is listed twice"),
        (
            format!(r#"{{"__metadata__":{{}},{a},"__metadata__":{{}}}}"#),
            "is damaged",
        ),
        (format!(r#"{{"w":{}"#, "[".repeat(100_000)), "is damaged"),
        (String::from(r#"{"w":"#), "is damaged"),
    ];
    for (json, expected) in cases {
        let message = refusal(safetensors_of_json(&json, &[0; 8]));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn lying_safetensors_lengths_are_refused() {
    for len in [1 << 63, u64::MAX, 100_000_001] {
        let mut bytes = small_safetensors();
        bytes[..8].copy_from_slice(&u64::to_le_bytes(len));
        assert!(refusal(bytes).contains("neither"));
    }
    let mut bytes = small_safetensors();
    bytes[..8].copy_from_slice(&100_000_000u64.to_le_bytes());
    assert!(refusal(bytes).contains("ends inside its table of tensors; it is truncated"));
}

#[test]
fn lying_tensors_are_refused() {
    let views = [
        View {
            shape: &[3, 3],
            strides: &[3, 1],
            ..MATRIX
        },
        View {
            offset: 1,
            ..MATRIX
        },
        View {
            offset: -1,
            ..MATRIX
        },
        View {
            offset: i64::MAX,
            ..MATRIX
        },
        View { count: 7, ..MATRIX },
        View {
            count: i64::MAX,
            ..MATRIX
        },
        View {
            count: -6,
            ..MATRIX
        },
        View {
            shape: &[2, -3],
            ..MATRIX
        },
        View {
            strides: &[i64::MAX, i64::MAX],
            ..MATRIX
        },
        View {
            strides: &[1],
            ..MATRIX
        },
        View {
            shape: &[i64::MAX, i64::MAX],
            strides: &[0, 0],
            ..MATRIX
        },
        // Repeats one value a thousand million times.
        View {
            shape: &[1_000_000_000],
            strides: &[0],
            ..MATRIX
        },
        View {
            shape: &[1; 9],
            strides: &[1; 9],
            ..MATRIX
        },
        View {
            kind: "HalfStorage",
            ..MATRIX
        },
    ];
    for view in views {
        let message = refusal(pth_of_pickle(&one_view(&view)));
        assert!(
            message.starts_with("<memory>: the tensor `w` "),
            "{message}"
        );
    }
    let message = refusal(pth_of_pickle(&one_view(&View { key: "1", ..MATRIX })));
    assert!(message.contains("lacks the file `data/1`"), "{message}");
    assert!(!exercise(pth_of_pickle(&one_view(&View {
        key: &"0".repeat(300),
        ..MATRIX
    }))));
    assert!(!exercise(pth_of_pickle(&one_view(&View {
        kind: "QInt8Storage",
        ..MATRIX
    }))));
}

/// Positions of a signature in the archive.
fn find(bytes: &[u8], signature: &[u8]) -> Vec<usize> {
    (0..bytes.len())
        .filter(|&at| bytes[at..].starts_with(signature))
        .collect()
}

/// The archive with a field of every entry overwritten: at `local` from the
/// start of the local headers and at `central` from that of the central ones.
fn patched(local: usize, central: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = pth_of_pickle(&one_view(&MATRIX));
    let locals = find(&bytes, b"PK\x03\x04").into_iter().map(|at| at + local);
    let centrals = find(&bytes, b"PK\x01\x02")
        .into_iter()
        .map(|at| at + central);
    for at in locals.chain(centrals).collect::<HashSet<_>>() {
        bytes[at..at + value.len()].copy_from_slice(value);
    }
    bytes
}

#[test]
fn archives_that_are_not_plain_are_refused() {
    let compressed = refusal(patched(8, 10, &[8, 0]));
    assert!(
        compressed.contains("holds `data.pkl` compressed"),
        "{compressed}"
    );
    assert!(!exercise(patched(6, 8, &[1, 0])));
    // Sizes: of the packed bytes, of the bytes, of both; and zip64's escape.
    assert!(!exercise(patched(18, 20, &[0xfe, 0xff, 0xff, 0x7f])));
    assert!(!exercise(patched(22, 24, &[0xfe, 0xff, 0xff, 0x7f])));
    assert!(!exercise(patched(
        18,
        20,
        &[0xfe, 0xff, 0xff, 0x7f, 0xfe, 0xff, 0xff, 0x7f]
    )));
    assert!(!exercise(patched(18, 20, &[0xff; 8])));
    // Where the entries start.
    let message = refusal(patched(26, 42, &[0xf0, 0xff, 0xff, 0x7f]));
    assert!(message.contains("zip archive"), "{message}");
}

#[test]
fn archives_with_a_lying_directory_are_refused() {
    let whole = pth_of_pickle(&one_view(&MATRIX));
    let end = *find(&whole, b"PK\x05\x06").last().unwrap();
    // Entries on the disk and in all, the directory's length, its start.
    for field in [8, 10, 12, 16] {
        for value in [0u16, 1, 0x7fff, 0xffff] {
            let mut bytes = whole.clone();
            bytes[end + field..end + field + 2].copy_from_slice(&value.to_le_bytes());
            exercise(bytes);
        }
    }
}

#[test]
fn a_checkpoint_is_shared_between_threads() {
    let checkpoint = Checkpoint::from_bytes(small_safetensors()).unwrap();
    std::thread::scope(|scope| {
        for name in ["b.0", "b.1"].repeat(4) {
            let checkpoint = &checkpoint;
            scope.spawn(move || assert!(checkpoint.load(name).is_ok()));
        }
    });
}
