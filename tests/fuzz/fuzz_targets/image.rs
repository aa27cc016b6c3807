//! Any bytes: the image reader answers with an error or an image that runs.
#![no_main]

use kinglet::image::Aligned;
use kinglet::tokenizer::MAX_TOKEN_BYTES;
use kinglet::{Answer, Encoder, Image, Sampler, Sampling, Session, Text, UnknownByte};
use libfuzzer_sys::fuzz_target;

/// Beyond this many words of state or scratch a model is not run: the
/// buffers are the caller's choice, not the reader's.
const MOST_WORDS: usize = 1 << 18;

/// Whole or byte by byte, any text has the same tokens, and they its bytes.
fn tokenize(image: &Image<'_>, text: &[u8]) {
    let Some(tokenizer) = image.tokenizer() else {
        return;
    };
    let text = &text[..text.len().min(256)];
    let mut encoder = Encoder::new(tokenizer);
    let mut streamed = Vec::new();
    for &byte in text {
        streamed.extend(encoder.push(byte));
    }
    streamed.extend(encoder.finish());
    assert!(tokenizer.encode(text).eq(streamed.iter().copied()));
    let back = streamed.iter().flat_map(|token| match token {
        Ok(token) => tokenizer.decode(*token).to_vec(),
        Err(UnknownByte(byte)) => vec![*byte],
    });
    assert_eq!(back.collect::<Vec<u8>>(), text);
    for token in 0..image.shape().n_vocab.min(1000) {
        assert!(tokenizer.decode(token).len() <= MAX_TOKEN_BYTES);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut aligned = Aligned([0u8; 1 << 16]);
    let len = bytes.len().min(aligned.0.len());
    aligned.0[..len].copy_from_slice(&bytes[..len]);
    let Ok(image) = Image::new(&aligned.0[..len]) else {
        return;
    };
    let _ = image.verify_checksum();
    if let Some(metadata) = image.metadata() {
        assert!(metadata.is_text());
    }
    tokenize(&image, bytes);
    let shape = *image.shape();
    if shape.state_len() > MOST_WORDS || shape.scratch_len() > MOST_WORDS {
        return;
    }
    run(&image);
});

/// Runs a model whole, in blocks, in slices, from its states, with a sampler.
fn run(image: &Image<'_>) {
    let shape = image.shape();
    let outputs = if shape.n_class > 0 {
        shape.n_class
    } else {
        shape.n_vocab
    };
    let (mut state, mut scratch) = (vec![0; shape.state_len()], vec![0; shape.scratch_len()]);
    let mut session = Session::new(image, &mut state, &mut scratch).expect("the buffers fit");
    let mut expected = Vec::new();
    for token in [0, shape.n_vocab - 1] {
        let logits = session.step(token).expect("a token of the vocabulary");
        assert_eq!(logits.len(), outputs as usize);
        expected = logits.to_vec();
    }
    assert!(session.step(shape.n_vocab).is_err());
    let mut answer = Answer::of(&expected);
    assert!((0.0..=1.0).contains(&answer.probability()));
    let _ = answer.label(image).to_string();
    let mut sampling = Sampling::greedy();
    (sampling.temperature, sampling.top_p, sampling.top_k) = (1.5, 0.9, 9);
    (sampling.repetition_penalty, answer) = (1.2, Answer::new());
    let token = Sampler::new(sampling, 1).sample(&mut expected.clone());
    assert!(token < outputs);

    session.reset();
    session.feed(&[0]).expect("a token of the vocabulary");
    let mut step = session
        .begin(shape.n_vocab - 1)
        .expect("a token of the vocabulary");
    while session.advance(&mut step, 64) {}
    let (_, sliced) = session.logits(&step).expect("they were asked for");
    assert_eq!(sliced, expected);
    for state in image.states() {
        let token = session.start_from(state.name).expect("its name");
        assert!(token < shape.n_vocab);
        session.step(token).expect("a token of the vocabulary");
    }
    let mut scratch = vec![0; shape.scratch_len_in_blocks()];
    let mut session = Session::new(image, &mut state, &mut scratch).expect("the buffers fit");
    session
        .choose(0, &mut answer)
        .expect("a token of the vocabulary");
    assert!(answer.class < outputs);
    if shape.n_class == 0 {
        text(image, &mut session);
    }
}

/// A text from its prompt on.
fn text(image: &Image<'_>, session: &mut Session<'_, '_>) {
    let Ok(mut text) = Text::new(image, 4) else {
        return;
    };
    session.reset();
    let mut sampler = Sampler::<8>::with_room(Sampling::greedy(), 1);
    for token in text.prompt(b"ab").map_while(Result::ok) {
        session.feed(&[token]).expect("a token of the vocabulary");
    }
    while text.end().is_none() {
        let token = session
            .choose(text.token(), &mut sampler)
            .expect("a token of the vocabulary");
        text.push(token, |_| ());
    }
    assert!(text.tokens() <= 4);
}
