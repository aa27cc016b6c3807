//! The time mix of RWKV-4.

use super::load::Tensors;
use super::ops::{exp, shift, sigmoid, Matrix, Products};
use super::Inputs;
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

    pub fn step(&self, inputs: &mut Inputs<'_>, products: &mut dyn Products) -> Vec<f32> {
        let (xx, previous) = (inputs.xx, inputs.previous);
        let k = products.of(&self.key, &shift(xx, previous, &self.mix_k));
        let v = products.of(&self.value, &shift(xx, previous, &self.mix_v));
        let r = products.of(&self.receptance, &shift(xx, previous, &self.mix_r));
        let y = inputs.each_token(|state, at, y| {
            let channels = at.len();
            let (aa, rest) = state.split_at_mut(channels);
            let (bb, pp) = rest.split_at_mut(channels);
            for (c, (at, y)) in at.zip(y).enumerate() {
                let wkv = average(
                    [&mut aa[c], &mut bb[c], &mut pp[c]],
                    [k[at], v[at], self.w[c], self.u[c]],
                );
                *y = sigmoid(r[at]) * wkv;
            }
        });
        products.of(&self.output, &y)
    }
}

/// The weighted average of a channel, whose state moves on.
fn average([aa, bb, pp]: [&mut f32; 3], [k, v, w, u]: [f32; 4]) -> f32 {
    let q = pp.max(u + k);
    let (e1, e2) = (exp(*pp - q), exp(u + k - q));
    let wkv = (e1 * *aa + e2 * v) / (e1 * *bb + e2);
    let q = (*pp + w).max(k);
    let (e1, e2) = (exp(*pp + w - q), exp(k - q));
    *aa = e1 * *aa + e2 * v;
    *bb = e1 * *bb + e2;
    *pp = q;
    wkv
}
