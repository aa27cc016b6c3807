//! A step in slices of any size computes what a whole step computes, to the
//! bit, in every version.

use kinglet::hash::{logits_hash, LogitsHash};
use kinglet::shape::Layout;
use kinglet::{Image, Session, Step, StepError};
use kinglet_tests::models::{kinds, VOCAB};

const TOKENS: [u32; 6] = [0, 97, 130, 5, 64, 97];

/// From one block of rows to whole products.
const SLICES: [usize; 4] = [1, 300, 1000, usize::MAX];

fn buffers(image: &Image<'_>) -> (Vec<i32>, Vec<i32>) {
    let shape = image.shape();
    // Their first contents do not matter.
    let state = vec![i32::MIN; shape.state_len()];
    (state, vec![i32::MIN; shape.scratch_len()])
}

/// A session that continues from the state in the buffers.
fn resume<'i, 'b>(
    image: &Image<'i>,
    (state, scratch): &'b mut (Vec<i32>, Vec<i32>),
) -> Session<'i, 'b> {
    Session::resume(image, state, scratch).unwrap()
}

/// A session at an empty text.
fn session<'i, 'b>(
    image: &Image<'i>,
    (state, scratch): &'b mut (Vec<i32>, Vec<i32>),
) -> Session<'i, 'b> {
    Session::new(image, state, scratch).unwrap()
}

/// The hash of all logits, which are there at once.
fn hash(session: &mut Session<'_, '_>, step: &Step) -> u64 {
    let (first, logits) = session.logits(step).expect("the step is at its end");
    assert_eq!((first, logits.len()), (0, VOCAB));
    logits_hash(logits)
}

/// The bits of logits and state after each token.
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
    for kind in kinds() {
        let file = kind.image(Layout::Rows4);
        let image = file.image();
        let expected = whole(&image);
        for max_weights in SLICES {
            let mut own = buffers(&image);
            let mut session = session(&image, &mut own);
            for (&token, &expected) in TOKENS.iter().zip(&expected) {
                let mut step = session.begin(token).unwrap();
                while session.advance(&mut step, max_weights) {
                    assert!(session.logits(&step).is_none() && step.is_under_way());
                }
                let hash = hash(&mut session, &step);
                let found = (hash, logits_hash(session.state()));
                assert_eq!(found, expected, "{kind:?} {max_weights}");
            }
        }
    }
}

#[test]
fn nothing_but_the_buffers_and_the_step_holds_a_step() {
    for kind in kinds() {
        let file = kind.image(Layout::Rows4);
        let image = file.image();
        let mut own = buffers(&image);
        session(&image, &mut own);
        let mut others = buffers(&image);
        let mut other = session(&image, &mut others);
        for (&token, (expected, _)) in TOKENS.iter().zip(whole(&image)) {
            // Two sessions take turns, one of which is another one each time.
            let mut step = resume(&image, &mut own).begin(token).unwrap();
            let mut other_step = other.begin(130 - token).unwrap();
            while resume(&image, &mut own).advance(&mut step, 200) {
                other.advance(&mut other_step, 200);
            }
            while other.advance(&mut other_step, 200) {}
            let hash = hash(&mut resume(&image, &mut own), &step);
            assert_eq!(hash, expected, "{kind:?}");
        }
    }
}

#[test]
fn a_session_without_room_for_logits_shows_them_in_order() {
    for kind in kinds() {
        let file = kind.image(Layout::Rows4);
        let image = file.image();
        let (mut state, mut scratch) = buffers(&image);
        scratch.truncate(image.shape().scratch_len_in_blocks());
        let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
        for (&token, (expected, _)) in TOKENS.iter().zip(whole(&image)) {
            let (mut hash, mut next) = (LogitsHash::default(), 0);
            let mut step = session.begin(token).unwrap();
            while step.is_under_way() {
                session.advance(&mut step, 800);
                if let Some((first, logits)) = session.logits(&step) {
                    assert_eq!(first as usize, next);
                    next += logits.len();
                    hash.update(logits);
                }
            }
            assert_eq!((hash.finish(), next), (expected, VOCAB), "{kind:?}");
        }
    }
}

#[test]
fn fed_tokens_end_where_whole_ones_do() {
    for kind in kinds() {
        let file = kind.image(Layout::Rows4);
        let image = file.image();
        let mut own = buffers(&image);
        let mut session = session(&image, &mut own);
        for &token in &TOKENS {
            let mut step = session.begin_feed(token).unwrap();
            while session.advance(&mut step, 500) {}
            assert!(session.logits(&step).is_none());
        }
        let (_, expected) = whole(&image)[TOKENS.len() - 1];
        assert_eq!(logits_hash(session.state()), expected, "{kind:?}");
    }
}

#[test]
fn what_cannot_begin_changes_nothing() {
    let file = kinds()[0].image(Layout::Rows4);
    let image = file.image();
    let mut own = buffers(&image);
    let mut session = session(&image, &mut own);
    let unknown = session.begin(131).unwrap_err();
    assert_eq!(unknown, StepError::UnknownToken(131));
    let mut idle = Step::IDLE;
    assert!(!session.advance(&mut idle, 1), "no step is under way");
    assert!(session.logits(&idle).is_none());
    // A step that is given up.
    let mut step = session.begin(0).unwrap();
    assert!(session.advance(&mut step, 1));
    session.reset();
    let mut step = session.begin(TOKENS[0]).unwrap();
    while session.advance(&mut step, 1) {}
    assert_eq!(hash(&mut session, &step), whole(&image)[0].0);
}

#[test]
fn a_step_of_another_model_ends() {
    let file = kinds()[0].image(Layout::Rows4);
    let image = file.image();
    let mut own = buffers(&image);
    for other in kinds() {
        let other = other.image(Layout::Rows4);
        let other = other.image();
        let mut others = buffers(&other);
        let mut others = session(&other, &mut others);
        let mut step = others.begin(0).unwrap();
        let mut slices = 0;
        loop {
            // Numbers without a meaning, but an end.
            let mut strange = step;
            let mut session = session(&image, &mut own);
            while session.advance(&mut strange, 1000) {
                slices += 1;
                assert!(slices < 1_000_000);
            }
            if !others.advance(&mut step, 1000) {
                break;
            }
        }
    }
}
