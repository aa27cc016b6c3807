//! Models as llama.cpp's converter writes them.

use super::tests::{dimensions_of, logits_of, says, synth_of, turned, Notes, Tensors};
use super::*;
use crate::checkpoint::gguf_testing::{rounded, Gguf};
use crate::checkpoint::Dtype;
use crate::pack::{self, Formats, Options};
use kinglet::image::Metadata;
use kinglet::shape::Bits;
use std::collections::BTreeMap;

const EMBD: usize = 32;

/// Some rows are of whole blocks, one low-rank matrix is square.
fn dimensions(version: Version) -> Dimensions {
    Dimensions {
        layers: 3,
        embd: EMBD,
        ffn: 64,
        ranks: match version {
            Version::V6 => [5, 32, 0, 0],
            _ => [5, 32, 3, 64],
        },
        ..dimensions_of(version)
    }
}

/// A tensor of the file: shape, type, values.
type Written = (Vec<usize>, Dtype, Vec<f32>);

/// The tensors of a layer as the converter has them: its names for the rest
/// of BlinkDL's, and whether the last two dimensions change places.
fn name_in_layer(version: Version, rest: &str) -> (String, bool) {
    let name = match rest.strip_prefix("ln1.") {
        Some(part) => format!("attn_norm.{part}"),
        None => rest.replace("ln2.", "attn_norm_2."),
    };
    let name = name
        .replace("att.ln_x", "time_mix_ln")
        .replace("att.", "time_mix_");
    let name = name.replace("ffn.", "channel_mix_");
    let name = match version {
        Version::V6 => name
            .replace("time_maa_w1", "w1")
            .replace("time_maa_w2", "w2")
            .replace("time_maa", "lerp")
            .replace("time_decay", "decay")
            .replace("time_faaaa", "first"),
        _ => name.replace("channel_mix_x_k", "channel_mix_lerp_k"),
    };
    let ends = [".weight", ".bias"].iter().any(|end| name.ends_with(end));
    let digits = ["w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"];
    let turn = digits.iter().any(|digit| name.ends_with(digit));
    match ends {
        true => (name, turn),
        false => (format!("{name}.weight"), turn),
    }
}

/// The tensors as the converter writes them, and what it makes of the model.
/// Matrices have the type where their rows are whole blocks.
fn converted(version: Version, own: &mut Tensors, dtype: Dtype) -> BTreeMap<String, Written> {
    let mut written = BTreeMap::new();
    for (name, (shape, data, _)) in own {
        let Some((layer, rest)) = name.strip_prefix("blocks.").and_then(|n| n.split_once('.'))
        else {
            let (theirs, is_matrix) = match &**name {
                "emb.weight" => ("token_embd.weight".to_owned(), true),
                "head.weight" => ("output.weight".to_owned(), true),
                name => (name.replace("ln_out", "output_norm"), false),
            };
            let dtype = if is_matrix { dtype } else { Dtype::F32 };
            *data = rounded(dtype, data);
            written.insert(theirs, (shape.clone(), dtype, data.clone()));
            continue;
        };
        if let Some(part) = rest.strip_prefix("ln0.") {
            let theirs = format!("token_embd_norm.{part}");
            written.insert(theirs, (shape.clone(), Dtype::F32, data.clone()));
            continue;
        }
        let (theirs, turn) = name_in_layer(version, rest);
        let halved =
            version == Version::V6 && matches!(rest, "att.output.weight" | "ffn.value.weight");
        let divisor = if halved {
            2f32.powi(layer.parse().unwrap())
        } else {
            1.0
        };
        let (mut their_shape, values) = match turn {
            true => turned(shape, data),
            false => (shape.clone(), data.clone()),
        };
        if rest == "att.r_k" {
            their_shape = vec![EMBD];
        }
        let is_single = their_shape.len() < 2
            || theirs.contains("first")
            || !their_shape[their_shape.len() - 1].is_multiple_of(32);
        let dtype = if is_single { Dtype::F32 } else { dtype };
        let values: Vec<f32> = values.iter().map(|value| value / divisor).collect();
        let left: Vec<f32> = rounded(dtype, &values)
            .iter()
            .map(|value| value * divisor)
            .collect();
        *data = match turn {
            true => turned(&their_shape, &left).1,
            false => left,
        };
        written.insert(
            format!("blk.{layer}.{theirs}"),
            (their_shape, dtype, values),
        );
    }
    written
}

/// Joins the mixes of each layer in one tensor, in the converter's order.
fn fuse(version: Version, tensors: &mut BTreeMap<String, Written>) {
    let (front, order) = match version {
        Version::V6 => ("lerp", &["w", "k", "v", "r", "g"][..]),
        _ => ("x", &["r", "w", "k", "v", "a", "g"][..]),
    };
    for layer in 0..3 {
        let mix = |of: &&str| {
            let name = format!("blk.{layer}.time_mix_{front}_{of}.weight");
            tensors.remove(&name).expect("a mix").2
        };
        let values = order.iter().map(mix).collect::<Vec<_>>().concat();
        let shape = vec![order.len(), 1, 1, EMBD];
        let name = format!("blk.{layer}.time_mix_lerp_fused.weight");
        tensors.insert(name, (shape, Dtype::F32, values));
    }
}

