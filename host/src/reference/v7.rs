//! The time mix of RWKV-7. Here the state is `[H, value, key]`, as in
//! published descriptions; the engine stores it by key channel.

use super::load::Tensors;
use super::ops::{dot, exp, shift_back, sigmoid, tanh, zip, Matrix, Norm, Products};
use super::Inputs;
use crate::tensors::names::att;
use anyhow::Result;

#[derive(Debug)]
pub(super) struct TimeMix {
    /// Mixes of r, w, k, v, a, g.
    mixes: [Vec<f32>; 6],
    key: Matrix,
    value: Matrix,
    receptance: Matrix,
    decay: LowRank,
    rate: LowRank,
    gate: [Matrix; 2],
    /// The value residual; the first layer has none.
    residual: Option<LowRank>,
    k_k: Vec<f32>,
    k_a: Vec<f32>,
    r_k: Vec<f32>,
    ln_x: Norm,
    gn_eps: f32,
    head_size: usize,
    output: Matrix,
}

/// `base + f(x first) second`.
#[derive(Debug)]
pub(super) struct LowRank {
    base: Vec<f32>,
    first: Matrix,
    second: Matrix,
}

impl LowRank {
    pub fn load(tensors: &Tensors<'_>, names: [&'static str; 3]) -> Result<Self> {
        Ok(Self {
            base: tensors.vector(names[0])?,
            first: tensors.matrix(names[1])?,
            second: tensors.matrix(names[2])?,
        })
    }

    pub fn of(&self, x: &[f32], f: impl Fn(f32) -> f32, products: &mut dyn Products) -> Vec<f32> {
        let mut hidden = products.of(&self.first, x);
        hidden.iter_mut().for_each(|h| *h = f(*h));
        let moved = products.of(&self.second, &hidden);
        zip(&moved, &self.base, |moved, base| base + moved)
    }
}

impl TimeMix {
    pub fn load(tensors: &Tensors<'_>, gn_eps: f32) -> Result<Self> {
        let mix = |index: usize| tensors.vector(att::X[index]);
        Ok(Self {
            mixes: [mix(0)?, mix(1)?, mix(2)?, mix(3)?, mix(4)?, mix(5)?],
            key: tensors.matrix(att::KEY)?,
            value: tensors.matrix(att::VALUE)?,
            receptance: tensors.matrix(att::RECEPTANCE)?,
            decay: LowRank::load(tensors, att::W)?,
            rate: LowRank::load(tensors, att::A)?,
            gate: [tensors.matrix(att::G[0])?, tensors.matrix(att::G[1])?],
            residual: match tensors.index {
                0 => None,
                _ => Some(LowRank::load(tensors, att::V)?),
            },
            k_k: tensors.vector(att::K_K)?,
            k_a: tensors.vector(att::K_A)?,
            r_k: tensors.vector(att::R_K)?,
            ln_x: tensors.norm(att::LN_X)?,
            gn_eps,
            head_size: tensors.head_size(),
            output: tensors.matrix(att::OUTPUT)?,
        })
    }

    /// `v_first` are the values of the first layer.
    pub fn step(
        &self,
        inputs: &mut Inputs<'_>,
        v_first: &mut Vec<f32>,
        products: &mut dyn Products,
    ) -> Vec<f32> {
        let [xr, xw, xk, xv, xa, xg] =
            std::array::from_fn(|i| shift_back(inputs.xx, inputs.previous, &self.mixes[i]));
        let r = products.of(&self.receptance, &xr);
        let mut k = products.of(&self.key, &xk);
        let v = self.values(&xv, v_first, products);
        let mut w = self.decay.of(&xw, tanh, products);
        let speed = -exp(-0.5);
        w.iter_mut().for_each(|w| *w = exp(speed * sigmoid(*w)));
        let mut a = self.rate.of(&xa, |h| h, products);
        a.iter_mut().for_each(|a| *a = sigmoid(*a));
        let kk = self.directions(&k);
        for ((k, a), k_a) in k.iter_mut().zip(&a).zip(self.k_a.iter().cycle()) {
            *k *= 1.0 + (a - 1.0) * k_a;
        }
        let b = zip(&kk, &a, |kk, a| kk * a);
        let size = self.head_size;
        let y = inputs.each_token(|state, at, y| {
            let vectors = [&r, &w, &k, &v, &kk, &b].map(|x| &x[at.clone()]);
            update_and_read(state, size, vectors, y);
        });
        let mut y = self.ln_x.groups(&y, size, self.gn_eps);
        self.add_bonus(&mut y, [&r, &k, &v]);
        let mut hidden = products.of(&self.gate[0], &xg);
        hidden.iter_mut().for_each(|h| *h = sigmoid(*h));
        let g = products.of(&self.gate[1], &hidden);
        products.of(&self.output, &zip(&y, &g, |y, g| y * g))
    }

    /// Values, mixed with those of the first layer.
    fn values(&self, xv: &[f32], v_first: &mut Vec<f32>, products: &mut dyn Products) -> Vec<f32> {
        let v = products.of(&self.value, xv);
        let Some(residual) = &self.residual else {
            v_first.clone_from(&v);
            return v;
        };
        let lean = residual.of(xv, |h| h, products);
        let both = v.iter().zip(v_first.iter()).zip(lean);
        both.map(|((v, first), lean)| v + (first - v) * sigmoid(lean))
            .collect()
    }

    /// `k k_k`, of length one in each head.
    fn directions(&self, k: &[f32]) -> Vec<f32> {
        let mut kk = zip(k, &self.k_k, |k, k_k| k * k_k);
        for kk in kk.chunks_exact_mut(self.head_size) {
            let length = dot(kk, kk).sqrt().max(1e-12);
            kk.iter_mut().for_each(|kk| *kk /= length);
        }
        kk
    }

    /// `y += (sum_j r[j] k[j] r_k[j]) v`, for each head.
    fn add_bonus(&self, y: &mut [f32], [r, k, v]: [&[f32]; 3]) {
        let rk = zip(r, k, |r, k| r * k);
        let size = self.head_size;
        let heads = y.chunks_exact_mut(size).zip(rk.chunks_exact(size));
        let heads = heads.zip(v.chunks_exact(size));
        for (((y, rk), v), r_k) in heads.zip(self.r_k.chunks_exact(size).cycle()) {
            let weight = dot(rk, r_k);
            y.iter_mut().zip(v).for_each(|(y, v)| *y += weight * v);
        }
    }
}

/// `sa[i] = -sum_j S[i,j] kk[j]`, `S[i,j] = S[i,j] w[j] + sa[i] b[j] + v[i] k[j]`,
/// `y[i] = sum_j S[i,j] r[j]`, `i` being the value channel.
fn update_and_read(
    state: &mut [f32],
    size: usize,
    [r, w, k, v, kk, b]: [&[f32]; 6],
    y: &mut [f32],
) {
    for ((c, row), y) in state.chunks_exact_mut(size).enumerate().zip(y) {
        let head = c / size * size..(c / size + 1) * size;
        let sa = -dot(row, &kk[head.clone()]);
        for (s, j) in row.iter_mut().zip(head.clone()) {
            *s = *s * w[j] + sa * b[j] + v[c] * k[j];
        }
        *y = dot(row, &r[head]);
    }
}
