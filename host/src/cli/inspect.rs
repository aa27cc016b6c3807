//! `kinglet inspect`: what a file is.

mod checkpoint;

use super::model::ReadingArgs;
use super::output::print_json;
use super::table::{thousands, Table};
use crate::engine::{image_labels, is_image, open_image};
use crate::labels::probability;
use crate::pack::{image_parts, Class, StoredPart};
use crate::text::noun;
use anyhow::Result;
use checkpoint::CheckpointReport;
use kinglet::image::TokenizerKind;
use kinglet::shape::{Layout, Shape};
use kinglet::tokenizer::Trie;
use kinglet::Image;
use kinglet_targets::CORES;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Show what an image or a checkpoint holds
///
/// For an image: version, dimensions, bytes by part, the RAM it needs, its
/// tokenizer, the states that `kinglet prime` put in, the labels that it answers with, and
/// whether its checksum is right. For a checkpoint: version,
/// dimensions and tensors, and which of them the model is read without.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  kinglet inspect model.kgl\n  kinglet inspect model.pth --json"
)]
pub struct Args {
    /// An image or a checkpoint
    file: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<()> {
    if is_image(&args.file)? {
        args.reading.check_image(&args.file)?;
        let file = open_image(&args.file)?;
        let report = ImageReport::new(&file.image());
        if args.json {
            return print_json(&report);
        }
        report.print()
    } else {
        let report = CheckpointReport::new(&args.file, &args.reading.reading())?;
        if args.json {
            return print_json(&report);
        }
        report.print()
    }
}

#[derive(Debug, Serialize)]
struct ImageReport {
    kind: &'static str,
    version: String,
    format_version: u16,
    /// Whether the following three are there, and text.
    metadata_ok: bool,
    name: String,
    producer: String,
    source: String,
    layers: u32,
    channels: u32,
    ffn: u32,
    vocab: u32,
    /// Where the version has a matrix state.
    #[serde(skip_serializing_if = "Option::is_none")]
    heads: Option<HeadsReport>,
    layout: String,
    tokenizer: &'static str,
    tokenizer_entries: u32,
    tokenizer_bytes: u32,
    states: Vec<StateReport>,
    /// Of a model that answers with a label.
    labels: Vec<String>,
    /// The answer is unknown where a label has less of the probability.
    unknown_below: f64,
    image_bytes: u32,
    parts: Vec<PartBytes>,
    state_bytes: usize,
    scratch_bytes: usize,
    scratch_bytes_in_blocks: usize,
    crc32: String,
    checksum_ok: bool,
}

#[derive(Debug, Serialize)]
struct HeadsReport {
    heads: u32,
    head_size: usize,
    ranks: [u16; 4],
    state: &'static str,
    gn_eps: f32,
}

impl HeadsReport {
    fn new(shape: &Shape) -> Option<Self> {
        shape.version.has_heads().then(|| Self {
            heads: shape.n_head,
            head_size: shape.head_size(),
            ranks: shape.ranks,
            state: shape.state.name(),
            gn_eps: shape.gn_eps,
        })
    }
}

/// A text that was read, see `kinglet prime`.
#[derive(Debug, Serialize)]
struct StateReport {
    name: String,
    tokens: u32,
}

#[derive(Debug, Serialize)]
struct PartBytes {
    part: String,
    /// The number format; empty where there are several or none.
    format: String,
    count: u64,
    bytes: u64,
}

impl ImageReport {
    fn new(image: &Image<'_>) -> Self {
        let (header, shape) = (image.header(), image.shape());
        let metadata = image.metadata();
        let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
        Self {
            kind: "image",
            version: shape.version.to_string(),
            format_version: kinglet::image::FORMAT_VERSION,
            metadata_ok: metadata.is_some(),
            name: text(metadata.map(|m| m.name)),
            producer: text(metadata.map(|m| m.producer)),
            source: text(metadata.map(|m| m.source)),
            layers: shape.n_layer,
            channels: shape.n_embd,
            ffn: shape.n_ffn,
            vocab: shape.n_vocab,
            heads: HeadsReport::new(shape),
            layout: layout(shape.layout),
            tokenizer: match header.tokenizer {
                TokenizerKind::None => "none",
                TokenizerKind::Bytes => "bytes",
                TokenizerKind::Trie => "longest match",
            },
            tokenizer_entries: match header.tokenizer {
                TokenizerKind::None => 0,
                TokenizerKind::Bytes => shape.n_vocab.min(256),
                TokenizerKind::Trie => image.trie().map_or(0, Trie::tokens),
            },
            tokenizer_bytes: header.vocabulary.bytes,
            states: image
                .states()
                .map(|state| StateReport {
                    name: state.name.to_owned(),
                    tokens: state.tokens,
                })
                .collect(),
            labels: image_labels(image),
            unknown_below: probability(header.unknown_below),
            image_bytes: header.image_bytes,
            parts: parts(image),
            state_bytes: shape.state_bytes(),
            scratch_bytes: shape.scratch_bytes(),
            scratch_bytes_in_blocks: shape.scratch_bytes_in_blocks(),
            crc32: format!("{:08x}", header.crc32),
            checksum_ok: image.verify_checksum().is_ok(),
        }
    }

