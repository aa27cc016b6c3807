//! RWKV-7 "Goose": the recurrent step of one layer (Peng et al.,
//! arXiv 2503.14456). The state learns by a generalized delta rule: what it
//! says about a direction is partly removed before the new value is added.
//!
//! ```text
//! S[j,i] = w[j] S[j,i] - kk[j] a[j] sum_l kk[l] S[l,i] + k[j] v[i]
//! y[i]   = sum_j r[j] S[j,i]
//! out    = output ((group_norm(y) + (sum_j r[j] k[j] r_k[j]) v) * g)
//! ```
//!
//! | letter | shape | meaning |
//! |---|---|---|
//! | x | \[C\] | residual stream |
//! | xx | \[C\] | its layer norm, the input of a block |
//! | r, k, v, g | \[C\] | receptance, key, value, gate |
//! | w | \[C\] | decay of this token, in (0.545, 1) |
//! | a | \[C\] | learning rate in context, later b = kk a |
//! | kk | \[C\] | direction to be removed, of length one in each head |
//! | S | \[H, N, N\] | state, by key channel `j` and value channel `i` |

use crate::channel_mix;
use crate::heads::{LayerState, Matrices};
use crate::image::Dim::{DecayRank, Embd, GateRank, RateRank, ValueRank};
use crate::image::{Dim, Header, Parts};
use crate::kernels::state::{delta, Cell, Delta};
use crate::kernels::Executor;
use crate::math::{
    add_to, apply, copy, dot, exp, group_norm, half_to_f32, layer_norm, multiply, rsqrt, sigmoid,
    tanh, token_shift, AbsMax,
};
use crate::scratch::{Product, Work};
use half::f16;

/// The decay is `e^(-e^-0.5 sigmoid(..))`.
const DECAY_SPEED: f32 = -0.606_530_66;

/// The least square of a length that a direction is divided by.
const LEAST_SQUARE: f32 = 1e-24;

/// Advances layer `index` by one token: `work.x` is read and updated.
#[inline(never)]
pub(crate) fn layer(
    header: &Header,
    index: u32,
    parts: &mut Parts<'_>,
    state: &mut [f32],
    work: &mut Work<'_, '_>,
    executor: &mut impl Executor,
) {
    if let Some(mut state) = LayerState::split(header, state) {
        time_mix(header, index == 0, parts, &mut state, work, executor);
        channel_mix::plain(parts, state.ffn_x, work, executor);
    }
}

/// The buffers of a time mix: vectors of channels, and the rest.
struct Buffers<'s> {
    w: &'s mut [f32],
    k: &'s mut [f32],
    v: &'s mut [f32],
    a: &'s mut [f32],
    kk: &'s mut [f32],
    hidden: &'s mut [f32],
}

impl<'s> Buffers<'s> {
    fn split(channels: usize, wide: &'s mut [f32]) -> Option<Self> {
        let (w, rest) = wide.split_at_mut_checked(channels)?;
        let (k, rest) = rest.split_at_mut_checked(channels)?;
        let (v, rest) = rest.split_at_mut_checked(channels)?;
        let (a, rest) = rest.split_at_mut_checked(channels)?;
        let (kk, hidden) = rest.split_at_mut_checked(channels)?;
        Some(Self {
            w,
            k,
            v,
            a,
            kk,
            hidden,
        })
    }
}

fn time_mix(
    header: &Header,
    first: bool,
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
        kept: v_first,
        product,
    } = work;
    let Some(buffers) = Buffers::split(r.len(), wide) else {
        return;
    };
    let Buffers {
        w,
        k,
        v,
        a,
        kk,
        hidden,
    } = buffers;
    layer_norm(x, parts.half(Embd), parts.half(Embd), xx);

    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    product.of(&parts.entry(Embd, Embd), tmp, max, executor, v);
    if first {
        copy(v, v_first);
    } else {
        let max = squeeze(
            parts,
            ValueRank,
            product,
            (tmp, max),
            hidden,
            executor,
            |h| h,
        );
        product.of(&parts.steer(Embd, ValueRank), hidden, max, executor, a);
        lean(v, v_first, a, parts.single(Embd));
    }

    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    let max = squeeze(
        parts,
        DecayRank,
        product,
        (tmp, max),
        hidden,
        executor,
        tanh,
    );
    product.of(&parts.steer(Embd, DecayRank), hidden, max, executor, w);
    decay(w, parts.single(Embd));

    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    product.of(&parts.entry(Embd, Embd), tmp, max, executor, k);
    direction(k, parts.half(Embd), header.head_size(), kk);

    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    let max = squeeze(
        parts,
        RateRank,
        product,
        (tmp, max),
        hidden,
        executor,
        |h| h,
    );
    product.of(&parts.steer(Embd, RateRank), hidden, max, executor, a);
    learn(a, parts.single(Embd), parts.half(Embd), k, kk);

    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, r);

    let inputs = Inputs {
        r,
        w,
        k,
        v,
        b: a,
        kk,
    };
    inputs.update_and_read(&mut state.matrices, header.head_size(), hidden, tmp);
    let affine = [parts.half(Embd), parts.half(Embd)];
    // From here on kk and w are free for what follows.
    let normed = kk.get_mut(..tmp.len()).unwrap_or_default();
    group_norm(tmp, header.head_size(), header.gn_eps, affine, normed);
    add_bonus([r, k, v], parts.half(Embd), header.head_size(), normed);

    let max = token_shift(xx, state.att_x, parts.half(Embd), tmp);
    let max = squeeze(
        parts,
        GateRank,
        product,
        (tmp, max),
        hidden,
        executor,
        sigmoid,
    );
    let g = w;
    product.of(&parts.steer(Embd, GateRank), hidden, max, executor, g);
    let max = multiply(normed, g, tmp);
    copy(xx, state.att_x);
    product.of(&parts.matrix(Embd, Embd), tmp, max, executor, xx);
    add_to(x, xx);
}

