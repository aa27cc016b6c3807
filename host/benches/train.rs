//! Training on one thread: forward and backward of a sequence.

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use kinglet_host::model::{Dimensions, Version};
use kinglet_host::tensors::table;
use kinglet_host::train::arch::{initial_weights, Arch, Network};
use kinglet_host::train::tape::{Pool, Tape};
use std::hint::black_box;

const LEN: usize = 256;

fn network(version: Version) -> Network {
    let dimensions = Dimensions {
        layers: 4,
        embd: 128,
        ffn: 512,
        vocab: 256,
        classes: 0,
        heads: if version == Version::V4 { 0 } else { 2 },
        ranks: (table(version).ranks.trained)(128, 4),
        positions: 0,
    };
    Network::new(Arch::Rwkv(version), dimensions)
}

fn passes(c: &mut Criterion) {
    let mut group = c.benchmark_group("train");
    group.throughput(Throughput::Elements(LEN as u64));
    for version in [Version::V4, Version::V52, Version::V6, Version::V7] {
        let network = network(version);
        let weights = initial_weights(&network, 1);
        let tokens: Vec<u32> = (0..=LEN as u32).map(|i| i * i % 256).collect();
        let mut gradients = vec![0.0; weights.len()];
        let mut pool = Pool::default();
        group.bench_function(format!("{version} 4 x 128"), |b| {
            b.iter(|| {
                let mut tape = Tape::new(black_box(&weights), &mut pool);
                let logits = network.logits(&mut tape, &tokens[..LEN]);
                let losses = tape.cross_entropy(logits, &tokens[1..]);
                tape.backward(losses, 1.0, &mut gradients);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, passes);
criterion_main!(benches);
