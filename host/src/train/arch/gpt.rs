//! A plain Transformer (decoder, learned positions, norms before the
//! blocks), of which only the training exists: what RWKV is compared with.

use super::super::real::Real;
use super::super::tape::{Tape, Var};
use super::Layer;
use crate::model::Dimensions;

pub(super) fn tensors(dimensions: &Dimensions, positions: usize) -> Vec<(String, Vec<usize>)> {
    let Dimensions {
        embd: c,
        ffn,
        vocab,
        ..
    } = *dimensions;
    let mut tensors = vec![
        ("emb.weight".to_owned(), vec![vocab, c]),
        ("positions".to_owned(), vec![positions, c]),
    ];
    for index in 0..dimensions.layers {
        let mut add = |name: &str, shape| tensors.push((format!("blocks.{index}.{name}"), shape));
        for norm in ["ln1", "ln2"] {
            add(&format!("{norm}.weight"), vec![c]);
            add(&format!("{norm}.bias"), vec![c]);
        }
        for name in ["query", "key", "value", "output"] {
            add(&format!("att.{name}.weight"), vec![c, c]);
        }
        add("ffn.key.weight", vec![ffn, c]);
        add("ffn.value.weight", vec![c, ffn]);
    }
    tensors.push(("ln_out.weight".to_owned(), vec![c]));
    tensors.push(("ln_out.bias".to_owned(), vec![c]));
    tensors.push(("head.weight".to_owned(), vec![dimensions.outputs(), c]));
    tensors
}

pub(super) fn attention<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let inputs = ["query", "key", "value"]
        .map(|name| layer.product(tape, xx, &format!("att.{name}.weight")));
    let out = tape.attention(inputs, layer.head_size());
    layer.product(tape, out, "att.output.weight")
}

pub(super) fn feed_forward<F: Real>(layer: &Layer<'_>, tape: &mut Tape<'_, F>, xx: Var) -> Var {
    let k = layer.product(tape, xx, "ffn.key.weight");
    let k = tape.gelu(k);
    layer.product(tape, k, "ffn.value.weight")
}
