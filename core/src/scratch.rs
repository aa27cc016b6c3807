//! How large state and scratch are, and how scratch is divided.
//!
//! Both buffers are slices of `f32` that the caller owns; their lengths are
//! `const` functions of the header, the same on every core.

use crate::arch::{prepare, prepared_words, Executor, Prepared};
use crate::image::{round_up, Bits, Dim, Header, Matrix, Version, BLOCK_ROWS};
use crate::number::AbsMax;

const fn max(a: usize, b: usize) -> usize {
    if a > b {
        a
    } else {
        b
    }
}

impl Header {
    /// Floats of state per layer.
    pub(crate) const fn layer_state_len(&self) -> usize {
        let channels = self.n_embd as usize;
        if self.version.has_heads() {
            // att_x, ffn_x, and a matrix per head.
            2 * channels + (channels * self.head_size() * self.state.bytes()).div_ceil(4)
        } else {
            // att_x, aa, bb, pp, ffn_x.
            5 * channels
        }
    }

    /// Floats that the state takes: pass a buffer of this length to
    /// [`crate::Session::new`].
    pub const fn state_len(&self) -> usize {
        self.n_layer as usize * self.layer_state_len()
    }

    /// Floats that the scratch takes: pass a buffer of this length to
    /// [`crate::Session::new`].
    pub const fn scratch_len(&self) -> usize {
        self.prepared_len() + max(self.work_len(), self.logits_len())
    }

    /// Floats that the scratch takes where the logits are computed in blocks:
    /// pass a buffer of this length to [`crate::Session::in_blocks`].
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

    /// Words of the quantized vector: that of the longest input.
    const fn prepared_len(&self) -> usize {
        let (embd, ffn) = (self.n_embd as usize, self.n_ffn as usize);
        let len = max(
            prepared_words(self.layout, self.weight_bits, max(embd, ffn)),
            prepared_words(self.layout, self.head_bits, embd),
        );
        if !self.version.has_heads() {
            return len;
        }
        let len = max(len, prepared_words(self.layout, self.entry_bits, embd));
        match self.longest_rank() {
            0 => len,
            rank => max(
                len,
                prepared_words(self.layout, Bits::Int8, max(embd, rank)),
            ),
        }
    }

    /// The longest input of a low-rank matrix; 0 where there are none.
    const fn longest_rank(&self) -> usize {
        let [a, b, c, d] = self.ranks;
        max(max(a as usize, b as usize), max(c as usize, d as usize))
    }

    /// `[C]`, padded to whole blocks of rows.
    const fn padded_embd(&self) -> usize {
        round_up(self.n_embd as usize, BLOCK_ROWS)
    }

    const fn work_len(&self) -> usize {
        4 * self.padded_embd() + self.wide_len() + self.kept_len()
    }

    /// What the time mix or the channel mix takes besides, whichever is more.
    const fn wide_len(&self) -> usize {
        let padded = self.padded_embd();
        let ffn = round_up(self.n_ffn as usize, BLOCK_ROWS);
        if !self.version.has_heads() {
            // Key, value.
            return max(2 * padded, ffn);
        }
        let rank = round_up(self.longest_rank(), BLOCK_ROWS);
        let time_mix = match self.version {
            // Key, value.
            Version::V4 | Version::V5 | Version::V52 => 2 * padded,
            // Decay, key, value; what steers the shift; a shift or the decay's rank.
            Version::V6 => {
                3 * padded + round_up(self.dim(Dim::ShiftRanks), BLOCK_ROWS) + max(padded, rank)
            }
            // Decay, key, value, learning rate, direction; a rank or two vectors
            // of a head.
            Version::V7 => 5 * padded + max(rank, 2 * self.head_size()),
        };
        max(time_mix, ffn)
    }

    /// What a token's layers hand on: the values of RWKV-7's first layer.
    const fn kept_len(&self) -> usize {
        match self.version {
            Version::V7 if self.version.has_heads() => self.n_embd as usize,
            _ => 0,
        }
    }

