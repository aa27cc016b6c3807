//! Checkpoint -> image: quantizes each tensor and writes it where
//! `kinglet::Image` reads it.

mod decays;
mod formats;
pub(crate) mod integers;
mod layouts;
mod precisions;
mod shape;
mod sink;
mod source;

use crate::checkpoint::excerpt;
use crate::model::Model;
use crate::prime::write_states;
use crate::quantize::compensate::{Calibration, Compensator};
use crate::quantize::{quantize, Deviation, Quantized};
use crate::tokenizer::Vocabulary;
use anyhow::{anyhow, bail, ensure, Result};
pub use decays::{least_loss, slow_decays};
pub use formats::{
    choices, formats_of, image_parts, parts_bytes, stored_parts, Class, Format, Formats, StoredPart,
};
use integers::{fixed, scale_times, vector, RowScales, FIXED_ONE};
pub use precisions::{Forced, Precisions};
pub(crate) use shape::shape;

use kinglet::image::{Header, Metadata, NamedState, START_STATE};
use kinglet::shape::{
    Bits, Kind, Layout, Part, StateFormat, BLOCK_ROWS, EXPS, FINE, FRONT_BYTES, MOST_SCALE_SUM,
};
use kinglet::Shape;
use shape::tokenizer_kind;
use sink::Sink;
use source::Source;
use std::io::{self, Cursor, Read, Seek, Write};

/// The user's choices.
#[derive(Clone, Debug)]
pub struct Options<'v> {
    /// The formats of the matrices.
    pub formats: Formats,
    /// The family of cores that the image is for.
    pub layout: Layout,
    /// Number format of the matrix state; RWKV-4 has none and takes `I16`.
    pub state: StateFormat,
    /// Epsilon of the group norm; RWKV-4 has none.
    pub gn_eps: f32,
    /// The vocabulary for the image.
    pub vocabulary: Option<&'v Vocabulary>,
    /// [`Header::unknown_below`] of a model of labels, where it is not that of the checkpoint.
    pub unknown_below: Option<u16>,
    /// Texts by which rounding makes up for itself; else each weight is rounded alone.
    pub calibration: Option<&'v Calibration>,
}

impl Options<'_> {
    /// These formats, and defaults for all else.
    pub fn of(formats: Formats) -> Self {
        Self {
            formats,
            layout: Layout::Rows4,
            state: StateFormat::I16,
            gn_eps: crate::reference::DEFAULT_GN_EPS,
            vocabulary: None,
            unknown_below: None,
            calibration: None,
        }
    }
}

/// Values of a large tensor that are in memory at a time, as f32.
const CHUNK_VALUES: usize = 1 << 21;

/// How one tensor was stored.
#[derive(Clone, Debug)]
pub struct PartReport {
    /// The tensor's name in the checkpoint.
    pub name: String,
    /// How it is stored.
    pub stored: StoredPart,
    /// Its elements.
    pub elements: u64,
    /// Bytes in the image, padding and scales included.
    pub bytes: u64,
    /// Relative root-mean-square error of its values.
    pub error: f64,
}

/// An image and how it came about.
#[derive(Debug)]
pub struct Packed {
    /// The bytes of the image.
    pub bytes: Vec<u8>,
    /// One entry per tensor, in stored order.
    pub parts: Vec<PartReport>,
}

/// Quantizes `model` and packs it in memory; see [`pack_to`].
///
/// # Errors
/// A sentence that names the tensor or dimension that does not fit.
pub fn pack(
    model: &Model,
    options: &Options<'_>,
    metadata: &Metadata<'_>,
    progress: impl FnMut(usize, usize),
) -> Result<Packed> {
    let mut out = Cursor::new(Vec::new());
    let parts = pack_to(&mut out, model, options, metadata, progress)?;
    let bytes = out.into_inner();
    Ok(Packed { bytes, parts })
}

