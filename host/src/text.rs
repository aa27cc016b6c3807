//! Texts as people have them: typography, marks between documents, and
//! characters that a small vocabulary lacks.

use std::borrow::Cow;
use std::path::Path;

/// Published texts have it between documents; for a model that is token 0.
const DOCUMENT_END: &[u8] = b"<|endoftext|>";

/// What becomes of a character that the vocabulary lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Unknown {
    /// An error that names it
    #[default]
    Refuse,
    /// It is left out
    Skip,
    /// Typography is written in ASCII, any other character as `?`
    Replace,
}

/// Text from a file or a wire as it is shown: no control characters but tabs and
/// line ends.
pub fn shown(text: &str) -> String {
    text.chars().map(kinglet_protocol::console::shown).collect()
}

/// The same on one line.
pub fn shown_line(text: &str) -> String {
    shown(text).replace(['\n', '\t'], "?")
}

/// A path as results show it.
pub fn shown_path(path: &Path) -> String {
    shown_line(&path.to_string_lossy())
}

/// A word of a shell's command line: quoted, if it needs that.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:,=+@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The noun after a count: `step` after 1, else `steps`.
pub fn noun<'n>(count: u64, one: &'n str, more: &'n str) -> &'n str {
    match count {
        1 => one,
        _ => more,
    }
}

/// The ASCII form of a typographic character; none of any other.
pub fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2018}'..='\u{201b}' | '\u{2032}' => "'",
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => "\"",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        '\u{2026}' => "...",
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' => " ",
        '\u{ad}' | '\u{200b}' | '\u{feff}' => "",
        _ => return None,
    })
}

/// Writes typography in ASCII; says how many characters were typographic, and
/// how many others are not ASCII.
pub fn fold(text: &[u8]) -> (Vec<u8>, [usize; 2]) {
    let mut folded = Vec::with_capacity(text.len());
    let mut counts = [0; 2];
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            let form = plain(c);
            counts[usize::from(form.is_none())] += usize::from(!c.is_ascii());
            let mut same = [0; 4];
            let form = form.unwrap_or_else(|| c.encode_utf8(&mut same));
            folded.extend_from_slice(form.as_bytes());
        }
        counts[1] += chunk.invalid().len();
        folded.extend_from_slice(chunk.invalid());
    }
    (folded, counts)
}

/// Puts the byte 0, which ends a text, in the place of each mark between
/// documents and of the line ends around it; says how many there were.
pub fn end_documents(text: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let mark = |text: &[u8]| {
        let mut windows = text.windows(DOCUMENT_END.len());
        windows.position(|window| window == DOCUMENT_END)
    };
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let (mut ended, mut rest, mut count) = (Vec::new(), text, 0);
    while let Some(at) = mark(rest) {
        let before = rest[..at].iter().rposition(|byte| !is_line_end(byte));
        ended.extend_from_slice(&rest[..before.map_or(0, |last| last + 1)]);
        ended.push(0);
        rest = &rest[at + DOCUMENT_END.len()..];
        let line_ends = rest.iter().take_while(|byte| is_line_end(byte)).count();
        rest = &rest[line_ends..];
        count += 1;
    }
    if count == 0 {
        return (text.into(), 0);
    }
    ended.extend_from_slice(rest);
    (ended.into(), count)
}

/// Leaves out or replaces the characters of a text in which `first_unknown`
/// finds a byte that the vocabulary lacks; says how many there were.
/// A byte of no character counts as one.
pub fn without_unknown(
    text: &[u8],
    policy: Unknown,
    first_unknown: impl Fn(&[u8]) -> Option<usize>,
) -> (Vec<u8>, usize) {
    let (mut known, mut rest, mut count) = (Vec::new(), text, 0);
    while let Some(at) = first_unknown(rest) {
        let (start, c) = character(rest, at);
        known.extend_from_slice(&rest[..start]);
        if policy == Unknown::Replace {
            let form = c.and_then(plain).unwrap_or("?").as_bytes();
            // The vocabulary may lack that form too.
            if first_unknown(form).is_none() {
                known.extend_from_slice(form);
            }
        }
        rest = &rest[start + c.map_or(1, char::len_utf8)..];
        count += 1;
    }
    known.extend_from_slice(rest);
    (known, count)
}

/// Where the character starts that the byte at `at` is of, and the character;
/// none where the byte is of no character.
fn character(text: &[u8], at: usize) -> (usize, Option<char>) {
    let starts = at.saturating_sub(3)..=at;
    let found = starts.into_iter().find_map(|start| {
        let bytes = &text[start..text.len().min(start + 4)];
        let c = bytes.utf8_chunks().next()?.valid().chars().next()?;
        (start + c.len_utf8() > at).then_some((start, Some(c)))
    });
    found.unwrap_or((at, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_words_as_they_were() {
        assert_eq!(shell_word("models/a-b_1.kgl"), "models/a-b_1.kgl");
        for (word, quoted) in [("a b", "'a b'"), ("$a", "'$a'"), ("", "''")] {
            assert_eq!(shell_word(word), quoted);
        }
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }

    #[test]
    fn typography_becomes_ascii_and_nothing_else_does() {
        let text = "\u{feff}It\u{2019}s \u{201c}caf\u{e9}\u{201d} \u{2013} 10\u{a0}km\u{2026}";
        let (folded, counts) = fold(text.as_bytes());
        assert_eq!(folded, "It's \"caf\u{e9}\" - 10 km...".as_bytes());
        assert_eq!(counts, [7, 1]);
        assert_eq!(fold(b"a\xffb\0"), (b"a\xffb\0".to_vec(), [0, 1]));
    }

    #[test]
    fn a_document_ends_with_token_0() {
        let ended = |text: &[u8]| {
            let (ended, count) = end_documents(text);
            (ended.into_owned(), count)
        };
        assert_eq!(ended(b"a<|end|>"), (b"a<|end|>".to_vec(), 0));
        let text = b"One.\r\n\r\n<|endoftext|>\r\nTwo.\n<|endoftext|>Three.\n";
        assert_eq!(ended(text), (b"One.\0Two.\0Three.\n".to_vec(), 2));
        let text = b"<|endoftext|>\n<|endoftext|>";
        assert_eq!(ended(text), (b"\0\0".to_vec(), 2));
    }

    #[test]
    fn unknown_characters_are_skipped_or_replaced_whole() {
        // A vocabulary that knows `é` as a whole, but no other byte beyond ASCII, and no `?`.
        let first_unknown = |text: &[u8]| {
            let mut at = 0;
            while let Some(byte) = text.get(at) {
                at += match byte {
                    _ if text[at..].starts_with("\u{e9}".as_bytes()) => 2,
                    byte if byte.is_ascii() && *byte != b'?' => 1,
                    _ => return Some(at),
                };
            }
            None
        };
        let text = b"\xe2\x80\x99It\xe2\x80\x99s caf\xc3\xa9 \xe2\x82\xac\xff\xc3?";
        let without = |policy| {
            let (known, count) = without_unknown(text, policy, first_unknown);
            (String::from_utf8(known).unwrap(), count)
        };
        assert_eq!(without(Unknown::Skip), ("Its caf\u{e9} ".to_owned(), 6));
        let replaced = ("'It's caf\u{e9} ".to_owned(), 6);
        assert_eq!(without(Unknown::Replace), replaced);
        let (known, _) = without_unknown("\u{20ac}".as_bytes(), Unknown::Replace, |text| {
            text.iter().position(|byte| !byte.is_ascii())
        });
        assert_eq!(known, b"?");
    }
}
