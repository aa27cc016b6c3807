//! Tables of boards: whose figures hold, or an error in one line.
#![no_main]

mod common;

use kinglet_targets::{Board, Boards};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match common::with_file(bytes, |path| Boards::load(Some(path))) {
        Ok(boards) => {
            for board in boards.iter() {
                assert!(board.model().end() <= 1 << 32 && board.arena_bytes() > 0);
                let Board { name, title, .. } = board;
                assert!(!format!("{name}{title}").contains(char::is_control));
            }
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 1000 && !message.contains(char::is_control));
        }
    }
});
