//! A session in blocks computes and draws what the ordinary one does.

use kinglet::hash::{logits_hash, LogitsHash};
use kinglet::{BufferError, Image, Sampler, Sampling, Session, StepError};

static TINY: &[u8] =
    kinglet::include_image!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl"));

fn image() -> Image<'static> {
    Image::new(TINY).unwrap()
}

const SETTINGS: [Sampling; 5] = [
    Sampling::greedy(),
    sampling(0.8, 0, 1.0, 1.0),
    sampling(1.2, 1, 1.0, 1.0),
    sampling(0.9, 64, 1.0, 1.3),
    sampling(1.5, 40, 0.9, 1.1),
];

const fn sampling(temperature: f32, top_k: u32, top_p: f32, repetition_penalty: f32) -> Sampling {
    Sampling {
        temperature,
        top_k,
        top_p,
        repetition_penalty,
    }
}

#[test]
fn three_hundred_tokens_are_the_same() {
    let image = image();
    let shape = image.shape();
    for settings in SETTINGS {
        let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; shape.scratch_len()]);
        let mut whole = Session::new(&image, &mut state, &mut scratch).unwrap();
        let mut sampler = Sampler::new(settings, 3);
        // No word more than promised.
        let (mut state, mut scratch) = (
            vec![i32::MIN; shape.state_len()],
            vec![i32::MIN; shape.scratch_len_in_blocks()],
        );
        let mut blocks = Session::new(&image, &mut state, &mut scratch).unwrap();
        let mut block_sampler = Sampler::<64>::with_room(settings, 3);
        let mut token = u32::from(b'a');
        for position in 0..300 {
            let next = whole.choose(token, &mut sampler).unwrap();
            let found = blocks.choose(token, &mut block_sampler).unwrap();
            assert_eq!(found, next, "{settings:?}, token {position}");
            token = next;
        }
    }
}

#[test]
fn blocks_hold_the_logits_in_order() {
    let image = image();
    let shape = image.shape();
    let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; shape.scratch_len()]);
    let mut whole = Session::new(&image, &mut state, &mut scratch).unwrap();
    let (mut state, mut scratch) = (
        vec![0; shape.state_len()],
        vec![0; shape.scratch_len_in_blocks()],
    );
    let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
    for token in [0, 97, 5] {
        let expected = logits_hash(whole.step(token).unwrap());
        let (mut hash, mut next, mut blocks) = (LogitsHash::default(), 0, 0);
        session
            .step_in_blocks(token, &mut |first, logits| {
                assert_eq!(first, next);
                next += logits.len() as u32;
                blocks += 1;
                hash.update(logits);
            })
            .unwrap();
        assert_eq!((hash.finish(), next), (expected, shape.n_vocab));
        assert!(blocks > 1, "the tiny model's head has several blocks");
    }
    assert!(shape.scratch_len_in_blocks() < shape.scratch_len());
}

#[test]
fn a_sampler_for_blocks_works_on_an_ordinary_session() {
    let image = image();
    let shape = image.shape();
    let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; shape.scratch_len()]);
    let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
    let mut draw = |in_blocks: bool| -> Vec<u32> {
        session.reset();
        session.feed(b"Once".map(u32::from).as_slice()).unwrap();
        let mut sampler = Sampler::new(SETTINGS[4], 9);
        let mut block_sampler = Sampler::<40>::with_room(SETTINGS[4], 9);
        let mut token = 32;
        (0..50)
            .map(|_| {
                token = if in_blocks {
                    session.choose(token, &mut block_sampler).unwrap()
                } else {
                    session.choose(token, &mut sampler).unwrap()
                };
                token
            })
            .collect()
    };
    assert_eq!(draw(true), draw(false));
}

#[test]
fn errors_are_those_of_the_ordinary_session() {
    let image = image();
    let len = image.shape().scratch_len_in_blocks();
    let mut state = vec![0; image.shape().state_len()];
    let mut scratch = vec![0; len];
    let short = Session::new(&image, &mut state, &mut scratch[1..]);
    assert_eq!(short.unwrap_err(), BufferError::Scratch(len));
    let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
    let mut sampler = Sampler::new(SETTINGS[0], 0);
    assert_eq!(
        session.choose(1 << 20, &mut sampler),
        Err(StepError::UnknownToken(1 << 20))
    );
    // A sampler that must see all logits has no room here; nothing is read.
    let before = session.state().to_vec();
    let mut whole = Sampler::<39>::with_room(SETTINGS[4], 0);
    assert_eq!(session.choose(0, &mut whole), Err(StepError::NoRoom));
    assert_eq!(session.step(0).unwrap_err(), StepError::NoRoom);
    assert_eq!(session.state(), before);
    assert_eq!(
        session.feed(&[0, 1 << 20]),
        Err(StepError::UnknownToken(1 << 20))
    );
}
