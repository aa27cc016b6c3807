//! A plain Transformer, which is trained to compare with and has no image:
//! normal numbers, smaller where a block adds to the residual stream.

use super::initial::ONE;
use super::names::{att, ffn, EMB, HEAD, LN_OUT, POSITIONS};
use super::{
    norm_bias, norm_weight, rwkv, square, tensor, Depth, Fill, Size, Table, Tensor, NORM_1, NORM_2,
};

/// Its tensors.
pub const GPT: Table = Table {
    before: &[
        tensor(EMB, &[Size::Vocab, Size::Embd], usual),
        tensor(POSITIONS, &[Size::Positions, Size::Embd], usual),
    ],
    after: &[
        norm_weight(LN_OUT[0], ONE),
        norm_bias(LN_OUT[1]),
        tensor(HEAD, &[Size::Outputs, Size::Embd], usual),
    ],
    ..rwkv(&[NORM_1, NORM_2, BLOCKS])
};

const BLOCKS: &[Tensor] = &[
    square(att::QUERY, usual),
    square(att::KEY, usual),
    square(att::VALUE, usual),
    square(att::OUTPUT, adding),
    tensor(ffn::KEY, &[Size::Ffn, Size::Embd], usual),
    tensor(ffn::VALUE, &[Size::Embd, Size::Ffn], adding),
];

fn usual(_: &Depth) -> Fill {
    Fill::Normal(0.02)
}

fn adding(d: &Depth) -> Fill {
    Fill::Normal(0.02 / (2.0 * d.layers as f32).sqrt())
}
