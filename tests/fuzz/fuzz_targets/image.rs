//! Any bytes: the image reader answers with an error or an image that runs.
#![no_main]

use kinglet::image::Aligned;
use kinglet::tokenizer::MAX_TOKEN_BYTES;
use kinglet::{Encoder, Image, Session, UnknownByte};
use libfuzzer_sys::fuzz_target;

/// Beyond this many floats of state or scratch a model is not run: the
/// buffers are the caller's choice, not the reader's.
const MOST_FLOATS: usize = 1 << 18;

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
    let _ = image.metadata();
    tokenize(&image, bytes);
    let shape = *image.shape();
    if shape.state_len() > MOST_FLOATS || shape.scratch_len() > MOST_FLOATS {
        return;
    }
    let (mut state, mut scratch) = (vec![0.0; shape.state_len()], vec![0.0; shape.scratch_len()]);
    let mut session = Session::new(&image, &mut state, &mut scratch).expect("the buffers fit");
    for token in [0, shape.n_vocab - 1] {
        let logits = session.step(token).expect("a token of the vocabulary");
        assert_eq!(logits.len(), shape.n_vocab as usize);
    }
    assert!(session.step(shape.n_vocab).is_err());
});
