//! Random checkpoints with the statistics of trained ones, for tests and
//! benches that need a shape and no sense.

use crate::checkpoint::{CheckpointError, Dtype, SafetensorsFile};
use crate::model::{v4_layer_shapes, Dimensions};
use kinglet::Pcg32;
use std::ops::Range;
use std::path::Path;

/// Values that are in memory at a time.
const CHUNK_VALUES: usize = 1 << 20;

/// Writes an RWKV-4 checkpoint of the given sizes, its weights drawn from
/// `seed`, as 16-bit floats. Memory does not grow with the sizes.
///
/// # Errors
/// The file cannot be written.
pub fn write_v4(path: &Path, dimensions: &Dimensions, seed: u64) -> Result<(), CheckpointError> {
    let mut random = Random {
        rng: Pcg32::new(seed),
        spare: None,
    };
    let shapes = shapes(dimensions);
    let described: Vec<(&str, &[usize], Dtype)> = shapes
        .iter()
        .map(|(name, shape)| (&**name, &**shape, Dtype::F16))
        .collect();
    let mut file = SafetensorsFile::create(path, &described)?;
    for (name, shape) in &shapes {
        let len = shape.iter().product();
        for first in (0..len).step_by(CHUNK_VALUES) {
            let chunk = first..len.min(first + CHUNK_VALUES);
            file.write(name, first as u64, &values(name, shape, chunk, &mut random))?;
        }
    }
    file.finish()
}

fn shapes(dimensions: &Dimensions) -> Vec<(String, Vec<usize>)> {
    let Dimensions {
        layers,
        embd,
        vocab,
        ..
    } = *dimensions;
    let mut shapes = vec![("emb.weight".to_owned(), vec![vocab, embd])];
    for name in ["blocks.0.ln0.weight", "blocks.0.ln0.bias"] {
        shapes.push((name.to_owned(), vec![embd]));
    }
    for layer in 0..layers {
        for (name, shape) in v4_layer_shapes(dimensions) {
            shapes.push((format!("blocks.{layer}.{name}"), shape));
        }
    }
    for name in ["ln_out.weight", "ln_out.bias"] {
        shapes.push((name.to_owned(), vec![embd]));
    }
    shapes.push(("head.weight".to_owned(), vec![vocab, embd]));
    shapes
}

/// The values of a tensor in `range`; ranges must come in order.
fn values(name: &str, shape: &[usize], range: Range<usize>, random: &mut Random) -> Vec<f32> {
    let len: usize = shape.iter().product();
    let fan_in = shape.last().copied().unwrap_or(1) as f32;
    let mut draw = |mean: f32, deviation: f32| -> Vec<f32> {
        let range = range.clone();
        range.map(|_| mean + deviation * random.normal()).collect()
    };
    if name.contains("time_decay") {
        // The ladder that training starts from: slow to fast channels.
        range
            .map(|i| -5.0 + 8.0 * (i as f32 / len as f32).powf(1.5))
            .collect()
    } else if name.contains("time_first") {
        draw(-1.2, 0.3)
    } else if name.contains("time_mix") {
        draw(0.5, 0.25)
            .into_iter()
            .map(|mix| mix.clamp(0.0, 1.0))
            .collect()
    } else if name.contains("ln") && name.ends_with("weight") {
        draw(1.0, 0.15)
    } else if name.contains("ln") {
        draw(0.0, 0.1)
    } else {
        draw(0.0, 1.2 / fan_in.sqrt())
    }
}

struct Random {
    rng: Pcg32,
    spare: Option<f32>,
}

impl Random {
    /// A standard normal number, by the polar method of Marsaglia.
    fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (
                2.0 * self.rng.next_f32() - 1.0,
                2.0 * self.rng.next_f32() - 1.0,
            );
            let s = a * a + b * b;
            if s > 0.0 && s < 1.0 {
                let factor = (-2.0 * s.ln() / s).sqrt();
                self.spare = Some(b * factor);
                return a * factor;
            }
        }
    }
}
