//! A Transformer, which is trained to compare with and has no image: normal
//! numbers, smaller where a block adds to the residual stream.

use super::initial::ONE;
use super::names::{att, ffn, EMB, HEAD, LN1, LN2, LN_OUT};
use super::{norm_weight, rwkv, square, tensor, Depth, Fill, Size, Table, Tensor};

/// Its tensors.
pub const GPT: Table = Table {
    before: &[tensor(EMB, &[Size::Vocab, Size::Embd], usual)],
    after: &[
        norm_weight(LN_OUT[0], ONE),
        tensor(HEAD, &[Size::Outputs, Size::Embd], usual),
    ],
    ..rwkv(&[BLOCKS])
};

const BLOCKS: &[Tensor] = &[
    norm_weight(LN1[0], ONE),
    square(att::QUERY, usual),
    square(att::KEY, usual),
    square(att::VALUE, usual),
    square(att::OUTPUT, adding),
    norm_weight(LN2[0], ONE),
    tensor(ffn::GATE, &[Size::Ffn, Size::Embd], usual),
    tensor(ffn::KEY, &[Size::Ffn, Size::Embd], usual),
    tensor(ffn::VALUE, &[Size::Embd, Size::Ffn], adding),
];

fn usual(_: &Depth) -> Fill {
    Fill::Normal(0.02)
}

fn adding(d: &Depth) -> Fill {
    Fill::Normal(0.02 / (2.0 * d.layers as f32).sqrt())
}
