//! The time mix of RWKV-6.

use super::load::Tensors;
use super::ops::{shift_back, silu, zip, Matrix, Norm};
use super::v5::read_and_update;
use super::v7::LowRank;
use crate::tensors::names::att;
use anyhow::Result;

#[derive(Debug)]
pub(super) struct TimeMix {
    maa_x: Vec<f32>,
    /// `[C, 5 R]`.
    maa_w1: Matrix,
    /// Mix and `[R, C]` of w, k, v, r, g.
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
        let w2 = tensors.matrix(att::TIME_MAA_W2)?;
        let slices = w2.data.chunks_exact(w2.data.len() / att::TIME_MAA.len());
        let mix = |(name, slice): (&str, &[f32])| {
            let matrix = Matrix {
                cols: w2.cols,
                data: slice.to_vec(),
            };
            Ok((tensors.vector(name)?, matrix))
        };
        let mixes: Result<_> = att::TIME_MAA.into_iter().zip(slices).map(mix).collect();
        Ok(Self {
            maa_x: tensors.vector(att::TIME_MAA_X)?,
            maa_w1: tensors.matrix(att::TIME_MAA_W1)?,
            mixes: mixes?,
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

    pub fn step(&self, xx: &[f32], previous: &[f32], state: &mut [f32]) -> Vec<f32> {
        let [xw, xk, xv, xr, xg] = self.shifted(xx, previous);
        let mut w = self.decay.of(&xw, f32::tanh);
        w.iter_mut().for_each(|w| *w = (-w.exp()).exp());
        let (k, v) = (self.key.times(&xk), self.value.times(&xv));
        let r = self.receptance.times(&xr);
        let y = read_and_update(state, self.head_size, [&r, &k, &v], [&w, &self.u]);
        let y = self.ln_x.groups(&y, self.head_size, self.gn_eps);
        let g = self.gate.times(&xg);
        self.output.times(&zip(&y, &g, |y, g| y * silu(g)))
    }

    /// The five mixes, which depend on the data.
    fn shifted(&self, xx: &[f32], previous: &[f32]) -> [Vec<f32>; 5] {
        let along = |mix: &[f32]| shift_back(xx, previous, mix);
        let mut z = self.maa_w1.times_left(&along(&self.maa_x));
        z.iter_mut().for_each(|z| *z = z.tanh());
        let rank = z.len() / self.mixes.len();
        std::array::from_fn(|q| {
            let (maa, w2) = &self.mixes[q];
            let moved = w2.times_left(&z[q * rank..][..rank]);
            along(&zip(maa, &moved, |maa, moved| maa + moved))
        })
    }
}
