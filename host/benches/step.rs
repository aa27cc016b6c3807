//! The demo model on this workstation: a token with its logits, and a prompt.

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use kinglet::image::Metadata;
use kinglet::shape::Bits;
use kinglet::Session;
use kinglet_host::engine::ImageFile;
use kinglet_host::model::Model;
use kinglet_host::pack::{pack, Formats, Options};
use std::hint::black_box;
use std::path::Path;

/// Tokens of the prompt; each is a byte.
const PROMPT_TOKENS: usize = 256;

const STORY: &[u8] = b"Once upon a time there was a bird that weighed less than a letter. ";

fn demo_image(weights: Bits) -> ImageFile {
    // Cargo runs benches in the folder of their package.
    let path = Path::new("../models/stories.safetensors");
    let model = Model::open(path).expect("the demo checkpoint");
    let options = Options::of(Formats::of(weights));
    let metadata = Metadata {
        name: "",
        producer: "",
        labels: "",
        source: "",
    };
    let packed = pack(&model, &options, &metadata, |_, _| {}).expect("it can be packed");
    ImageFile::new(&packed.bytes).expect("a good image")
}

fn tokens(c: &mut Criterion) {
    for weights in Bits::ALL {
        let file = demo_image(weights);
        let image = file.image();
        let mut state = vec![0; image.shape().state_len()];
        let mut scratch = vec![0; image.shape().scratch_len()];
        let mut session = Session::new(&image, &mut state, &mut scratch).expect("the buffers fit");
        let prompt = STORY.iter().cycle().take(PROMPT_TOKENS);
        let prompt: Vec<u32> = prompt.copied().map(u32::from).collect();
        let mut group = c.benchmark_group(format!("stories-{}", weights.name()));
        group.throughput(Throughput::Elements(1));
        group.bench_function("step", |b| b.iter(|| black_box(session.step(97).is_ok())));
        group.throughput(Throughput::Elements(PROMPT_TOKENS as u64));
        group.bench_function("prefill", |b| {
            b.iter(|| {
                session.reset();
                session.feed(black_box(&prompt)).expect("bytes are tokens");
            });
        });
        group.finish();
    }
}

criterion_group!(benches, tokens);
criterion_main!(benches);
