//! Random models of all kinds. The kinds are read from the crates: a new
//! version or format is tested from the day on which it is there.

use crate::folder;
use kinglet::image::Metadata;
use kinglet::shape::{Bits, Layout, StateFormat};
use kinglet_host::engine::ImageFile;
use kinglet_host::model::{Dimensions, Model, Version};
use kinglet_host::pack::{image_parts, pack, Format, Formats, Options};
use kinglet_host::synth::write_random;

/// The vocabulary of [`Kind::image`]: single bytes, and not all of them.
pub const VOCAB: usize = 131;

/// What a model can be.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The version of the checkpoint.
    pub version: Version,
    /// The format of all matrices; of neighbours different ones, if there is none.
    pub weights: Option<Bits>,
    /// The format of the matrix state.
    pub state: StateFormat,
}

/// All versions in all formats.
pub fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for version in Version::ALL {
        let has_heads = version.recurrence().has_heads();
        for weights in Bits::ALL.map(Some).into_iter().chain([None]) {
            // Only a matrix state has formats.
            let states = StateFormat::ALL.into_iter();
            let states = states.filter(|&state| has_heads || state == StateFormat::I16);
            kinds.extend(states.map(|state| Kind {
                version,
                weights,
                state,
            }));
        }
    }
    kinds
}

impl Kind {
    /// A random model for the microcontrollers with the least memory. Its rows
    /// and columns end within a block or group, and its heads within a vector.
    pub fn image(self, layout: Layout) -> ImageFile {
        let folder = folder();
        let path = folder.path().join("model.safetensors");
        let has_heads = self.version.recurrence().has_heads();
        let dimensions = Dimensions {
            layers: 2,
            embd: 40,
            ffn: 70,
            vocab: VOCAB,
            classes: 0,
            heads: if has_heads { 4 } else { 0 },
            ranks: match self.version {
                Version::V6 => [10, 7, 0, 0],
                Version::V7 => [9, 10, 5, 14],
                _ => [0; 4],
            },
        };
        write_random(&path, self.version, &dimensions, 5).expect("the folder can be written");
        let model = Model::open(&path).expect("a checkpoint that is complete");
        let options = |formats| Options {
            layout,
            state: self.state,
            ..Options::of(formats)
        };
        let metadata = Metadata {
            name: "random",
            producer: "test",
            source: "",
            labels: "",
        };
        let image = |formats| {
            let packed = pack(&model, &options(formats), &metadata, |_, _| {}).expect("it fits");
            ImageFile::new(&packed.bytes).expect("a good image")
        };
        match self.weights {
            Some(bits) => image(Formats::all(bits)),
            None => image(different(&image(Formats::INT8))),
        }
    }
}

/// Formats in turn for the matrices of an image, with vectors of eight bits and of 16.
fn different(image: &ImageFile) -> Formats {
    let parts = image_parts(&image.image()).into_iter();
    let matrices = parts.filter(|stored| stored.has_choice());
    let all = [true, false].map(|fine| Bits::ALL.map(|bits| Format { bits, fine }));
    let mut formats = Formats::INT8;
    for (stored, format) in matrices.zip(all.as_flattened().iter().cycle()) {
        // A table is read, not multiplied with a vector.
        let fine = format.fine && stored.product().is_some();
        formats.set(stored.layer, stored.part.name, Format { fine, ..*format });
    }
    formats
}