/// The first half of a low-rank product: `hidden = f(matrix x)`, of which the
/// length is the rank.
fn squeeze(
    parts: &mut Parts<'_>,
    rank: Dim,
    product: &mut Product<'_>,
    (x, max): (&[f32], AbsMax),
    hidden: &mut [f32],
    executor: &mut impl Executor,
    f: impl Fn(f32) -> f32,
) -> AbsMax {
    let matrix = parts.steer(rank, Embd);
    product.of(&matrix, x, max, executor, hidden);
    apply(hidden.get_mut(..matrix.rows).unwrap_or_default(), f)
}

/// `v = v + (v_first - v) sigmoid(v0 + s)`.
fn lean(v: &mut [f32], v_first: &[f32], s: &[f32], v0: &[f32]) {
    for ((v, &v_first), (&s, &v0)) in v.iter_mut().zip(v_first).zip(s.iter().zip(v0)) {
        *v += (v_first - *v) * sigmoid(v0 + s);
    }
}

/// `w = exp(-e^-0.5 sigmoid(w0 + w))`.
fn decay(w: &mut [f32], w0: &[f32]) {
    for (w, &w0) in w.iter_mut().zip(w0) {
        *w = exp(DECAY_SPEED * sigmoid(w0 + *w));
    }
}

/// `kk = k k_k`, of length one in each head.
fn direction(k: &[f32], k_k: &[f16], size: usize, kk: &mut [f32]) {
    for ((kk, &k), &k_k) in kk.iter_mut().zip(k).zip(k_k) {
        *kk = k * half_to_f32(k_k);
    }
    for kk in kk.chunks_mut(size.max(1)) {
        let square = dot(kk, kk);
        let scale = rsqrt(if square > LEAST_SQUARE {
            square
        } else {
            LEAST_SQUARE
        });
        kk.iter_mut().for_each(|kk| *kk *= scale);
    }
}

/// `a = sigmoid(a0 + a)`; then `k = k (1 + (a - 1) k_a)`, `a = a kk` and
/// `kk = -kk`: what the state takes.
fn learn(a: &mut [f32], a0: &[f32], k_a: &[f16], k: &mut [f32], kk: &mut [f32]) {
    let keys = k.iter_mut().zip(kk.iter_mut());
    for ((a, (k, kk)), (&a0, &k_a)) in a.iter_mut().zip(keys).zip(a0.iter().zip(k_a)) {
        let rate = sigmoid(a0 + *a);
        *k *= 1.0 + (rate - 1.0) * half_to_f32(k_a);
        *a = rate * *kk;
        *kk = -*kk;
    }
}

/// What enters the heads, each `[C]`; `kk` with its sign changed.
struct Inputs<'a> {
    r: &'a [f32],
    w: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    b: &'a [f32],
    kk: &'a [f32],
}

impl Inputs<'_> {
    /// Moves the state on by one token and reads it into `y` `[C]`.
    fn update_and_read(
        &self,
        matrices: &mut Matrices<'_>,
        size: usize,
        scratch: &mut [f32],
        y: &mut [f32],
    ) {
        match matrices {
            Matrices::F32(cells) => self.heads(cells, size.max(1), scratch, y),
            Matrices::F16(cells) => self.heads(cells, size.max(1), scratch, y),
        }
    }

    fn heads<S: Cell>(&self, cells: &mut [S], size: usize, scratch: &mut [f32], y: &mut [f32]) {
        let (wr, sa) = scratch.split_at_mut_checked(size).unwrap_or_default();
        let inputs = self.r.chunks_exact(size).zip(self.w.chunks_exact(size));
        let inputs = inputs.zip(self.k.chunks_exact(size).zip(self.v.chunks_exact(size)));
        let inputs = inputs.zip(self.b.chunks_exact(size).zip(self.kk.chunks_exact(size)));
        let heads = cells
            .chunks_exact_mut(size * size)
            .zip(y.chunks_exact_mut(size));
        for ((state, y), (((r, w), (k, v)), (b, read))) in heads.zip(inputs) {
            multiply(w, r, wr);
            let head = Delta {
                read,
                wr,
                w,
                b,
                k,
                v,
                br_kr: [dot(b, r), dot(k, r)],
            };
            delta(state, &head, y, sa);
        }
    }
}

/// `y += (sum_j r[j] k[j] r_k[j]) v`, for each head.
fn add_bonus([r, k, v]: [&[f32]; 3], r_k: &[f16], size: usize, y: &mut [f32]) {
    let size = size.max(1);
    let keys = r.chunks(size).zip(k.chunks(size)).zip(r_k.chunks(size));
    for (((r, k), r_k), (v, y)) in keys.zip(v.chunks(size).zip(y.chunks_mut(size))) {
        let mut sum = 0.0;
        for ((&r, &k), &r_k) in r.iter().zip(k).zip(r_k) {
            sum += r * k * half_to_f32(r_k);
        }
        for (y, &v) in y.iter_mut().zip(v) {
            *y += sum * v;
        }
    }
}
