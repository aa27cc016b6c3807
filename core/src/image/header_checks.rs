//! Checks across several fields of a header: what one field allows depends on
//! the version, and where a section begins on the lengths of those before.

use super::header::{Header, Span, TokenizerKind, HEADER_BYTES};
use crate::shape::parts::ranks_of;
use crate::shape::{StateFormat, MAX_COLS, PART_ALIGN};

impl Header {
    /// The offset of a field of the heads that does not fit the version.
    /// RWKV-4 has zeros there; others have heads that divide the channels.
    pub(super) const fn bad_heads_at(&self) -> Option<u8> {
        let shape = &self.shape;
        if !shape.version.has_heads() {
            return match (shape.state, shape.n_head, shape.gn_eps.to_bits()) {
                (StateFormat::I16, 0, 0) => None,
                (StateFormat::I8, _, _) => Some(25),
                (_, 0, _) => Some(48),
                _ => Some(44),
            };
        }
        if shape.n_head == 0 || !shape.n_embd.is_multiple_of(shape.n_head) {
            return Some(44);
        }
        // An epsilon that vanishes beside the variance would divide 0 by 0
        // where all inputs are equal.
        // Bits are ordered as positive floats are.
        let bits = shape.gn_eps.to_bits();
        if bits >= 1e-12f32.to_bits() && bits <= 1f32.to_bits() {
            None
        } else {
            Some(48)
        }
    }

    /// The offset of a rank that does not fit the version.
    pub(super) const fn bad_rank_at(&self) -> Option<u8> {
        if !self.shape.version.has_heads() {
            let [a, b, c, d] = self.shape.ranks;
            return if a | b | c | d == 0 { None } else { Some(64) };
        }
        // The last layer: the first may lack a matrix that the others have.
        let last = self.shape.n_layer.saturating_sub(1);
        let used = ranks_of(self.shape.layer_parts(last));
        let mut i = 0;
        while i < 4 {
            let rank = self.shape.ranks[i] as u32;
            if used[i] != (rank != 0) || rank > MAX_COLS as u32 {
                return Some(64 + 2 * i as u8);
            }
            i += 1;
        }
        None
    }

    /// Where the weights end: the next section begins there.
    pub const fn weights_end(&self) -> u32 {
        if self.vocabulary.bytes > 0 {
            self.vocabulary.offset
        } else if self.states.bytes > 0 {
            self.states.offset
        } else {
            self.metadata.offset
        }
    }

    /// Whether the weights end at a multiple of [`PART_ALIGN`], and the square matrices of
    /// all layers, four or more of four bits at least, may end before: so the length
    /// of a state does not overflow.
    pub(super) const fn has_room(&self) -> bool {
        let channels = self.shape.n_embd as u64;
        let least = HEADER_BYTES as u64 + 2 * channels * channels * self.shape.n_layer as u64;
        let end = self.weights_end();
        end.is_multiple_of(PART_ALIGN as u32) && end as u64 >= least
    }

    /// Where the vocabulary ends, or the weights where there is none.
    pub(super) const fn vocabulary_end(&self) -> Option<u64> {
        let Span { offset, bytes } = self.vocabulary;
        let fits = match self.tokenizer {
            TokenizerKind::Trie => bytes > 0 && bytes.is_multiple_of(PART_ALIGN as u32),
            _ => offset == 0 && bytes == 0,
        };
        if fits {
            Some(self.weights_end() as u64 + bytes as u64)
        } else {
            None
        }
    }

    /// Where the named states end, which begin at `start` if there are any.
    pub(super) const fn states_end(&self, start: u64) -> Option<u64> {
        let Span { offset, bytes } = self.states;
        if offset == 0 && bytes == 0 {
            return Some(start);
        }
        // A build without the feature refuses images that have some.
        if !cfg!(feature = "states") {
            return None;
        }
        if offset as u64 == start && bytes > 0 && bytes.is_multiple_of(PART_ALIGN as u32) {
            Some(start + bytes as u64)
        } else {
            None
        }
    }
}