    fn print(&self) -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(
            out,
            "image        {}, format version {}",
            self.version, self.format_version
        )?;
        match self.metadata_ok {
            true => writeln!(
                out,
                "name         {} (from {}, by {})",
                self.name, self.source, self.producer
            )?,
            false => writeln!(out, "name         none that can be shown")?,
        }
        writeln!(
            out,
            "dimensions   {} {}, {} channels, {} hidden, {} vocabulary entries",
            self.layers,
            noun(self.layers.into(), "layer", "layers"),
            self.channels,
            self.ffn,
            self.vocab
        )?;
        if let Some(heads) = &self.heads {
            writeln!(
                out,
                "heads        {} of {} channels, state {}, group norm epsilon {}",
                heads.heads, heads.head_size, heads.state, heads.gn_eps
            )?;
        }
        writeln!(out, "layout       {}", self.layout)?;
        match self.tokenizer_entries {
            0 => writeln!(out, "tokenizer    {}", self.tokenizer)?,
            entries => writeln!(
                out,
                "tokenizer    {}: {} entries, {} bytes",
                self.tokenizer,
                thousands(u64::from(entries)),
                thousands(u64::from(self.tokenizer_bytes))
            )?,
        }
        for StateReport { name, tokens } in &self.states {
            match *tokens {
                0 => writeln!(out, "state        {name}: tuned, without a text")?,
                tokens => {
                    let nouns = noun(tokens.into(), "token", "tokens");
                    let tokens = thousands(u64::from(tokens));
                    writeln!(out, "state        {name}: a text of {tokens} {nouns}")?;
                }
            }
        }
        if !self.labels.is_empty() {
            writeln!(out, "labels       {}", self.labels.join(", "))?;
        }
        if self.unknown_below > 0.0 {
            writeln!(
                out,
                "unknown      below {:.1} %",
                100.0 * self.unknown_below
            )?;
        }
        writeln!(
            out,
            "checksum     {} {}",
            self.crc32,
            if self.checksum_ok { "ok" } else { "WRONG" }
        )?;
        self.print_ram(&mut out)?;
        let mut table = Table::new(&["part", "format", "count", "bytes"]);
        for part in &self.parts {
            table.row([
                part.part.clone(),
                part.format.clone(),
                part.count.to_string(),
                thousands(part.bytes),
            ]);
        }
        table.row([
            "whole image".to_owned(),
            String::new(),
            String::new(),
            thousands(u64::from(self.image_bytes)),
        ]);
        write!(out, "{table}")?;
        Ok(())
    }

    /// With a buffer for all logits, and in blocks where that needs less.
    fn print_ram(&self, out: &mut impl Write) -> Result<()> {
        let mut row = |name, scratch_bytes: usize, remark| {
            writeln!(
                out,
                "{name:<12} {} bytes: state {}, scratch {}{remark}",
                thousands((self.state_bytes + scratch_bytes) as u64),
                thousands(self.state_bytes as u64),
                thousands(scratch_bytes as u64)
            )
        };
        row("RAM", self.scratch_bytes, "")?;
        if self.scratch_bytes_in_blocks < self.scratch_bytes {
            let remark = " (no buffer for all logits)";
            row("  in blocks", self.scratch_bytes_in_blocks, remark)?;
        }
        writeln!(out)?;
        Ok(())
    }
}

/// The layout, and the cores that it is for.
fn layout(layout: Layout) -> String {
    let cores = CORES.iter().filter(|core| core.layout == layout.name());
    let names: Vec<_> = cores.map(|core| core.name).collect();
    format!("{} ({})", layout.name(), names.join(", "))
}

/// Bytes of each part by format; vectors are added up.
fn parts(image: &Image<'_>) -> Vec<PartBytes> {
    let (header, shape) = (image.header(), image.shape());
    let mut parts: Vec<PartBytes> = Vec::new();
    let mut add = |name: &str, format: String, bytes: u64| {
        let same = |p: &&mut PartBytes| p.part == name && p.format == format;
        match parts.iter_mut().find(same) {
            Some(sum) => {
                sum.count += 1;
                sum.bytes += bytes;
            }
            None => parts.push(PartBytes {
                part: name.to_owned(),
                format,
                count: 1,
                bytes,
            }),
        }
    };
    add("header", String::new(), kinglet::image::HEADER_BYTES as u64);
    for stored in image_parts(image) {
        let StoredPart {
            layer, part, bits, ..
        } = stored;
        let bytes = part.kind.bytes(shape, bits);
        match Class::of(shape.version, layer, &part) {
            Class::Vector => add("vectors", String::new(), bytes),
            _ => add(part.name, stored.format_name(), bytes),
        }
    }
    for (name, span) in [
        ("tokenizer", header.vocabulary),
        ("states", header.states),
        ("metadata", header.metadata),
    ] {
        if span.bytes > 0 {
            add(name, String::new(), span.bytes.into());
        }
    }
    parts
}
