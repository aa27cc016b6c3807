//! From a prompt to text, for every way of taking the steps.

use kinglet::{
    Answer, End, Error, Image, Sample, Sampler, Sampling, Session, StepError, Text, Writer,
    START_TOKEN,
};
use std::cell::Cell;

static TINY: &[u8] =
    kinglet::include_image!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.kgl"));

fn image() -> Image<'static> {
    Image::new(TINY).unwrap()
}

const WARM: Sampling = Sampling {
    temperature: 1.5,
    top_k: 40,
    top_p: 0.9,
    repetition_penalty: 1.1,
};

/// A session's answer to a prompt, and why it ended.
fn say(
    scratch_len: usize,
    sampler: &mut dyn Sample,
    mut text: Text<'_, '_>,
) -> Result<(String, End, u32), Error> {
    let image = image();
    let mut state = vec![0; image.shape().state_len()];
    let mut scratch = vec![i32::MIN; scratch_len];
    let mut session = Session::new(&image, &mut state, &mut scratch)?;
    for token in text.prompt(b"A bird") {
        session.feed(&[token?])?;
    }
    let mut said = String::new();
    while text.end().is_none() {
        let token = session.choose(text.token(), sampler)?;
        text.push(token, |piece| said.push_str(piece));
    }
    Ok((said, text.end().unwrap(), text.tokens()))
}

#[test]
fn a_prompt_is_all_tokens_but_the_last() {
    let image = image();
    let mut text = Text::new(&image, 9).unwrap();
    let fed: Result<Vec<u32>, _> = text.prompt(b"bird").collect();
    assert_eq!(fed.unwrap(), b"bir".map(u32::from));
    assert_eq!(text.token(), u32::from(b'd'));
    // A text continues: its last token is to be read first.
    let fed: Result<Vec<u32>, _> = text.prompt(b"s!").collect();
    assert_eq!(fed.unwrap(), b"ds".map(u32::from));
    let mut empty = Text::new(&image, 9).unwrap();
    assert_eq!(empty.prompt(b"").count(), 0);
    assert_eq!(empty.token(), START_TOKEN);
}

/// A prompt of any length needs no buffer.
#[test]
fn a_prompt_is_asked_for_as_it_is_read() {
    let asked = Cell::new(0);
    let bytes = b"abcdef".iter().inspect(|_| asked.set(asked.get() + 1));
    let image = image();
    let mut text = Text::new(&image, 9).unwrap();
    for (index, token) in text.prompt(bytes).enumerate() {
        assert_eq!(token, Ok(u32::from(b"abcdef"[index])));
        assert_eq!(asked.get(), index + 2);
    }
    assert_eq!(asked.get(), 6);
}

#[test]
fn text_is_the_same_at_once_in_blocks_and_in_slices() {
    let image = image();
    let shape = image.shape();
    let (whole, blocks) = (shape.scratch_len(), shape.scratch_len_in_blocks());
    let text = || Text::new(&image, 60).unwrap().ignore_end();
    for settings in [Sampling::greedy(), WARM] {
        let expected = say(whole, &mut Sampler::new(settings, 3), text()).unwrap();
        assert_eq!((expected.1, expected.2), (End::Length, 60));
        let mut sampler = Sampler::<40>::with_room(settings, 3);
        assert_eq!(say(blocks, &mut sampler, text()), Ok(expected.clone()));
        // The text holds no session: it does not matter who takes the steps.
        let mut sampler = Sampler::<40>::with_room(settings, 3);
        let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; blocks]);
        let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
        let (mut text, mut said) = (text(), String::new());
        for token in text.prompt(b"A bird") {
            session.feed(&[token.unwrap()]).unwrap();
        }
        while text.end().is_none() {
            let mut step = session.begin(text.token()).unwrap();
            while step.is_under_way() {
                session.advance(&mut step, 1000);
                if let Some((first, logits)) = session.logits(&step) {
                    sampler.see(first, logits);
                }
            }
            text.push(sampler.choose(), |piece| said.push_str(piece));
        }
        assert_eq!(said, expected.0);
    }
}

#[test]
fn a_sampler_that_wants_all_logits_gets_them_or_an_error() {
    let image = image();
    let shape = image.shape();
    let text = || Text::new(&image, 60).unwrap().ignore_end();
    let mut sampler = Sampler::<39>::with_room(WARM, 3);
    let error = Error::Step(StepError::NoRoom);
    let blocks = shape.scratch_len_in_blocks();
    assert_eq!(say(blocks, &mut sampler, text()), Err(error));
    let mut other = Sampler::new(WARM, 3);
    let whole = |sampler: &mut dyn Sample| say(shape.scratch_len(), sampler, text()).unwrap();
    assert_eq!(whole(&mut sampler), whole(&mut other));
}

#[test]
fn a_text_ends_before_a_stop_text() {
    let image = image();
    let len = image.shape().scratch_len();
    let draw = |text| say(len, &mut Sampler::new(WARM, 3), text).unwrap();
    let (whole, ..) = draw(Text::new(&image, 60).unwrap());
    let is_ascii = |pair: &(usize, &str)| pair.1.is_ascii();
    let pairs = (10..whole.len()).filter_map(|at| Some((at, whole.get(at..at + 2)?)));
    let (_, stop) = pairs
        .into_iter()
        .find(is_ascii)
        .expect("two ASCII characters");
    let stops: [&[u8]; 2] = [b"never to be found", stop.as_bytes()];
    let (said, end, _) = draw(Text::new(&image, 60).unwrap().until(&stops));
    let (before, _) = whole.split_once(stop).unwrap();
    assert_eq!((&*said, end), (before, End::Stop));
}

#[test]
fn an_abort_ends_a_text_once() {
    let mut writer = Writer::new(3);
    let mut said = String::new();
    writer.push(97, b"a", &mut |piece| said.push_str(piece));
    writer.finish(End::Abort, &mut |_| unreachable!("nothing was held back"));
    writer.push(98, b"b", &mut |piece| said.push_str(piece));
    assert_eq!(
        (&*said, writer.end(), writer.tokens()),
        ("a", Some(End::Abort), 1)
    );
}

/// A class is chosen as a token is, from blocks, too.
#[test]
fn an_answer_is_the_likeliest_of_all_blocks() {
    let image = image();
    let shape = image.shape();
    let answer = |len| {
        let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; len]);
        let mut session = Session::new(&image, &mut state, &mut scratch).unwrap();
        let mut answer = Answer::new();
        let class = session.choose(97, &mut answer).unwrap();
        assert_eq!(class, answer.class);
        answer
    };
    let whole = answer(shape.scratch_len());
    assert_eq!(answer(shape.scratch_len_in_blocks()), whole);
    assert!(whole.probability() > 0.0);
}
