//! Random checkpoints with the statistics of trained ones, for tests and
//! benches that need a shape and no sense.

use crate::checkpoint::{CheckpointError, Dtype, SafetensorsFile};
use crate::model::{layer_tensors, shared_tensors, Dimensions, Version};
use crate::random::Random;
use std::ops::Range;
use std::path::Path;

/// Values that are in memory at a time.
const CHUNK_VALUES: usize = 1 << 20;

/// Writes a checkpoint of the given version and sizes, its weights drawn from
/// `seed`, as 16-bit floats. Memory does not grow with the sizes.
///
/// # Errors
/// The file cannot be written.
pub fn write_random(
    path: &Path,
    version: Version,
    dimensions: &Dimensions,
    seed: u64,
) -> Result<(), CheckpointError> {
    let mut random = Random::new(seed);
    let shapes = shapes(version, dimensions);
    let described: Vec<(&str, &[usize], Dtype)> = shapes
        .iter()
        .map(|(name, shape)| (&**name, &**shape, Dtype::F16))
        .collect();
    let mut file = SafetensorsFile::create(path, &described)?;
    for (name, shape) in &shapes {
        let len = shape.iter().product();
        let spread = Spread::of(name, shape);
        for first in (0..len).step_by(CHUNK_VALUES) {
            let chunk = first..len.min(first + CHUNK_VALUES);
            file.write(name, first as u64, &spread.values(chunk, len, &mut random))?;
        }
    }
    file.finish()
}

fn shapes(version: Version, dimensions: &Dimensions) -> Vec<(String, Vec<usize>)> {
    let own = |(name, shape): (&str, _)| (name.to_owned(), shape);
    let mut shapes: Vec<_> = shared_tensors(dimensions).into_iter().map(own).collect();
    for layer in 0..dimensions.layers {
        for (name, shape) in layer_tensors(version, dimensions, layer) {
            shapes.push((format!("blocks.{layer}.{name}"), shape));
        }
    }
    shapes
}

/// How the values of a tensor are spread.
enum Spread {
    /// A normal distribution: mean, deviation.
    Normal(f32, f32),
    /// The same, kept between 0 and 1.
    Mix(f32, f32),
    /// The ladder that training starts from, slow to fast: first, height.
    Ladder(f32, f32),
}

impl Spread {
    fn of(name: &str, shape: &[usize]) -> Self {
        let tensor = name.split_once("att.").map_or(name, |(_, tensor)| tensor);
        // Low-rank matrices are [inputs, outputs], the others the other way.
        let scaled = |deviation: f32, inputs: usize| {
            let inputs = shape.get(inputs).copied().unwrap_or(1);
            Spread::Normal(0.0, deviation / (inputs as f32).sqrt())
        };
        match tensor {
            "time_decay" => Spread::Ladder(-5.0, 6.5),
            "w0" => Spread::Ladder(-5.0, 6.0),
            "time_first" => Spread::Normal(-1.2, 0.3),
            "time_faaaa" => Spread::Normal(0.3, 0.3),
            "time_maa_w1" => scaled(0.6, 0),
            "time_maa_w2" => scaled(0.6, 1),
            "time_decay_w1" | "w1" | "a1" | "v1" | "g1" => scaled(1.0, 0),
            "time_decay_w2" | "w2" | "a2" | "v2" => scaled(1.0, 0),
            // The gate behind it has no bias: its mean is zero.
            "g2" => scaled(2.0, 0),
            "a0" | "v0" => Spread::Normal(0.0, 0.5),
            "k_k" => Spread::Normal(0.85, 0.15),
            "k_a" => Spread::Normal(1.0, 0.15),
            "r_k" => Spread::Normal(0.0, 0.3),
            _ if name.contains("time_mix") || name.contains("time_maa") || name.contains(".x_") => {
                Spread::Mix(0.5, 0.25)
            }
            _ if name.contains("ln") && name.ends_with("weight") => Spread::Normal(1.0, 0.15),
            _ if name.contains("ln") => Spread::Normal(0.0, 0.1),
            _ => scaled(1.2, 1),
        }
    }

    /// The values in `range` of `len`; ranges must come in order.
    fn values(&self, range: Range<usize>, len: usize, random: &mut Random) -> Vec<f32> {
        let value = |i: usize| match *self {
            Spread::Normal(mean, deviation) => mean + deviation * random.normal(),
            Spread::Mix(mean, deviation) => (mean + deviation * random.normal()).clamp(0.0, 1.0),
            Spread::Ladder(first, height) => {
                // To the power of 1.5, in operations that round alike everywhere.
                let part = i as f32 / len as f32;
                first + height * (part * part.sqrt())
            }
        };
        range.map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::model::Model;
    use crate::reference::{Reference, DEFAULT_GN_EPS};

    fn dimensions(version: Version) -> Dimensions {
        let ranks = match version {
            Version::V6 => [8, 8, 0, 0],
            Version::V7 => [8, 8, 8, 16],
            _ => [0; 4],
        };
        Dimensions {
            layers: 2,
            embd: 32,
            ffn: 64,
            vocab: 64,
            classes: 0,
            heads: if version == Version::V4 { 0 } else { 2 },
            ranks,
        }
    }

    /// The logits after 24 tokens, with all tensors that end in `without`
    /// made zero.
    fn logits(path: &Path, without: Option<&str>) -> Vec<f32> {
        let folder = tempfile::tempdir().unwrap();
        let path = match without {
            None => path.to_path_buf(),
            Some(end) => {
                let copy = folder.path().join("without.safetensors");
                write_without(path, &copy, end);
                copy
            }
        };
        let reference = Reference::new(&Model::open(&path).unwrap(), DEFAULT_GN_EPS).unwrap();
        let mut state = reference.state();
        (0..24).for_each(|i| reference.advance(i * 7 % 64, &mut state));
        reference.logits(&mut state).to_vec()
    }

    fn write_without(from: &Path, to: &Path, end: &str) {
        let checkpoint = Checkpoint::open(from).unwrap();
        let load = |name: &str| {
            let mut tensor = checkpoint.load(name).unwrap();
            if name.ends_with(end) {
                tensor.data.fill(0.0);
            }
            tensor
        };
        let tensors: Vec<_> = checkpoint
            .tensors()
            .map(|info| (&info.name, load(&info.name)))
            .collect();
        let described: Vec<(&str, &[usize], Dtype)> = tensors
            .iter()
            .map(|(name, tensor)| (&***name, &*tensor.shape, Dtype::F16))
            .collect();
        let mut file = SafetensorsFile::create(to, &described).unwrap();
        for (name, tensor) in &tensors {
            file.write(name, 0, &tensor.data).unwrap();
        }
        file.finish().unwrap();
    }

    /// A random model in which a part does nothing would hide its mistakes.
    #[test]
    fn every_tensor_moves_the_logits() {
        let folder = tempfile::tempdir().unwrap();
        use Version::{V4, V5, V51, V52, V6, V7};
        for version in [V4, V5, V51, V52, V6, V7] {
            let path = folder.path().join("model.safetensors");
            write_random(&path, version, &dimensions(version), 1).unwrap();
            let whole = logits(&path, None);
            assert!(whole.iter().all(|l| l.abs() < 30.0), "{version}: {whole:?}");
            for (name, _) in layer_tensors(version, &dimensions(version), 1) {
                let moved = logits(&path, Some(name));
                let most = whole.iter().zip(&moved).map(|(a, b)| (a - b).abs());
                let most = most.fold(0.0, f32::max);
                assert!(most > 0.005, "{version}: {name} moves the logits by {most}");
            }
        }
    }
}
