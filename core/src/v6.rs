//! RWKV-6 "Finch": the recurrent step of one layer (Peng et al., *Eagle and
//! Finch*, arXiv 2404.05892). As RWKV-5.2, but the token shift and the decay
//! depend on the data, through low-rank matrices.
//!
//! ```text
//! z   = tanh(w1 (x + (p - x) maa_x)), five vectors of R
//! x_q = x + (p - x) (maa_q + w2_q z_q)            for q in w, k, v, r, g
//! w   = exp(-exp(time_decay + decay_w2 tanh(decay_w1 x_w)))
//! ```
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx, p | \[C\] | its layer norm, and that of the token before |
//! | z | \[5 R\] | what steers the token shift |
//! | m | \[C\] | how far the data move a mix; also the hidden vector of the decay, \[D\] |
//! | r, k, v, g | \[C\] | receptance, key, value, gate |
//! | w | \[C\] | decay of this token, by key channel |
//! | u | \[C\] | bonus of the current token, by key channel |

use crate::channel_mix;
use crate::heads::{read_and_update, Inputs, LayerState};
use crate::image::Dim::{DecayRank, Embd, ShiftRank, ShiftRanks};
use crate::image::{round_up, Header, Parts, BLOCK_ROWS};
use crate::kernels::Executor;
use crate::math::{
    abs_max, add_to, apply, copy, exp, group_norm, layer_norm, multiply_silu, tanh, token_shift,
    token_shift_less, AbsMax,
};
use crate::scratch::{Product, Work};

/// Advances one layer by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer(
    header: &Header,
    parts: &mut Parts<'_>,
    state: &mut [f32],
    work: &mut Work<'_, '_>,
    executor: &mut impl Executor,
) {
    if let Some(mut state) = LayerState::split(header, state) {
        time_mix(header, parts, &mut state, work, executor);
        channel_mix::gated(parts, state.ffn_x, work, executor);
    }
}

/// The buffers of a time mix.
struct Buffers<'s> {
    w: &'s mut [f32],
    k: &'s mut [f32],
    v: &'s mut [f32],
    z: &'s mut [f32],
    m: &'s mut [f32],
}

impl<'s> Buffers<'s> {
    fn split(header: &Header, channels: usize, wide: &'s mut [f32]) -> Option<Self> {
        let (w, rest) = wide.split_at_mut_checked(channels)?;
        let (k, rest) = rest.split_at_mut_checked(channels)?;
        let (v, rest) = rest.split_at_mut_checked(channels)?;
        let (z, m) = rest.split_at_mut_checked(round_up(header.dim(ShiftRanks), BLOCK_ROWS))?;
        Some(Self { w, k, v, z, m })
    }
}

fn time_mix(
    header: &Header,
    parts: &mut Parts<'_>,
    state: &mut LayerState<'_>,
    work: &mut Work<'_, '_>,
    executor: &mut impl Executor,
) {
    let Work {
        x,
        xx,
        tmp,
        r,
        wide,
        product,
        ..
    } = work;
    let Some(Buffers { w, k, v, z, m }) = Buffers::split(header, r.len(), wide) else {
        return;
    };
    layer_norm(x, parts.half(Embd), parts.half(Embd), xx);
    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    product.of(&parts.steer(ShiftRanks, Embd), tmp, max, executor, z);
    apply(z, tanh);
    let mut shifts = z.chunks(header.dim(ShiftRank).max(1));
    let mut shift = || shifts.next().unwrap_or_default();
    let max = mix(parts, shift(), product, executor, m, [xx, state.att_x], tmp);
    product.of(&parts.steer(DecayRank, Embd), tmp, max, executor, m);
    let hidden = m.get_mut(..header.dim(DecayRank)).unwrap_or_default();
    let max = apply(hidden, tanh);
    product.of(&parts.steer(Embd, DecayRank), hidden, max, executor, w);
    for (w, &base) in w.iter_mut().zip(parts.single(Embd)) {
        *w = exp(-exp(*w + base));
    }
    for out in [&mut *k, &mut *v] {
        let max = mix(parts, shift(), product, executor, m, [xx, state.att_x], tmp);
        product.of(&parts.entry(Embd, Embd), tmp, max, executor, out);
    }
    let max = mix(parts, shift(), product, executor, m, [xx, state.att_x], tmp);
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, r);
    let u = parts.single(Embd);
    let inputs = Inputs { w, u, r, k, v };
    read_and_update(&mut state.matrices, header.head_size(), &inputs, tmp);
    let affine = [parts.half(Embd), parts.half(Embd)];
    // From here on r, k and v are free for what follows.
    let normed = r.get_mut(..tmp.len()).unwrap_or_default();
    group_norm(tmp, header.head_size(), header.gn_eps, affine, normed);
    let max = mix(parts, shift(), product, executor, m, [xx, state.att_x], tmp);
    let g = k;
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, g);
    let max = multiply_silu(normed, g, tmp);
    copy(xx, state.att_x);
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, xx);
    add_to(x, xx);
}

/// `out = x_q`, the token shift that `z` `[R]` steers; `m` is scratch.
fn mix(
    parts: &mut Parts<'_>,
    z: &[f32],
    product: &mut Product<'_>,
    executor: &mut impl Executor,
    m: &mut [f32],
    inputs: [&[f32]; 2],
    out: &mut [f32],
) -> AbsMax {
    product.of(&parts.steer(Embd, ShiftRank), z, abs_max(z), executor, m);
    token_shift_less(inputs, parts.half(Embd), m, out)
}
