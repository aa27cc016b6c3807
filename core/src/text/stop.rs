//! Ends a text where one of some texts appears in it.
//!
//! The bytes held back are always a proper prefix of a stop text, so they are kept
//! as a slice of it: no buffer is needed, and stop texts may have any length.

/// Holds back what may become a stop text until that is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop<'s> {
    texts: &'s [&'s [u8]],
    /// The end of what was pushed, where a stop text begins with it.
    held: &'s [u8],
}

impl<'s> Stop<'s> {
    /// Nothing has been pushed. Empty texts stop nothing.
    pub fn new(texts: &'s [&'s [u8]]) -> Self {
        Self { texts, held: &[] }
    }

    /// Takes the next byte and shows those to `put` that are no part of a
    /// stop text. Returns whether one is complete.
    /// Where one is, its bytes are not shown, and nothing is held back.
    pub fn push(&mut self, byte: u8, put: &mut dyn FnMut(u8)) -> bool {
        let held = self.held;
        let complete = self.find(byte, true);
        let found = complete.or_else(|| self.find(byte, false));
        let shown = found.map_or(held.len(), |(start, _)| start);
        held.iter().take(shown).for_each(|&byte| put(byte));
        if found.is_none() {
            put(byte);
        }
        self.held = found.map_or(&[], |(_, kept)| kept);
        complete.is_some()
    }

    /// The longest suffix of the held bytes that with this byte is a prefix of a
    /// stop text, or all of one: where it starts, and with the byte.
    // The held bytes are few: searching from scratch is cheap.
    #[inline(never)]
    fn find(&self, byte: u8, complete: bool) -> Option<(usize, &'s [u8])> {
        let at = |start: usize| {
            let tail = self.held.get(start..)?;
            let goes_on = |text: &&'s [u8]| {
                let rest = text.strip_prefix(tail)?;
                let fits = rest.first() == Some(&byte) && (rest.len() == 1 || !complete);
                text.get(..tail.len() + 1).filter(|_| fits)
            };
            Some((start, self.texts.iter().find_map(goes_on)?))
        };
        (0..=self.held.len()).find_map(at)
    }

    /// Shows what is still held back: the text ends without a stop text.
    pub fn finish(&mut self, put: &mut dyn FnMut(u8)) {
        self.held.iter().for_each(|&byte| put(byte));
        self.held = &[];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// The shown part of `text`, and whether it was stopped.
    fn shown(stops: &[&str], text: &str) -> (String, bool) {
        let stops: Vec<&[u8]> = stops.iter().map(|stop| stop.as_bytes()).collect();
        let mut out = Vec::new();
        let mut stop = Stop::new(&stops);
        for byte in text.bytes() {
            if stop.push(byte, &mut |byte| out.push(byte)) {
                return (String::from_utf8(out).unwrap(), true);
            }
        }
        stop.finish(&mut |byte| out.push(byte));
        (String::from_utf8(out).unwrap(), false)
    }

    /// By the definition: the stop text that is complete first, of those the
    /// longest.
    fn expected(stops: &[&str], text: &str) -> (String, bool) {
        let found = stops.iter().filter(|stop| !stop.is_empty());
        let found = found.filter_map(|stop| {
            let start = text.find(stop)?;
            Some((start + stop.len(), start))
        });
        let start = found.min().map(|(_, start)| start);
        (text[..start.unwrap_or(text.len())].into(), start.is_some())
    }

    #[test]
    fn what_is_shown_is_what_str_find_leaves() {
        let stops = ["", "a", "aab", "abab", "ab\n", "é", "aaaa", "b a", "ba"];
        let texts = [
            "",
            "aaab",
            "ababab",
            "aaaaaaab",
            "abaabab\n",
            "caféé",
            "ab ab a ab\n",
        ];
        for text in texts {
            assert_eq!(shown(&[], text), (text.into(), false));
            for one in stops {
                for other in stops {
                    let both = [one, other];
                    assert_eq!(
                        shown(&both, text),
                        expected(&both, text),
                        "{both:?} {text:?}"
                    );
                }
            }
        }
    }
}
