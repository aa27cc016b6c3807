//! Instructions of what else a token takes: a layer norm, and its choice.

use crate::count::Counter;
use crate::random::{between, Random};
use crate::room::{Room, MAX_ROWS};
use core::hint::black_box;
use half::f16;
use kinglet::arch::{Native, Port};
use kinglet::{Sampler, Sampling};
use kinglet_machine::say;
use kinglet_protocol::{Measure, MODEL_CHANNELS, MODEL_VOCABS};

/// Settings with which tokens are drawn.
const DRAWN: Sampling = Sampling {
    temperature: 0.8,
    top_k: 0,
    top_p: 0.9,
    repetition_penalty: 1.0,
};

/// Counts all lengths that there is room for.
pub fn run(room: &mut Room, counter: &Counter) {
    let mut random = Random::new(5);
    for channels in MODEL_CHANNELS {
        if channels as usize <= MAX_ROWS {
            norm(room, channels, &mut random, counter);
        }
    }
    for vocab in MODEL_VOCABS {
        if vocab as usize <= MAX_ROWS {
            sample(room, vocab, counter);
        }
    }
}

fn norm(room: &mut Room, channels: u32, random: &mut Random, counter: &Counter) {
    let n = channels as usize;
    room.x[..n].fill_with(|| between(2.0, random));
    room.halves[..n].fill_with(|| f16::from_f32(1.0 + between(0.5, random)));
    let (x, halves) = (black_box(&room.x[..n]), black_box(&room.halves[..n]));
    let instructions = counter.count(&mut || {
        Native::norm(x, 1e-5, halves, halves, &mut room.y[..n]);
        black_box(&room.y);
    });
    let line = Measure::Norm {
        channels,
        instructions,
    };
    say!("{line}");
}

fn sample(room: &mut Room, vocab: u32, counter: &Counter) {
    let mut count = |settings| {
        // The same logits for both: a sampler uses them up.
        let mut random = Random::new(6);
        let logits = &mut room.y[..vocab as usize];
        logits.fill_with(|| between(8.0, &mut random));
        let mut sampler = Sampler::new(black_box(settings), 0);
        counter.count(&mut || {
            black_box(sampler.sample(black_box(logits)));
        })
    };
    let line = Measure::Sample {
        vocab,
        greedy: count(Sampling::greedy()),
        drawn: count(DRAWN),
    };
    say!("{line}");
}
