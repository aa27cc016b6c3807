//! Checkpoint -> image: quantizes each tensor and writes it where
//! `kinglet::Image` reads it.

mod layouts;
mod source;

use crate::model::{Model, ModelError};
use crate::quantize::{quantize, Quantized};
use half::f16;
use kinglet::image::{
    image_crc32, Bits, Header, Kind, Layout, Metadata, Part, Span, StateFormat, TokenizerKind,
    Version, AFTER_LAYERS, ALIGN, BEFORE_LAYERS, CRC_OFFSET, HEADER_BYTES, MAX_COLS, MAX_LAYERS,
    MAX_VOCAB,
};
use source::Source;

/// What the user chooses.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bits of the layers' matrices.
    pub weights: Bits,
    /// Bits of embedding and head.
    pub head: Bits,
    /// Bits of the key and value matrices of RWKV-5 to 7; RWKV-4's are those
    /// of the other matrices.
    pub keys: Bits,
    /// The family of cores that the image is for.
    pub layout: Layout,
    /// Number format of the matrix state; RWKV-4 has none and takes `F32`.
    pub state: StateFormat,
    /// Epsilon of the group norm; RWKV-4 has none.
    pub gn_eps: f32,
}

/// Why a model cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The checkpoint.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A dimension exceeds what an image can hold.
    #[error("the model has {found} {what}, but an image holds at most {most}")]
    TooLarge {
        /// Which dimension.
        what: &'static str,
        /// Its size.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// A vector element does not fit in a half float.
    #[error("the tensor `{name}` holds {value}, which does not fit in the image's 16-bit floats (at most 65504)")]
    HalfRange {
        /// The tensor.
        name: String,
        /// The value.
        value: f32,
    },
    /// The image would exceed 4 GiB.
    #[error("the image would take {bytes} bytes, more than the 4 GiB that the format can address")]
    ImageSize {
        /// What it would take.
        bytes: u64,
    },
}

/// What became of one tensor.
#[derive(Clone, Debug)]
pub struct PartReport {
    /// The tensor's name in the checkpoint.
    pub name: String,
    /// How it is stored.
    pub kind: Kind,
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

/// Quantizes and packs `model`; `progress` is called after each tensor with
/// the number done and the number there are.
///
/// # Errors
/// [`PackError`] names the tensor or dimension that does not fit.
pub fn pack(
    model: &Model,
    options: &Options,
    metadata: &Metadata<'_>,
    mut progress: impl FnMut(usize, usize),
) -> Result<Packed, PackError> {
    let mut header = header(model, options)?;
    let source = Source::new(model, header.version);
    let mut writer = Writer {
        header,
        bytes: vec![0; HEADER_BYTES],
        parts: Vec::new(),
    };
    let parts = stored_parts(&header);
    for (layer, part) in &parts {
        let name = source.name(*layer, part);
        writer.write(part, name, &source.values(*layer, part)?)?;
        progress(writer.parts.len(), parts.len());
    }
    let Writer {
        mut bytes, parts, ..
    } = writer;
    let block = postcard::to_stdvec(metadata).expect("strings always serialize");
    header.metadata = Span {
        offset: bytes.len() as u32,
        bytes: block.len() as u32,
    };
    bytes.extend(block);
    header.image_bytes = bytes.len() as u32;
    bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    let crc = image_crc32(&bytes);
    bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(Packed { bytes, parts })
}

/// All parts in stored order, those of layers with the layer's index.
fn stored_parts(header: &Header) -> Vec<(Option<usize>, Part)> {
    let outside = |parts: &'static [Part]| parts.iter().map(|&part| (None, part));
    let layer = |index: u32| {
        let parts = header.layer_parts(index).iter().copied().flatten();
        parts.map(move |&part| (Some(index as usize), part))
    };
    outside(BEFORE_LAYERS)
        .chain((0..header.n_layer).flat_map(layer))
        .chain(outside(AFTER_LAYERS))
        .collect()
}

/// The header, its spans and checksum still empty.
fn header(model: &Model, options: &Options) -> Result<Header, PackError> {
    let dimensions = model.dimensions();
    let fits = |what, found, most| {
        if found <= most {
            Ok(found as u32)
        } else {
            Err(PackError::TooLarge { what, found, most })
        }
    };
    let version = match model.version() {
        crate::model::Version::V4 => Version::V4,
        crate::model::Version::V5 => Version::V5,
        crate::model::Version::V52 => Version::V52,
        crate::model::Version::V6 => Version::V6,
        crate::model::Version::V7 => Version::V7,
    };
    let mut ranks = [0; 4];
    for (to, from) in ranks.iter_mut().zip(dimensions.ranks) {
        *to = fits("low-rank dimensions", from, MAX_COLS)? as u16;
    }
    let header = Header {
        image_bytes: 0,
        crc32: 0,
        version,
        layout: options.layout,
        weight_bits: options.weights,
        head_bits: options.head,
        entry_bits: if version.has_heads() {
            options.keys
        } else {
            options.weights
        },
        state: options.state,
        // A vocabulary of at most 256 entries is one of bytes: nobody
        // publishes another kind of that size.
        tokenizer: if dimensions.vocab <= 256 {
            TokenizerKind::Bytes
        } else {
            TokenizerKind::None
        },
        n_layer: fits("layers", dimensions.layers, MAX_LAYERS)?,
        n_embd: fits("channels", dimensions.embd, MAX_COLS)?,
        n_ffn: fits("hidden channels", dimensions.ffn, MAX_COLS)?,
        n_vocab: fits("vocabulary entries", dimensions.vocab, MAX_VOCAB)?,
        n_head: fits("heads", dimensions.heads, dimensions.embd)?,
        gn_eps: if version.has_heads() {
            options.gn_eps
        } else {
            0.0
        },
        ranks,
        metadata: Span {
            offset: 0,
            bytes: 0,
        },
    };
    // Metadata is small; half a megabyte of room for it is plenty.
    let bytes = header.weights_bytes() + (1 << 19);
    if bytes > u64::from(u32::MAX) {
        return Err(PackError::ImageSize { bytes });
    }
    Ok(header)
}

struct Writer {
    header: Header,
    bytes: Vec<u8>,
    parts: Vec<PartReport>,
}

impl Writer {
    fn write(&mut self, part: &Part, name: String, values: &[f32]) -> Result<(), PackError> {
        let start = self.bytes.len();
        let error = match part.kind {
            Kind::Half(_) => self.write_halves(&name, values)?,
            Kind::Single(_) => {
                self.push(values.iter().flat_map(|v| v.to_le_bytes()));
                0.0
            }
            Kind::Entry(_, cols) => self.write_blocked(cols, self.header.entry_bits, values),
            Kind::Steer(_, cols) => self.write_blocked(cols, Bits::Int8, values),
            Kind::Matrix(_, cols) => self.write_blocked(cols, self.header.weight_bits, values),
            Kind::Head(_, cols) => self.write_blocked(cols, self.header.head_bits, values),
            Kind::Table(_, cols) => self.write_table(cols, values),
        };
        let (weights, scales) = part.kind.bytes(&self.header);
        let bytes = (self.bytes.len() - start) as u64;
        debug_assert_eq!(bytes, weights + scales, "{name}");
        let elements = part.kind.elements(&self.header);
        self.parts.push(PartReport {
            name,
            kind: part.kind,
            elements,
            bytes,
            error,
        });
        Ok(())
    }

