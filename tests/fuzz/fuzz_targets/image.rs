//! Any bytes: the image reader answers with an error or an image that runs.
#![no_main]

use kinglet::image::Aligned;
use kinglet::{Image, Session};
use libfuzzer_sys::fuzz_target;

/// Beyond this many floats of state or scratch a model is not run: the
/// buffers are the caller's choice, not the reader's.
const MOST_FLOATS: usize = 1 << 18;

fuzz_target!(|bytes: &[u8]| {
    let mut aligned = Aligned([0u8; 1 << 16]);
    let len = bytes.len().min(aligned.0.len());
    aligned.0[..len].copy_from_slice(&bytes[..len]);
    let Ok(image) = Image::new(&aligned.0[..len]) else { return };
    let _ = image.verify_checksum();
    let _ = image.metadata();
    let header = *image.header();
    if header.state_len() > MOST_FLOATS || header.scratch_len() > MOST_FLOATS {
        return;
    }
    let (mut state, mut scratch) = (vec![0.0; header.state_len()], vec![0.0; header.scratch_len()]);
    let mut session = Session::new(&image, &mut state, &mut scratch).expect("the buffers fit");
    for token in [0, header.n_vocab - 1] {
        let logits = session.step(token).expect("a token of the vocabulary");
        assert_eq!(logits.len(), header.n_vocab as usize);
    }
    assert!(session.step(header.n_vocab).is_err());
});
