//! What tests of several versions share: random models of each.

use kinglet::image::Metadata;
use kinglet::shape::{Bits, Layout, StateFormat};
use kinglet_host::checkpoint::Checkpoint;
use kinglet_host::engine::ImageFile;
use kinglet_host::model::{Dimensions, Model, Version};
use kinglet_host::pack::{pack, Formats, Options};
use kinglet_host::synth::write_random;

/// All versions, each with the number format of its state.
pub const MODELS: [(Version, StateFormat); 8] = [
    (Version::V4, StateFormat::F32),
    (Version::V5, StateFormat::F32),
    (Version::V51, StateFormat::F16),
    (Version::V52, StateFormat::F32),
    (Version::V6, StateFormat::F32),
    (Version::V6, StateFormat::F16),
    (Version::V7, StateFormat::F32),
    (Version::V7, StateFormat::F16),
];

/// Two layers of sizes that are no round numbers.
pub fn random_image(version: Version, state: StateFormat, weights: Bits) -> ImageFile {
    let folder = kinglet_tests::folder();
    let path = folder.path().join("model.safetensors");
    let dimensions = Dimensions {
        layers: 2,
        embd: 36,
        ffn: 70,
        vocab: 131,
        classes: 0,
        heads: if version == Version::V4 { 0 } else { 3 },
        ranks: match version {
            Version::V6 => [10, 7, 0, 0],
            Version::V7 => [9, 10, 5, 14],
            _ => [0; 4],
        },
        positions: 0,
    };
    write_random(&path, version, &dimensions, 5).expect("the folder can be written");
    let model = Model::new(Checkpoint::open(&path).expect("written before")).expect("complete");
    let options = Options {
        formats: Formats {
            weights,
            head: Bits::Int8,
            keys: weights,
        },
        layout: Layout::Rows4,
        state,
        gn_eps: 64e-5,
        vocabulary: None,
    };
    let metadata = Metadata {
        name: "random",
        producer: "test",
        source: "",
        labels: "",
    };
    let packed = pack(&model, &options, &metadata, |_, _| {}).expect("it fits");
    ImageFile::new(&packed.bytes).expect("a good image")
}
