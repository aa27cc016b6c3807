//! Saved trainings: any file, and a sound one whose notes are settings and,
//! after a NUL, progress.
#![no_main]

mod common;

use kinglet_host::checkpoint::{writer::safetensors_bytes, Dtype};
use kinglet_host::train::save::{take_up, training_file};
use kinglet_host::train::trainer::Trainer;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local!(static TRAINER: RefCell<Trainer> = RefCell::new(common::trainer()));

fuzz_target!(|bytes: &[u8]| {
    try_to_resume(bytes);
    if let Some((settings, progress)) = common::halves(bytes) {
        let notes = [
            ("kinglet.training", settings),
            ("kinglet.progress", progress),
        ];
        let len = TRAINER.with_borrow(|trainer| trainer.weights.len());
        let (shape, values) = ([len], vec![0.5; len]);
        let names = ["weights", "best", "first", "second"];
        let tensors = names.map(|name| (name, &shape[..], Dtype::F32, &values[..]));
        try_to_resume(&safetensors_bytes(&tensors, &common::map(&notes)).expect("tensors"));
    }
});

fn try_to_resume(bytes: &[u8]) {
    common::with_file(b"", |output| {
        std::fs::write(training_file(output), bytes).expect("a temporary file");
        TRAINER.with_borrow_mut(|trainer| {
            take_up(output, &common::settings(), 0, trainer)
                .err()
                .map(common::is_sentence);
        });
    });
}
