//! Random checkpoints with the statistics of trained ones, for tests and
//! benches.

use crate::checkpoint::{CheckpointError, Dtype, SafetensorsFile};
use crate::model::{has_clear_shapes, Dimensions, Version, LOW_RANK_KEY};
use crate::output;
use crate::random::Random;
use crate::tensors::{table, Placed};
use std::collections::BTreeMap;
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
    let tensors: Vec<_> = table(version)
        .tensors(dimensions.layers)
        .map(|placed| {
            let Placed { tensor, .. } = placed;
            (placed.name(), tensor.shape(dimensions), tensor.random)
        })
        .collect();
    let described: Vec<(&str, &[usize], Dtype)> = tensors
        .iter()
        .map(|(name, shape, _)| (&**name, &**shape, Dtype::F16))
        .collect();
    let mut notes = BTreeMap::new();
    if !has_clear_shapes(version, dimensions) {
        notes.insert(LOW_RANK_KEY.to_owned(), "[inputs, outputs]".to_owned());
    }
    let failed = |error| CheckpointError::new(path, error);
    output::write(path, failed, |out| {
        let mut file = SafetensorsFile::new(path, out, &described, &notes)?;
        for (name, shape, spread) in &tensors {
            let len = shape.iter().product();
            for first in (0..len).step_by(CHUNK_VALUES) {
                let chunk = first..len.min(first + CHUNK_VALUES);
                let values = spread.values(chunk, shape, &mut random);
                file.write(name, first as u64, &values)?;
            }
        }
        file.finish().map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{write_safetensors, Checkpoint};
    use crate::model::Model;
    use crate::reference::{Reference, DEFAULT_GN_EPS};

    fn dimensions(version: Version) -> Dimensions {
        Dimensions {
            layers: 2,
            embd: 32,
            ffn: 64,
            vocab: 64,
            classes: 0,
            heads: if version == Version::V4 { 0 } else { 2 },
            ranks: (table(version).ranks.trained)(32, 2),
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
        let written: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| (&***name, &*tensor.shape, Dtype::F16, &*tensor.data))
            .collect();
        write_safetensors(to, &written, checkpoint.metadata()).unwrap();
    }

    /// A random model in which a part does nothing would hide its mistakes.
    #[test]
    fn every_tensor_moves_the_logits() {
        let folder = tempfile::tempdir().unwrap();
        for version in Version::ALL {
            let path = folder.path().join("model.safetensors");
            write_random(&path, version, &dimensions(version), 1).unwrap();
            let whole = logits(&path, None);
            assert!(whole.iter().all(|l| l.abs() < 30.0), "{version}: {whole:?}");
            for tensor in table(version).layer_tensors() {
                let name = tensor.name;
                let moved = logits(&path, Some(name));
                let most = whole.iter().zip(&moved).map(|(a, b)| (a - b).abs());
                let most = most.fold(0.0, f32::max);
                assert!(most > 0.005, "{version}: {name} moves the logits by {most}");
            }
        }
    }
}