/// Quantizes `model` and packs it into `out`, an empty file, part by part:
/// memory holds a few million weights at a time, for models of any size.
/// `progress` is called after each tensor with the number done and the number
/// there are. Returns an entry per tensor, in stored order.
///
/// # Errors
/// A sentence that names the tensor or dimension that does not fit.
pub fn pack_to(
    out: &mut (impl Read + Write + Seek),
    model: &Model,
    options: &Options<'_>,
    metadata: &Metadata<'_>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Vec<PartReport>> {
    if let Some(what) = not_text(metadata) {
        bail!("{what} has control characters, which would be shown to people: change it");
    }
    let dimensions = model.dimensions();
    let (shape, parts) = shape(model.version(), &dimensions, options)?;
    let tokenizer = tokenizer_kind(&dimensions, options)?;
    let unknown_below = match options.unknown_below {
        Some(below) => below,
        None => model.unknown_below()?,
    };
    let compensator = options
        .calibration
        .map(|calibration| Compensator::new(model, options.gn_eps, &parts, calibration));
    let mut writer = Writer {
        shape,
        source: Source { model },
        compensator: compensator.transpose()?,
        out: Sink::new(out)?,
        parts: Vec::new(),
    };
    let besides = Besides::new(model, &shape, options, metadata)?;
    for part in &parts {
        writer.write(part)?;
        progress(writer.parts.len(), parts.len());
    }
    let Writer { mut out, parts, .. } = writer;
    let vocabulary = out.section(&besides.vocabulary)?;
    let states = out.section(&besides.states)?;
    let metadata = out.section(&besides.metadata)?;
    let image_bytes = out.bytes as u32;
    out.finish(Header {
        image_bytes,
        // Computed there.
        crc32: 0,
        shape,
        tokenizer,
        metadata,
        vocabulary,
        states,
        unknown_below,
    })?;
    Ok(parts)
}

/// What of the metadata is no text, if something is.
fn not_text(metadata: &Metadata<'_>) -> Option<String> {
    let is_bad = |text: &&str| text.contains(char::is_control);
    let fields = [
        ("the model's name (`--name`)", metadata.name),
        ("the name of the program", metadata.producer),
        ("the name of the source", metadata.source),
    ];
    let field = fields.into_iter().find(|(_, text)| is_bad(text));
    let field = field.map(|(what, _)| what.to_owned());
    field.or_else(|| {
        let label = metadata.labels.split('\n').find(is_bad)?;
        Some(format!("the label `{}`", excerpt(label)))
    })
}

/// What an image has besides its weights; an empty section is none.
#[derive(Debug)]
pub struct Besides {
    vocabulary: Vec<u8>,
    states: Vec<u8>,
    metadata: Vec<u8>,
}

impl Besides {
    /// That of an image of `model`.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn new(
        model: &Model,
        shape: &Shape,
        options: &Options<'_>,
        metadata: &Metadata<'_>,
    ) -> Result<Self> {
        let trie = options.vocabulary.map(Vocabulary::to_trie);
        let trie = trie.unwrap_or_default();
        let mut states = Vec::new();
        if let Some(tuned) = model.tuned_state()? {
            let words = tuned.words(shape);
            write_states(&mut states, &[NamedState::tuned(START_STATE, &words)]);
        }
        Ok(Self {
            vocabulary: trie.iter().flat_map(|word| word.to_le_bytes()).collect(),
            states,
            metadata: postcard::to_stdvec(metadata).expect("strings always serialize"),
        })
    }

    /// Bytes of all of it.
    pub fn bytes(&self) -> u64 {
        let sections = [&self.vocabulary, &self.states, &self.metadata];
        sections.iter().map(|section| section.len() as u64).sum()
    }
}

/// The image would take this many bytes.
fn too_large(bytes: u64) -> anyhow::Error {
    anyhow!("the image would take {bytes} bytes, more than the 4 GiB that the format can address")
}

struct Writer<'m, 'w, W> {
    shape: Shape,
    source: Source<'m>,
    compensator: Option<Compensator<'m>>,
    out: Sink<'w, W>,
    parts: Vec<PartReport>,
}

/// Quantized rows as the image stores them, without their scales.
type Arrange = fn(&Quantized, Layout) -> Vec<u8>;

impl<W: Read + Write + Seek> Writer<'_, '_, W> {
    fn write(&mut self, stored: &StoredPart) -> Result<()> {
        let StoredPart {
            layer, ref part, ..
        } = *stored;
        let start = self.out.bytes;
        let error = match part.kind {
            Kind::Factors(_) | Kind::Mix(_) => self.write_factors(layer, part)?,
            Kind::Fixed(_) => self.write_fixed(layer, part)?,
            Kind::Matrix(rows, cols) | Kind::LowRank(rows, cols) | Kind::Table(rows, cols) => {
                let shape = [rows, cols].map(|dim| self.shape.dim(dim));
                self.write_rows(stored, shape)?
            }
        };
        let name = self.source.name(layer, part);
        let bytes = self.out.bytes - start;
        debug_assert_eq!(bytes, part.kind.bytes(&self.shape, stored.bits), "{name}");
        let elements = part.kind.elements(&self.shape);
        self.parts.push(PartReport {
            name,
            stored: *stored,
            elements,
            bytes,
            error,
        });
        Ok(())
    }

