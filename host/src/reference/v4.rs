//! The time mix of RWKV-4.

use super::load::Tensors;
use super::ops::{shift, sigmoid, Matrix};
use crate::tensors::names::att;
use anyhow::Result;

#[derive(Debug)]
pub(super) struct TimeMix {
    mix_k: Vec<f32>,
    mix_v: Vec<f32>,
    mix_r: Vec<f32>,
    w: Vec<f32>,
    u: Vec<f32>,
    key: Matrix,
    value: Matrix,
    receptance: Matrix,
    output: Matrix,
}

/// aa, bb and pp of an empty text.
pub(super) fn empty_state(embd: usize) -> Vec<f32> {
    let mut state = vec![0.0; 3 * embd];
    state[2 * embd..].fill(-1e30);
    state
}

impl TimeMix {
    pub fn load(tensors: &Tensors<'_>) -> Result<Self> {
        Ok(Self {
            mix_k: tensors.vector(att::TIME_MIX_K)?,
            mix_v: tensors.vector(att::TIME_MIX_V)?,
            mix_r: tensors.vector(att::TIME_MIX_R)?,
            w: tensors.stored(att::TIME_DECAY)?,
            u: tensors.vector(att::TIME_FIRST)?,
            key: tensors.matrix(att::KEY)?,
            value: tensors.matrix(att::VALUE)?,
            receptance: tensors.matrix(att::RECEPTANCE)?,
            output: tensors.matrix(att::OUTPUT)?,
        })
    }

    pub fn step(&self, xx: &[f32], previous: &[f32], state: &mut [f32]) -> Vec<f32> {
        let k = self.key.times(&shift(xx, previous, &self.mix_k));
        let v = self.value.times(&shift(xx, previous, &self.mix_v));
        let r = self.receptance.times(&shift(xx, previous, &self.mix_r));
        let (aa, rest) = state.split_at_mut(xx.len());
        let (bb, pp) = rest.split_at_mut(xx.len());
        let average = |c: usize| {
            let wkv = average(
                [&mut aa[c], &mut bb[c], &mut pp[c]],
                [k[c], v[c], self.w[c], self.u[c]],
            );
            sigmoid(r[c]) * wkv
        };
        let y: Vec<f32> = (0..xx.len()).map(average).collect();
        self.output.times(&y)
    }
}

/// The weighted average of a channel, whose state moves on.
fn average([aa, bb, pp]: [&mut f32; 3], [k, v, w, u]: [f32; 4]) -> f32 {
    let q = pp.max(u + k);
    let (e1, e2) = ((*pp - q).exp(), (u + k - q).exp());
    let wkv = (e1 * *aa + e2 * v) / (e1 * *bb + e2);
    let q = (*pp + w).max(k);
    let (e1, e2) = ((*pp + w - q).exp(), (k - q).exp());
    *aa = e1 * *aa + e2 * v;
    *bb = e1 * *bb + e2;
    *pp = q;
    wkv
}
