//! The trie of the device against plain longest match.

use super::{trie, Json, TokenizerFile};
use kinglet::tokenizer::{Trie, MAX_TOKEN_BYTES};
use kinglet::{Encoder, Tokenizer, UnknownByte};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Tokens = Vec<(Vec<u8>, u32)>;
type Found = Vec<Result<u32, UnknownByte>>;

/// The longest entry at every point, entry by entry.
fn naive(tokens: &Tokens, text: &[u8]) -> Found {
    let mut rest = text;
    let mut found = Vec::new();
    while let Some(&first) = rest.first() {
        let fits = tokens.iter().filter(|(token, _)| rest.starts_with(token));
        let (result, len) = match fits.max_by_key(|(token, _)| token.len()) {
            Some((token, id)) => (Ok(*id), token.len()),
            None => (Err(UnknownByte(first)), 1),
        };
        found.push(result);
        rest = &rest[len..];
    }
    found
}

fn stream(tokenizer: Tokenizer<'_>, text: &[u8]) -> Found {
    let mut encoder = Encoder::new(tokenizer);
    let mut found = Vec::new();
    for &byte in text {
        found.extend(encoder.push(byte));
    }
    found.extend(encoder.finish());
    assert!(encoder.finish().next().is_none());
    found
}

/// Tokens with ids in no order, and texts, over few different bytes, so that
/// they match.
fn vocabularies() -> impl Strategy<Value = Tokens> {
    let few = prop_oneof![Just(b'a'), Just(b'b'), Just(0), Just(0xff), any::<u8>()];
    let tokens = btree_map(vec(few, 1..7), any::<u16>(), 1..120);
    let ids = prop_oneof![Just(0u32), Just(1), Just(70_000)];
    (tokens, ids).prop_map(|(tokens, far): (BTreeMap<Vec<u8>, u16>, u32)| {
        let mut seen = BTreeSet::new();
        let mut tokens: Tokens = tokens
            .into_iter()
            .filter(|&(_, id)| seen.insert(id))
            .map(|(token, id)| (token, u32::from(id) + far))
            .collect();
        // With `far` of 1 the ids are as World's: in order of length, then bytes.
        if far == 1 {
            tokens.sort_by_key(|(token, _)| (token.len(), token.clone()));
            for (token, id) in tokens.iter_mut().zip(1..) {
                token.1 = id;
            }
            tokens.sort();
        }
        tokens
    })
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    let few = prop_oneof![4 => Just(b'a'), 4 => Just(b'b'), 1 => Just(0), 1 => Just(0xff), 1 => any::<u8>()];
    vec(few, 0..80)
}

proptest! {
    #[test]
    fn the_trie_finds_the_longest_match(tokens in vocabularies(), text in texts()) {
        let words = trie::build(&tokens);
        let tokenizer = Tokenizer::trie(Trie::new(&words, 1 << 20).unwrap());
        let expected = naive(&tokens, &text);
        prop_assert_eq!(tokenizer.encode(&text).collect::<Found>(), &expected[..]);
        prop_assert_eq!(stream(tokenizer, &text), &expected[..]);
        let back = expected.iter().flat_map(|found| match found {
            Ok(token) => tokenizer.decode(*token).to_vec(),
            Err(UnknownByte(byte)) => vec![*byte],
        });
        prop_assert_eq!(back.collect::<Vec<u8>>(), text);
        for (token, id) in &tokens {
            prop_assert_eq!(&*tokenizer.decode(*id), &token[..]);
        }
        let ids: BTreeSet<u32> = tokens.iter().map(|&(_, id)| id).collect();
        for id in (0..300).chain([u32::MAX]).filter(|id| !ids.contains(id)) {
            prop_assert!(tokenizer.decode(id).is_empty());
        }
    }

    #[test]
    fn a_damaged_trie_is_refused_or_harmless(
        tokens in vocabularies(),
        damage in vec((any::<prop::sample::Index>(), any::<u32>(), 0..32u32), 1..4),
        vocab in 0..70_000u32,
    ) {
        let mut words = trie::build(&tokens);
        for (at, value, bit) in damage {
            let at = at.index(words.len());
            words[at] = if bit == 0 { value } else { words[at] ^ 1 << bit };
        }
        harmless(&words, vocab);
    }

    #[test]
    fn any_words_are_refused_or_harmless(words in vec(prop_oneof![0..3u32, any::<u32>()], 0..40)) {
        harmless(&words, 300);
    }
}

/// If it is a trie, every token of it is found and comes back.
fn harmless(words: &[u32], vocab: u32) {
    let Ok(trie) = Trie::new(words, vocab) else {
        return;
    };
    let tokenizer = Tokenizer::trie(trie);
    let texts: Vec<_> = (0..vocab).map(|id| tokenizer.decode(id)).collect();
    let with_text = texts.iter().filter(|text| !text.is_empty()).count();
    assert_eq!(with_text, trie.tokens() as usize);
    for (id, text) in (0..vocab).zip(&texts).filter(|(_, text)| !text.is_empty()) {
        assert!(tokenizer.encode(text).eq([Ok(id)]));
        assert!(stream(tokenizer, text) == [Ok(id)]);
    }
}