    /// Appends bytes and pads to the alignment.
    fn push(&mut self, bytes: impl IntoIterator<Item = u8>) {
        self.bytes.extend(bytes);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }

    fn write_halves(&mut self, name: &str, values: &[f32]) -> Result<f64, PackError> {
        let halves: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
        if let Some(at) = halves.iter().position(|h| !h.is_finite()) {
            return Err(PackError::HalfRange {
                name: name.to_owned(),
                value: values[at],
            });
        }
        self.push(halves.iter().flat_map(|h| h.to_le_bytes()));
        let sum = |f: &dyn Fn(usize) -> f64| (0..values.len()).map(f).sum::<f64>();
        let norm = sum(&|i| f64::from(values[i]).powi(2));
        let error = sum(&|i| (f64::from(values[i]) - halves[i].to_f64()).powi(2));
        Ok(if norm > 0.0 {
            (error / norm).sqrt()
        } else {
            0.0
        })
    }

    fn quantized(&self, cols: kinglet::image::Dim, bits: Bits, values: &[f32]) -> Quantized {
        let cols = self.header.dim(cols);
        quantize(values, values.len() / cols, cols, bits)
    }

    fn write_blocked(&mut self, cols: kinglet::image::Dim, bits: Bits, values: &[f32]) -> f64 {
        let q = self.quantized(cols, bits, values);
        self.push(layouts::pack(&q, self.header.layout));
        let padding = q.rows.next_multiple_of(kinglet::image::BLOCK_ROWS) - q.rows;
        let scales = q.scales.iter().flat_map(|s| s.to_le_bytes());
        self.push(scales.chain(std::iter::repeat_n(0, 2 * padding)));
        q.relative_error(values)
    }

    fn write_table(&mut self, cols: kinglet::image::Dim, values: &[f32]) -> f64 {
        let q = self.quantized(cols, self.header.head_bits, values);
        self.push(match q.bits {
            Bits::Int8 => q.weights.iter().map(|&w| w as u8).collect(),
            Bits::Int4 => int4_table(&q),
        });
        self.push(q.scales.iter().flat_map(|s| s.to_le_bytes()));
        q.relative_error(values)
    }
}

/// Row by row: the group scales, then the nibbles in two's complement.
fn int4_table(q: &Quantized) -> Vec<u8> {
    use kinglet::image::GROUP_COLS;
    let groups = q.cols.div_ceil(GROUP_COLS);
    let rows = q
        .weights
        .chunks_exact(q.cols)
        .zip(q.group_scales.chunks_exact(groups));
    let mut out = Vec::new();
    for (row, scales) in rows {
        out.extend(scales);
        let nibble = |col: usize| row.get(col).map_or(0, |&w| w as u8 & 15);
        out.extend(
            (0..groups * GROUP_COLS)
                .step_by(2)
                .map(|c| nibble(c) | nibble(c + 1) << 4),
        );
    }
    out
}