fn file(version: Version, tensors: &BTreeMap<String, Written>, epsilon: f32) -> Gguf {
    let architecture = if version == Version::V6 {
        "rwkv6"
    } else {
        "rwkv7"
    };
    let key = |end: &str| format!("{architecture}.{end}");
    let mut file = Gguf::new(architecture)
        .word(&key("wkv.head_size"), EMBD as u32 / 2)
        .float(&key("attention.layer_norm_epsilon"), epsilon);
    if version == Version::V6 {
        file = file.word(&key("rescale_every_n_layers"), 1);
    }
    for (name, (shape, dtype, values)) in tensors {
        file = file.tensor(name, shape, *dtype, values);
    }
    file
}

fn opened(file: &Gguf) -> Result<Model> {
    Model::new(Checkpoint::from_bytes(file.bytes())?, &Reading::default())
}

fn packed(model: &Model) -> Vec<u8> {
    let metadata = Metadata {
        name: "test",
        producer: "",
        source: "",
        labels: "",
    };
    let packed = pack::pack(
        model,
        &Options::of(Formats::of(Bits::Int4)),
        &metadata,
        |_, _| {},
    );
    packed.unwrap().bytes
}

#[test]
fn converted_models_are_the_original() {
    for version in [Version::V6, Version::V7] {
        let mut exact = synth_of(version, &dimensions(version));
        // Synthetic values are half floats: these are none.
        for (_, values, _) in exact.values_mut() {
            values.iter_mut().for_each(|value| *value *= 1.001);
        }
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::Q8_0] {
            let mut own = exact.clone();
            let mut theirs = converted(version, &mut own, dtype);
            assert_eq!(own == exact, dtype == Dtype::F32);
            // Nothing is to be guessed of this one.
            let notes = Notes::from([(LOW_RANK_KEY.to_owned(), String::new())]);
            let own = super::tests::model(&own, &notes, &Reading::default()).unwrap();
            let (logits, image) = (logits_of(&own).unwrap(), packed(&own));
            let check = |theirs: &BTreeMap<String, Written>| {
                let model = opened(&file(version, theirs, 1e-5)).unwrap();
                assert_eq!(model.dimensions(), dimensions(version));
                assert_eq!(logits_of(&model).unwrap(), logits, "{version} {dtype}");
                assert!(packed(&model) == image, "{version} {dtype}");
            };
            if version == Version::V6 {
                // Older files have the mixes one by one.
                check(&theirs);
            }
            fuse(version, &mut theirs);
            check(&theirs);
            if version == Version::V7 {
                // The first layer has a value residual that nothing reads.
                for digit in 0..3 {
                    let rate = theirs[&format!("blk.0.time_mix_a{digit}.weight")].clone();
                    theirs.insert(format!("blk.0.time_mix_v{digit}.weight"), rate);
                }
                check(&theirs);
            }
        }
    }
}

#[test]
fn what_the_engine_does_otherwise_is_refused() {
    let mut own = synth_of(Version::V7, &dimensions(Version::V7));
    let mut theirs = converted(Version::V7, &mut own, Dtype::F32);
    fuse(Version::V7, &mut theirs);
    let with = |name: &str| {
        let mut more = theirs.clone();
        more.insert(name.to_owned(), (vec![EMBD], Dtype::F32, vec![0.5; EMBD]));
        opened(&file(Version::V7, &more, 1e-5))
    };
    says(
        with("blk.1.time_mix_key.bias"),
        "`blk.1.time_mix_key.bias` [32]: a bias",
    );
    says(with("blk.1.time_mix_key.weight.lora_a"), "not merged");
    says(
        with("blk.1.time_mix_lerp_x.weight"),
        "nothing in RWKV-7 reads",
    );
    says(
        with("blocks.1.ln1.weight"),
        "`blocks.1.ln1.weight` is listed twice",
    );
    says(
        opened(&file(Version::V7, &theirs, 1e-6)),
        "`rwkv7.attention.layer_norm_epsilon` is 0.000001",
    );
    says(
        opened(&Gguf::new("rwkv7")),
        "has no number `rwkv7.wkv.head_size`",
    );
    for name in [
        "blk.1.time_mix_lerp_fused.weight",
        "blk.1.time_mix_r_k.weight",
    ] {
        let mut odd = theirs.clone();
        odd.insert(name.to_owned(), (vec![5, 7], Dtype::F32, vec![0.5; 35]));
        says(opened(&file(Version::V7, &odd, 1e-5)), name);
    }
}
