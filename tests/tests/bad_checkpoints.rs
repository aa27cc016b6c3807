//! Readable files that are no model, or almost one, give a sentence that names
//! the tensor; unusual files that are a model are accepted.

use kinglet_host::checkpoint::{write_safetensors, Checkpoint, Dtype};
use kinglet_tests::{fails, failure, folder, json, quantize, says, stdout};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Shape and values of tensors by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A random model of two layers and two heads of eight channels.
fn synth(folder: &Path, version: &str) -> Tensors {
    let path = folder.join("good.safetensors");
    let size = "--layers 2 --channels 16 --head-size 8 --vocab 32";
    kinglet_tests::synth(&path, (["--version", version], size));
    let checkpoint = Checkpoint::open(&path).unwrap();
    fs::remove_file(path).unwrap();
    let names = checkpoint.tensors().map(|info| info.name.clone());
    names
        .map(|name| {
            let tensor = checkpoint.load(&name).unwrap();
            (name, (tensor.shape, tensor.data))
        })
        .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    write_safetensors(path, &rows(tensors), &notes()).unwrap();
}

/// Low-rank matrices of these models may be square: notes of Kinglet's tell which
/// way they lie.
fn notes() -> BTreeMap<String, String> {
    BTreeMap::from([("kinglet.low_rank".to_owned(), String::new())])
}

/// The tensors as a writer takes them.
fn rows(tensors: &Tensors) -> Vec<(&str, &[usize], Dtype, &[f32])> {
    tensors
        .iter()
        .map(|(name, (shape, data))| (&**name, &**shape, Dtype::F32, &**data))
        .collect()
}

/// The sentence that a model of `version` gives after `change`, to `run` and
/// to `quantize`, which writes no image then.
fn error(version: &str, change: impl FnOnce(&mut Tensors)) -> String {
    let folder = folder();
    let path = folder.path().join("bad.safetensors");
    let mut tensors = synth(folder.path(), version);
    change(&mut tensors);
    write(&path, &tensors);
    let error = failure(("run", &path, "--tokens 1 -n 1"), 1);
    says(&error, "bad.safetensors");
    let image = folder.path().join("bad.kgl");
    let pack = ("quantize", &path, "-o", &image, "--weights int8");
    assert_eq!(failure(pack, 1), error);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    error
}

#[test]
fn missing_tensors_are_named() {
    for (version, name) in [
        ("v4", "blocks.1.att.time_first"),
        ("v5.0", "blocks.1.att.ln_x.bias"),
        ("v5.0", "blocks.0.att.ln_x.weight"),
        ("v5.1", "blocks.0.att.time_mix_g"),
        ("v5", "blocks.0.att.gate.weight"),
        ("v5", "blocks.1.att.time_faaaa"),
        ("v6", "blocks.0.att.time_maa_w2"),
        ("v6", "blocks.0.att.time_maa_x"),
        ("v7", "blocks.0.att.r_k"),
        ("v7", "blocks.1.att.v1"),
        ("v7", "blocks.0.ln0.weight"),
        ("v6", "head.weight"),
    ] {
        let error = error(version, |tensors| {
            tensors.remove(name).expect("it was there");
        });
        let expected = format!("`{name}` is missing");
        says(&error, &expected);
    }
}

#[test]
fn wrong_shapes_are_named() {
    for (version, name, shape) in [
        ("v5.0", "blocks.0.att.time_decay", vec![3]),
        ("v5.0", "blocks.1.att.time_first", vec![1, 4]),
        ("v5", "blocks.1.att.time_decay", vec![2, 4, 2]),
        ("v5", "blocks.1.att.time_faaaa", vec![2]),
        ("v5", "blocks.1.att.time_faaaa", vec![8, 2]),
        ("v6", "blocks.1.att.time_faaaa", vec![4, 8]),
        ("v6", "blocks.1.att.time_maa_w1", vec![16, 161]),
        ("v6", "blocks.1.att.time_maa_w2", vec![5, 32, 16]),
        ("v6", "blocks.0.att.time_decay_w1", vec![16]),
        ("v7", "blocks.0.att.r_k", vec![3, 5]),
        ("v7", "blocks.0.att.w2", vec![32, 16]),
        ("v7", "blocks.1.ffn.value.weight", vec![64, 16]),
        // Trailing dimensions of 1 would hide the length of its rows.
        ("v7", "blocks.1.att.key.weight", vec![16, 16, 1]),
    ] {
        let error = error(version, |tensors| {
            let data = vec![0.5; shape.iter().product()];
            tensors.insert(name.to_owned(), (shape.clone(), data));
        });
        let expected = format!("`{name}` has shape {shape:?}, expected");
        says(&error, &expected);
    }
}

