//! Random values with the statistics of trained ones.

use crate::random::Random;
use std::ops::Range;

/// How the values of a tensor are spread.
#[derive(Clone, Copy, Debug)]
pub enum Spread {
    /// A normal distribution: mean, deviation.
    Normal(f32, f32),
    /// The same, kept between 0 and 1.
    Mix(f32, f32),
    /// The ladder that training starts from, slow to fast: first, height.
    Ladder(f32, f32),
    /// Mean 0; deviation over the root of the inputs, which are the axis of
    /// this index.
    Scaled(f32, usize),
}

impl Spread {
    /// The values in `range` of a tensor of this shape; ranges must come in
    /// order.
    pub fn values(&self, range: Range<usize>, shape: &[usize], random: &mut Random) -> Vec<f32> {
        let len: usize = shape.iter().product();
        let normal = |mean, deviation, random: &mut Random| mean + deviation * random.normal();
        let value = |i: usize| match *self {
            Spread::Normal(mean, deviation) => normal(mean, deviation, random),
            Spread::Mix(mean, deviation) => normal(mean, deviation, random).clamp(0.0, 1.0),
            Spread::Scaled(deviation, inputs) => {
                normal(0.0, deviation / (shape[inputs] as f32).sqrt(), random)
            }
            Spread::Ladder(first, height) => {
                // To the power of 1.5, in operations that round alike everywhere.
                let part = i as f32 / len as f32;
                first + height * (part * part.sqrt())
            }
        };
        range.map(value).collect()
    }
}
