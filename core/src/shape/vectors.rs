//! Lengths of state and scratch, and their division into vectors.
//!
//! Both buffers are slices of `i32` that the caller owns; their lengths are
//! `const` functions of the shape, the same on every core.

use crate::number::Residual;

use super::{prepared_words, round_up, v4, Bits, Shape, BLOCK_ROWS};

/// The larger of two lengths.
pub(super) const fn max(a: usize, b: usize) -> usize {
    if a > b {
        a
    } else {
        b
    }
}

/// Declares the vectors that a buffer is divided into, by name and length in
/// words, one after the other: the length of the buffer and the split follow
/// from this one list.
macro_rules! vectors {
    (
        $(#[$about:meta])*
        $name:ident of $shape:ident {
            $($(#[$meaning:meta])* $vector:ident: $len:expr,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Debug)]
        #[allow(dead_code)]
        pub struct $name<'b> {
            $($(#[$meaning])* pub $vector: &'b mut [i32],)*
        }

        #[allow(dead_code)]
        impl<'b> $name<'b> {
            /// Words of all vectors.
            pub const fn len($shape: &$crate::shape::Shape) -> usize {
                0 $(+ $len)*
            }

            /// Divides a buffer of that length. In a shorter one the last
            /// vectors are shorter.
            pub fn split($shape: &$crate::shape::Shape, buffer: &'b mut [i32]) -> Self {
                let mut rest = buffer;
                $(let $vector = $crate::shape::vectors::take(&mut rest, $len);)*
                let _ = rest;
                Self { $($vector,)* }
            }
        }
    };
}
pub(super) use vectors;

/// The next `len` words of a buffer, or fewer at its end.
#[inline(always)]
pub(crate) fn take<'b>(rest: &mut &'b mut [i32], len: usize) -> &'b mut [i32] {
    let buffer = core::mem::take(rest);
    let len = len.min(buffer.len());
    // Optimizing for size, the compiler loses the fact that it is no longer.
    let (taken, after) = buffer.split_at_mut_checked(len).unwrap_or_default();
    *rest = after;
    taken
}

impl Shape {
    /// Words of state per layer.
    pub(crate) const fn layer_state_len(&self) -> usize {
        if self.version.has_heads() {
            return HeadState::len(self);
        }
        v4::State::len(self)
    }

    /// Words that the state takes: pass a buffer of this length to
    /// [`crate::Session::new`].
    ///
    /// RWKV-4: `L (4 C + 1)`. RWKV-5 to 7: `L (4 C + 1 + C N / 2)` with states of
    /// 16 bits, `L (4 C + 1 + C N / 4)` with 8, rounded up in each layer.
    pub const fn state_len(&self) -> usize {
        self.n_layer as usize * self.layer_state_len()
    }

    /// Words that the scratch takes: pass a buffer of this length to
    /// [`crate::Session::new`].
    pub const fn scratch_len(&self) -> usize {
        self.prepared_len() + max(self.work_len(), self.logits_len())
    }

    /// Words that the scratch takes where the logits are computed in blocks:
    /// the least that [`crate::Session::new`] takes.
    pub const fn scratch_len_in_blocks(&self) -> usize {
        self.prepared_len() + self.work_len()
    }

    /// Bytes of state.
    pub const fn state_bytes(&self) -> usize {
        4 * self.state_len()
    }

    /// Bytes of scratch, logits included.
    pub const fn scratch_bytes(&self) -> usize {
        4 * self.scratch_len()
    }

    /// Bytes of scratch without room for all logits.
    pub const fn scratch_bytes_in_blocks(&self) -> usize {
        4 * self.scratch_len_in_blocks()
    }

    /// Words of the quantized vector: that of the longest input in the widest of
    /// the formats, twice where vectors have 16 bits.
    pub(crate) const fn prepared_len(&self) -> usize {
        let mut cols = max(self.n_embd as usize, self.n_ffn as usize);
        if self.version.has_heads() {
            cols = max(cols, self.longest_rank());
        }
        let (mut len, mut i) = (0, 0);
        while i < Bits::ALL.len() {
            if self.formats.has(Bits::ALL[i]) {
                len = max(len, prepared_words(self.layout, Bits::ALL[i], cols));
            }
            i += 1;
        }
        if self.formats.is_fine() {
            2 * len
        } else {
            len
        }
    }

    /// The longest input of a low-rank matrix; 0 where there are none.
    const fn longest_rank(&self) -> usize {
        let [a, b, c, d] = self.ranks;
        max(max(a as usize, b as usize), max(c as usize, d as usize))
    }

    /// `[C]`, padded to whole blocks of rows.
    pub(super) const fn padded_embd(&self) -> usize {
        round_up(self.n_embd as usize, BLOCK_ROWS)
    }

    /// Words of the working vectors.
    pub(crate) const fn work_len(&self) -> usize {
        WorkVectors::len(self)
    }

    /// The other vectors of the time mix or the channel mix, whichever are more.
    const fn wide_len(&self) -> usize {
        let hidden = 1 + round_up(self.n_ffn as usize, BLOCK_ROWS);
        if !self.version.has_heads() {
            return max(v4::Mix::len(self), hidden);
        }
        max(self.mix_len(), hidden)
    }

    /// The longest input of a low-rank matrix, in whole blocks of rows.
    pub(super) const fn padded_rank(&self) -> usize {
        round_up(self.longest_rank(), BLOCK_ROWS)
    }

    /// Words of all logits.
    pub(crate) const fn logits_len(&self) -> usize {
        round_up(self.outputs() as usize, BLOCK_ROWS)
    }
}

vectors! {
    /// The state of a layer of RWKV-5 to 7.
    HeadState of shape {
        /// `[C]` the last input of the time mix.
        att_x: shape.n_embd as usize,
        /// `[C]` the last input of the channel mix.
        ffn_x: shape.n_embd as usize,
        /// Which rows are measured at the next token.
        phase: 1,
        /// `[C]` logarithms of the rows' scales.
        lam: shape.n_embd as usize,
        /// `[C]` their fractions, and bounds of the rows' mantissas.
        bounds: shape.n_embd as usize,
        /// `[H, N, N]` mantissas: a matrix for each head.
        matrices: (shape.n_embd as usize * shape.head_size() * shape.state.bytes()).div_ceil(4),
    }
}

vectors! {
    /// The working vectors of a step. Matrices write whole blocks of rows, so
    /// those that receive a product are padded to a multiple of four.
    WorkVectors of shape {
        /// Power of two, bits and mantissas.
        x: Residual::WORDS + shape.n_embd as usize,
        /// Of a product: its power of two in front.
        xx: 1 + shape.padded_embd(),
        tmp: shape.n_embd as usize,
        r: 1 + shape.padded_embd(),
        wide: shape.wide_len(),
        kept: shape.kept_len(),
    }
}
