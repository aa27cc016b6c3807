//! What a checkpoint is: its RWKV version, its dimensions, and whether every
//! tensor that the version needs is there with the right shape.

use crate::checkpoint::{Checkpoint, CheckpointError, Tensor};
use std::fmt;
use std::path::PathBuf;

/// An RWKV version, told by the names of the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RWKV-4 "Dove".
    V4,
    /// RWKV-5.0, without gate.
    V5,
    /// RWKV-5.2 "Eagle".
    V52,
    /// RWKV-6 "Finch".
    V6,
    /// RWKV-7 "Goose".
    V7,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "RWKV-4",
            Self::V5 => "RWKV-5.0",
            Self::V52 => "RWKV-5.2",
            Self::V6 => "RWKV-6",
            Self::V7 => "RWKV-7",
        })
    }
}

/// Why a checkpoint is not a model that this program can use.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tensors are not those of an RWKV model.
    #[error("{path}: has no tensor named `{name}`, so it is not an RWKV checkpoint with the original names")]
    NotRwkv {
        /// The file.
        path: PathBuf,
        /// The name looked for.
        name: &'static str,
    },
    /// Another version than this program runs.
    #[error("{path}: is an {version} checkpoint, but this build runs RWKV-4 only")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: Version,
    },
    /// A tensor that the version needs is not there.
    #[error("{path}: the tensor `{name}` is missing")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor has an unexpected shape.
    #[error("{path}: the tensor `{name}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the other tensors imply.
        expected: Vec<usize>,
    },
    /// A weight is not a number.
    #[error("{path}: the tensor `{name}` holds {value} at index {index}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The first such value.
        value: f32,
        /// Where it stands.
        index: usize,
    },
}

/// The sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimensions {
    /// Layers, L.
    pub layers: usize,
    /// Channels, C.
    pub embd: usize,
    /// Hidden channels of the channel mix, F.
    pub ffn: usize,
    /// Vocabulary entries, V.
    pub vocab: usize,
    pub heads: usize,
    pub ranks: [usize; 4],
}

/// A checkpoint whose tensors were all found, with the right shapes.
#[derive(Debug)]
pub struct Model {
    checkpoint: Checkpoint,
    version: Version,
    dimensions: Dimensions,
}

/// The version whose tensors the checkpoint has.
pub fn detect_version(checkpoint: &Checkpoint) -> Version {
    let has = |name: &str| checkpoint.info(&format!("blocks.0.att.{name}")).is_some();
    if has("r_k") {
        Version::V7
    } else if has("time_maa_x") {
        Version::V6
    } else if has("gate.weight") {
        Version::V52
    } else if has("ln_x.weight") {
        Version::V5
    } else {
        Version::V4
    }
}

impl Model {
    /// Finds version and dimensions, and checks names and shapes of all
    /// tensors; reads no weights yet.
    ///
    /// # Errors
    /// A sentence that names file and tensor.
    pub fn new(checkpoint: Checkpoint) -> Result<Self, ModelError> {
        let path = || checkpoint.path().to_path_buf();
        if checkpoint.info("blocks.0.ln1.weight").is_none() {
            return Err(ModelError::NotRwkv {
                path: path(),
                name: "blocks.0.ln1.weight",
            });
        }
        let version = detect_version(&checkpoint);
        let dimensions = dimensions(&checkpoint)?;
        let model = Self {
            checkpoint,
            version,
            dimensions,
        };
        model.check_shapes()?;
        Ok(model)
    }

