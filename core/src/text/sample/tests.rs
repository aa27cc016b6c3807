use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// A logit in units of 2^-16.
fn fixed(logit: f32) -> i32 {
    (logit * 65536.0) as i32
}

fn value(logit: i32) -> f64 {
    f64::from(logit) / 65536.0
}

fn settings(temperature: f32, top_k: u32, top_p: f32) -> Sampling {
    Sampling {
        temperature,
        top_k,
        top_p,
        repetition_penalty: 1.0,
    }
}

#[test]
fn greedy_takes_the_first_of_the_largest() {
    let mut sampler = Sampler::new(Sampling::greedy(), 0);
    assert_eq!(sampler.sample(&mut [0, 3, -1, 3]), 1);
    assert_eq!(sampler.sample(&mut []), 0);
    assert_eq!(sampler.sample(&mut [i32::MIN; 2]), 0);
}

#[test]
fn draws_follow_the_distribution() {
    let mut sampler = Sampler::new(settings(0.5, 0, 1.0), 1);
    let mut counts = [0u32; 3];
    for _ in 0..20_000 {
        // At temperature 0.5 the odds are 1 : 4 : 16.
        let mut logits = [0.0, 2f32.ln(), 4f32.ln()].map(fixed);
        counts[sampler.sample(&mut logits) as usize] += 1;
    }
    for (count, share) in counts.into_iter().zip([1.0, 4.0, 16.0]) {
        let expected = 20_000.0 * share / 21.0;
        assert!(
            (f64::from(count) - expected).abs() < 4.0 * f64::sqrt(expected),
            "{counts:?}"
        );
    }
}

#[test]
fn the_same_seed_draws_the_same_tokens() {
    let draw = |seed| -> Vec<u32> {
        let mut sampler = Sampler::new(settings(1.0, 40, 0.9), seed);
        (0..50)
            .map(|_| sampler.sample(&mut [0.1, 0.5, 0.2, 0.9, 0.3].map(fixed)))
            .collect()
    };
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}

#[test]
fn a_penalty_makes_room_for_others() {
    let penalty = Sampling {
        repetition_penalty: 2.0,
        ..Sampling::greedy()
    };
    let mut sampler = Sampler::new(penalty, 0);
    let logits = [1.0, 1.5, -1.0].map(fixed);
    let drawn: Vec<u32> = (0..3)
        .map(|_| sampler.sample(&mut logits.clone()))
        .collect();
    // 1.5 / 2 < 1, then 1 / 2 < 1.5 / 2.
    assert_eq!(drawn, [1, 0, 1]);
}

#[test]
fn extreme_logits_do_not_panic() {
    let mut sampler = Sampler::new(settings(1.0, 2, 0.5), 0);
    assert!(sampler.sample(&mut [i32::MAX, 0, i32::MIN]) < 3);
    assert!(sampler.sample(&mut [i32::MIN; 3]) < 3);
}

/// Vocabularies in blocks of some length, the last one shorter.
fn in_blocks<const K: usize>(sampler: &mut Sampler<K>, logits: &[i32], block_rows: usize) -> u32 {
    let mut logits = logits.to_vec();
    for (index, block) in logits.chunks_mut(block_rows).enumerate() {
        sampler.see((index * block_rows) as u32, block);
    }
    sampler.choose()
}

fn any_logit() -> impl Strategy<Value = i32> {
    prop_oneof![
        8 => -8i32 << 16..8 << 16,
        // Ties, and weights that differ by nothing after rounding.
        3 => (-3i32..3).prop_map(|logit| logit << 16),
        1 => -2..2,
        1 => prop_oneof![Just(i32::MIN), Just(i32::MAX), Just(-1 << 29), Just(1 << 29)],
    ]
}

