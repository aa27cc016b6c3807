//! Vocabularies as text: what is read is written and read again.
#![no_main]

mod common;

use kinglet_host::tokenizer::Vocabulary;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Vocabulary::parse(bytes) {
        Ok(vocabulary) => {
            let again = Vocabulary::parse(vocabulary.to_text().as_bytes()).expect("its own text");
            assert!(vocabulary.tokens().eq(again.tokens()));
            assert_eq!(vocabulary.to_trie(), again.to_trie());
        }
        Err(error) => common::is_sentence(error),
    }
});
