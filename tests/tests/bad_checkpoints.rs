//! Readable files that are no model, or almost one, give a sentence that names
//! the tensor; unusual files that are a model are accepted.

use kinglet_host::checkpoint::{write_safetensors, Checkpoint, Dtype};
use kinglet_tests::{failure, folder, json, quantize, says};
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
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, data))| (&**name, &**shape, Dtype::F32, &**data))
        .collect();
    write_safetensors(path, &tensors, &BTreeMap::new()).unwrap();
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
        ("v6", "blocks.1.att.time_maa_w2", vec![5, 16, 32]),
        ("v6", "blocks.0.att.time_decay_w1", vec![16]),
        ("v7", "blocks.0.att.r_k", vec![3, 5]),
        ("v7", "blocks.0.att.w2", vec![16, 32]),
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
            "reads `blocks.0.ffn.s0`, `blocks.1.ffn.s_emb.weight`, and",
        ),
        (
            "v7",
            &["blocks.0.ffn.enn.weight"],
            "`blocks.0.ffn.enn.weight`",
        ),
        (
            "v6",
            &[
                "blocks.0.att.key.lora_A",
                "blocks.0.att.key.lora_B",
                "blocks.1.att.key.lora_A",
                "blocks.1.att.key.lora_B",
            ],
            "`blocks.0.att.key.lora_A`, `blocks.0.att.key.lora_B`, `blocks.1.att.key.lora_A` and 1 more",
        ),
        (
            "v5",
            &["blocks.1.att.time_state"],
            "`blocks.1.att.time_state`",
        ),
        ("v4", &["blocks.x.att.key.weight"], "`blocks.x.att"),
        ("v4", &["head.bias"], "`head.bias`"),
    ] {
        let error = error(version, |tensors| {
            let tensor = |name: &&str| (name.to_string(), (vec![1], vec![0.0]));
            tensors.extend(names.iter().map(tensor));
        });
        says(&error, told);
    }
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
    let (path, image) = (folder.join("variant.safetensors"), folder.join("m.kgl"));
    write(&path, tensors);
    quantize(&path, &image, "--weights int8");
    [&path, &image].map(|file| {
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

/// `time_faaaa` is the bonus itself, `time_first` its logarithm.
#[test]
fn every_minor_version_of_5_may_have_either_bonus() {
    let folder = folder();
    let folder = folder.path();
    for version in ["v5.0", "v5.1", "v5"] {
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
        assert_eq!(with("time_first", 0.0), expected, "{version}");
        assert_ne!(with("time_first", 1.0), expected, "{version}");
    }
}
