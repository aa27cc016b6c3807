//! The channel mix of all versions.

use super::load::Tensors;
use super::ops::{shift, shift_back, sigmoid, zip, Matrix, Products};
use crate::tensors::{names::ffn, table, Stored};
use anyhow::Result;

/// How the current and the previous token are mixed.
type Shift = fn(&[f32], &[f32], &[f32]) -> Vec<f32>;

#[derive(Debug)]
pub(super) struct ChannelMix {
    shift: Shift,
    mix_k: Vec<f32>,
    key: Matrix,
    value: Matrix,
    /// Mix and receptance; RWKV-7 has none.
    gate: Option<(Vec<f32>, Matrix)>,
}

impl ChannelMix {
    pub fn load(tensors: &Tensors<'_>) -> Result<Self> {
        let (mix_k, mix_r) = table(tensors.model.version()).channel_mixes();
        let shift: Shift = match mix_k.stored {
            Stored::Complement => shift_back,
            _ => shift,
        };
        let gate = mix_r.map(|mix_r| {
            let receptance = tensors.matrix(ffn::RECEPTANCE)?;
            anyhow::Ok((tensors.vector(mix_r.name)?, receptance))
        });
        Ok(Self {
            shift,
            mix_k: tensors.vector(mix_k.name)?,
            key: tensors.matrix(ffn::KEY)?,
            value: tensors.matrix(ffn::VALUE)?,
            gate: gate.transpose()?,
        })
    }

    /// `value relu(key xk)^2`, gated by `sigmoid(receptance xr)`.
    pub fn step(&self, xx: &[f32], previous: &[f32], products: &mut dyn Products) -> Vec<f32> {
        let mut hidden = products.of(&self.key, &(self.shift)(xx, previous, &self.mix_k));
        hidden.iter_mut().for_each(|h| *h = h.max(0.0).powi(2));
        let gate = self.gate.as_ref().map(|(mix_r, receptance)| {
            let xr = (self.shift)(xx, previous, mix_r);
            products.of(receptance, &xr)
        });
        let out = products.of(&self.value, &hidden);
        match gate {
            Some(r) => zip(&r, &out, |r, out| sigmoid(r) * out),
            None => out,
        }
    }
}
