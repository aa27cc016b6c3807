//! RWKV-5, 6 and 7 from checkpoint to image: what is accepted, what is
//! refused, and with which words. Golden data are elsewhere: `golden.rs`.

use kinglet_host::model::Version;
use kinglet_tests::{fails, failure, folder, json, quantize, run, says, stdout, synth};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A small random checkpoint.
fn checkpoint(folder: &Path, version: &str) -> PathBuf {
    let path = folder.join(format!("{version}.safetensors"));
    let size = "--layers 2 --channels 32 --head-size 8";
    synth(&path, (["--version", version], size));
    path
}

/// A copy of a checkpoint with its header or data changed.
fn edited(path: &Path, name: &str, edit: impl FnOnce(&mut Value, &mut Vec<u8>)) -> PathBuf {
    let bytes = fs::read(path).unwrap();
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header = serde_json::from_slice(&bytes[8..8 + len]).unwrap();
    let mut data = bytes[8 + len..].to_vec();
    edit(&mut header, &mut data);
    let header = serde_json::to_vec(&header).unwrap();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(data);
    let out = path.with_file_name(name);
    fs::write(&out, bytes).unwrap();
    out
}

#[test]
fn every_version_is_named_packed_and_run() {
    let folder = folder();
    let names: [_; Version::ALL.len()] = [
        ("v4", "RWKV-4"),
        ("v5.0", "RWKV-5.0"),
        ("v5.1", "RWKV-5.1"),
        ("v5", "RWKV-5.2"),
        ("v6", "RWKV-6"),
        ("v7", "RWKV-7"),
    ];
    for (version, name) in names {
        let path = checkpoint(folder.path(), version);
        assert_eq!(json(("inspect", &path, "--json"))["version"], name);
        let image = folder.path().join("model.kgl");
        quantize(&path, &image, "--weights int8");
        let report = json(("inspect", &image, "--json"));
        assert_eq!(report["checksum_ok"], true);
        let text = folder.path().join("text");
        fs::write(&text, "A kinglet weighs less than a letter. ".repeat(8)).unwrap();
        let args = ("eval", &image, "--text", &text, "--json --reference", &path);
        let scores = json(args);
        let kl = scores["kl"].as_f64().unwrap();
        // Random weights have no quality; but the image is near the float model.
        assert!(kl > 0.0 && kl < 0.02, "{version}: {scores}");
    }
}

#[test]
fn states_of_8_bits_halve_the_matrices_and_are_warned_of() {
    let folder = folder();
    let path = checkpoint(folder.path(), "v7");
    let image = folder.path().join("model.kgl");
    let pack = |path: &Path, state: &str| {
        let options = ("--weights int4 --gn-eps 64e-5 --state", state);
        let output = run(("quantize", path, "-o", &image, options));
        assert!(output.status.success());
        let report = json(("inspect", &image, "--json"));
        let errors = String::from_utf8(output.stderr).unwrap();
        (report["state_bytes"].as_u64().unwrap(), errors)
    };
    // Two layers of att_x and ffn_x, a phase, scales and bounds, 4 heads of 8 x 8.
    let bytes = |element: u64| 2 * (4 * (4 * 32 + 1) + element * 4 * 64);
    assert_eq!(pack(&path, "i16"), (bytes(2), String::new()));
    let (narrow, errors) = pack(&path, "i8");
    assert_eq!(narrow, bytes(1));
    says(&errors, "note: a state of 8 bits costs quality");
    says(&errors, "(less than 1/64 per token)");
    let slow = edited(&path, "slow.safetensors", |header, data| {
        let offsets = &header["blocks.0.att.w0"]["data_offsets"];
        let first = offsets[0].as_u64().unwrap() as usize;
        // -10 as a half float: a decay of 0.99997.
        data[first..first + 2].copy_from_slice(&0xc900u16.to_le_bytes());
    });
    let errors = pack(&slow, "i16").1;
    says(&errors, "1 of 64 decays");
    says(&errors, "(less than 1/16384 per token)");
    let v4 = checkpoint(folder.path(), "v4");
    let pack = |state| {
        (
            "quantize",
            &v4,
            "-o",
            &image,
            "--weights int4 --state",
            state,
        )
    };
    fails(pack("i8"), 2, "leave out --state");
    for float in ["f32", "f16"] {
        fails(pack(float), 2, "states are integers: leave out --state");
    }
}

#[test]
fn arguments_that_do_not_fit_are_bad_use() {
    let folder = folder();
    let out = folder.path().join("x.safetensors");
    let synth = "synth --version v6 --layers 1 --channels 70 -o";
    fails((synth, &out), 2, "--head-size");
    let image = folder.path().join("model.kgl");
    let v5 = checkpoint(folder.path(), "v5");
    let pack = ("quantize", &v5, "-o", &image, "--weights int8");
    failure((pack, "--gn-eps 0"), 2);
    stdout(pack);
    fails(("run", &image, "--gn-eps 1e-5"), 2, "its own epsilon");
}