    /// Opens a file and checks it.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn open(path: &std::path::Path) -> Result<Self, ModelError> {
        Self::new(Checkpoint::open(path)?)
    }

    /// The RWKV version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The sizes.
    pub fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    /// The file underneath.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Reads a tensor's values and checks that they are finite.
    ///
    /// # Errors
    /// The file cannot be read, or holds an infinity or a NaN there.
    pub fn load(&self, name: &str) -> Result<Tensor, ModelError> {
        let tensor = self.checkpoint.load(name)?;
        match tensor.data.iter().position(|v| !v.is_finite()) {
            None => Ok(tensor),
            Some(index) => Err(ModelError::NotFinite {
                path: self.checkpoint.path().to_path_buf(),
                name: name.to_owned(),
                value: tensor.data[index],
                index,
            }),
        }
    }

    /// Reads a tensor of layer `layer`.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_layer(&self, layer: usize, name: &str) -> Result<Tensor, ModelError> {
        self.load(&format!("blocks.{layer}.{name}"))
    }

    fn check_shapes(&self) -> Result<(), ModelError> {
        let Dimensions {
            layers,
            embd,
            vocab,
            ..
        } = self.dimensions;
        for name in [
            "blocks.0.ln0.weight",
            "blocks.0.ln0.bias",
            "ln_out.weight",
            "ln_out.bias",
        ] {
            self.check(name, &[embd])?;
        }
        self.check("emb.weight", &[vocab, embd])?;
        self.check("head.weight", &[vocab, embd])?;
        for layer in 0..layers {
            if self.version != Version::V4 {
                break;
            }
            for (name, shape) in v4_layer_shapes(&self.dimensions) {
                self.check(&format!("blocks.{layer}.{name}"), &shape)?;
            }
        }
        Ok(())
    }

    /// Vectors may have leading dimensions of one, as `[1, 1, C]`.
    fn check(&self, name: &str, expected: &[usize]) -> Result<(), ModelError> {
        let path = || self.checkpoint.path().to_path_buf();
        let Some(info) = self.checkpoint.info(name) else {
            return Err(ModelError::Missing {
                path: path(),
                name: name.to_owned(),
            });
        };
        let ones = info.shape.len().saturating_sub(expected.len());
        let (leading, shape) = info.shape.split_at(ones);
        if shape == expected && leading.iter().all(|&n| n == 1) {
            return Ok(());
        }
        Err(ModelError::Shape {
            path: path(),
            name: name.to_owned(),
            found: info.shape.clone(),
            expected: expected.to_vec(),
        })
    }
}

/// interim
pub fn v4_layer_shapes(d: &Dimensions) -> Vec<(&'static str, Vec<usize>)> {
    use kinglet::image::{Dim, Kind};
    let h = kinglet::Header::parse(&[]).ok();
    let _ = h;
    let size = |dim| match dim {
        Dim::Embd => d.embd,
        Dim::Ffn => d.ffn,
        _ => d.vocab,
    };
    kinglet::image::V4_SECTIONS
        .iter()
        .copied()
        .flatten()
        .map(|part| {
            (
                part.name,
                match part.kind {
                    Kind::Half(n) | Kind::Single(n) => vec![size(n)],
                    Kind::Matrix(r, c)
                    | Kind::Head(r, c)
                    | Kind::Table(r, c)
                    | Kind::Steer(r, c)
                    | Kind::Entry(r, c) => vec![size(r), size(c)],
                },
            )
        })
        .collect()
}

fn dimensions(checkpoint: &Checkpoint) -> Result<Dimensions, ModelError> {
    let matrix = |name: &'static str| {
        let path = || checkpoint.path().to_path_buf();
        match checkpoint.info(name) {
            None => Err(ModelError::Missing {
                path: path(),
                name: name.to_owned(),
            }),
            Some(info) if info.shape.len() == 2 && !info.shape.contains(&0) => {
                Ok((info.shape[0], info.shape[1]))
            }
            Some(info) => Err(ModelError::Shape {
                path: path(),
                name: name.to_owned(),
                found: info.shape.clone(),
                expected: vec![1, 1],
            }),
        }
    };
    let (vocab, embd) = matrix("emb.weight")?;
    let (ffn, _) = matrix("blocks.0.ffn.key.weight")?;
    let layers = (0..)
        .take_while(|i| checkpoint.info(&format!("blocks.{i}.ln1.weight")).is_some())
        .count();
    let shape = |l: usize, n: &str| {
        checkpoint
            .info(&format!("blocks.{l}.att.{n}"))
            .map(|i| i.shape.clone())
    };
    let last = |l: usize, n: &str| shape(l, n).and_then(|s| s.last().copied()).unwrap_or(0);
    let (heads, ranks) = match detect_version(checkpoint) {
        Version::V4 => (0, [0; 4]),
        Version::V5 | Version::V52 => (shape(0, "time_decay").unwrap()[0], [0; 4]),
        Version::V6 => (
            shape(0, "time_faaaa").unwrap()[0],
            [last(0, "time_decay_w1"), last(0, "time_maa_w1") / 5, 0, 0],
        ),
        Version::V7 => (
            shape(0, "r_k").unwrap()[0],
            [last(0, "w1"), last(0, "a1"), last(1, "v1"), last(0, "g1")],
        ),
    };
    Ok(Dimensions {
        layers,
        embd,
        ffn,
        vocab,
        heads,
        ranks,
    })
}
