//! Instructions of choosing a token.

use crate::count::Counter;
use crate::random::Random;
use crate::room::{Room, MAX_ROWS};
use core::hint::black_box;
use kinglet::{Sampler, Sampling};
use kinglet_machine::say;
use kinglet_protocol::{Measure, MODEL_VOCABS};

/// Settings with which tokens are drawn.
const DRAWN: Sampling = Sampling {
    temperature: 0.8,
    top_k: 0,
    top_p: 0.9,
    repetition_penalty: 1.0,
};

/// Counts all vocabularies that there is room for.
pub fn run(room: &mut Room, counter: &Counter) {
    for vocab in MODEL_VOCABS {
        if vocab as usize <= MAX_ROWS {
            count(room, vocab, counter);
        }
    }
}

fn count(room: &mut Room, vocab: u32, counter: &Counter) {
    let mut count = |settings| {
        // The same logits for both, -8 to 8: a sampler uses them up.
        let mut random = Random::new(6);
        let logits = &mut room.sums[..vocab as usize];
        logits.fill_with(|| random.next() as i32 >> 12);
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
