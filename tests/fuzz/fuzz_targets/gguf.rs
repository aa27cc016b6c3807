//! GGUF files: any bytes, as a table of tensors and as a model.
#![no_main]

mod common;

use kinglet_host::checkpoint::Checkpoint;
use kinglet_host::model::{Model, Reading};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    common::checkpoint::exercise(bytes.to_vec());
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes.to_vec()) else {
        return;
    };
    match Model::new(checkpoint, &Reading::default()) {
        Ok(model) => {
            for info in model.checkpoint().tensors() {
                // Values may be infinite.
                let _ = model.load(&info.name).map_err(common::is_sentence);
            }
        }
        Err(error) => common::is_sentence(error),
    }
});
