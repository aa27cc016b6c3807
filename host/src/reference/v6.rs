//! The time mix of RWKV-6.

use super::load::Tensors;
use super::ops::{silu, zip, Matrix, Norm};
use super::v5::read_and_update;
use crate::tensors::names::att;
use anyhow::Result;

#[derive(Debug)]
pub(super) struct TimeMix {
    maa_x: Vec<f32>,
    /// `[C, 5 R]`.
    maa_w1: Matrix,
    /// Mix and `[R, C]` of w, k, v, r, g.
    mixes: Vec<(Vec<f32>, Matrix)>,
    decay: Vec<f32>,
    decay_w1: Matrix,
    decay_w2: Matrix,
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
            decay: tensors.vector(att::TIME_DECAY)?,
            decay_w1: tensors.matrix(att::TIME_DECAY_W1)?,
            decay_w2: tensors.matrix(att::TIME_DECAY_W2)?,
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
        let w = self.decays(&xw);
        let (k, v) = (self.key.times(&xk), self.value.times(&xv));
        let r = self.receptance.times(&xr);
        let y = read_and_update(state, self.head_size, [&r, &k, &v], [&w, &self.u]);
        let y = self.ln_x.groups(&y, self.head_size, self.gn_eps);
        let g = self.gate.times(&xg);
        self.output.times(&zip(&y, &g, |y, g| y * silu(g)))
    }

    /// The five mixes, which depend on the data.
    fn shifted(&self, xx: &[f32], previous: &[f32]) -> [Vec<f32>; 5] {
        let d = zip(previous, xx, |p, x| p - x);
        let along = |mix: &[f32]| -> Vec<f32> {
            let inputs = xx.iter().zip(&d).zip(mix);
            inputs.map(|((x, d), mix)| x + d * mix).collect()
        };
        let mut z = self.maa_w1.times_left(&along(&self.maa_x));
        z.iter_mut().for_each(|z| *z = z.tanh());
        let rank = z.len() / self.mixes.len();
        std::array::from_fn(|q| {
            let (maa, w2) = &self.mixes[q];
            let moved = w2.times_left(&z[q * rank..][..rank]);
            along(&zip(maa, &moved, |maa, moved| maa + moved))
        })
    }

    /// The decay of this token by channel.
    fn decays(&self, xw: &[f32]) -> Vec<f32> {
        let mut hidden = self.decay_w1.times_left(xw);
        hidden.iter_mut().for_each(|h| *h = h.tanh());
        let moved = self.decay_w2.times_left(&hidden);
        zip(&self.decay, &moved, |d, m| (-(d + m).exp()).exp())
    }
}