    /// Appends bytes and pads to the alignment.
    fn push(&mut self, bytes: impl IntoIterator<Item = u8>) -> io::Result<()> {
        self.out.write(&bytes.into_iter().collect::<Vec<u8>>())?;
        self.out.pad()
    }

    fn write_factors(&mut self, layer: Option<usize>, part: &Part) -> Result<f64> {
        let values = self.source.vector(layer, part)?;
        let times = self.source.times(layer, part);
        let factors = vector(part.kind, &values, times);
        self.check_exp(layer, part, factors.exp)?;
        self.push(factors.words().flat_map(i16::to_le_bytes))?;
        let mut deviation = Deviation::default();
        for (&value, stored) in values.iter().zip(factors.values(times)) {
            deviation.add(value, stored);
        }
        Ok(deviation.relative())
    }

    fn write_fixed(&mut self, layer: Option<usize>, part: &Part) -> Result<f64> {
        let values = self.source.vector(layer, part)?;
        let times = self.source.times(layer, part);
        let plus = self.source.plus(layer, part);
        let mut deviation = Deviation::default();
        let mut bytes = Vec::new();
        for value in values {
            let fixed = fixed(f64::from(value) * times + plus);
            deviation.add(
                value,
                ((f64::from(fixed) / FIXED_ONE - plus) / times) as f32,
            );
            bytes.extend(fixed.to_le_bytes());
        }
        self.push(bytes)?;
        Ok(deviation.relative())
    }

    /// Weights in chunks of rows, then the scales of all rows; at last what stands in
    /// front of them.
    fn write_rows(&mut self, stored: &StoredPart, [rows, cols]: [usize; 2]) -> Result<f64> {
        let StoredPart {
            layer,
            ref part,
            bits,
            fine,
        } = *stored;
        let front_at = self.out.bytes;
        self.out.write(&[0; FRONT_BYTES])?;
        let is_table = matches!(part.kind, Kind::Table(..));
        let arrange: Arrange = if is_table {
            layouts::table
        } else {
            layouts::pack
        };
        let chunk_rows = (CHUNK_VALUES / cols).next_multiple_of(BLOCK_ROWS);
        let (mut scales, mut largest_sum) = (Vec::new(), 0);
        let mut deviation = Deviation::default();
        let compensator = self.compensator.as_mut();
        let ready = compensator.map(|compensator| compensator.take(layer, part.name));
        let ready = ready.transpose()?.flatten();
        for first in (0..rows).step_by(chunk_rows) {
            let chunk = first..rows.min(first + chunk_rows);
            let values = self.source.rows(layer, part, chunk.clone())?;
            let q = match &ready {
                Some(ready) => ready.part(chunk),
                None => quantize(&values, chunk.len(), cols, bits),
            };
            let has_limit = bits == Bits::Int6;
            assert!(
                !has_limit || q.largest_scale_sum() <= MOST_SCALE_SUM,
                "quantization bounds the scales"
            );
            q.deviation(&values, &mut deviation);
            self.out.write(&arrange(&q, self.shape.layout))?;
            scales.extend_from_slice(&q.scales);
            largest_sum = largest_sum.max(q.largest_sum());
        }
        self.out.pad()?;
        let times = scale_times(part.kind, self.source.times(layer, part), fine);
        let mut scales = RowScales::of(bits, &scales, times);
        let shift = match is_table {
            true => 0,
            false => scales.scale_sums(largest_sum),
        };
        self.check_exp(layer, part, scales.exp())?;
        self.push(scales.bytes())?;
        let mut front = [0; FRONT_BYTES];
        front[0] = bits as u8 | if fine { FINE } else { 0 };
        front[1] = shift as u8;
        front[2..].copy_from_slice(&(scales.exp() as i16).to_le_bytes());
        self.out.write_at(front_at, &front)?;
        Ok(deviation.relative())
    }

    /// Refuses what an image has no power of two for.
    fn check_exp(&self, layer: Option<usize>, part: &Part, exp: i32) -> Result<()> {
        ensure!(
            EXPS.contains(&exp),
            "the tensor `{}` holds numbers that are too large for an image (beyond 2^40): was its training stable?",
            self.source.name(layer, part)
        );
        Ok(())
    }
}
