//! How an image stores a tensor, and the inverse: the packer needs the first,
//! training that rounds needs both.

use super::{names, Dimensions, Tensor};

/// The form of a tensor in the image, before it is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The tensor.
    Plain,
    /// The tensor, as the part of this name.
    As(&'static str),
    /// Its rows, normalized by ln0.
    Normalized,
    /// Nothing: it is in what is `Normalized`.
    Folded,
    /// Checkpoints have `[inputs, outputs]`, images the other way.
    Transposed,
    /// The same; several matrices, each a part of such a name.
    Slices(&'static [&'static str]),
    /// One less: images weigh the current token.
    Complement,
    /// `-exp` of it.
    Decay,
    /// `-exp` of it, for each channel.
    DecayPerChannel,
    /// The bonus for each channel, of which the tensor may be the logarithm.
    BonusPerChannel,
}

impl Tensor {
    /// The values of a vector's part; `name` is the one of its names that the
    /// checkpoint has.
    pub fn stored_vector(&self, name: &str, values: Vec<f32>, channels: usize) -> Vec<f32> {
        match self.stored {
            Stored::Complement => values.into_iter().map(complement).collect(),
            Stored::Decay => values.into_iter().map(decay).collect(),
            Stored::DecayPerChannel => decay_per_channel(&values, channels),
            Stored::BonusPerChannel => bonus_per_channel(name, &values, channels),
            _ => values,
        }
    }

    /// The rows `[outputs, inputs]` of a part that is a matrix, and its inputs; `index`
    /// is that of the matrix where the tensor has several.
    pub fn stored_matrix(
        &self,
        values: Vec<f32>,
        index: Option<usize>,
        dimensions: &Dimensions,
    ) -> (Vec<f32>, usize) {
        let [.., rows, cols] = *self.shape(dimensions) else {
            unreachable!("a matrix has rows and columns");
        };
        if !self.is_turned() {
            return (values, cols);
        }
        let first = index.map_or(0, |index| index * rows * cols);
        (turn(&values[first..first + rows * cols], cols), rows)
    }

    /// Whether the values of its part are rows `[outputs, inputs]` which lie
    /// the other way in the tensor.
    pub fn is_turned(&self) -> bool {
        matches!(self.stored, Stored::Transposed | Stored::Slices(_))
    }
}

/// Its own inverse for half floats: the difference is exact, but for a mix
/// that exceeds 1 by less than 2^-13.
pub(crate) fn complement(mix: f32) -> f32 {
    1.0 - mix
}

/// The decay that RWKV-4's recurrence adds: `-exp(time_decay)`, computed in f64.
fn decay(time_decay: f32) -> f32 {
    -libm::exp(f64::from(time_decay)) as f32
}

/// `-exp(time_decay)` by channel `[C]`, computed in f64; the values are
/// by channel or by head.
fn decay_per_channel(values: &[f32], channels: usize) -> Vec<f32> {
    let decays = values.iter().map(|&v| decay(v));
    per_channel(decays, values.len(), channels)
}

/// The bonus by channel `[C]`: the tensor of this name, or where that is the
/// logarithm, its exponential; the values are by channel or by head.
fn bonus_per_channel(name: &str, values: &[f32], channels: usize) -> Vec<f32> {
    let bonus = |&value: &f32| match name == names::att::TIME_FIRST {
        true => libm::exp(f64::from(value)) as f32,
        false => value,
    };
    per_channel(values.iter().map(bonus), values.len(), channels)
}

fn per_channel(values: impl Iterator<Item = f32>, len: usize, channels: usize) -> Vec<f32> {
    let times = channels / len.max(1);
    values
        .flat_map(|value| std::iter::repeat_n(value, times))
        .collect()
}

/// A matrix of rows of `cols`, the other way.
pub(crate) fn turn(values: &[f32], cols: usize) -> Vec<f32> {
    let column = |col: usize| values.iter().skip(col).step_by(cols);
    (0..cols).flat_map(column).copied().collect()
}
