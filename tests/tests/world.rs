//! RWKV's World vocabulary against its reference tokenizer. The vocabulary
//! is not in the repository: `tests/tokenizer/reference.py` says how to get
//! it and the expected tokens. Skipped where they are absent.

use kinglet::tokenizer::Trie;
use kinglet::{Encoder, Tokenizer};
use kinglet_host::tokenizer::{TokenizerFile, Vocabulary};
use kinglet_tests::root;
use std::path::PathBuf;
use std::time::Instant;

/// The vocabulary; says so where it is absent.
fn vocabulary() -> Option<Vocabulary> {
    let path = std::env::var_os("KINGLET_WORLD_VOCAB").map(PathBuf::from);
    let path = path.unwrap_or_else(|| root().join("../shared/rwkv_vocab_v20230424.txt"));
    if !path.is_file() {
        eprintln!(
            "skipped: no World vocabulary at {} (set KINGLET_WORLD_VOCAB)",
            path.display()
        );
        return None;
    }
    match TokenizerFile::open(&path).unwrap() {
        TokenizerFile::Vocabulary(vocabulary) => Some(vocabulary),
        TokenizerFile::Json(_) => panic!("{} is a tokenizer.json", path.display()),
    }
}

#[test]
fn the_world_vocabulary_becomes_a_small_trie() {
    let Some(vocabulary) = vocabulary() else {
        return;
    };
    let words = vocabulary.to_trie();
    let start = Instant::now();
    let trie = Trie::new(&words, 65_536).unwrap();
    let check = start.elapsed();
    assert_eq!(trie.tokens(), 65_529);
    assert_eq!(trie.longest_token_bytes(), 128);
    let list: usize = vocabulary.tokens().map(|(token, _)| token.len()).sum();
    let (nodes, bytes) = (trie.nodes(), 4 * words.len());
    eprintln!("{nodes} nodes, {bytes} bytes (the tokens one after the other: {list}), checked in {check:?}");
    // In order of length and bytes, World needs no table of ids.
    assert!(bytes * 8 <= nodes as usize * 13 + 13 * 32 * 8, "{bytes}");
    let tokenizer = Tokenizer::trie(trie);
    for (token, id) in vocabulary.tokens() {
        assert_eq!(&*tokenizer.decode(id), token);
        assert!(tokenizer.encode(token).eq([Ok(id)]));
    }
    for id in [0].into_iter().chain(65_530..65_536) {
        assert!(tokenizer.decode(id).is_empty());
    }
}

#[test]
fn world_texts_have_the_tokens_of_the_reference() {
    let (Some(vocabulary), Some(folder)) =
        (vocabulary(), std::env::var_os("KINGLET_WORLD_REFERENCE"))
    else {
        eprintln!("skipped: KINGLET_WORLD_REFERENCE is not set (tests/tokenizer/reference.py)");
        return;
    };
    let folder = PathBuf::from(folder);
    let text = std::fs::read(folder.join("text.bin")).unwrap();
    let ids = std::fs::read(folder.join("ids.bin")).unwrap();
    let expected: Vec<u32> = ids
        .chunks_exact(4)
        .map(|id| u32::from_le_bytes(id.try_into().unwrap()))
        .collect();
    assert!(text.len() >= 1_000_000);
    let words = vocabulary.to_trie();
    let tokenizer = Tokenizer::trie(Trie::new(&words, 65_536).unwrap());
    let start = Instant::now();
    let found: Vec<u32> = tokenizer.encode(&text).map(Result::unwrap).collect();
    let encode = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let back: Vec<u8> = found
        .iter()
        .flat_map(|&id| tokenizer.decode(id).to_vec())
        .collect();
    let decode = start.elapsed().as_secs_f64();
    let mismatches = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    let rate = |seconds: f64| text.len() as f64 / 1e6 / seconds;
    eprintln!(
        "{} bytes, {} tokens, {mismatches} mismatches; encode {:.1} MB/s, decode {:.1} MB/s",
        text.len(),
        expected.len(),
        rate(encode),
        rate(decode)
    );
    assert!(found == expected, "{mismatches} mismatches");
    assert!(back == text);
    let mut encoder = Encoder::new(tokenizer);
    let mut streamed = Vec::new();
    for &byte in &text {
        streamed.extend(encoder.push(byte).map(Result::unwrap));
    }
    streamed.extend(encoder.finish().map(Result::unwrap));
    assert!(streamed == expected);
}
