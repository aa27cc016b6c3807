//! Training on one thread: forward and backward of a sequence.

use clap::ValueEnum;
use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use kinglet_host::model::Dimensions;
use kinglet_host::train::arch::{initial_weights, Arch, Network};
use kinglet_host::train::tape::{Pool, Tape};
use std::hint::black_box;

const LEN: usize = 256;

fn network(arch: Arch) -> Network {
    let dimensions = Dimensions {
        layers: 4,
        embd: 128,
        ffn: 512,
        vocab: 256,
        classes: 0,
        heads: if arch.has_heads() { 2 } else { 0 },
        ranks: (arch.table().ranks.trained)(128, 4),
    };
    Network::new(arch, dimensions)
}

fn passes(c: &mut Criterion) {
    let mut group = c.benchmark_group("train");
    group.throughput(Throughput::Elements(LEN as u64));
    for &arch in Arch::value_variants() {
        let network = network(arch);
        let weights = initial_weights(&network, 1);
        let tokens: Vec<u32> = (0..=LEN as u32).map(|i| i * i % 256).collect();
        let mut gradients = vec![0.0; weights.len()];
        let mut pool = Pool::default();
        group.bench_function(format!("{arch} 4 x 128"), |b| {
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