#[test]
fn mixed_versions_are_named() {
    // A tensor of another version, in the first layer and in a later one.
    for (version, other, name) in [
        ("v4", "v6", "blocks.1.att.time_maa_x"),
        ("v4", "v5.0", "blocks.1.att.ln_x.weight"),
        ("v5.0", "v5", "blocks.1.att.gate.weight"),
        ("v5", "v7", "blocks.1.att.a0"),
        ("v6", "v5", "blocks.1.att.time_mix_g"),
        ("v7", "v6", "blocks.0.att.time_maa_w1"),
        ("v7", "v4", "blocks.1.ffn.receptance.weight"),
    ] {
        let folder = folder();
        let stranger = synth(folder.path(), other)[name].clone();
        let error = error(version, |tensors| {
            tensors.insert(name.to_owned(), stranger);
        });
        let expected = format!("`{name}` belongs to another version");
        says(&error, &expected);
    }
    // A whole layer of another version.
    let folder = folder();
    let six = synth(folder.path(), "v6");
    let error = error("v7", |tensors| {
        tensors.retain(|name, _| !name.starts_with("blocks.1."));
        let layer = six.into_iter().filter(|(n, _)| n.starts_with("blocks.1."));
        tensors.extend(layer);
    });
    says(&error, "`blocks.1.att.gate.weight`");
}

/// A file with tensors that the engine does not read is another model: deep
/// embeddings of RWKV-7a and 8, adapters, biases, tuned states.
#[test]
fn tensors_that_nothing_reads_are_named() {
    for (version, names, told) in [
        (
            "v7",
            &["blocks.0.ffn.s0", "blocks.1.ffn.s_emb.weight"][..],
            "reads `blocks.0.ffn.s0` [1, 2], `blocks.1.ffn.s_emb.weight` [1, 2]: a part of RWKV-7a, 7b or 8",
        ),
        ("v7", &["blocks.0.ffn.enn.weight"], "RWKV-7a, 7b or 8"),
        ("v7", &["blocks.0.qkv.qq.weight"], "RWKV-7a, 7b or 8"),
        (
            "v6",
            &[
                "blocks.0.att.key.lora_A",
                "blocks.0.att.key.lora_B",
                "blocks.0.att.key.lora_C",
                "blocks.1.att.key.lora_A",
                "blocks.1.att.key.lora_B",
            ],
            "`blocks.0.att.key.lora_C` [1, 2] and 2 more: an adapter",
        ),
        ("v4", &["blocks.1.att.time_state"], "a tuned state"),
        ("v4", &["blocks.1.tiny_q.weight"], "the tiny attention"),
        ("v4", &["head_q.weight", "copy_mask"], "reads `head_q.weight` [1, 2]: a head"),
        ("v4", &["pos_emb_x"], "position embeddings"),
        ("v4", &["emb.weight_mx"], "ChatRWKV"),
        ("v5", &["blocks.1.att.key.absmax"], "quantized"),
        ("v4", &["blocks.x.att.key.weight"], "`blocks.x.att.key.weight` [1, 2]: without them it would be another"),
        ("v4", &["head.bias"], "a bias"),
        ("v7", &["blocks.1.att.key.bias"], "a bias"),
    ] {
        let error = error(version, |tensors| {
            let tensor = |name: &&str| (name.to_string(), (vec![1, 2], vec![0.0; 2]));
            tensors.extend(names.iter().map(tensor));
        });
        says(&error, told);
        says(&error, "--ignore");
    }
}