fn any_settings() -> impl Strategy<Value = Sampling> {
    (
        prop_oneof![
            Just(0.0),
            Just(f32::NAN),
            Just(1e-40),
            Just(f32::INFINITY),
            0.1f32..3.0
        ],
        prop_oneof![Just(0u32), Just(1), Just(8), 1u32..9],
        prop_oneof![Just(1.0), Just(0.0), Just(f32::NAN), 0.0f32..1.0],
        prop_oneof![Just(1.0), Just(0.0), 0.5f32..2.0],
    )
        .prop_map(|(temperature, top_k, top_p, repetition_penalty)| Sampling {
            temperature,
            top_k,
            top_p,
            repetition_penalty,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn blocks_draw_what_the_whole_buffer_draws(
        settings in any_settings(), seed in any::<u64>(), block_rows in 1usize..20,
        texts in (0usize..70).prop_flat_map(|vocab| proptest::collection::vec(
            proptest::collection::vec(any_logit(), vocab), 1..20))
    ) {
        let mut whole = Sampler::new(settings, seed);
        let mut blocks = Sampler::<8>::with_room(settings, seed);
        let mut both = blocks.clone();
        prop_assume!(!blocks.wants_all());
        for logits in texts {
            let expected = whole.sample(&mut logits.clone());
            prop_assert_eq!(in_blocks(&mut blocks, &logits, block_rows), expected);
            prop_assert_eq!(both.sample(&mut logits.clone()), expected);
        }
    }

    #[test]
    fn drawing_everything_with_top_k_is_no_limit_to_the_kept(
        logits in proptest::collection::vec(-5i32 << 16..5 << 16, 40), seed in any::<u64>()
    ) {
        let mut all = Sampler::new(settings(1.0, 0, 1.0), seed);
        let mut kept = Sampler::<40>::with_room(settings(1.0, 40, 1.0), seed);
        prop_assert_eq!(all.sample(&mut logits.clone()), in_blocks(&mut kept, &logits, 7));
    }
}

#[test]
fn settings_that_blocks_cannot_carry_out_want_all_logits() {
    let wants = |settings| Sampler::<8>::with_room(settings, 0).wants_all();
    assert!(wants(settings(1.0, 9, 1.0)));
    assert!(wants(settings(1.0, 0, 0.9)));
    assert!(!wants(settings(1.0, 8, 0.9)));
    assert!(!wants(settings(1.0, 0, 1.0)));
    // The likeliest token is the likeliest of all that could be kept.
    assert!(!wants(settings(0.0, 9, 0.9)));
    assert!(Sampler::new(settings(1.0, 1, 1.0), 0).wants_all());
    assert!(!Sampler::new(settings(1.0, 0, 1.0), 0).wants_all());
}

/// 20,000 draws of a sampler, each from the same logits.
fn counts(mut sample: impl FnMut(&mut [i32]) -> u32, logits: &[i32]) -> Vec<f64> {
    let mut counts = vec![0.0; logits.len()];
    for _ in 0..20_000 {
        counts[sample(&mut logits.to_vec()) as usize] += 1.0;
    }
    counts
}

#[test]
fn many_tokens_are_drawn_by_their_weights() {
    // Rising and falling logits: the largest changes often, or never.
    let mut logits: Vec<i32> = (0..30).map(|i| fixed(0.1 * i as f32)).collect();
    for _ in 0..2 {
        let mut sampler = Sampler::new(settings(1.0, 0, 1.0), 5);
        let total: f64 = logits.iter().map(|&l| value(l).exp()).sum();
        let found = counts(|logits| sampler.sample(logits), &logits);
        let mut chi_squared = 0.0;
        for (count, &logit) in found.into_iter().zip(&logits) {
            let expected = 20_000.0 * value(logit).exp() / total;
            chi_squared += (count - expected).powi(2) / expected;
        }
        // 29 degrees of freedom: 58.3 is exceeded once in a thousand times.
        assert!(chi_squared < 58.3, "{chi_squared}");
        logits.reverse();
    }
}