    const fn logits_len(&self) -> usize {
        round_up(self.outputs() as usize, BLOCK_ROWS)
    }
}

/// Divides the scratch into the quantized vector and the rest, which is
/// [`Work`] while the layers run and the logits after.
pub(crate) fn split<'s>(
    header: &Header,
    scratch: &'s mut [f32],
) -> Option<(&'s mut [u32], &'s mut [f32])> {
    let (q, rest) = scratch.split_at_mut_checked(header.prepared_len())?;
    Some((bytemuck::cast_slice_mut(q), rest))
}

/// The quantized vector, and products with it.
pub(crate) struct Product<'q> {
    q: &'q mut [u32],
}

impl<'q> Product<'q> {
    pub(crate) fn new(q: &'q mut [u32]) -> Self {
        Self { q }
    }

    /// The quantized vector by itself.
    pub(crate) fn prepared(self, x: &[f32], max: AbsMax, matrix: &Matrix<'_>) -> Prepared<'q> {
        prepare(x, max, matrix, self.q)
    }

    /// The quantized vector that was prepared last, for the same matrix.
    pub(crate) fn prepared_before(&self, scale: f32, matrix: &Matrix<'_>) -> Prepared<'_> {
        Prepared::left_in(self.q, scale, matrix)
    }

    /// `out = matrix x vector`. `x` may be longer than the matrix has columns;
    /// `max` is the largest absolute value in these, and `out` holds whole
    /// blocks of four rows.
    pub(crate) fn of(
        &mut self,
        matrix: &Matrix<'_>,
        x: &[f32],
        max: AbsMax,
        executor: &mut impl Executor,
        out: &mut [f32],
    ) {
        executor.matvec(matrix, &self.prepare(matrix, x, max), out);
    }

    /// The quantized vector of a product, as [`Product::of`].
    #[inline(always)]
    pub(crate) fn prepare(&mut self, matrix: &Matrix<'_>, x: &[f32], max: AbsMax) -> Prepared<'_> {
        let x = x.get(..matrix.cols).unwrap_or(x);
        prepare(x, max, matrix, self.q)
    }
}

/// The buffers of a step. Matrices write whole blocks of rows, so the
/// vectors that receive a product are padded to a multiple of four.
pub(crate) struct Work<'q, 's> {
    /// `[C]` residual stream.
    pub x: &'s mut [f32],
    /// `[C]`, padded: layer norm, later the output of a block.
    pub xx: &'s mut [f32],
    /// `[C]` the vector about to be quantized.
    pub tmp: &'s mut [f32],
    /// `[C]`, padded: receptance.
    pub r: &'s mut [f32],
    /// Whatever else the version's time mix needs, or `[F]` hidden channels;
    /// padded.
    pub wide: &'s mut [f32],
    /// What the layers of a token hand on.
    #[cfg_attr(not(feature = "v7"), allow(dead_code))]
    pub kept: &'s mut [f32],
    /// Products, and the quantized vector.
    pub product: Product<'q>,
}

impl<'q, 's> Work<'q, 's> {
    pub(crate) fn split(header: &Header, q: &'q mut [u32], rest: &'s mut [f32]) -> Option<Self> {
        let (len, padded) = (header.n_embd as usize, header.padded_embd());
        let (x, rest) = rest.split_at_mut_checked(padded)?;
        let (xx, rest) = rest.split_at_mut_checked(padded)?;
        let (tmp, rest) = rest.split_at_mut_checked(padded)?;
        let (r, rest) = rest.split_at_mut_checked(padded)?;
        let (wide, rest) = rest.split_at_mut_checked(header.wide_len())?;
        Some(Self {
            x: x.get_mut(..len)?,
            xx,
            tmp: tmp.get_mut(..len)?,
            r,
            wide,
            kept: rest.get_mut(..header.kept_len())?,
            product: Product { q },
        })
    }
}
