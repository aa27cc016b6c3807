//! A step in slices computes what a whole step computes, to the bit, in every
//! version and whatever the slices.

mod models_common;

use kinglet::hash::{logits_hash, LogitsHash};
use kinglet::image::Bits;
use kinglet::{BeginError, Image, Session, SlicedSession, UnknownToken};
use models_common::{random_image, MODELS};

const TOKENS: [u32; 6] = [0, 97, 130, 5, 64, 97];

/// From one block of rows to whole products.
const SLICES: [usize; 4] = [1, 300, 1000, usize::MAX];

fn buffers(image: &Image<'_>) -> (Vec<f32>, Vec<f32>) {
    let header = image.header();
    // What they hold before does not matter.
    let state = vec![f32::NAN; header.state_len()];
    (state, vec![f32::NAN; header.scratch_len()])
}

/// A session in slices, at an empty text.
fn sliced<'i, 'b>(
    image: &Image<'i>,
    (state, scratch): &'b mut (Vec<f32>, Vec<f32>),
) -> SlicedSession<'i, 'b> {
    Session::new(image, state, scratch).unwrap().sliced()
}

/// The bits of logits and state behind each token.
fn whole(image: &Image<'_>) -> Vec<(u64, u64)> {
    let (mut state, mut scratch) = buffers(image);
    let mut session = Session::new(image, &mut state, &mut scratch).unwrap();
    let step = |&token| {
        let hash = logits_hash(session.step(token).unwrap());
        (hash, logits_hash(session.state()))
    };
    TOKENS.iter().map(step).collect()
}

#[test]
fn slices_of_any_size_are_whole_steps() {
    for (version, format) in MODELS {
        for weights in [Bits::Int8, Bits::Int4] {
            let file = random_image(version, format, weights);
            let image = file.image();
            let expected = whole(&image);
            for max_weights in SLICES {
                let mut own = buffers(&image);
                let mut session = sliced(&image, &mut own);
                for (&token, &expected) in TOKENS.iter().zip(&expected) {
                    session.begin(token).unwrap();
                    while session.advance(max_weights) {
                        assert!(session.logits().is_none() && session.state().is_none());
                    }
                    let hash = logits_hash(session.logits().unwrap());
                    let found = (hash, logits_hash(session.state().unwrap()));
                    assert_eq!(found, expected, "{version} {format:?} {max_weights}");
                }
            }
        }
    }
}

#[test]
fn nothing_but_the_buffers_holds_a_step() {
    for (version, format) in MODELS {
        let file = random_image(version, format, Bits::Int8);
        let image = file.image();
        let mut own = buffers(&image);
        let mut session = sliced(&image, &mut own);
        let mut others = buffers(&image);
        let mut other = sliced(&image, &mut others);
        for (&token, (hash, _)) in TOKENS.iter().zip(whole(&image)) {
            // Two sessions take turns.
            session.begin(token).unwrap();
            other.begin(130 - token).unwrap();
            while session.advance(200) {
                let _ = other.advance(200);
            }
            while other.advance(200) {}
            assert_eq!(logits_hash(session.logits().unwrap()), hash, "{version}");
        }
    }
}

#[test]
fn a_session_without_room_for_logits_shows_them_in_order() {
    for (version, format) in MODELS {
        let file = random_image(version, format, Bits::Int4);
        let image = file.image();
        let (mut state, mut scratch) = buffers(&image);
        scratch.truncate(image.header().scratch_len_in_blocks());
        let session = Session::in_blocks(&image, &mut state, &mut scratch).unwrap();
        let mut session = session.sliced();
        for (&token, (expected, _)) in TOKENS.iter().zip(whole(&image)) {
            let (mut hash, mut next) = (LogitsHash::default(), 0);
            session.begin(token).unwrap();
            while session.advance(800, |first, logits| {
                assert_eq!(first, next);
                next += logits.len() as u32;
                hash.update(logits);
            }) {}
            assert_eq!((hash.finish(), next), (expected, 131), "{version}");
        }
    }
}

#[test]
fn fed_tokens_and_half_a_step_end_where_whole_ones_do() {
    for (version, format) in MODELS {
        let file = random_image(version, format, Bits::Int8);
        let image = file.image();
        let mut own = buffers(&image);
        let mut session = sliced(&image, &mut own);
        let (last, before) = TOKENS.split_last().unwrap();
        for &token in before {
            session.begin_feed(token).unwrap();
            while session.advance(500) {}
            assert!(session.logits().is_none());
        }
        session.begin(*last).unwrap();
        for _ in 0..9 {
            assert!(session.advance(500));
        }
        assert_eq!(session.begin(0), Err(BeginError::Unfinished));
        let session = session.into_session();
        let (_, expected) = whole(&image)[TOKENS.len() - 1];
        assert_eq!(logits_hash(session.state()), expected, "{version}");
    }
}

#[test]
fn what_cannot_begin_changes_nothing() {
    let file = random_image(MODELS[0].0, MODELS[0].1, Bits::Int8);
    let image = file.image();
    let mut own = buffers(&image);
    let mut session = sliced(&image, &mut own);
    assert_eq!(
        session.begin(131),
        Err(BeginError::Token(UnknownToken(131)))
    );
    assert!(!session.advance(1), "no step is under way");
    assert!(session.logits().is_none());
    session.begin(0).unwrap();
    assert!(session.advance(1));
    session.reset();
    session.begin(TOKENS[0]).unwrap();
    while session.advance(1) {}
    let hash = logits_hash(session.logits().unwrap());
    assert_eq!(hash, whole(&image)[0].0);
}
