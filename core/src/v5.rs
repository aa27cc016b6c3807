//! RWKV-5 "Eagle": the recurrent step of one layer (Peng et al., *Eagle and
//! Finch*, arXiv 2404.05892). The state is a matrix per head.
//!
//! ```text
//! y[j]   = sum_i r[i] (u[i] k[i] v[j] + S[i,j])
//! S[i,j] = k[i] v[j] + w[i] S[i,j]
//! out    = output (group_norm(y) * silu(g))
//! ```
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx | \[C\] | its layer norm, the input of a block |
//! | r, k, v | \[C\] | receptance, key, value: a part of N channels for each head |
//! | g | \[C\] | gate; RWKV-5.0 has none |
//! | w | \[C\] | decay per token, `exp(-exp(time_decay))`, by key channel |
//! | u | \[C\] | bonus of the current token, by key channel |
//! | S | \[H, N, N\] | state, by key and value channel |

use crate::channel_mix;
use crate::heads::{read_and_update, Inputs, LayerState};
use crate::image::Dim::Embd;
use crate::image::{Header, Parts, Version};
use crate::kernels::Executor;
use crate::math::{abs_max, add_to, copy, group_norm, layer_norm, multiply_silu, token_shift};
use crate::scratch::Work;

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
    let Some((k, v)) = wide.split_at_mut_checked(r.len()) else {
        return;
    };
    layer_norm(x, parts.half(Embd), parts.half(Embd), xx);
    for out in [&mut *k, &mut *v] {
        let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
        product.of(&parts.entry(Embd, Embd), tmp, max, executor, out);
    }
    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, r);
    let inputs = Inputs {
        w: parts.single(Embd),
        u: parts.single(Embd),
        r,
        k,
        v,
    };
    read_and_update(&mut state.matrices, header.head_size(), &inputs, tmp);
    let affine = [parts.half(Embd), parts.half(Embd)];
    // From here on r, k and v are free for what follows.
    let normed = r.get_mut(..tmp.len()).unwrap_or_default();
    group_norm(tmp, header.head_size(), header.gn_eps, affine, normed);
    let max = if header.version == Version::V52 {
        let g = k;
        let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
        product.of(&parts.matrix(Embd, Embd), tmp, max, executor, g);
        multiply_silu(normed, g, tmp)
    } else {
        copy(normed, tmp);
        abs_max(tmp)
    };
    copy(xx, state.att_x);
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, xx);
    add_to(x, xx);
}
