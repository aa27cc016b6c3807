//! Notes in a checkpoint: labels, and after a NUL a vocabulary.
#![no_main]

mod common;

use kinglet_host::checkpoint::Checkpoint;
use kinglet_host::model::{Model, Reading, LABELS_KEY, VOCABULARY_KEY};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((labels, vocabulary)) = common::halves(bytes) else {
        return;
    };
    for notes in [&[(VOCABULARY_KEY, vocabulary)][..], &[(LABELS_KEY, labels)]] {
        let checkpoint = Checkpoint::from_bytes(common::noted(notes)).expect("a checkpoint");
        match Model::new(checkpoint, &Reading::default()) {
            Ok(model) => {
                assert!(model.labels().iter().all(|label| !label.contains('\n')));
                model.vocabulary().err().map(common::is_sentence);
            }
            Err(error) => common::is_sentence(error),
        }
    }
});
