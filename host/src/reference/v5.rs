//! The time mix of RWKV-5.0, 5.1 and 5.2.

use super::load::Tensors;
use super::ops::{shift, silu, zip, Matrix, Norm};
use crate::model::{is_log_bonus, Model, ModelError, Version};

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

/// `exp(-exp(time_decay))` by channel `[C]`, computed in f64; the values are
/// by channel or by head.
pub(crate) fn decay_per_channel(values: &[f32], channels: usize) -> Vec<f32> {
    let decays = values.iter().map(|&v| (-f64::from(v).exp()).exp() as f32);
    per_channel(decays, values.len(), channels)
}

/// The bonus by channel `[C]`: the tensor of this name, or where a checkpoint
/// has the logarithm, its exponential; the values are by channel or by head.
pub(crate) fn bonus_per_channel(model: &Model, name: &str) -> Result<Vec<f32>, ModelError> {
    let values = model.load(name)?.data;
    let bonus = |&value: &f32| match is_log_bonus(name) {
        true => f64::from(value).exp() as f32,
        false => value,
    };
    let channels = model.dimensions().embd;
    Ok(per_channel(
        values.iter().map(bonus),
        values.len(),
        channels,
    ))
}

fn per_channel(values: impl Iterator<Item = f32>, len: usize, channels: usize) -> Vec<f32> {
    let times = channels / len.max(1);
    values
        .flat_map(|value| std::iter::repeat_n(value, times))
        .collect()
}

impl TimeMix {
    pub fn load(tensors: &Tensors<'_>, gn_eps: f32) -> Result<Self, ModelError> {
        let (version, channels) = (tensors.model.version(), tensors.model.dimensions().embd);
        let bonus = tensors.model.name_in_layer(tensors.index, "att.time_faaaa");
        let u = bonus_per_channel(tensors.model, &bonus)?;
        let gate = (version != Version::V5).then(|| {
            let gate = tensors.matrix("att.gate.weight")?;
            Ok::<_, ModelError>((tensors.vector("att.time_mix_g")?, gate))
        });
        Ok(Self {
            mix_k: tensors.vector("att.time_mix_k")?,
            mix_v: tensors.vector("att.time_mix_v")?,
            mix_r: tensors.vector("att.time_mix_r")?,
            key: tensors.matrix("att.key.weight")?,
            value: tensors.matrix("att.value.weight")?,
            receptance: tensors.matrix("att.receptance.weight")?,
            w: decay_per_channel(&tensors.vector("att.time_decay")?, channels),
            u,
            ln_x: tensors.norm("att.ln_x")?,
            gn_eps,
            head_size: tensors.head_size(),
            gate: gate.transpose()?,
            output: tensors.matrix("att.output.weight")?,
        })
    }

    pub fn step(&self, xx: &[f32], previous: &[f32], state: &mut [f32]) -> Vec<f32> {
        let k = self.key.times(&shift(xx, previous, &self.mix_k));
        let v = self.value.times(&shift(xx, previous, &self.mix_v));
        let r = self.receptance.times(&shift(xx, previous, &self.mix_r));
        let y = read_and_update(state, self.head_size, [&r, &k, &v], [&self.w, &self.u]);
        let y = self.ln_x.groups(&y, self.head_size, self.gn_eps);
        match &self.gate {
            Some((mix_g, gate)) => {
                let g = gate.times(&shift(xx, previous, mix_g));
                self.output.times(&zip(&y, &g, |y, g| y * silu(g)))
            }
            None => self.output.times(&y),
        }
    }
}

/// `y[j] = sum_i r[i] (u[i] k[i] v[j] + S[i,j])`, and the state moves on:
/// `S[i,j] = k[i] v[j] + w[i] S[i,j]`, `i` being the key channel.
pub(super) fn read_and_update(
    state: &mut [f32],
    size: usize,
    [r, k, v]: [&[f32]; 3],
    [w, u]: [&[f32]; 2],
) -> Vec<f32> {
    let mut y = vec![0.0; v.len()];
    for (c, row) in state.chunks_exact_mut(size).enumerate() {
        let head = c / size * size..(c / size + 1) * size;
        let values = v[head.clone()].iter().zip(&mut y[head]);
        for (s, (v, y)) in row.iter_mut().zip(values) {
            *y += r[c] * (u[c] * k[c] * v + *s);
            *s = k[c] * v + w[c] * *s;
        }
    }
    y
}
