//! The report on a checkpoint.

use crate::checkpoint::{excerpt, Checkpoint};
use crate::cli::table::{thousands, Table};
use crate::model::{detect_version, Model};
use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

#[derive(Debug, Serialize)]
pub(super) struct CheckpointReport {
    kind: &'static str,
    format: &'static str,
    version: String,
    dimensions: DimensionsReport,
    parameters: u64,
    tensors: Vec<TensorReport>,
}

#[derive(Debug, Serialize)]
struct DimensionsReport {
    layers: usize,
    channels: usize,
    ffn: usize,
    vocab: usize,
    /// 0, like the next two, where the version has none.
    heads: usize,
    head_size: usize,
    ranks: [usize; 4],
}

#[derive(Debug, Serialize)]
struct TensorReport {
    name: String,
    shape: Vec<usize>,
    dtype: String,
}

impl CheckpointReport {
    pub fn new(path: &Path) -> Result<Self> {
        let checkpoint = Checkpoint::open(path)?;
        let version = detect_version(&checkpoint).to_string();
        let format = checkpoint.format();
        let tensors: Vec<TensorReport> = checkpoint
            .tensors()
            .map(|info| TensorReport {
                name: info.name.clone(),
                shape: info.shape.clone(),
                dtype: info.dtype.name().to_lowercase(),
            })
            .collect();
        let parameters = tensors
            .iter()
            .map(|t| t.shape.iter().product::<usize>() as u64)
            .sum();
        let d = Model::new(checkpoint)?.dimensions();
        let dimensions = DimensionsReport {
            layers: d.layers,
            channels: d.embd,
            ffn: d.ffn,
            vocab: d.vocab,
            heads: d.heads,
            head_size: d.head_size(),
            ranks: d.ranks,
        };
        Ok(Self {
            kind: "checkpoint",
            format,
            version,
            dimensions,
            parameters,
            tensors,
        })
    }

    pub fn print(&self) -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "checkpoint   {}, {}", self.version, self.format)?;
        let d = &self.dimensions;
        writeln!(
            out,
            "dimensions   {} layers, {} channels, {} hidden, {} vocabulary entries",
            d.layers, d.channels, d.ffn, d.vocab
        )?;
        if d.heads > 0 {
            writeln!(out, "heads        {} of {} channels", d.heads, d.head_size)?;
        }
        writeln!(out, "parameters   {}\n", thousands(self.parameters))?;
        let mut table = Table::new(&["tensor", "type", "shape"]);
        for t in &self.tensors {
            table.row([excerpt(&t.name), t.dtype.clone(), format!("{:?}", t.shape)]);
        }
        write!(out, "{table}")?;
        Ok(())
    }
}