#[test]
fn the_longest_token_fills_the_encoder() {
    let long = vec![b'x'; MAX_TOKEN_BYTES];
    let tokens = vec![(b"x".to_vec(), 0), (long.clone(), 1)];
    let words = trie::build(&tokens);
    let tokenizer = Tokenizer::trie(Trie::new(&words, 2).unwrap());
    for len in [127, 128, 129, 255, 256, 257, 1000] {
        let text = vec![b'x'; len];
        let expected = naive(&tokens, &text);
        assert_eq!(stream(tokenizer, &text), expected);
        assert!(tokenizer.encode(&text).eq(expected));
    }
    let longer = vec![(vec![b'x'; MAX_TOKEN_BYTES + 1], 0)];
    assert!(Trie::new(&trie::build(&longer), 2).is_err());
}

#[test]
fn tokens_that_are_not_taken_are_lost_and_nothing_else() {
    let tokens = vec![(b"a".to_vec(), 0), (b"aaab".to_vec(), 1)];
    let words = trie::build(&tokens);
    let mut encoder = Encoder::new(Tokenizer::trie(Trie::new(&words, 2).unwrap()));
    for byte in b"aaacaa" {
        let _ = encoder.push(*byte);
    }
    assert!(encoder.finish().eq([Ok(0), Ok(0)]));
}

#[test]
fn ids_beyond_the_vocabulary_are_refused() {
    let ordered = trie::build(&[(b"a".to_vec(), 5), (b"b".to_vec(), 6)]);
    let table = trie::build(&[(b"a".to_vec(), 6), (b"b".to_vec(), 5)]);
    for words in [ordered, table] {
        assert!(Trie::new(&words, 7).is_ok());
        assert!(Trie::new(&words, 6).is_err());
        assert!(Trie::new(&words, 0).is_err());
    }
}

/// A byte-level BPE of 256 bytes, a few merges and an added token.
pub fn small_json() -> String {
    let byte_chars: Vec<char> = super::json::alphabet().to_vec();
    let mut vocab = serde_json::Map::new();
    for (id, c) in byte_chars.iter().enumerate() {
        vocab.insert(c.to_string(), id.into());
    }
    for (id, token) in ["th", "\u{120}th", "\u{120}the", "\u{c3}\u{a9}"]
        .iter()
        .enumerate()
    {
        vocab.insert((*token).to_owned(), (256 + id).into());
    }
    let byte_level = |trim: bool| {
        serde_json::json!({"type": "ByteLevel", "add_prefix_space": false,
            "trim_offsets": trim, "use_regex": true})
    };
    let end = serde_json::json!({"id": 260, "content": "<|end|>", "single_word": false,
        "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [end],
        "normalizer": {"type": "NFC"}, "pre_tokenizer": byte_level(true),
        "post_processor": byte_level(false), "decoder": byte_level(true),
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "vocab": vocab,
            "merges": ["t h", "\u{120} th", "\u{120}th e", "\u{c3} \u{a9}"]}
    })
    .to_string()
}

#[test]
fn byte_level_bpe_knows_every_byte() {
    let json = Json::parse(small_json().as_bytes()).unwrap();
    assert_eq!(json.max_id(), 260);
    let encode = |text: &[u8]| json.encode(text).unwrap();
    assert_eq!(encode(b" the then<|end|>"), [258, 258, 110, 260]);
    assert_eq!(encode("\u{e9}".as_bytes()), [259]);
    // A broken character: its bytes, in any surroundings.
    assert_eq!(encode(b" the\xc3 the\xff"), [258, 0xc3, 258, 0xff]);
    for text in [
        "\0\t\n ~\u{7f}\u{ad}".as_bytes(),
        &(0..=255).collect::<Vec<u8>>(),
    ] {
        let back = encode(text)
            .into_iter()
            .flat_map(|token| json.decode(token).to_vec());
        assert_eq!(back.collect::<Vec<u8>>(), text);
    }
    assert_eq!(json.decode(9999), b"");
}

#[test]
fn a_json_of_another_kind_gives_a_sentence() {
    let read = |text: &str| TokenizerFile::parse(text.as_bytes());
    let fails = |text: &str| read(text).unwrap_err().to_string();
    assert!(fails("{}").contains("not a tokenizer.json"));
    assert!(fails("{\"decoder\":{\"type\" 1}}").contains("nor a tokenizer.json"));
    // Cut off at any place, or with a byte in another's place.
    let whole = small_json();
    for at in 0..whole.len() {
        assert!(!whole.is_char_boundary(at) || read(&whole[..at]).is_err());
        let mut bytes = whole.clone().into_bytes();
        bytes[at] = b"1}\"\0:"[at % 5];
        let _ = TokenizerFile::parse(&bytes);
    }
    let other = small_json().replace("\"decoder\":{", "\"decoder\":null,\"x\":{");
    assert!(fails(&other).contains("ByteLevel") || fails(&other).contains("tokenizer.json"));
    let lacking = small_json().replace("\"\u{ff}\":255,", "");
    let json = Json::parse(lacking.as_bytes()).unwrap();
    let error = json.encode(b"a\xff").unwrap_err();
    assert_eq!(error.to_string(), "no token stands for the byte 0xff");
}
