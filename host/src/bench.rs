//! How fast an image runs on this workstation, as a share of what its memory
//! could do: a step reads every weight once, so no engine is faster than a
//! plain read of the same bytes.

use crate::engine::ImageFile;
use crate::pack::image_parts;
use crate::threads::Threads;
use kinglet::shape::Kind;
use kinglet::{Sampler, Sampling, Session, StepError};
use rayon::prelude::*;
use serde::Serialize;
use std::time::Instant;

/// The figures of one image and one number of threads.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    /// Threads at work.
    pub threads: usize,
    /// Tokens per second, everything included: the median round.
    pub tokens_per_second: f64,
    /// Bytes of weights that a step reads.
    pub bytes_per_token: u64,
    /// GB/s of weights that the steps read.
    pub gigabytes_per_second: f64,
    /// GB/s of a plain read of the image in the same rounds: the median.
    pub plain_read_gigabytes_per_second: f64,
    /// The former as a share of the latter.
    pub share: f64,
}

/// Runs `rounds` rounds of `tokens` greedy tokens, each beside a plain read.
///
/// # Errors
/// Never for an image whose vocabulary has a token 0, as all have.
pub fn measure(
    file: &ImageFile,
    threads: usize,
    rounds: usize,
    tokens: usize,
) -> Result<Speed, StepError> {
    let image = file.image();
    let shape = image.shape();
    let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; shape.scratch_len()]);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.expect("threads can be started");
    let mut step_seconds = Vec::new();
    let mut read_seconds = Vec::new();
    for _ in 0..rounds.max(1) {
        let session = Session::new(&image, &mut state, &mut scratch).expect("the buffers fit");
        let seconds = if threads > 1 {
            let executor = Threads(threads);
            pool.install(|| executor.awake(|| generate(session.with_executor(&executor), tokens)))
        } else {
            generate(session, tokens)
        }?;
        step_seconds.push(seconds / tokens as f64);
        read_seconds.push(pool.install(|| read(image.bytes(), threads)));
    }
    // A step reads one row of the embedding, and all of the rest.
    let parts = image_parts(&image);
    let parts = parts
        .iter()
        .filter(|part| !matches!(part.part.kind, Kind::Table(..)));
    let bytes_per_token = parts
        .map(|part| part.part.kind.bytes(shape, part.bits))
        .sum();
    let step = median(&mut step_seconds);
    let gigabytes_per_second = bytes_per_token as f64 / step / 1e9;
    let plain = image.bytes().len() as f64 / median(&mut read_seconds) / 1e9;
    Ok(Speed {
        threads,
        tokens_per_second: 1.0 / step,
        bytes_per_token,
        gigabytes_per_second,
        plain_read_gigabytes_per_second: plain,
        share: gigabytes_per_second / plain,
    })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds for `tokens` greedy tokens.
fn generate(mut session: Session<'_, '_>, tokens: usize) -> Result<f64, StepError> {
    let mut sampler = Sampler::new(Sampling::greedy(), 0);
    let mut token = sampler.sample(session.step(0)?);
    let start = Instant::now();
    for _ in 0..tokens {
        token = sampler.sample(session.step(token)?);
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds for reading all bytes once, by `threads` threads.
fn read(bytes: &[u8], threads: usize) -> f64 {
    let start = Instant::now();
    let part = bytes.len().div_ceil(threads).next_multiple_of(64);
    let sum: u64 = bytes
        .par_chunks(part)
        .map(sum)
        .reduce(|| 0, u64::wrapping_add);
    std::hint::black_box(sum);
    start.elapsed().as_secs_f64()
}

/// In eight partial sums, which a compiler puts into vectors.
fn sum(bytes: &[u8]) -> u64 {
    let mut lanes = [0u64; 8];
    for chunk in bytes.chunks_exact(64) {
        for (lane, word) in lanes.iter_mut().zip(chunk.chunks_exact(8)) {
            *lane = lane.wrapping_add(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
    }
    lanes.into_iter().fold(0, u64::wrapping_add)
}
