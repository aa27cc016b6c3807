//! The time mix of RWKV-5.0, 5.1 and 5.2.

use super::load::Tensors;
use super::ops::{shift, silu, zip, Matrix, Norm, Products};
use super::Inputs;
use crate::model::Version;
use crate::tensors::names::att;
use anyhow::Result;

#[derive(Debug)]
pub(super) struct TimeMix {
    mix_k: Vec<f32>,
    mix_v: Vec<f32>,
    mix_r: Vec<f32>,
    key: Matrix,
    value: Matrix,
    receptance: Matrix,
    /// Decay and bonus by key channel, `[C]` each.
    w: Vec<f32>,
    u: Vec<f32>,
    ln_x: Norm,
    gn_eps: f32,
    head_size: usize,
    /// Mix and gate; RWKV-5.0 has none.
    gate: Option<(Vec<f32>, Matrix)>,
    output: Matrix,
}

impl TimeMix {
    pub fn load(tensors: &Tensors<'_>, gn_eps: f32) -> Result<Self> {
        let gate = (tensors.model.version() != Version::V5).then(|| {
            let gate = tensors.matrix(att::GATE)?;
            anyhow::Ok((tensors.vector(att::TIME_MIX_G)?, gate))
        });
        Ok(Self {
            mix_k: tensors.vector(att::TIME_MIX_K)?,
            mix_v: tensors.vector(att::TIME_MIX_V)?,
            mix_r: tensors.vector(att::TIME_MIX_R)?,
            key: tensors.matrix(att::KEY)?,
            value: tensors.matrix(att::VALUE)?,
            receptance: tensors.matrix(att::RECEPTANCE)?,
            w: decays(tensors.stored(att::TIME_DECAY)?),
            u: tensors.stored(att::TIME_FAAAA)?,
            ln_x: tensors.norm(att::LN_X)?,
            gn_eps,
            head_size: tensors.head_size(),
            gate: gate.transpose()?,
            output: tensors.matrix(att::OUTPUT)?,
        })
    }

    pub fn step(&self, inputs: &mut Inputs<'_>, products: &mut dyn Products) -> Vec<f32> {
        let (xx, previous) = (inputs.xx, inputs.previous);
        let k = products.of(&self.key, &shift(xx, previous, &self.mix_k));
        let v = products.of(&self.value, &shift(xx, previous, &self.mix_v));
        let r = products.of(&self.receptance, &shift(xx, previous, &self.mix_r));
        let size = self.head_size;
        let y = inputs.each_token(|state, at, y| {
            let rkv = [&r[at.clone()], &k[at.clone()], &v[at]];
            read_and_update(state, size, rkv, [&self.w, &self.u], y);
        });
        let y = self.ln_x.groups(&y, size, self.gn_eps);
        match &self.gate {
            Some((mix_g, gate)) => {
                let g = products.of(gate, &shift(xx, previous, mix_g));
                products.of(&self.output, &zip(&y, &g, |y, g| y * silu(g)))
            }
            None => products.of(&self.output, &y),
        }
    }
}

/// `y[j] = sum_i r[i] (u[i] k[i] v[j] + S[i,j])`, and the state moves on:
/// `S[i,j] = k[i] v[j] + w[i] S[i,j]`, `i` being the key channel. `y` begins as zeros.
pub(super) fn read_and_update(
    state: &mut [f32],
    size: usize,
    [r, k, v]: [&[f32]; 3],
    [w, u]: [&[f32]; 2],
    y: &mut [f32],
) {
    for (c, row) in state.chunks_exact_mut(size).enumerate() {
        let head = c / size * size..(c / size + 1) * size;
        let values = v[head.clone()].iter().zip(&mut y[head]);
        for (s, (v, y)) in row.iter_mut().zip(values) {
            *y += r[c] * (u[c] * k[c] * v + *s);
            *s = k[c] * v + w[c] * *s;
        }
    }
}

/// The decays of their logarithms.
fn decays(logarithms: Vec<f32>) -> Vec<f32> {
    let decays = logarithms
        .into_iter()
        .map(|w| libm::exp(f64::from(w)) as f32);
    decays.collect()
}
