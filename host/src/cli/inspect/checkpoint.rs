//! The report on a checkpoint.

use crate::checkpoint::{excerpt, Checkpoint};
use crate::cli::model::assumed_gn_eps;
use crate::cli::table::{thousands, Table};
use crate::model::{Model, Reading};
use crate::text::noun;
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
    /// Tensors of kinds that no network needs, and those that were left out.
    not_read: Vec<String>,
    ignored: Vec<String>,
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
    pub fn new(path: &Path, reading: &Reading) -> Result<Self> {
        let model = Model::new(Checkpoint::open(path)?, reading)?;
        let checkpoint = model.checkpoint();
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
        let d = model.dimensions();
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
            version: model.version().to_string(),
            dimensions,
            parameters,
            tensors,
            not_read: model.unread().harmless.clone(),
            ignored: model.unread().ignored.clone(),
        })
    }

    pub fn print(&self) -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(out, "checkpoint   {}, {}", self.version, self.format)?;
        let d = &self.dimensions;
        writeln!(
            out,
            "dimensions   {} {}, {} channels, {} hidden, {} vocabulary entries",
            d.layers,
            noun(d.layers as u64, "layer", "layers"),
            d.channels,
            d.ffn,
            d.vocab
        )?;
        if d.heads > 0 {
            writeln!(out, "heads        {} of {} channels", d.heads, d.head_size)?;
            writeln!(out, "assumed      {}", assumed_gn_eps())?;
        }
        writeln!(out, "parameters   {}", thousands(self.parameters))?;
        for (what, names) in [("not read", &self.not_read), ("ignored", &self.ignored)] {
            if !names.is_empty() {
                let names: Vec<_> = names.iter().map(|name| excerpt(name)).collect();
                writeln!(out, "{what:<12} {}", names.join(", "))?;
            }
        }
        writeln!(out)?;
        let mut table = Table::new(&["tensor", "type", "shape"]);
        for t in &self.tensors {
            table.row([excerpt(&t.name), t.dtype.clone(), format!("{:?}", t.shape)]);
        }
        write!(out, "{table}")?;
        Ok(())
    }
}
