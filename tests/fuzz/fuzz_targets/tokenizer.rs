//! Tokenizers of every kind, told apart by content: any text is cut into tokens.
#![no_main]

mod common;

use kinglet_host::tokenizer::TokenizerFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match common::with_file(bytes, TokenizerFile::open) {
        Ok(TokenizerFile::Json(json)) => {
            for token in json
                .encode(b"Once upon \xff\xc3 a time")
                .unwrap_or_default()
            {
                let _ = json.decode(token);
            }
        }
        Ok(TokenizerFile::Vocabulary(vocabulary)) => drop(vocabulary.to_trie()),
        Err(error) => common::is_sentence(error),
    }
});
