//! The time mix of RWKV-6.

use super::load::Tensors;
use super::ops::{exp, shift_back, silu, tanh, zip, Matrix, Norm, Products};
use super::v5::read_and_update;
use super::v7::LowRank;
use super::Inputs;
use crate::tensors::names::att;
use anyhow::Result;

#[derive(Debug)]
pub(super) struct TimeMix {
    maa_x: Vec<f32>,
    /// `[5 R, C]`.
    maa_w1: Matrix,
    /// Mix and `[C, R]` of w, k, v, r, g.
    mixes: Vec<(Vec<f32>, Matrix)>,
    decay: LowRank,
    key: Matrix,
    value: Matrix,
    receptance: Matrix,
    gate: Matrix,
    u: Vec<f32>,
    ln_x: Norm,
    gn_eps: f32,
    head_size: usize,
    output: Matrix,
}

impl TimeMix {
    pub fn load(tensors: &Tensors<'_>, gn_eps: f32) -> Result<Self> {
        let parts = att::TIME_MAA.into_iter().zip(att::TIME_MAA_W2_PARTS);
        let mixes = parts.map(|(mix, part)| Ok((tensors.vector(mix)?, tensors.matrix(part)?)));
        Ok(Self {
            maa_x: tensors.vector(att::TIME_MAA_X)?,
            maa_w1: tensors.matrix(att::TIME_MAA_W1)?,
            mixes: mixes.collect::<Result<_>>()?,
            decay: LowRank::load(tensors, att::DECAY)?,
            key: tensors.matrix(att::KEY)?,
            value: tensors.matrix(att::VALUE)?,
            receptance: tensors.matrix(att::RECEPTANCE)?,
            gate: tensors.matrix(att::GATE)?,
            u: tensors.vector(att::TIME_FAAAA)?,
            ln_x: tensors.norm(att::LN_X)?,
            gn_eps,
            head_size: tensors.head_size(),
            output: tensors.matrix(att::OUTPUT)?,
        })
    }

    pub fn step(&self, inputs: &mut Inputs<'_>, products: &mut dyn Products) -> Vec<f32> {
        let [xw, xk, xv, xr, xg] = self.shifted(inputs, products);
        let mut w = self.decay.of(&xw, tanh, products);
        w.iter_mut().for_each(|w| *w = exp(-exp(*w)));
        let k = products.of(&self.key, &xk);
        let v = products.of(&self.value, &xv);
        let r = products.of(&self.receptance, &xr);
        let size = self.head_size;
        let y = inputs.each_token(|state, at, y| {
            let rkv = [&r[at.clone()], &k[at.clone()], &v[at.clone()]];
            read_and_update(state, size, rkv, [&w[at], &self.u], y);
        });
        let y = self.ln_x.groups(&y, size, self.gn_eps);
        let g = products.of(&self.gate, &xg);
        products.of(&self.output, &zip(&y, &g, |y, g| y * silu(g)))
    }

    /// The five mixes, which depend on the data.
    fn shifted(&self, inputs: &Inputs<'_>, products: &mut dyn Products) -> [Vec<f32>; 5] {
        let along = |mix: &[f32]| shift_back(inputs.xx, inputs.previous, mix);
        let mut z = products.of(&self.maa_w1, &along(&self.maa_x));
        z.iter_mut().for_each(|z| *z = tanh(*z));
        let all = self.maa_w1.data.len() / self.maa_w1.cols;
        let rank = all / self.mixes.len();
        std::array::from_fn(|q| {
            let (maa, w2) = &self.mixes[q];
            let block = z.chunks_exact(all).flat_map(|z| &z[q * rank..][..rank]);
            let moved = products.of(w2, &block.copied().collect::<Vec<_>>());
            along(&zip(&moved, maa, |moved, maa| maa + moved))
        })
    }
}
