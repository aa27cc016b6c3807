//! Products of a matrix and a vector on this workstation: `cargo bench`.

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use kinglet::arch::{matvec, prepare, Peak};
use kinglet::shape::prepared_words;
use kinglet::shape::{matrix_weight_words, Bits, Layout, Matrix, Scales};
use kinglet::Pcg32;
use std::hint::black_box;

fn products(c: &mut Criterion) {
    let mut group = c.benchmark_group("matvec");
    for (rows, cols) in [(128, 128), (256, 256), (768, 768), (3072, 768), (768, 3072)] {
        for bits in Bits::ALL {
            let layout = Layout::Rows4;
            let mut rng = Pcg32::new(1);
            let words = matrix_weight_words(layout, bits, rows, cols);
            let weights: Vec<u32> = (0..words).map(|_| rng.next_u32()).collect();
            let (factors, places) = (vec![20_000; rows], vec![1; rows / 4]);
            let scales = match bits {
                Bits::Int8 => Scales::Rows(&factors),
                _ => Scales::Blocks {
                    factor: 20_000,
                    places: &places,
                },
            };
            let matrix = Matrix::new(layout, bits, [rows, cols], &weights, scales);
            let mut x: Vec<i32> = (0..cols).map(|_| rng.next_u32() as i32 >> 3).collect();
            let max = x.iter().map(|x| x.unsigned_abs()).max().unwrap_or(0);
            let peak = Peak { max, exp: 0 };
            let mut words = vec![0; prepared_words(layout, bits, cols)];
            let mut out = vec![0; rows];
            group.throughput(Throughput::Elements((rows * cols) as u64));
            group.bench_function(
                BenchmarkId::new(bits.name(), format!("{rows}x{cols}")),
                |b| {
                    b.iter(|| {
                        let x = prepare(black_box(&mut x), peak, &matrix, &mut words);
                        matvec(&matrix, &x, &mut out);
                        black_box(&mut out);
                    });
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, products);
criterion_main!(benches);