/// Integers, and what an optimizer or a loader of data leaves in a file, need not
/// be read; they are said to be there.
#[test]
fn tensors_that_no_network_needs_are_passed_over() {
    let folder = folder();
    let folder = folder.path();
    let good = synth(folder, "v7");
    let expected = hashes(folder, &good);
    let path = folder.join("variant.safetensors");
    let types = |name: &'static str| Dtype::from_name(name).unwrap();
    for (name, dtype, shape, expected) in [
        ("global_step", types("F32"), &[][..], Some(())),
        ("global_step", types("F64"), &[1], Some(())),
        ("global_step", types("F32"), &[2], None),
        ("optimizer.0.exp_avg", types("F32"), &[3, 3], Some(())),
        (
            "blocks.0.att.key.weight.exp_avg",
            types("F32"),
            &[2],
            Some(()),
        ),
        (
            "blocks.0.norm.num_batches_tracked",
            types("F32"),
            &[],
            Some(()),
        ),
        (
            "blocks.0.att.rotary_emb.inv_freq",
            types("F32"),
            &[4],
            Some(()),
        ),
        ("something", types("F32"), &[1], None),
        ("something", types("F64"), &[], None),
    ]
    .map(|(name, dtype, shape, fine)| (name, dtype, shape, fine.map(|()| &expected)))
    {
        let len = shape.iter().product();
        let mut written: Vec<_> = rows(&good);
        let values = vec![1.0; len];
        written.push((name, shape, dtype, &values));
        write_safetensors(&path, &written, &notes()).unwrap();
        match expected {
            None => fails(("inspect", &path), 1, &format!("`{name}` {shape:?}")),
            Some(expected) => {
                assert_eq!(hashes_of(folder, &path), *expected, "{name}");
                let report = json(("inspect", &path, "--json"));
                assert_eq!(report["not_read"], serde_json::json!([name]));
                assert!(stdout(("inspect", &path)).contains(&format!("not read     {name}")));
            }
        }
    }
    // Types that are not read, as a library writes them.
    write(&path, &good);
    let plain = fs::read(&path).unwrap();
    for (name, dtype, shape, fine) in [
        ("tokens_seen", "I64", "[]", true),
        ("some.mask", "BOOL", "[8]", true),
        ("some.ids", "I32", "[1,2]", true),
        ("some.weight", "U8", "[2,4]", false),
        ("some.weight", "F8_E4M3", "[8]", false),
        ("blocks.0.ffn.s0", "I64", "[1]", false),
    ] {
        let len = u64::from_le_bytes(plain[..8].try_into().unwrap()) as usize;
        let values = plain.len() - 8 - len;
        let header = std::str::from_utf8(&plain[8..8 + len]).unwrap().trim_end();
        let header = format!(
            "{},\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{values},{}]}}}}",
            header.strip_suffix('}').unwrap(),
            values + 8
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(&plain[8 + len..]);
        bytes.extend([0; 8]);
        fs::write(&path, bytes).unwrap();
        match fine {
            true => assert_eq!(hashes_of(folder, &path), expected, "{name}"),
            false => fails(("inspect", &path), 1, &format!("`{name}`")),
        }
    }
}

/// `--ignore` leaves out what its pattern names, and the image says so.
#[test]
fn a_pattern_leaves_tensors_out() {
    let folder = folder();
    let folder = folder.path();
    let mut tensors = synth(folder, "v7");
    let expected = hashes(folder, &tensors);
    for layer in 0..2 {
        let name = format!("blocks.{layer}.ffn.enn.weight");
        tensors.insert(name, (vec![2, 3], vec![1.0; 6]));
    }
    let (path, image) = (folder.join("variant.safetensors"), folder.join("m.kgl"));
    write(&path, &tensors);
    let ignore = ["--ignore", "*.enn.*"];
    quantize(&path, &image, ("--weights int8", ignore));
    let run = "--ignore-end --tokens 1,2,3,4 -n 8 --json";
    assert_eq!(json(("run", &image, run))["logits_hashes"], expected[1]);
    assert_eq!(
        json(("run", &path, ignore, run))["logits_hashes"],
        expected[0]
    );
    let source = &json(("inspect", &image, "--json"))["source"];
    assert_eq!(source, "variant.safetensors without *.enn.*");
    let report = json(("inspect", &path, ignore, "--json"));
    assert_eq!(report["ignored"][1], "blocks.1.ffn.enn.weight");
    let one = ["--ignore", "blocks.0.ffn.enn.weight"];
    fails(
        ("inspect", &path, one),
        1,
        "reads `blocks.1.ffn.enn.weight`",
    );
    let too_much = ["--ignore", "*"];
    fails(
        ("inspect", &path, too_much),
        1,
        "--ignore cannot leave it out",
    );
    let nothing = (ignore, ["--ignore", "*.x.*"]);
    fails(
        ("inspect", &path, nothing),
        1,
        "no tensor of the pattern `*.x.*`",
    );
    fails(("run", &image, ignore), 2, "leave out --ignore");
}

#[test]
fn a_hole_in_the_layers_is_named() {
    for version in ["v4", "v5", "v6", "v7"] {
        let gap = |tensors: &mut Tensors| {
            let in_layer = |(name, tensor): (&String, &_)| {
                let rest = name.strip_prefix("blocks.1.")?;
                Some((format!("blocks.3.{rest}"), Clone::clone(tensor)))
            };
            let layer: Vec<_> = tensors.iter().filter_map(in_layer).collect();
            tensors.extend(layer);
        };
        let error = error(version, gap);
        says(&error, "`blocks.2.ln1.weight` is missing");
    }
    // A layer that has lost its head is not the end of the model.
    let name = "blocks.1.ln1.weight";
    let error = error("v7", |tensors| {
        tensors.remove(name).expect("it was there");
    });
    says(&error, name);
}

#[test]
fn numbers_that_are_none_are_named() {
    for (version, name, value) in [
        ("v4", "blocks.0.att.time_decay", f32::INFINITY),
        ("v5.0", "blocks.1.att.ln_x.weight", f32::NAN),
        ("v5", "blocks.0.att.time_faaaa", f32::INFINITY),
        ("v6", "blocks.1.att.time_maa_w2", f32::NAN),
        ("v6", "blocks.1.ffn.value.weight", f32::NEG_INFINITY),
        ("v7", "blocks.1.att.v2", f32::NEG_INFINITY),
        ("v7", "blocks.0.att.k_k", f32::NAN),
    ] {
        let error = error(version, |tensors| {
            tensors.get_mut(name).unwrap().1[7] = value;
        });
        let expected = format!("`{name}` holds {value} at index 7");
        says(&error, &expected);
    }
}

/// Hashes of a run of these tensors in float, and of their image.
fn hashes(folder: &Path, tensors: &Tensors) -> [serde_json::Value; 2] {
    let path = folder.join("variant.safetensors");
    write(&path, tensors);
    hashes_of(folder, &path)
}

/// The same of a file.
fn hashes_of(folder: &Path, path: &Path) -> [serde_json::Value; 2] {
    let image = folder.join("m.kgl");
    quantize(path, &image, "--weights int8");
    [path, &image].map(|file| {
        json(("run", file, "--ignore-end", "--tokens 1,2,3,4 -n 8 --json"))["logits_hashes"].clone()
    })
}

#[test]
fn what_published_files_do_differently_does_not_matter() {
    let folder = folder();
    let folder = folder.path();
    // One number per head in a column, vectors with more or fewer ones.
    let mut five = synth(folder, "v5.1");
    let expected = hashes(folder, &five);
    for (name, (shape, data)) in &mut five {
        match name.rsplit('.').next() {
            Some("time_decay" | "time_first") => *shape = vec![2, 1],
            _ if data.len() == 16 => *shape = vec![1, 1, 16],
            _ => {}
        }
    }
    assert_eq!(hashes(folder, &five), expected);
    // RWKV-7's first layer may have a value residual that nobody uses.
    let mut seven = synth(folder, "v7");
    let expected = hashes(folder, &seven);
    for part in ["v0", "v1", "v2"] {
        let tensor = seven[&format!("blocks.1.att.{part}")].clone();
        seven.insert(format!("blocks.0.att.{part}"), tensor);
    }
    assert_eq!(hashes(folder, &seven), expected);
}

/// `time_faaaa` is the bonus itself, `time_first` by head its logarithm; by channel
/// it is a `time_faaaa` that a converter renamed.
#[test]
fn every_minor_version_of_5_may_have_either_bonus() {
    let folder = folder();
    let folder = folder.path();
    for (version, logarithm) in [("v5.0", true), ("v5.1", true), ("v5", false)] {
        let with = |name: &str, value: f32| {
            let mut tensors = synth(folder, version);
            for layer in 0..2 {
                let name_of = |bonus| format!("blocks.{layer}.att.{bonus}");
                let old = ["time_first", "time_faaaa"].map(name_of);
                let old = old.iter().find_map(|name| tensors.remove(name)).unwrap();
                let values = vec![value; old.1.len()];
                tensors.insert(name_of(name), (old.0, values));
            }
            hashes(folder, &tensors)
        };
        let expected = with("time_faaaa", 1.0);
        assert_eq!(with("time_first", 0.0) == expected, logarithm, "{version}");
        assert_eq!(with("time_first", 1.0) != expected, logarithm, "{version}");
    }
}
